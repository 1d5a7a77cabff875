"""Brax's SAC as MuJoCo Playground configures it; prints its evaluations as CSV.

python benchmark/brax_sac.py CheetahRun 1 > seed_1.csv    (task, seed)

The committed runs noted when training began, and ended 300 s later.
"""

import functools
import sys
import time

import jax
import jax.numpy as jnp
import psutil

jax.config.update("jax_default_matmul_precision", "highest")  # as qmle_playground.py
# Gone from jax 0.10
jax.device_put_replicated = lambda x, _: jax.tree.map(lambda leaf: jnp.stack([leaf]), x)

from brax.training.agents.sac import networks, train
from mujoco_playground import dm_control_suite, wrapper
from mujoco_playground.config.dm_control_suite_params import brax_sac_config

START = psutil.Process().create_time()


def report(step, metrics):
    print(step, time.time() - START, metrics["eval/episode_reward"], sep=",", flush=True)


if __name__ == "__main__":
    _, task, seed = sys.argv
    config = brax_sac_config(task).to_dict() | {"num_evals": 21, "seed": int(seed)}
    del config["num_resets_per_eval"]  # which train does not know
    own = functools.partial(networks.make_sac_networks, **config.pop("network_factory"))
    env = dm_control_suite.load(task, config_overrides={"impl": "jax"})
    print("global_step,seconds,episodic_return")
    config |= {"network_factory": own, "wrap_env_fn": wrapper.wrap_for_brax_training}
    train.train(env, progress_fn=report, max_devices_per_host=1, **config)
