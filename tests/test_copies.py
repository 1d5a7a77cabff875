"""Pieces that scripts share are copies on purpose: one text, comments included."""

import subprocess
import sys

import pytest
from conftest import ROOT

sys.path.insert(0, str(ROOT / "benchmark"))
import many_seeds

# What differs from qmle_continuous.py, by script; anything else that both have is the same.
OWN = "Args check_args QNetwork training_loss "
ALLOWED = {
    # actions are choices, not points of [-1, 1]^A; no delta predictor; small spaces are enumerated
    "qmle_discrete": OWN + "PlainEnv make_env sample_uniform sample_actions evaluate "
    "argmax_predictor_loss",
    # choices too, all of them an output each: exact max, no search, no predictor
    "dqn_discretized": OWN + "PlainEnv make_env sample_uniform greedy_action train_step evaluate",
    # the method alone: an actor, a search without predictors, a proposal
    "ddpg_continuous": OWN + "sample_uniform greedy_action td_target train_step",
    "qtopt_continuous": OWN + "sample_uniform greedy_action train_step",
    "aql_continuous": OWN + "sample_actions greedy_action train_step",
    # flags of seeds and workers; stacked parameters; no video
    "qmle_continuous_multiseed": "Args make_env train_step evaluate check_finite",
    # other ingredients, so other flags, networks, search, targets; stacked parameters
    "qmle_plus": OWN + "ResidualBlock ReplayMemory sample_actions argmax_predictor_loss train_step "
    "evaluate check_finite",
}


def pieces(script):
    return many_seeds.pieces((ROOT / f"{script}.py").read_text())


@pytest.mark.parametrize("script", ALLOWED)
def test_copies_are_the_same_text(script):
    one, two = pieces("qmle_continuous"), pieces(script)
    different = {name for name in one.keys() & two.keys() if one[name] != two[name]}
    assert different <= set(ALLOWED[script].split())
    assert len(one.keys() & two.keys() - different) >= 4


def test_playground_is_plus():
    one, two = pieces("qmle_plus"), pieces("qmle_playground")
    # other flags and rows; one seed; uniform replay; environments that go on while it records
    different = {"Args", "check_args", "ReplayMemory", "train_step", "CudaGraph", "evaluate"}
    assert {name for name in one.keys() & two.keys() if one[name] != two[name]} <= different
    assert len(one.keys() & two.keys() - different) >= 13


def test_other_copies_are_the_same_text():
    one, two = pieces("qmle_discrete"), pieces("dqn_discretized")
    different = {name for name in one.keys() & two.keys() if one[name] != two[name]}
    assert different <= {*OWN.split(), "greedy_action", "train_step"}
    bandits = [pieces(f"{name}_bandit") for name in ("pg", "dpg", "qmle")]
    climbing = [pieces(f"{name}_climbing") for name in ("qmle", "vdn")]
    assert len({piece["make_folder"] for piece in [*bandits, *climbing]}) == 1
    assert climbing[0]["climbing_reward"] == climbing[1]["climbing_reward"]


def test_small_difference_to_discrete():
    words = ["diff", ROOT / "qmle_continuous.py", ROOT / "qmle_discrete.py"]
    lines = subprocess.run(words, capture_output=True, text=True).stdout.splitlines()
    assert 100 < sum(line[0] in "<>" for line in lines) <= 200
