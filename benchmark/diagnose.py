"""Looks into runs of qmle_continuous.py or qmle_continuous_multiseed.py: what may keep a task from being learnt.

    python benchmark/diagnose.py figure_3 runs/launch/figure_3/*/*/runs/*
    python benchmark/diagnose.py figure_3_why --until 250000 runs/launch/figure_3/fish-swim*/*/runs/*

Of each run directory: from the event file, the mean of each metric over the last tenth of the run; from episodes.csv,
how soon there was a reward; from model.pt where there is one (--save-model), greedy episodes and what the networks say
in the states these visit (see `of_model`).
With --until, of a run as it was at that step, without its model. Writes benchmark/results/<figure>/diagnosis.csv (task,
variant, seed, measure, value; what it holds of other runs stays) and diagnosis.json (commit, versions, date).
"""

import argparse
import csv
import datetime
import json
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

NUM_EPISODES, NUM_STATES = 3, 50


def of_events(run_dir, until=None, share=0.1):
    """The mean of each logged metric over the last share of the run, without losses/ and charts/: name -> value."""
    events = EventAccumulator(str(run_dir), size_guidance={"scalars": 0}).Reload()
    scalars = {name: np.array([(e.step, e.value) for e in events.Scalars(name)]) for name in events.Tags()["scalars"]}
    last = until or max(values[-1, 0] for values in scalars.values())
    late = {name: v[(v[:, 0] > (1 - share) * last) & (v[:, 0] <= last), 1] for name, v in scalars.items()}
    return {name.split("/")[1]: values.mean() for name, values in late.items() if len(values)}


def rewarded_early(path, until=None, share=0.1):
    """Share of the episodes in the first share of the run that had a return of at least 1."""
    steps, returns = np.loadtxt(path, delimiter=",", skiprows=1, ndmin=2).T[:2]
    return (returns[steps <= max(share * (until or steps[-1]), steps[0])] >= 1).mean()


def returns_to_go(rewards, gamma):
    """Discounted return from each step on: (T,) -> (T,)."""
    returns = np.array(rewards, dtype=float)
    for t in reversed(range(len(returns) - 1)):
        returns[t] += gamma * returns[t + 1]
    return returns


def dead_units(q_network, obs, actions):
    """Share of the units of each hidden ReLU layer that are 0 for all rows of obs (T, obs_size), actions (T, A)."""
    active = {}

    def watch(name):
        def hook(module, inputs, output):
            active[name] = (output > 0).flatten(0, -2).any(0)

        return hook

    features = q_network.obs_stream(obs)
    linears = {
        "obs": q_network.obs_stream[1].linear1,
        "delta": q_network.delta_predictor[0],
        "categorical": q_network.categorical_predictor[0],
    }
    handles = [linear.register_forward_hook(watch(name)) for name, linear in linears.items()]
    q_network.obs_stream(obs), q_network.delta_predictor(features), q_network.categorical_predictor(features)
    for handle in handles:
        handle.remove()
    joint = torch.cat([features, q_network.action_stream(actions)], dim=1)
    active["joint"] = (q_network.joint_block.linear1(joint) > 0).any(0)
    return {f"dead_{name}": 1 - on.float().mean().item() for name, on in active.items()}


