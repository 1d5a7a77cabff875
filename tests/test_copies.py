"""Pieces that scripts share are copies on purpose."""

import subprocess
import sys

import pytest
from conftest import ROOT

sys.path.insert(0, str(ROOT / "benchmark"))
import many_seeds

PLAIN, OWN = "qmle_continuous", "Args check_args QNetwork training_loss "
COPIES = [  # how many pieces must not differ, which may
    # actions are choices; no delta predictor; small spaces are enumerated
    (PLAIN, "qmle_discrete", 4, OWN + "PlainEnv make_env sample_uniform sample_actions evaluate "
     "argmax_predictor_loss"),
    # an output for each choice: no search, no predictor
    (PLAIN, "dqn_discretized", 4, OWN + "PlainEnv make_env sample_uniform greedy_action "
     "train_step evaluate"),
    ("qmle_discrete", "dqn_discretized", 4, OWN + "greedy_action train_step"),
    # the method alone: an actor, a search without predictors, a proposal
    (PLAIN, "ddpg_continuous", 4, OWN + "sample_uniform greedy_action td_target train_step"),
    (PLAIN, "qtopt_continuous", 4, OWN + "sample_uniform greedy_action train_step"),
    (PLAIN, "aql_continuous", 4, OWN + "sample_actions greedy_action train_step"),
    # seeds, workers, stacked parameters
    (PLAIN, "qmle_continuous_multiseed", 4, "Args make_env train_step evaluate check_finite"),
    # other networks, search, targets; stacked parameters
    (PLAIN, "qmle_plus", 4, OWN + "ResidualBlock ReplayMemory sample_actions "
     "argmax_predictor_loss train_step evaluate check_finite"),
    # one seed; uniform replay; environments on the device
    ("qmle_plus", "qmle_playground", 13, "Args check_args ReplayMemory train_step CudaGraph "
     "evaluate"),
]  # fmt: skip


def pieces(script):
    return many_seeds.pieces((ROOT / f"{script}.py").read_text())


@pytest.mark.parametrize("one, two, num_same, allowed", COPIES)
def test_copies_are_the_same_text(one, two, num_same, allowed):
    one, two = pieces(one), pieces(two)
    same = {name for name in one.keys() & two.keys() if one[name] == two[name]}
    assert one.keys() & two.keys() - same <= {*allowed.split()} and len(same) >= num_same


def test_copies_beside_the_learning_scripts():
    bandits = [pieces(f"{name}_bandit") for name in ("pg", "dpg", "qmle")]
    climbing = [pieces(f"{name}_climbing") for name in ("qmle", "vdn")]
    assert len({piece["make_folder"] for piece in [*bandits, *climbing]}) == 1
    assert climbing[0]["climbing_reward"] == climbing[1]["climbing_reward"]


def test_small_difference_to_discrete():
    words = ["diff", f"{PLAIN}.py", "qmle_discrete.py"]
    lines = subprocess.run(words, cwd=ROOT, capture_output=True, text=True).stdout.splitlines()
    assert 100 < sum(line[0] in "<>" for line in lines) <= 200
