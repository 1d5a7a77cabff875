"""The promises about the project itself: pins, headers, one file per script."""

import ast
import re
import sys

import pytest
import torch
from conftest import ROOT

SCRIPTS = sorted(path.name for path in ROOT.glob("*.py"))


def pins(text):
    return set(re.findall(r"^#?\s*\"?([A-Za-z0-9_.-]+==[\w.]+)", text, re.MULTILINE))


@pytest.mark.parametrize("script", SCRIPTS)
def test_header_matches_requirements_and_imports(script):
    source = (ROOT / script).read_text()
    header = source.split("# ///\n")[0]
    assert header.startswith("# /// script\n")
    header_pins, requirements = pins(header), pins((ROOT / "requirements.txt").read_text())
    assert len(header_pins) >= 3 and header_pins <= requirements
    names = {pin.split("==")[0] for pin in header_pins}
    imported = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            imported |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add(node.module.split(".")[0])
    optional = {"envpool"}  # asked for by a flag, refused in one line where it is not installed
    assert imported - set(sys.stdlib_module_names) - optional <= names  # so no other file of this repository either


@pytest.mark.parametrize("script", SCRIPTS)
def test_public_functions_have_docstrings_and_flags_have_help(script):
    tree = ast.parse((ROOT / script).read_text())
    for node in tree.body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            assert ast.get_docstring(node), node.name
    source = (ROOT / script).read_text().split("class Args:")[1].split("\n\n\n")[0]
    flags = [line for line in source.splitlines() if re.match(r"    \w+: ", line)]
    assert flags and all("  # " in line for line in flags)


@pytest.mark.parametrize("script", ["qmle_continuous.py", "qmle_discrete.py", "dqn_discretized.py"])
def test_readme_names_every_flag(script):
    readme = (ROOT / "README.md").read_text()
    source = (ROOT / script).read_text().split("class Args:")[1].split("\n\n\n")[0]
    for name in re.findall(r"^    (\w+): ", source, re.MULTILINE):
        assert f"`--{name.replace('_', '-')}`" in readme, name


def test_readme_is_finished():
    readme = (ROOT / "README.md").read_text()
    assert "@@" not in readme
    assert all(f"`{script}`" in readme for script in SCRIPTS)
    for target in re.findall(r"\]\((?!http|#)([^)]+)\)", readme):
        assert (ROOT / target).is_file(), target


def test_readme_quotes_the_refusal_of_dog_walk():
    import dqn_discretized

    with pytest.raises(ValueError) as refusal:
        args = dqn_discretized.Args(env_id="dm_control/dog-walk-v0")
        dqn_discretized.check_memory(args, 223, (3,) * 38, torch.device("cpu"))
    readme = " ".join((ROOT / "README.md").read_text().split())
    for part in re.split(r"[\d.]+ GiB free", str(refusal.value)):  # but for what was free that day
        assert part in readme
