"""Learning: small tasks with a known optimum are solved."""

import numpy as np
import toy_envs

QUICK = "--batch-size 64 --buffer-size 20000 --num-target-samples 32 --num-greedy-samples 64"
QUICK += " --learning-rate 0.001 --learning-starts 300 --train-frequency 4 --eval-episodes 20"
QUICK += " --target-network-frequency 50"


def test_qmle_continuous_solves_reach(run_script):
    flags = f"{QUICK} --gamma 0.9 --env-id toy_envs:Reach-v0"
    end = run_script("qmle_continuous", f"{flags} --total-timesteps 6000 --eval-frequency 6000")
    seeds = [end["episode_seed"](1_000_001, episode) for episode in range(20)]
    best = toy_envs.Reach.best_return(seeds)
    start = run_script("qmle_continuous", f"{flags} --total-timesteps 301 --eval-frequency 300")
    assert np.mean(end["returns"]) > 0.95 * best > 1.2 * np.mean(start["returns"])


def test_qmle_discrete_sets_eleven_dials(run_script):
    flags = f"{QUICK} --gamma 0.5 --env-id toy_envs:Combination-v0 --total-timesteps 6000"
    end = run_script("qmle_discrete", f"{flags} --eval-frequency 6000")
    actions = np.random.default_rng(0).integers(4, size=(2000, 64, 11))
    rewards = toy_envs.Combination.reward(1, actions)
    searched = rewards.max(1).mean()  # the best of 64 uniform samples, by the reward itself
    assert np.mean(end["returns"]) / 10 > 0.95 > searched + 0.05 > rewards.mean() + 0.1
