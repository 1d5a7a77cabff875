"""Looks into runs of qmle_continuous.py or qmle_continuous_multiseed.py: what may keep a task from being learnt.

    python benchmark/diagnose.py figure_3 runs/launch/figure_3/walker-*/*/runs/*
    python benchmark/diagnose.py figure_3 --episodes 40 runs/launch/figure_3/fish-swim*/*/runs/*
    python benchmark/diagnose.py figure_3_why --until 250000 runs/launch/figure_3/fish-swim*/*/runs/*

Of each run directory: from the event file, the mean of each metric over the last tenth of the run; from model.pt where
there is one (--save-model), greedy episodes and what the networks say in the states these visit (see `of_model`).
With --until, of a run as it was at that step, without its model. Writes benchmark/results/<figure>/diagnosis.csv (task,
variant, seed, until, measure, value; what it holds of other runs and other steps stays) and diagnosis.json (commit,
versions and date of each). Run directories are not in the repository: benchmark/figure_3.sh leaves them in runs/launch.
"""

import argparse
import csv
import datetime
import json
import math
import pathlib
import platform
import subprocess
import sys
from importlib import metadata

import numpy as np
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
import qmle_continuous as script  # noqa: E402

NUM_TO_COME = 500


def of_events(run_dir, until=None, share=0.1):
    """The last step, and the mean of each logged metric over the last share of the run: name in TensorBoard -> value.

    Raises ValueError for a run that ended before the step until.
    """
    events = EventAccumulator(str(run_dir), size_guidance={"scalars": 0}).Reload()
    scalars = {name: np.array([(e.step, e.value) for e in events.Scalars(name)]) for name in events.Tags()["scalars"]}
    last = int(max(values[-1, 0] for values in scalars.values()))
    if until and last < until:
        raise ValueError(f"--until is {until}, expected at most {last}, where {run_dir} ended")
    last = until or last
    late = {name: v[(v[:, 0] > (1 - share) * last) & (v[:, 0] <= last), 1] for name, v in scalars.items()}
    return last, {name: values.mean() for name, values in late.items() if len(values)}


def returns_to_go(rewards, gamma):
    """Discounted return from each step on: (T, E) -> (T, E)."""
    returns = np.array(rewards, dtype=float)
    for t in reversed(range(len(returns) - 1)):
        returns[t] += gamma * returns[t + 1]
    return returns


def silent_units(q_network, obs, actions):
    """Share of the units of each hidden ReLU layer that are 0 for all of obs (T, obs_size) and actions (T, A)."""
    features = q_network.obs_stream(obs)
    joint = torch.cat([features, q_network.action_stream(actions)], dim=1)
    normal = q_network.obs_stream[0](obs)  # what the residual block of the observation stream reads
    layers = {
        "observation": q_network.obs_stream[1].linear1(normal),
        "joint": q_network.joint_block.linear1(joint),
        "delta": q_network.delta_predictor[0](features),
        "categorical": q_network.categorical_predictor[0](features),
    }
    return {f"silent/{name}": (values <= 0).all(0).float().mean().item() for name, values in layers.items()}


def play(q_network, args, num_episodes, epsilon=0.0):
    """Episodes side by side, until all have ended: obs (T, E, obs_size), actions (T, E, A), rewards (T, E).

    Each action is the greedy one or, with probability epsilon, a uniformly random one; the initial states are the same
    for each epsilon. Rewards are NaN after the end of an episode; whether it terminated is the last value: (E,).
    """
    rng = np.random.default_rng(args.seed)
    envs = [script.make_env(args.env_id) for _ in range(num_episodes)]
    obs = [env.reset(seed=script.episode_seed(args.seed + 2_000_000, i))[0] for i, env in enumerate(envs)]
    running, terminated, steps = [True] * num_episodes, np.zeros(num_episodes, bool), []
    while any(running):
        batch = torch.tensor(np.array(obs), dtype=torch.float32)
        features = q_network.obs_stream(batch)
        actions = script.sample_actions(q_network, features, args.num_greedy_samples, args)
        actions = script.argmax_action(q_network, features, actions)[0].numpy()
        explores = rng.random(num_episodes) < epsilon
        actions[explores] = rng.uniform(-1, 1, actions[explores].shape)
        rewards = np.full(num_episodes, np.nan)
        for i, env in enumerate(envs):
            if running[i]:
                env_action = script.to_env_action(actions[i], env.action_space)
                obs[i], rewards[i], terminated[i], truncated, _ = env.step(env_action)
                running[i] = not (terminated[i] or truncated)
        steps.append((batch.numpy(), actions, rewards))
    return *map(np.array, zip(*steps, strict=True)), terminated