@torch.no_grad()
def of_model(path):
    """What a trained agent does and believes in NUM_EPISODES greedy episodes: measure -> value.

    mean_q: Q of the actions taken, over the steps that have at least 300 more to come (0.99^300 is 0.05); return_to_go:
    the discounted return that followed, over_estimation: the difference, correlation: between the two.
    q_spread: standard deviation of Q over uniform actions, search_gain: how much higher the best of 20,000 uniform
    actions stands than the one found with num_greedy_samples, both in NUM_STATES of the states; repeatability: mean
    distance of a coordinate between two searches in one state; saturated: share of coordinates beyond 0.95.
    """
    q_network, args = script.load_model(str(path), script.Args(seed=1, cuda=False))
    env = script.make_env(args.env_id)
    policy = script.make_policy(q_network, args)
    torch.manual_seed(0)
    observations, actions, values, returns, scores = [], [], [], [], []
    for episode in range(NUM_EPISODES):
        obs, _ = env.reset(seed=script.episode_seed(args.seed + 2_000_000, episode))
        rewards, done = [], False
        while not done:
            action = policy(obs)
            observations.append(np.asarray(obs, np.float32))
            actions.append(action)
            obs, reward, terminated, truncated, _ = env.step(script.to_env_action(action, env.action_space))
            rewards.append(float(reward))
            done = terminated or truncated
        to_go = returns_to_go(rewards, args.gamma)
        if not terminated:
            to_go[-300:] = np.nan  # cut off
        returns.append(to_go)
        scores.append(sum(rewards))
    obs, actions = torch.tensor(np.array(observations)), torch.tensor(np.array(actions))
    features = q_network.obs_stream(obs)
    values = q_network.q_values(features, actions.unsqueeze(1)).squeeze(1).numpy()
    returns = np.concatenate(returns)
    counts = np.isfinite(returns)
    found = {"greedy_return": np.mean(scores), "mean_q": values[counts].mean(), "return_to_go": returns[counts].mean()}
    found["over_estimation"] = (values - returns)[counts].mean()
    if returns[counts].std() > 0:
        found["correlation"] = np.corrcoef(values[counts], returns[counts])[0, 1]
    found["saturated"] = (actions.abs() > 0.95).float().mean().item()
    found |= dead_units(q_network, obs, actions)
    size = actions.shape[1]
    spreads, gains, distances = [], [], []
    for i in np.linspace(0, len(obs) - 1, NUM_STATES).astype(int):
        uniform = script.sample_uniform(1, 20_000, size, "cpu")
        q = torch.cat([q_network.q_values(features[i : i + 1], part) for part in uniform.split(2000, dim=1)], dim=1)
        again = torch.from_numpy(policy(obs[i].numpy()))
        spreads.append(q.std().item())
        gains.append(q.max().item() - values[i])
        distances.append((again - actions[i]).abs().mean().item())
    found |= {"q_spread": np.mean(spreads), "search_gain": np.mean(gains), "repeatability": np.mean(distances)}
    return found


def main(figure, run_dirs, until=None):
    folder = ROOT / "benchmark" / "results" / figure
    path, rows = folder / "diagnosis.csv", {}
    if path.exists():
        rows = {tuple(row[:4]): row[4] for row in list(csv.reader(path.open()))[1:]}
    for run_dir in map(pathlib.Path, run_dirs):
        args = json.loads((run_dir / "config.json").read_text())["args"]
        task, seed = args["env_id"].removeprefix("dm_control/").removesuffix("-v0"), str(args["seed"])
        launched = run_dir.resolve().parents[2].name.split("__")  # by launch.py: task, variant, first seed
        variant = launched[1] if len(launched) == 3 else "alone"
        found = of_events(run_dir, until) | {"rewarded_early": rewarded_early(run_dir / "episodes.csv", until)}
        if not until and (run_dir / "model.pt").exists():
            found |= of_model(run_dir / "model.pt")
        rows |= {(task, variant, seed, name): f"{value:.5g}" for name, value in found.items()}
        print(task, variant, seed, {name: float(f"{value:.3g}") for name, value in found.items()}, flush=True)
    with path.open("w") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("task", "variant", "seed", "measure", "value"))
        writer.writerows((*key, rows[key]) for key in sorted(rows))
    git = ["git", "-C", str(ROOT), "rev-parse", "--short", "HEAD"]
    manifest = {"date": f"{datetime.date.today()}"}
    manifest["commit"] = subprocess.run(git, capture_output=True, text=True).stdout.strip()
    names = ("torch", "dm_control", "mujoco", "numpy")
    manifest["versions"] = {"python": platform.python_version()} | {name: metadata.version(name) for name in names}
    (folder / "diagnosis.json").write_text(json.dumps(manifest, indent=1) + "\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("figure", help="whose folder of benchmark/results takes what is found")
    parser.add_argument("run_dirs", nargs="+", help="run directories, with event file, episodes.csv and config.json")
    parser.add_argument("--until", type=int, help="environment step that counts as the end of a run")
    args = parser.parse_args()
    main(args.figure, args.run_dirs, args.until)
