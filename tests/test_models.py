"""Every agent of models/ plays, as well as its table says."""

import re

import torch
from conftest import MAIN, ROOT, run_process
from pytest import approx, mark, param

TABLE = (ROOT / "models/README.md").read_text()
MODELS = sorted(path.parent.name for path in ROOT.glob("models/*/model.pt"))


@mark.parametrize("num, rel", [(1, 0.1), param(10, 0.05, marks=mark.slow)])
@mark.parametrize("name", MODELS)
def test_an_agent_plays(name, num, rel, tmp_path):
    row = re.search(rf"\| {name} \|(.*)", TABLE)[1].replace(",", "").split("|")
    script, _, steps, seed, mean = row[:5]
    folder = ROOT / "models" / name
    saved = torch.load(folder / "model.pt", map_location="cpu", weights_only=True)
    assert f"{saved['script']}.py" == script.strip(" `") and saved["global_step"] == int(steps)
    assert re.findall(r"--seed (\d+)", " ".join(["--seed 1", *saved["words"]]))[-1] == seed.strip()
    flags = f"--evaluate-only {folder} --eval-episodes {num}"
    if num == 1 and saved["script"] == MAIN:
        flags += " --num-greedy-samples 50"  # quick
    status, output, errors = run_process(ROOT / script.strip(" `"), flags, tmp_path)
    assert status == 0, errors
    assert float(output.split("mean:")[1]) == approx(float(mean), rel=rel)
