"""Learning: small tasks with a known optimum are solved."""

import numpy as np
import toy_envs
from conftest import COUNTERPARTS
from pytest import mark, param

QUICK = "--batch-size 32 --buffer-size 20000 --learning-rate 0.001 --learning-starts 300"
QUICK += " --train-frequency 2 --eval-episodes 20 --target-network-frequency 50"
SEARCH = "--num-target-samples 32 --num-greedy-samples 64"
SOLVERS = [("qmle_continuous", SEARCH, 3000)]  # steps
for script, own in COUNTERPARTS.values():
    own += " --batch-size 64 --train-frequency 4"
    SOLVERS += [param(script, own, 6000, marks=mark.slow)]


@mark.parametrize("script, own, steps", SOLVERS)
def test_reach_is_solved(script, own, steps, run):
    flags = f"{QUICK} {own} --gamma 0.9 --env-id toy_envs:Reach-v0"
    end = run(script, f"{flags} --total-timesteps {steps} --eval-frequency {steps}")
    seeds = [end["episode_seed"](1_000_001, k) for k in range(20)]
    best = np.mean([toy_envs.Reach.best_return(seed) for seed in seeds])
    first = run(script, f"{flags} --total-timesteps 301 --eval-frequency 300")
    # Ten seeds of QMLE: 0.91 to 0.97, by the processor too.
    assert np.mean(end["returns"]) > 0.87 * best > 1.2 * np.mean(first["returns"])


def test_qmle_discrete_sets_eleven_dials(run):
    flags = f"{QUICK} {SEARCH} --gamma 0.5 --env-id toy_envs:Combination-v0"
    end = run("qmle_discrete", f"{flags} --total-timesteps 1500 --eval-frequency 1500")
    actions = np.random.default_rng(0).integers(4, size=(2000, 64, 11))
    rewards = toy_envs.Combination.reward(1, actions)
    searched = rewards.max(1).mean()  # by the reward itself
    assert np.mean(end["returns"]) / 10 > 0.95 > searched + 0.05 > rewards.mean() + 0.1
