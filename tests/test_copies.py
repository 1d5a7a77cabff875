"""Pieces that scripts share are copies on purpose: one text, comments included."""

import ast
import difflib

import pytest
from conftest import ROOT

# what differs from qmle_continuous.py, each for the reason beside it; anything else is the same
ALLOWED = {
    "qmle_discrete": {
        "Args": "no delta predictor, no grid; small joint spaces may be enumerated",
        "parse_args": "no delta predictor",
        "to_env_action": "an action is whole numbers, not a point of [-1, 1]^A",
        "PlainEnv": "make_env turns choices into the environment's own action",
        "make_env": "Discrete and MultiDiscrete are served as well",
        "QNetwork": "the action stream reads choices; no delta predictor",
        "sample_uniform": "uniform over choices, not over a box",
        "sample_actions": "no delta predictor; small joint spaces are enumerated",
        "argmax_predictor_loss": "no delta predictor; a_max is the target class itself",
        "training_loss": "no delta predictor; choices are whole numbers",
        "evaluate": "make_env takes the number of bins",
    },
    "dqn_discretized": {
        "Args": "no search, no predictor",
        "parse_args": "no search, no predictor",
        "to_env_action": "as in qmle_discrete.py",
        "PlainEnv": "as in qmle_discrete.py",
        "make_env": "as in qmle_discrete.py",
        "evaluate": "as in qmle_discrete.py",
        "QNetwork": "action-out: the difference that Figure 10 is about",
        "sample_uniform": "uniform over choices, not over a box",
        "greedy_action": "exact max",
        "training_loss": "exact max, no predictor",
        "train_step": "what is remembered of an action is not used",
    },
    "qmle_continuous_multiseed": {
        "Args": "seeds and workers; no tracking, no video, no playing of saved models",
        "parse_args": "no video",
        "make_env": "no video",
        "train_step": "stacked parameters",
        "evaluate": "all seeds at once, in worker processes",
        "CudaGraph": "inputs in pinned memory",
        "check_finite": "names the seed",
    },
}


def pieces(script):
    """Source text of every top-level function and class by its name."""
    source = (ROOT / f"{script}.py").read_text()
    found = {}
    for node in ast.parse(source).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
            found[node.name] = "\n".join(source.splitlines()[first - 1 : node.end_lineno])
    return found


@pytest.mark.parametrize("script", ALLOWED)
def test_pieces_meant_to_be_the_same_are_the_same_text(script):
    one, two = pieces("qmle_continuous"), pieces(script)
    different = {name for name in one.keys() & two.keys() if one[name] != two[name]}
    assert different <= ALLOWED[script].keys()
    assert len(one.keys() & two.keys() - different) >= 7


def test_what_dqn_shares_with_qmle_discrete_is_the_same_text():
    one, two = pieces("qmle_discrete"), pieces("dqn_discretized")
    different = {name for name in one.keys() & two.keys() if one[name] != two[name]}
    assert different <= {"Args", "parse_args", "QNetwork", "greedy_action", "training_loss"} | {
        "train_step"
    }


def test_the_difference_between_continuous_and_discrete_is_small():
    one, two = ((ROOT / f"qmle_{name}.py").read_text() for name in ("continuous", "discrete"))
    changes = difflib.unified_diff(one.splitlines(), two.splitlines(), n=0, lineterm="")
    changed = [line for line in changes if line[0] in "+-" and line[:3] not in ("+++", "---")]
    assert len(changed) <= 200
