"""Pieces that several scripts share are copies on purpose. They must stay one text, comments included."""

import ast

import pytest
from conftest import ROOT

SCRIPTS = ["qmle_continuous", "qmle_discrete", "dqn_discretized"]
# (first script, second script): {piece: why the texts differ}
CONTINUOUS_DISCRETE = {
    "Args": "no delta predictor, no grid mode, the joint space may be enumerated",
    "sample_ratios": "no delta predictor",
    "check_args": "no delta predictor, no grid mode",
    "make_env": "Discrete and MultiDiscrete are served as well",
    "to_env_action": "an action is whole numbers, not a point of [-1, 1]^A",
    "QNetwork": "the action stream reads choices; no delta predictor",
    "sample_uniform": "uniform over choices, not over a box",
    "sample_categorical": "the choices themselves, not the points that they stand for",
    "sample_actions": "no delta predictor; small joint spaces are enumerated",
    "greedy_action": "no grid mode",
    "argmax_predictor_loss": "no delta predictor; a_max is the target class itself",
    "train_step": "no delta predictor, no grid mode; choices are whole numbers",
    "evaluate": "no grid mode",
    "load_model": "sizes of the network",
}
DISCRETE_DQN = {
    "Args": "no search, no predictor",
    "check_args": "no search, no predictor",
    "QNetwork": "action-out: the difference that Figure 10 is about",
    "greedy_action": "exact max",
    "train_step": "exact max, no predictor",
    "load_model": "sizes of the network",
}
CONTINUOUS_DQN = {name: "as in qmle_discrete.py" for name in CONTINUOUS_DISCRETE}
ALLOWED = {
    ("qmle_continuous", "qmle_discrete"): CONTINUOUS_DISCRETE,
    ("qmle_discrete", "dqn_discretized"): DISCRETE_DQN,
    ("qmle_continuous", "dqn_discretized"): CONTINUOUS_DQN,
}


def pieces(script):
    """Source text of every top-level function and class, and of the import block, by name."""
    source = (ROOT / f"{script}.py").read_text()
    nodes = [node for node in ast.parse(source).body if isinstance(node, (ast.FunctionDef, ast.ClassDef))]
    lines = source.splitlines()
    texts = {}
    for node in nodes:
        first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
        texts[node.name] = "\n".join(lines[first - 1 : node.end_lineno])
    texts["third-party imports"] = source[source.index("# dm_control chooses") : source.index("@dataclasses.dataclass")]
    return texts


@pytest.mark.parametrize("first, second", ALLOWED)
def test_pieces_meant_to_be_the_same_are_the_same_text(first, second):
    one, two, allowed = pieces(first), pieces(second), ALLOWED[first, second]
    shared = one.keys() & two.keys()
    assert len(shared - allowed.keys()) >= 10
    drifted = sorted(name for name in shared if one[name] != two[name] and name not in allowed)
    assert not drifted, f"{first}.py and {second}.py differ in {drifted}"
    stale = sorted(name for name in allowed if name in shared and one[name] == two[name])
    assert not stale, f"no longer different, take them off the list: {stale}"


def test_the_comparison_sees_comments():
    assert "# NaN fails too" in pieces("qmle_continuous")["check_args"]
