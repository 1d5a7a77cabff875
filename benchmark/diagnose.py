"""Looks into runs of qmle_continuous.py or of many seeds: what may keep a task from being learnt.

python benchmark/diagnose.py figure_3 runs/launch/figure_3/walker-*/*/runs/*

Adds to diagnosis.csv and .json of the figure, of each run: the mean of each metric over the last
tenth (before --until); without --until, what greedy episodes of model.pt show.
"""

import json
import pathlib
import sys

import data
import numpy as np
import torch
import tyro
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

sys.path.insert(0, str(data.ROOT))
import qmle_continuous as script

NUM_TO_COME = 500


def of_events(run_dir, until):
    """The last step, and the mean of each metric over the last tenth."""
    events = EventAccumulator(str(run_dir), size_guidance={"scalars": 0}).Reload()
    names = events.Tags()["scalars"]
    metrics = {name: np.array([(e.step, e.value) for e in events.Scalars(name)]) for name in names}
    last = int(max(points[-1, 0] for points in metrics.values()))
    if until and last < until:
        sys.exit(f"error: --until is {until}, expected at most {last}, where {run_dir} ended")
    last = until or last
    late = {name: data.within(points, 0.9 * last, last) for name, points in metrics.items()}
    return last, {name: values.mean() for name, values in late.items() if len(values)}


def returns_to_go(rewards, gamma):
    """Discounted return from each step on: (T, E) -> (T, E)."""
    returns = np.array(rewards, dtype=float)
    for t in reversed(range(len(returns) - 1)):
        returns[t] += gamma * returns[t + 1]
    return returns


def play(q_network, args, num_episodes, epsilon=0.0):
    """Episodes side by side: obs (T, E, obs_size), actions (T, E, A), rewards (T, E).

    Rewards are NaN after an episode's end; also gives whether each terminated (E,).
    """
    rng = np.random.default_rng(args.seed)
    envs = [script.make_env(args.env_id) for _ in range(num_episodes)]
    first = args.seed + 2_000_000
    obs = [env.reset(seed=script.episode_seed(first, i))[0] for i, env in enumerate(envs)]
    running, terminated, steps = np.ones(num_episodes, bool), np.zeros(num_episodes, bool), []
    while running.any():
        batch = torch.tensor(np.array(obs), dtype=torch.float32)
        features = q_network.obs_stream(batch)
        actions = script.sample_actions(q_network, features, args.num_greedy_samples, args)
        actions = script.argmax_action(q_network, features, actions)[0].numpy()
        explores = rng.random(num_episodes) < epsilon
        actions[explores] = rng.uniform(-1, 1, actions[explores].shape)
        rewards = np.full(num_episodes, np.nan)
        for i in np.flatnonzero(running):
            obs[i], rewards[i], terminated[i], truncated, _ = envs[i].step(actions[i])
            running[i] = not (terminated[i] or truncated)
        steps.append((batch.numpy(), actions, rewards))
    return *map(np.array, zip(*steps, strict=True)), terminated


@torch.no_grad()
def of_model(path, seed, num_episodes=10):
    """What an agent does and believes in greedy episodes: measure -> value.

    greedy/q: Q of the actions taken, in steps that have NUM_TO_COME more to come, so that
    greedy/return_to_go, which follows, is too low by at most 100 * 0.99^500 = 0.7.
    exploring/gain: by how much random actions, as in training, raise the return, and its error.
    """
    saved = torch.load(path, map_location="cpu", weights_only=True)
    args = tyro.cli(script.Args, args=[*saved["words"], "--seed", str(seed)])
    q_network = script.QNetwork(*saved["sizes"][:3])
    q_network.load_state_dict(saved["q_network"])
    torch.manual_seed(seed)
    obs, actions, rewards, terminated = play(q_network, args, num_episodes)
    shaken = np.nansum(play(q_network, args, num_episodes, args.exploration_epsilon)[2], 0)
    scores, to_go = np.nansum(rewards, 0), returns_to_go(np.nan_to_num(rewards), args.gamma)
    last = np.isfinite(rewards).sum(0) - NUM_TO_COME * ~terminated
    counts = np.arange(len(rewards))[:, None] < last  # (T, E)
    states, taken = torch.from_numpy(obs[counts]), torch.from_numpy(actions[counts])
    q = q_network.q_values(q_network.obs_stream(states), taken.unsqueeze(1))
    gains = shaken - scores
    return {
        "greedy/return": scores.mean(),
        "greedy/q": q.double().mean().item(),
        "greedy/return_to_go": to_go[counts].mean(),
        "exploring/gain": gains.mean(),
        "exploring/gain_error": gains.std(ddof=1) / num_episodes**0.5,
    }


if __name__ == "__main__":
    parser = data.parser(__doc__)
    parser.add_argument("figure", help="whose folder of benchmark/results takes what is found")
    parser.add_argument("run_dirs", nargs="+", help="with event file and config.json")
    parser.add_argument("--until", type=int, help="step that counts as the end of a run")
    args = parser.parse_args()
    path = data.RESULTS / args.figure / "diagnosis.csv"
    rows, entries = [], {}
    if path.exists():
        entries = json.loads(path.with_suffix(".json").read_text())
        rows = [tuple(row.values()) for row in data.read_rows(path)]
    for run_dir in map(pathlib.Path, args.run_dirs):
        seed = json.loads((run_dir / "config.json").read_text())["args"]["seed"]
        task, variant, _ = run_dir.resolve().parents[2].name.split("__")  # _: first seed
        last, found = of_events(run_dir, args.until)
        if not args.until and (run_dir / "model.pt").exists():
            found |= of_model(run_dir / "model.pt", seed)
        run = task, variant, str(seed), str(last)
        found = {name: f"{value:.5g}" for name, value in found.items()}
        entries["/".join(run)] = data.describe("torch", "dm_control", "mujoco", "numpy")
        print(*run, found, flush=True)
        rows = [row for row in rows if row[:4] != run]
        rows = sorted(rows + [(*run, *row) for row in found.items()])
        data.write_rows(path, ("task", "variant", "seed", "until", "measure", "value"), *rows)
        text = json.dumps(entries, indent=1, sort_keys=True)
        path.with_suffix(".json").write_text(text + "\n")
