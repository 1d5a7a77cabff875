"""Every agent of models/ plays, as well as its table says."""

import re

import torch
from conftest import MAIN, ROOT, run_process
from pytest import mark, param

TABLE = (ROOT / "models/README.md").read_text()
MODELS = sorted(path.parent.name for path in ROOT.glob("models/*/model.pt"))


@mark.parametrize("num, low, high", [(1, 5, 6), param(20, 4, 4, marks=mark.slow)])
@mark.parametrize("name", MODELS)
def test_an_agent_plays(name, num, low, high, tmp_path):
    row = re.sub("[,`|]", "", re.search(rf"\| {name} (.*)", TABLE)[1]).split()
    script, _, steps, seed = row[:4]
    folder = ROOT / "models" / name
    saved = torch.load(folder / "model.pt", map_location="cpu", weights_only=True)
    assert f"{saved['script']}.py" == script and saved["global_step"] == int(steps)
    assert re.findall(r"--seed (\d+)", " ".join(["--seed 1", *saved["words"]]))[-1] == seed
    flags = f"--evaluate-only {folder} --eval-episodes {num}"
    if num == 1 and saved["script"] == MAIN:
        flags += " --num-greedy-samples 50"  # quick
    status, output, errors = run_process(ROOT / script, flags, tmp_path)
    assert status == 0, errors
    shown = float(output.split("mean:")[1])
    assert 0.9 * float(row[low]) <= shown <= 1.1 * float(row[high])
