"""Every agent of models/ plays, as well as its table says."""

import re

import torch
from conftest import MAIN, ROOT, run_process
from pytest import mark, param

TABLE = (ROOT / "models/README.md").read_text()
MODELS = sorted(path.parent.name for path in ROOT.glob("models/*/model.pt"))


@mark.parametrize("num, least, most", [(1, 0.7, 1.4), param(20, 0.9, 1.1, marks=mark.slow)])
@mark.parametrize("name", MODELS)
def test_an_agent_plays(name, num, least, most, tmp_path):
    row = re.sub("[,`|]", "", re.search(rf"\| {name} (.*)", TABLE)[1]).split()
    script, _, steps, seed, mean = row[:5]
    folder = ROOT / "models" / name
    saved = torch.load(folder / "model.pt", map_location="cpu", weights_only=True)
    assert f"{saved['script']}.py" == script and saved["global_step"] == int(steps)
    assert re.findall(r"--seed (\d+)", " ".join(["--seed 1", *saved["words"]]))[-1] == seed
    flags = f"--evaluate-only {folder} --eval-episodes {num}"
    if num == 1 and saved["script"] == MAIN:
        flags += " --num-greedy-samples 50"
    status, output, errors = run_process(ROOT / script, flags, tmp_path)
    assert status == 0, errors
    assert least < float(output.split("mean:")[1]) / float(mean) < most
