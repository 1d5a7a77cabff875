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
