"""Every agent of models/ plays, as well as its table says."""

import importlib
import re

import numpy as np
import pytest
import torch
from conftest import ROOT, run_process

MODELS = sorted(path.parent for path in ROOT.glob("models/*/model.pt"))
TABLE = (ROOT / "models/README.md").read_text()


def row(folder):
    _, script, _, steps, seed, mean, *_ = re.search(rf"\| {folder.name} (\|.*)", TABLE)[1].split(
        "|"
    )
    return script.strip(" `"), int(steps.replace(",", "")), int(seed), float(mean)


@pytest.mark.parametrize("folder", MODELS, ids=lambda path: path.name)
def test_an_agent_plays(folder):
    name, steps, seed, _ = row(folder)
    saved = torch.load(folder / "model.pt", map_location="cpu", weights_only=True)
    assert f"{saved['script']}.py" == name and saved["global_step"] == steps
    assert saved["words"][-2:] == ["--seed", str(seed)]
    script = importlib.import_module(saved["script"])
    args = script.tyro.cli(script.Args, args=saved["words"])
    network = script.QNetwork(*saved["sizes"][:3])
    network.load_state_dict(saved["q_network"])
    env = script.make_env(args.env_id)
    obs, _ = env.reset(seed=0)
    for _ in range(50):
        action = script.greedy_action(network, args, torch.from_numpy(obs)).numpy()
        assert np.isfinite(action).all() and np.abs(action).max() <= 1
        obs, reward, *_ = env.step(action)
        assert np.isfinite(obs).all() and np.isfinite(reward)


@pytest.mark.slow
@pytest.mark.parametrize("folder", MODELS, ids=lambda path: path.name)
def test_returns_are_those_of_the_table(folder, tmp_path):
    name, *_, mean = row(folder)
    flags = f"--evaluate-only {folder} --eval-episodes 10"
    status, output, errors = run_process(ROOT / name, flags, tmp_path)
    assert status == 0, errors
    assert float(output.split("mean:")[1]) == pytest.approx(mean, rel=0.05)
