"""Pieces that several scripts share are copies on purpose. They must stay one text, comments included."""

import ast
import difflib

import pytest
from conftest import ROOT

SCRIPTS = ["qmle_continuous", "qmle_discrete", "dqn_discretized"]
# (first script, second script): {piece: why the texts differ}
CONTINUOUS_DISCRETE = {
    "Args": "no delta predictor, no grid mode, the joint space may be enumerated",
    "sample_ratios": "no delta predictor",
    "check_args": "no delta predictor, no grid mode",
    "make_env": "Discrete and MultiDiscrete are served as well",
    "check_memory": "one-hot choices take memory too",
    "to_env_action": "an action is whole numbers, not a point of [-1, 1]^A",
    "QNetwork": "the action stream reads choices; no delta predictor",
    "sample_uniform": "uniform over choices, not over a box",
    "sample_categorical": "the choices themselves, not the points that they stand for",
    "sample_actions": "no delta predictor; small joint spaces are enumerated",
    "greedy_action": "no grid mode",
    "argmax_predictor_loss": "no delta predictor; a_max is the target class itself",
    "training_loss": "no delta predictor, no grid mode; choices are whole numbers",
    "train_step": "no grid mode",
    "make_policy": "no grid mode; choices are whole numbers",
    "evaluate": "no grid mode",
    "load_model": "sizes of the network",
}
DISCRETE_DQN = {
    "Args": "no search, no predictor",
    "check_args": "no search, no predictor",
    "check_memory": "the output layer takes memory too, choices none",
    "QNetwork": "action-out: the difference that Figure 10 is about",
    "greedy_action": "exact max",
    "training_loss": "exact max, no predictor",
    "train_step": "DQN's has nothing to remember but priorities",
    "load_model": "sizes of the network",
}
CONTINUOUS_DQN = {
    name: "both of the above"
    for name in CONTINUOUS_DISCRETE
    if name not in ("sample_ratios", "sample_categorical", "sample_actions", "argmax_predictor_loss")
}
CONTINUOUS_MULTISEED = {
    "Args": "seeds and workers; no tracking, no video, no playing of saved models",
    "check_args": "seeds and workers; no video",
    "make_env": "no video",
    "third-party imports": "no video",
    "check_memory": "memory of all seeds",
    "ReplayMemory": "a leading seed dimension",
    "train_step": "stacked parameters",
    "evaluate": "all seeds at once, in worker processes",
}
# What makes a line of Args, of check_args or of the main block differ between scripts. Any other line must be the same.
REASONS = {
    "grid mode": ("on_grid", "discrete_until", "uniform_grid_fraction"),
    "argmax predictors, their search set": ("predictor", "delta_", "ratio", "samples", "enumerate", "mixed_"),
    "what DQN has no use for": ("stored_action",),
    "kinds of actions": ("env_id: str", "num_bins", "num_choices", "by_value", "action_size", "to_env_action"),
    "choices are always finite": ('finite("action"',),
    "networks": ("QNetwork(", "obs_size", "q_network.q_values", "features = ", "joint_index", "0, taken"),
    "saved sizes": ("model |", "torch.save(model"),
    "calls of what differs": ("policy = ", "policy[", "policy(obs)", "update = ", "update[", "update()"),
    "compiling a network so small": ("args.compile = ", "compile: bool"),
    "calls of what differs, too": ("sample_uniform", "evaluate(", "inputs"),
    "layout": ("seed=(0", "gamma=(", "network_frequency=(", "importance_exponent=(", "eval_frequency=(", "flags = "),
    "comments": ("# The computations", "# what Q promises", "# as at the last step"),
}
ALLOWED = {
    ("qmle_continuous", "qmle_discrete"): CONTINUOUS_DISCRETE,
    ("qmle_discrete", "dqn_discretized"): DISCRETE_DQN,
    ("qmle_continuous", "dqn_discretized"): CONTINUOUS_DQN,
    ("qmle_continuous", "qmle_continuous_multiseed"): CONTINUOUS_MULTISEED,
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
    assert len(shared - allowed.keys()) >= 9
    drifted = sorted(name for name in shared if one[name] != two[name] and name not in allowed)
    assert not drifted, f"{first}.py and {second}.py differ in {drifted}"
    stale = sorted(name for name in allowed if name not in shared or one[name] == two[name])
    assert not stale, f"no longer different, take them off the list: {stale}"


def block(script, name):
    """Lines of Args, of check_args or of the main block."""
    source = (ROOT / f"{script}.py").read_text()
    lines = source[source.index('if __name__ == "__main__":') :] if name == "main" else pieces(script)[name]
    return [line.strip() for line in lines.splitlines()]


@pytest.mark.parametrize("name", ["Args", "check_args", "main"])
@pytest.mark.parametrize("first, second", list(ALLOWED)[:3])
def test_lines_that_differ_have_a_reason(first, second, name):
    words = [word for group in REASONS.values() for word in group]
    difference = difflib.ndiff(block(first, name), block(second, name))
    changed = [line[2:] for line in difference if line[0] in "+-" and any(map(str.isalpha, line[2:]))]
    unexplained = [line for line in changed if not any(word in line for word in words)]
    assert not unexplained, "\n".join(unexplained)


@pytest.mark.parametrize("script", SCRIPTS)
def test_the_observation_stream_is_the_same(script):
    (line,) = (line for line in pieces(script)["QNetwork"].splitlines() if "self.obs_stream = " in line)
    assert line in pieces("qmle_continuous")["QNetwork"]


def test_the_comparison_sees_comments():
    assert "# NaN fails too" in pieces("qmle_continuous")["check_args"]
