"""Promises about the project: pins, sizes, links."""

import re
import sys

from conftest import ROOT
from pytest import mark

SCRIPTS = sorted(path.name for path in ROOT.glob("*.py"))
PAGES = [ROOT / "README.md", *sorted(ROOT.glob("docs/*.md"))]
BUDGETS = {  # lines, bytes
    "qmle_continuous.py": (620, 30_000),
    "qmle_discrete.py": (640, 31_000),
    "dqn_discretized.py": (560, 27_000),
    "ddpg_continuous.py": (560, 27_000),
    "qtopt_continuous.py": (560, 27_000),
    "aql_continuous.py": (600, 29_000),
    "qmle_continuous_multiseed.py": (760, 38_000),
    "qmle_plus.py": (700, 34_000),
    "qmle_playground.py": (600, 29_000),
    "qmle_climbing.py": (290, 15_000),
    "vdn_climbing.py": (290, 15_000),
}


@mark.parametrize("script", SCRIPTS)
def test_header(script):
    source = (ROOT / script).read_text()
    header = source.split("# ///\n")[0]
    pins = re.findall(r"[\w.-]+==[\w.]+", header)
    files = ROOT / "requirements.txt", ROOT / "benchmark/requirements-playground.txt"
    requirements = "".join(file.read_text() for file in files).split()
    assert header.startswith("# /// script\n") and set(pins) <= set(requirements)
    imported = set(re.findall(r"^ *(?:from|import) (\w+)", source.split('"""', 2)[2], re.M))
    assert "numpy" in imported
    third_party = imported - set(sys.stdlib_module_names)
    assert third_party <= {pin.split("==")[0].replace("play", "mujoco_play") for pin in pins}


@mark.parametrize("script", SCRIPTS)
def test_sizes(script):
    source = (ROOT / script).read_text()
    lines, size = BUDGETS.get(script, (260, 12_000))
    assert source.count("\n") <= lines and len(source.encode()) <= size
    flags = source.partition("@dataclass")[2].partition("\n\n\ndef ")[0]
    assert all("  # " in line for line in re.findall(r"^    \w+: .*", flags, re.M))


def test_lengths_and_links_of_pages():
    for page in PAGES:
        text = page.read_text()
        assert len(text.split()) <= 1500, page.name
        for target in re.findall(r"\]\((?!http|#)([^)#]+)", text):
            assert (page.parent / target).exists(), (page.name, target)
    assert all(f"`{script}`" in PAGES[0].read_text() for script in SCRIPTS)