@torch.no_grad()
def of_model(path, seed=1, num_episodes=10):
    """What a trained agent does and believes in greedy episodes: measure -> value. seed: of their initial states.

    greedy/q: Q of the actions taken, over the steps that have NUM_TO_COME more to come; greedy/return_to_go: the
    discounted return that followed, too low by at most 100 * 0.99^500 = 0.7 where an episode is cut off with rewards of
    1. Both again for the episodes with a return below 10 alone, if there are any, and their number. exploring/gain: by
    how much the return is higher from the same initial states if actions are random as often as in training, with the
    standard error of this difference over the episodes. silent/...: see silent_units, over the states visited and, for
    the joint layer, the actions taken as well as uniform ones.
    """
    q_network, args = script.load_model(str(path), script.Args(seed=seed, cuda=False))
    torch.manual_seed(seed)
    obs, actions, rewards, terminated = play(q_network, args, num_episodes)
    shaken = np.nansum(play(q_network, args, num_episodes, args.exploration_epsilon)[2], 0)
    scores, to_go = np.nansum(rewards, 0), returns_to_go(np.nan_to_num(rewards), args.gamma)
    num_steps = np.isfinite(rewards).sum(0)  # of each episode
    last = np.where(terminated, num_steps, num_steps - NUM_TO_COME)
    counts = np.arange(len(rewards))[:, None] < last  # (T, E)
    ran = np.isfinite(rewards)
    states, taken = torch.from_numpy(obs[ran]), torch.from_numpy(actions[ran])
    q = np.full(rewards.shape, np.nan)
    q[ran] = q_network.q_values(q_network.obs_stream(states), taken.unsqueeze(1)).squeeze(1).numpy()
    found = {"greedy/return": scores.mean(), "greedy/q": q[counts].mean(), "greedy/return_to_go": to_go[counts].mean()}
    failed = counts & (scores < 10)
    found |= {"greedy/num_episodes": num_episodes, "greedy/num_below_10": (scores < 10).sum()}
    found["exploring/gain"] = (shaken - scores).mean()
    found["exploring/gain_error"] = (shaken - scores).std(ddof=1) / math.sqrt(num_episodes)
    if failed.any():
        found |= {"greedy/q_below_10": q[failed].mean(), "greedy/return_to_go_below_10": to_go[failed].mean()}
    uniform = script.sample_uniform(1, *taken.shape, "cpu").squeeze(0)
    return found | silent_units(q_network, torch.cat([states, states]), torch.cat([taken, uniform]))


def main(figure, run_dirs, until=None, num_episodes=10):
    if num_episodes < 2:
        raise ValueError(f"--episodes is {num_episodes}, expected at least 2, for a standard error")
    folder = ROOT / "benchmark" / "results" / figure
    path, json_path, rows, entries = folder / "diagnosis.csv", folder / "diagnosis.json", {}, {}
    if path.exists():
        entries = json.loads(json_path.read_text())
        for *run, measure, value in list(csv.reader(path.open()))[1:]:
            rows.setdefault(tuple(run), {})[measure] = value
    git = ["git", "-C", str(ROOT), "rev-parse", "--short", "HEAD"]
    entry = {"date": f"{datetime.date.today()}"}
    entry["commit"] = subprocess.run(git, capture_output=True, text=True).stdout.strip()
    names = ("torch", "dm_control", "mujoco", "numpy")
    entry["versions"] = {"python": platform.python_version()} | {name: metadata.version(name) for name in names}
    for run_dir in map(pathlib.Path, run_dirs):
        args = json.loads((run_dir / "config.json").read_text())["args"]
        task, seed = args["env_id"].removeprefix("dm_control/").removesuffix("-v0"), str(args["seed"])
        launched = run_dir.resolve().parents[2].name.split("__")  # by launch.py: task, variant, first seed
        variant = launched[1] if len(launched) == 3 else "alone"
        last, found = of_events(run_dir, until)
        if not until and (run_dir / "model.pt").exists():
            found |= of_model(run_dir / "model.pt", args["seed"], num_episodes)
        rows[task, variant, seed, str(last)] = {name: f"{value:.5g}" for name, value in found.items()}
        entries[f"{task}/{variant}/{seed}/{last}"] = entry
        print(task, variant, seed, last, {name: float(f"{value:.3g}") for name, value in found.items()}, flush=True)
        with path.open("w") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(("task", "variant", "seed", "until", "measure", "value"))
            for run in sorted(rows):
                writer.writerows((*run, *row) for row in sorted(rows[run].items()))
        json_path.write_text(json.dumps(entries, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("figure", help="whose folder of benchmark/results takes what is found")
    parser.add_argument("run_dirs", nargs="+", help="run directories, with event file and config.json")
    parser.add_argument("--until", type=int, help="environment step that counts as the end of a run")
    parser.add_argument("--episodes", type=int, default=10, help="greedy episodes for each model")
    args = parser.parse_args()
    try:
        main(args.figure, args.run_dirs, args.until, args.episodes)
    except (ValueError, FileNotFoundError) as error:
        sys.exit(f"error: {error}")
