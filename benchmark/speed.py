"""Environment steps per second of the whole training loop, beside dm_control alone, in one run on this machine.

    python benchmark/speed.py                       walker-walk, default settings
    python benchmark/speed.py --script-args --no-cuda

The loop is the script itself, started as a user starts it; its speed is read from the wall times in episodes.csv, over
the episodes after learning has started (1000 steps each). dm_control alone steps with uniform actions, once through
dm_control's own interface and once as the script sees it (gymnasium, flattened), before and after the script ran.
"""

import argparse
import csv
import os
import pathlib
import platform
import subprocess
import sys
import tempfile
import time

os.environ.setdefault("MUJOCO_GL", "disabled")
import gymnasium as gym
import numpy as np
import shimmy
import torch
from dm_control import suite

gym.register_envs(shimmy)


def raw_speed(domain, task, num_steps):
    env = suite.load(domain, task, task_kwargs={"random": 0})
    spec, rng = env.action_spec(), np.random.default_rng(0)
    actions = rng.uniform(spec.minimum, spec.maximum, (num_steps, *spec.shape))
    env.reset()
    start = time.perf_counter()
    for action in actions:
        env.step(action)
    return num_steps / (time.perf_counter() - start)


def wrapped_speed(env_id, num_steps):
    env = gym.wrappers.FlattenObservation(gym.make(env_id))
    env.action_space.seed(0)
    actions = [env.action_space.sample() for _ in range(num_steps)]
    env.reset(seed=0)
    start = time.perf_counter()
    for action in actions:
        _, _, terminated, truncated, _ = env.step(action)
        if terminated or truncated:
            env.reset()
    return num_steps / (time.perf_counter() - start)


def loop_speeds(script, env_id, num_steps, script_args):
    """Steps per second of each 1000-step episode from the third on."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, str(script), "--env-id", env_id, "--total-timesteps", str(num_steps), *script_args]
        subprocess.run(command, cwd=folder, check=True, capture_output=True)
        (path,) = pathlib.Path(folder).glob("runs/*/episodes.csv")
        rows = list(csv.DictReader(path.open()))
    steps, times = (np.array([float(row[name]) for row in rows]) for name in ("global_step", "wall_time"))
    return np.diff(steps)[1:] / np.diff(times)[1:]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--env-id", default="dm_control/walker-walk-v0")
    parser.add_argument("--total-timesteps", type=int, default=8000)
    parser.add_argument("--script", default="qmle_continuous.py")
    parser.add_argument(
        "--script-args", nargs=argparse.REMAINDER, default=[], help="all that follows goes to the script"
    )
    args = parser.parse_args()
    script = pathlib.Path(__file__).resolve().parent.parent / args.script
    domain, task = args.env_id.removeprefix("dm_control/").removesuffix("-v0").split("-")
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else platform.processor() or "cpu"
    print(f"{args.env_id} {args.script} {' '.join(args.script_args)}")
    print(f"{device}, {os.cpu_count()} cores, torch {torch.__version__}")
    raw, wrapped = [], []
    for repetition in range(2):
        raw += [raw_speed(domain, task, 2000) for _ in range(3)]
        wrapped += [wrapped_speed(args.env_id, 2000) for _ in range(3)]
        if repetition == 0:
            loop = loop_speeds(script, args.env_id, args.total_timesteps, args.script_args)
    print(f"{'what':<34}{'steps/s: median':>16}{'min':>8}{'max':>8}{'share of dm_control':>21}")
    for name, speeds in (("dm_control alone", raw), ("gymnasium, flattened", wrapped), ("training loop", loop)):
        share = np.median(speeds) / np.median(raw)
        print(f"{name:<34}{np.median(speeds):>16.0f}{min(speeds):>8.0f}{max(speeds):>8.0f}{share:>21.3f}")
