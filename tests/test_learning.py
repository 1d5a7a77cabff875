"""Learning: small tasks with a known optimum are solved."""

import numpy as np
import pytest
import toy_envs

QUICK = (
    "--batch-size 64 --buffer-size 20000 --num-target-samples 32 --num-greedy-samples 64 --learning-rate 0.001"
    " --learning-starts 300 --train-frequency 4 --target-network-frequency 50 --gamma 0.9"
)


@pytest.mark.parametrize("seed", [1, 2])
def test_qmle_continuous_solves_reach(seed, run_script):
    flags = f"{QUICK} --env-id toy_envs:Reach-v0 --total-timesteps 6000 --seed {seed}"
    end = run_script("qmle_continuous", f"{flags} --eval-frequency 6000 --eval-episodes 20")
    best = toy_envs.Reach.best_return(seed + 1_000_000, 20)
    untrained = run_script(
        "qmle_continuous",
        f"{QUICK} --env-id toy_envs:Reach-v0 --total-timesteps 300 --seed {seed}"
        " --eval-frequency 300 --eval-episodes 20",
    )
    assert np.mean(end["returns"]) > 0.95 * best > 1.2 * np.mean(untrained["returns"])


def test_qmle_discrete_sets_ten_dials(run_script):
    symbol, rng = 1, np.random.default_rng(0)
    actions = rng.integers(4, size=(20_000, 10))
    rewards = toy_envs.Combination.reward(symbol, actions)
    one_hot = np.eye(4)[actions].reshape(len(actions), 40)
    separable = np.linalg.lstsq(one_hot, rewards, rcond=None)[0].reshape(10, 4).argmax(1)  # each dial by itself
    assert toy_envs.Combination.reward(symbol, separable) < 0.7
    searched = rewards[:19_968].reshape(-1, 64).max(1).mean()  # the best of 64 samples, if the reward could be asked
    assert rewards.mean() < searched < 0.75
    flags = f"{QUICK} --gamma 0.5 --env-id toy_envs:Combination-v0 --total-timesteps 6000"
    end = run_script("qmle_discrete", f"{flags} --eval-frequency 6000 --eval-episodes 20")
    print("dials", np.mean(end["returns"]) / 10, searched, toy_envs.Combination.reward(symbol, separable))
    assert np.mean(end["returns"]) / 10 > 0.85
