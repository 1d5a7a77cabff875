# /// script
# requires-python = ">=3.11,<3.13"
# dependencies = ["dm_control==1.0.50", "gymnasium==1.4.0", "mujoco==3.17.0", "numpy==2.4.6",
#   "packaging==26.3", "psutil==7.2.2", "shimmy==2.0.1", "tensorboard==2.21.0", "torch==2.13.0",
#   "tqdm==4.70.1", "tyro==1.0.17"]
# ///
"""Many seeds of qmle_continuous.py at once: S independent agents in one process, batched on a GPU.

    python qmle_continuous_multiseed.py --env-id dm_control/walker-walk-v0 --num-seeds 16
    python qmle_continuous_multiseed.py --resume runs/<run of the first seed>

Each agent has weights, memory, environment and run directory of its own. The functions from
networks to losses are those of qmle_continuous.py: torch.vmap runs them for all seeds. Seed k
begins with the weights and environment of qmle_continuous.py --seed k.
Defaults are the paper's (Table 1), unless brackets name its authors' code or us.
Shapes: S seeds, B batch of states, N action samples per state, A action dimensions, K bins each.
"""

import atexit
import functools
import itertools
import json
import mmap
import multiprocessing
import os
import re
import shlex
import signal
import sys
import time
import warnings
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import gymnasium as gym
import numpy as np
import psutil
import torch
import torch.nn as nn
import torch.nn.functional as F
import tyro
from dm_control.rl.control import PhysicsError
from torch.utils.tensorboard import SummaryWriter
from tqdm import tqdm

SCRIPT = Path(__file__).stem
Share = Annotated[float, (0, 1)]  # with its range
Count = Annotated[int, (1, 10**12)]
Number = Annotated[int, (0, 10**12)]


@dataclass
class Args:
    env_id: str = "dm_control/walker-walk-v0"  # with a Box action space
    seed: Number = 1  # the first one [ours]
    num_seeds: Annotated[int, (1, 10**4)] = 16  # S: agents, of seed, seed + 1, ... [ours]
    total_timesteps: Count = 1_000_000  # environment steps [ours; paper: 1e6 to 1e7]
    learning_rate: Share = 5e-4  # step size of Adam
    buffer_size: Count = 1_000_000  # transitions in the memory
    gamma: Share = 0.99  # discount factor
    batch_size: Count = 256  # transitions per update
    learning_starts: Count = 1000  # steps before the first update
    train_frequency: Count = 10  # steps per update
    target_network_frequency: Count = 200  # steps per target copy [code; paper: 2000]
    exploration_epsilon: Share = 0.1  # probability of a random action
    num_target_samples: Count = 100  # m_target: search set of the TD target
    num_greedy_samples: Count = 1000  # m_greedy: search set of acting
    uniform_ratio: Share = 0.9  # rho_0: uniform share of the search set
    delta_ratio: Share = 0.01  # rho_1: of the delta predictor
    categorical_ratio: Share = 0.09  # rho_2: of the categorical one
    num_bins: Annotated[int, (2, 10**4)] = 3  # K: grid points per dimension
    delta_noise_std: Share = 0.1  # of delta samples, in half-ranges [code]
    priority_exponent: Share = 0.6  # alpha of prioritized replay
    importance_exponent: Share = 0.2  # beta, constant [code]
    stored_action: bool = True  # joins the search set
    discrete_until: Number = 0  # actions are on the grid up to this step (Figure 12)
    # evaluation
    eval_frequency: Number = 0  # steps between evaluations; 0: none
    eval_episodes: Count = 10  # greedy episodes per evaluation
    # run
    save_model: bool = True  # write a model.pt for each seed, for qmle_continuous.py
    checkpoint_frequency: Number = 0  # steps between checkpoints; 0: if interrupted
    resume: Path | None = None  # the first seed's run directory, to go on
    # machine
    num_workers: Number = 0  # for the environments; 0: cores - 1 at most [ours]
    cuda: bool = True  # use a CUDA device if there is one
    compile: bool = True  # and CUDA graphs; pays after some thousand steps
    mixed_precision: bool = True  # with --compile: bfloat16 in the search, TF32
    on_grid = bfloat16 = False  # not flags


def check_args(args):
    for name, kind in Args.__annotations__.items():
        for low, high in getattr(kind, "__metadata__", ()):
            if not low <= (value := getattr(args, name)) <= high:  # or NaN
                sys.exit(f"error: --{name} is {value}, expected a number from {low:g} to {high:g}")
    if abs((total := args.uniform_ratio + args.delta_ratio + args.categorical_ratio) - 1) > 1e-6:
        sys.exit(f"error: the ratios sum to {total:g}, expected 1")


class PlainEnv(gym.Wrapper):
    def step(self, action):
        """Takes an action (A,) in [-1, 1]; gives plain numbers. A PhysicsError truncates."""
        low, high = self.action_space.low, self.action_space.high
        action = low + (action.reshape(low.shape) + np.float64(1)) / 2 * (high - low)
        try:
            obs, *numbers, info = self.env.step(np.minimum(action, high).astype(low.dtype))
        except PhysicsError as error:
            tqdm.write(f"{error}: a new episode", file=sys.stderr)
            return 0 * self.observation_space.sample(), 0.0, False, True, {"diverged": True}
        return obs, *(np.asarray(number).item() for number in numbers), info


def make_env(env_id):
    """A PlainEnv with float32 observations (obs_size,) that counts returns and lengths."""
    os.environ.setdefault("MUJOCO_GL", "disabled")  # for the import
    import shimmy  # noqa: F401, registers dm_control

    warnings.filterwarnings("ignore", ".*(torch.jit|precision lowered)")  # after shimmy's own
    try:
        env = gym.make(env_id)
    except (gym.error.Error, ImportError) as error:
        sys.exit(f"error: --env-id is {env_id}, expected e.g. dm_control/walker-walk-v0: {error}")
    space = env.action_space
    if getattr(space.dtype, "kind", "") != "f" or np.abs([space.low, space.high]).max() >= 1e6:
        sys.exit(f"error: {env_id} has actions {space}, expected a Box of floats below 1e6")
    env = gym.wrappers.DtypeObservation(gym.wrappers.FlattenObservation(env), np.float32)
    return gym.wrappers.RecordEpisodeStatistics(PlainEnv(env))


class ResidualBlock(nn.Sequential):
    def __init__(self, width):  # B.1; the inside as in the authors' code
        super().__init__(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width))

    def forward(self, x):
        return x + super().forward(x)


class QNetwork(nn.Module):
    """Action-in Q network and argmax predictors (B.1, Figure 4)."""

    def __init__(self, obs_size, action_size, num_bins):
        super().__init__()
        self.obs_stream = nn.Sequential(
            nn.Linear(obs_size, 128), ResidualBlock(128), nn.LayerNorm(128), nn.ELU()
        )
        self.action_stream = nn.Sequential(nn.Linear(action_size, 128), nn.LayerNorm(128), nn.ELU())
        self.joint_block = ResidualBlock(256)
        self.joint_norm = nn.Sequential(nn.LayerNorm(256), nn.ELU())
        self.joint_output = nn.Linear(256, 1)
        self.delta_predictor = nn.Sequential(
            nn.Linear(128, 128), nn.ReLU(), nn.Linear(128, action_size), nn.Tanh()
        )
        logits = nn.Unflatten(-1, (action_size, num_bins))
        self.categorical_predictor = nn.Sequential(
            nn.Linear(128, 128), nn.ReLU(), nn.Linear(128, action_size * num_bins), logits
        )

    def q_values(self, features, actions):
        """Q(s, a) of N actions per state: features (B, 128), actions (B, N, A) -> (B, N)."""
        action_features = self.action_stream(actions)  # (B, N, 128)
        # joint_block(joint), the half of its first layer that reads features only once per state
        obs_weight, action_weight = self.joint_block[0].weight.split(128, dim=1)
        obs_half = F.linear(features, obs_weight, self.joint_block[0].bias)  # (B, 256)
        hidden = obs_half.unsqueeze(1) + F.linear(action_features, action_weight)  # (B, N, 256)
        features = features.unsqueeze(1).expand_as(action_features)
        joint = torch.cat([features, action_features], dim=-1)  # (B, N, 256)
        joint = self.joint_norm(joint + self.joint_block[2](F.relu(hidden)))
        return (joint * self.joint_output.weight.squeeze(0)).sum(-1) + self.joint_output.bias


class ReplayMemory(nn.Module):
    """Prioritized replay (Schaul et al. 2016) that keeps the best action at next_obs, a_max."""

    def __init__(self, args, obs_size, action_size, device, seeds=()):
        super().__init__()
        self.alpha, self.beta = args.priority_exponent, args.importance_exponent
        # A transition is a row; its fields are views.
        self.sizes = obs_size, obs_size, action_size, action_size, 1, 1
        rows = torch.zeros(*seeds, args.buffer_size, sum(self.sizes), device=device)
        self.obs, self.next_obs, self.actions, self.a_max, *_ = rows.split(self.sizes, dim=-1)
        self.rows = nn.Buffer(rows)
        self.priorities = nn.Buffer(torch.zeros(rows.shape[:-1], device=device))
        self.max_priority = nn.Buffer(torch.ones(*seeds, 1, device=device))
        self.num_stored = nn.Buffer(torch.zeros((), dtype=torch.int64))
        self.new_rows = []  # on the host, until store

    def add(self, obs, action, reward, next_obs, terminated):
        """Takes a transition; a_max is the action at first."""
        row = obs, next_obs, action, action, np.array([reward, terminated]).T
        self.new_rows.append(np.concatenate(row, axis=-1, dtype=np.float32))

    def store(self):
        """Writes what was added over the oldest rows, in one copy."""
        while self.new_rows:
            first = int(self.num_stored) % self.rows.shape[-2]
            new_rows = self.new_rows[: self.rows.shape[-2] - first]
            last, self.new_rows = first + len(new_rows), self.new_rows[len(new_rows) :]
            self.rows[..., first:last, :] = torch.from_numpy(np.stack(new_rows, axis=-2))
            self.priorities[..., first:last] = self.max_priority
            self.num_stored += len(new_rows)

    def sample(self, batch_size):
        """Draws indices (B,) with replacement, a batch of fields (B, ...), weights (B,) up to 1."""
        cdf = self.priorities.flatten().cumsum(0, dtype=torch.float64).view_as(self.priorities)
        start, end = cdf[..., :1] - self.priorities[..., :1], cdf[..., -1:]
        u = torch.rand(*start.shape[:-1], batch_size, dtype=torch.float64, device=start.device)
        mass = start + u * (end - start) * (1 - 1e-12)  # never the end
        indices = torch.searchsorted(cdf, mass, right=True).clamp(max=cdf.shape[-1] - 1)  # of NaN
        batch = torch.take_along_dim(self.rows, indices.unsqueeze(-1), dim=-2).split(self.sizes, -1)
        # (M * P(i))^-beta over its maximum; M and the sum of priorities cancel.
        smallest = torch.where(self.priorities > 0, self.priorities, torch.inf).amin(-1, True)
        return indices, batch, (self.priorities.gather(-1, indices) / smallest) ** -self.beta

    def remember(self, indices, a_max, td_errors):
        """Writes a_max (B, A) and priorities (|TD error| + 1e-6)^alpha into the rows (B,)."""
        self.a_max.scatter_(-2, indices.unsqueeze(-1).expand_as(a_max), a_max)
        priorities = (td_errors.abs() + 1e-6) ** self.alpha
        self.priorities.scatter_(-1, indices, priorities)
        torch.maximum(self.max_priority, priorities.amax(-1, True), out=self.max_priority)


def split_budget(num_samples, ratios):
    """Splits by largest remainder, ties to the earlier one: 2 over (0.5, 0.5, 0) is (1, 1, 0)."""
    shares = [round(num_samples * ratio, 9) for ratio in ratios]  # 0.29 * 100 < 29
    counts = [int(share) for share in shares]
    by_remainder = sorted(range(len(ratios)), key=lambda i: counts[i] - shares[i])
    for i in by_remainder[: num_samples - sum(counts)]:
        counts[i] += 1
    return tuple(counts)


def nearest_bin(actions, num_bins):
    """The nearest grid point: coordinates (...) in [-1, 1] -> (...) in 0..K-1."""
    return ((actions + 1) / 2 * (num_bins - 1)).round().long()


def bin_value(bins, num_bins):
    """The evenly spaced grid points: (...) in 0..K-1 -> (...) in [-1, 1]."""
    return bins * (2 / (num_bins - 1)) - 1


def sample_uniform(size, num_bins=None, device=None):
    """Uniform samples of the action space or, with num_bins, of its grid."""
    if num_bins:
        return bin_value(torch.randint(num_bins, size, device=device), num_bins)
    return torch.rand(size, device=device) * 2 - 1


def sample_actions(q_network, features, num_samples, args):
    """The search set without the stored action (Eq. 21): features (B, 128) -> (B, N, A)."""
    ratios = args.uniform_ratio, args.delta_ratio, args.categorical_ratio
    num_uniform, num_delta, num_categorical = split_budget(num_samples, ratios)
    logits = q_network.categorical_predictor(features)  # (B, A, K)
    (batch_size, action_size, num_bins), device = logits.shape, logits.device
    mode = q_network.delta_predictor(features).unsqueeze(1)  # (B, 1, A)
    noise = torch.randn(batch_size, max(num_delta - 1, 0), action_size, device=device)
    noisy = (mode + noise * args.delta_noise_std).clamp(-1, 1)
    delta = torch.cat([mode[:, :num_delta], noisy], dim=1)  # the predictor's output comes first
    if args.on_grid:
        delta = bin_value(nearest_bin(delta, num_bins), num_bins)
    size = batch_size, num_uniform, action_size
    uniform = sample_uniform(size, args.on_grid * num_bins, device)
    cdf = logits.softmax(-1).cumsum(-1)[:, None, :, :-1]  # (B, 1, A, K-1)
    u = torch.rand(batch_size, num_categorical, action_size, 1, device=device)
    categorical = bin_value((u >= cdf).sum(-1), num_bins)  # by inverse c.d.f., per dimension
    return torch.cat([uniform, delta, categorical], dim=1)


def argmax_action(q_network, features, actions, bfloat16=False):
    """The best of actions (B, N, A) under Q (Eq. 17): it (B, A), its value (B,), its index (B,)."""
    with torch.autocast(features.device.type, torch.bfloat16, enabled=bfloat16):
        num = 3200 // actions.shape[1] + 1 if features.is_cpu else len(features)  # fits its cache
        chunks = zip(features.split(num), actions.split(num), strict=True)
        values, index = torch.cat([q_network.q_values(*chunk) for chunk in chunks]).max(1)
    return actions[torch.arange(len(index), device=index.device), index], values, index


@torch.no_grad()
def greedy_action(q_network, args, obs):
    """The argmax action (A,) of the online networks for an observation (obs_size,)."""
    features = q_network.obs_stream(obs.unsqueeze(0))
    actions = sample_actions(q_network, features, args.num_greedy_samples, args)
    return argmax_action(q_network, features, actions, args.bfloat16 and obs.is_cpu)[0].squeeze(0)


def td_target(rewards, terminated, next_values, gamma):
    """r + gamma max_a Q(s', a), all (B,): it ends with termination, not with truncation."""
    return rewards + gamma * (1 - terminated) * next_values


def argmax_predictor_loss(mode, logits, a_max):
    """Mean -log likelihoods of a_max (B, A): Gaussian at mode (B, A), logits (B, A, K) (Eq. 11)."""
    bins = nearest_bin(a_max, logits.shape[-1])
    return F.mse_loss(mode, a_max), F.cross_entropy(logits.flatten(0, 1), bins.flatten())


def training_loss(q_network, target_network, args, batch, weights):
    """For a batch of the memory: the loss, a_max (B, A), TD errors (B,) and metrics."""
    obs, next_obs, actions, stored, rewards, terminated = batch
    with torch.no_grad():
        # The best action that the *target* networks find against the one stored, in float32:
        # rounding must not replace a better action.
        features = target_network.obs_stream(next_obs)
        samples = sample_actions(target_network, features, args.num_target_samples, args)
        sampled, *_ = argmax_action(target_network, features, samples, args.bfloat16)
        finalists = torch.stack([sampled, stored if args.stored_action else sampled], dim=1)
        a_max, next_values, winner = argmax_action(target_network, features, finalists)
        target = td_target(rewards.squeeze(1), terminated.squeeze(1), next_values, args.gamma)
        # The predictors' losses do not reach the observation stream (dashed in Figure 4).
        next_features = q_network.obs_stream(next_obs)
    q = q_network.q_values(q_network.obs_stream(obs), actions.unsqueeze(1)).squeeze(1)
    td_errors = target - q
    td_loss = (weights * td_errors**2).mean()
    mode = q_network.delta_predictor(next_features)
    logits = q_network.categorical_predictor(next_features)
    delta_loss, categorical_loss = argmax_predictor_loss(mode, logits, a_max)
    metrics = {"losses/td_loss": td_loss, "losses/delta_loss": delta_loss, "losses/q_values": q}
    metrics |= {"losses/categorical_loss": categorical_loss, "argmax/share_stored": winner}
    metrics = {name: value.detach().float().mean() for name, value in metrics.items()}
    return td_loss + delta_loss + categorical_loss, a_max, td_errors.detach(), metrics


class OneSeed(nn.ModuleList):
    def forward(self, function, *inputs):
        return function(*self, *inputs)  # whose weights are exchanged


def over_seeds(function, args, *networks):
    """function(*networks, args, *inputs) for all seeds, given the weights (S, ...) of each."""
    module = OneSeed(networks)

    def for_one_seed(weights, *inputs):
        weights = {f"{i}.{name}": x for i, own in enumerate(weights) for name, x in own.items()}
        return torch.func.functional_call(module, weights, (function, args, *inputs))

    return torch.vmap(for_one_seed, randomness="different")


def train_step(training_losses, online, target, optimizer, memory, args):
    """One update of each seed. Returns metrics (S,) on the device."""
    indices, batch, weights = memory.sample(args.batch_size)
    loss, a_max, td_errors, metrics = training_losses([online, target], batch, weights)
    optimizer.zero_grad()
    loss.sum().backward()  # each weight is in the loss of one seed
    optimizer.step()
    memory.remember(indices, a_max, td_errors)  # the best action is written back
    return metrics


class CudaGraph:
    """function(), whose kernels are recorded and replayed: to launch each takes longer."""

    def __init__(self, function):
        self.function, self.num_calls = function, 0

    def __call__(self):
        self.num_calls += 1
        if self.num_calls < 4:  # which allocate; a recording must not
            return self.function()
        if self.num_calls == 4:
            self.graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(self.graph):
                self.outputs = self.function()  # hold until the next call
        self.graph.replay()
        return self.outputs


def episode_seed(seed, episode):
    """Seed of an episode, with which --resume plays it again."""
    return int(np.random.SeedSequence([seed, episode]).generate_state(1)[0] >> 1)


def check_finite(step, seeds, **values):
    """Exits where a value (S, ...) is not finite as float32."""
    for name, value in values.items():
        if not (finite := np.abs(value) < 3e38).all():
            k = np.argwhere(~finite)[0, 0]
            sys.exit(f"error: {name} of seed {seeds[k]} is not finite at step {step}: {value[k]}")


def describe_env(args):
    """The sizes of observations and actions, and the length of episodes in evaluations."""
    env = make_env(args.env_id)
    sizes = env.observation_space.shape[0], int(np.prod(env.action_space.shape))
    return sizes, env.spec.max_episode_steps or 1000


def wait_until(ready, check):
    """Polls for 5 ms, longer than most steps take, then sleeps in between."""
    start = time.perf_counter()
    while not ready():
        if (waited := time.perf_counter() - start) < 0.005:
            os.sched_yield()
        else:
            check()
            time.sleep(min(waited / 20, 0.02))


def run_worker(args, starts, limit, own, rows, turns, i, parent):
    """A process that plays its own environments, those of each half in turn."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # they are for the parent
    envs = {}
    while True:
        wait_until(lambda: turns[i] < turns[-1], lambda: os.getppid() == parent or os._exit(1))
        envs = envs or {k: make_env(args.env_id) for k in sum(own, [])}
        for k in own[turns[i] % len(own)]:
            env, (seed, episode, played), row = envs[k], starts[k], rows[k]
            if row["plays"]:
                obs, row["reward"], row["terminated"], truncated, info = env.step(row["action"])
                row["next_obs"], row["failed"] = obs, "diverged" in info
                row["ended"] = row["terminated"] or truncated or env.episode_lengths == limit
            else:
                obs, _ = env.reset(seed=episode_seed(seed, episode))
                row["plays"], row["episode"], row["ended"] = True, episode, False
                for next_obs, action in played:  # in a run that goes on
                    obs, *_ = env.step(action)
                    row["ended"] = (obs != next_obs).any()
            row["length"], row["return"] = env.episode_lengths, env.episode_returns
            if row["ended"]:
                row["episode"] += 1
                obs, _ = env.reset(seed=episode_seed(seed, row["episode"]))
            row["obs"] = obs
        turns[i] += 1


class Envs:
    """An environment per seed, in worker processes that share the array rows with this one.

    Halves, slices of rows, take turns. After start and wait the rows of one tell of its step:
    next_obs is where it has led, obs where to act next, in a new episode if one has ended. A row
    that does not play is started.
    """

    def __init__(self, args, sizes, starts, halves=(slice(None),), limit=None):
        fields = [("obs", "f4", sizes[0]), ("next_obs", "f4", sizes[0]), ("action", "f4", sizes[1])]
        fields += [("reward", "f8"), ("return", "f8"), ("length", "i8"), ("episode", "i8")]
        fields += [(name, "?") for name in ("terminated", "ended", "plays", "failed")]
        row = np.dtype(fields, align=True)
        size, cores = len(starts), max(len(os.sched_getaffinity(0)) - 1, 1)  # one stays free
        most = (size - 1) // cores + 1  # environments of a worker
        num = min(args.num_workers or (size - 1) // most + 1, size)
        self.rows = np.ndarray(size, row, mmap.mmap(-1, size * row.itemsize))
        # Turns taken by each worker; asked for. A cache line each.
        self.turns = np.ndarray((num + 1, 8), "i8", mmap.mmap(-1, 64 * num + 64))[:, 0]
        self.seeds, self.workers, self.num_waited = [seed for seed, *_ in starts], [], 0
        for i in range(num):  # forked before there are threads or CUDA
            own = [[k for k in range(size)[half] if k % num == i] for half in halves]
            inputs = args, starts, limit, own, self.rows, self.turns, i, os.getpid()
            self.workers.append(multiprocessing.Process(target=run_worker, args=inputs))
            self.workers[i].start()
            atexit.register(self.workers[i].kill)

    def start(self, half, actions=0.0):
        self.rows["action"][half] = actions
        self.turns[-1] += 1

    def wait(self):
        self.num_waited += 1
        wait_until(lambda: (self.turns >= self.num_waited).all(), self.check_workers)

    def check_workers(self):
        for i, worker in enumerate(self.workers):
            if worker.exitcode is not None:
                seeds = self.seeds[i :: len(self.workers)]
                sys.exit(f"error: the worker of seeds {seeds} ended ({worker.exitcode})")


def evaluate(policy, envs, args, stop):
    """Returns (S, episodes) of greedy ones, from the same states each time, fewer if stopped."""
    returns, rows = [[] for _ in envs.seeds], envs.rows
    rows["plays"] = False
    with torch.random.fork_rng(range(torch.cuda.device_count())):  # training goes on as before
        torch.manual_seed(args.seed + 10**6)
        envs.start(...)
        envs.wait()
        for step in tqdm(itertools.count(1), "evaluation", leave=False):
            envs.start(..., policy(rows["obs"]))
            envs.wait()
            check_finite(step, envs.seeds, obs=rows["next_obs"], reward=rows["reward"])
            for k in np.flatnonzero(rows["ended"]):
                returns[k].append(rows["return"][k])
            if stop or min(map(len, returns)) >= args.eval_episodes:  # quick seeds play more
                return [own[: args.eval_episodes] for own in returns]


def save(state, path):
    """Writes a file that is whole at any instant."""
    with open(f"{path}.tmp", "wb") as file:
        torch.save(state, file)
        os.fsync(file.fileno())
    os.replace(file.name, path)


if __name__ == "__main__":
    words = sys.argv[1:]
    args = tyro.cli(Args, args=words, description=__doc__)
    saved = {"global_step": 0, "wall_time": 0.0}
    if run_dir := args.resume:
        path = run_dir / "checkpoint.pt"
        try:  # runs no code of it
            saved = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
            assert saved["script"] == SCRIPT, saved["script"]
        except Exception as error:  # missing, cut
            sys.exit(f"error: {path} is not a file of {SCRIPT}.py: {error!r}")
        words = saved["words"] + words  # the last one of a flag counts
        args = tyro.cli(Args, args=words)
    check_args(args)
    stop = []  # obeyed after a step; a second one ends at once
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda n, _: (stop.append(n), signal.signal(n, signal.SIG_DFL)))
    # No environment is made in this process: one may start threads, which no fork survives.
    with ProcessPoolExecutor(1) as pool:
        sizes, limit = pool.submit(describe_env, args).result()
    sizes = *sizes, args.num_bins, args.buffer_size
    S = args.num_seeds
    seeds = [*range(args.seed, args.seed + S)]
    if run_dir and (found := (saved["sizes"], saved["seeds"])) != (sizes, seeds):
        sys.exit(f"error: {path} is for sizes and seeds {found}, these flags give {sizes, seeds}")
    name = f"{args.env_id}__{SCRIPT}__%d__{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}"
    run_dirs = [Path("runs", re.sub("[/:]", "_", name % seed)) for seed in seeds]
    # Of each seed the episode to play and its steps so far.
    starts = [(seed, 0, ()) for seed in seeds]
    if run_dir:  # the others lie beside the first, which may have been renamed
        folder = run_dir.resolve().parent
        run_dirs = [run_dir, *(folder / name for name in saved["names"][1:])]
        if missing := [str(own) for own in run_dirs if not own.is_dir()]:
            sys.exit(f"error: {path} goes on in {missing} too, expected there")
        rows, num_stored = (saved["memory"][name].numpy() for name in ("rows", "num_stored"))
        for k, length in enumerate(saved["lengths"]):
            last = (num_stored - np.arange(length, 0, -1)) % rows.shape[1]
            ends = np.cumsum([sizes[0], *sizes[:2]])
            _, next_obs, actions, _ = np.split(rows[k, last], ends, axis=1)
            starts[k] = seeds[k], saved["episodes"][k], [*zip(next_obs, actions, strict=True)]
    # Two halves of the seeds take turns: one steps while the actions of the other are searched.
    num = (S + 1) // 2
    halves = [slice(i, i + num) for i in range(0, S, num)]
    envs = Envs(args, sizes, starts, halves)
    for half in halves:
        envs.start(half)
    if args.eval_frequency:
        eval_envs = Envs(args, sizes, [(seed + 10**6, 0, ()) for seed in seeds], limit=limit)
    on_cuda = args.cuda and torch.cuda.is_available()
    device = "cuda" if on_cuda else "cpu"
    free = torch.cuda.mem_get_info()[0] if on_cuda else psutil.virtual_memory().available
    if args.buffer_size > (fits := free // (8 * sum(sizes[:2]) + 12) // S):
        sys.exit(f"error: --buffer-size is {args.buffer_size}, {device} has room for {fits} a seed")
    networks = []
    for seed in seeds:
        torch.manual_seed(seed)
        networks.append(QNetwork(*sizes[:3]).to(device))
    online, _ = torch.func.stack_module_state(networks)  # weights (S, ...) by name
    target = {name: value.detach().clone() for name, value in online.items()}
    adam = {"lr": args.learning_rate, "capturable": on_cuda}
    optimizer = torch.optim.Adam(online.values(), fused=True, **adam)
    memory = ReplayMemory(args, *sizes[:2], device, seeds=[S])
    global_step = saved["global_step"]  # of each seed
    args.on_grid = 0 < args.discrete_until >= global_step
    # For speed: compiled functions, CUDA graphs.
    bf16 = torch.cuda.is_bf16_supported(False) if on_cuda else torch.cpu._is_avx512_bf16_supported()
    args.bfloat16 = bf16 and args.compile and args.mixed_precision
    torch.set_float32_matmul_precision("high" if args.bfloat16 and on_cuda else "highest")
    options = {"dynamic": False, "options": {"fallback_random": True}, "disable": not args.compile}
    templates = [QNetwork(*sizes[:3]).to("meta") for _ in range(2)]
    greedy_actions = torch.compile(over_seeds(greedy_action, args, templates[0]), **options)
    training_losses = torch.compile(over_seeds(training_loss, args, *templates), **options)
    host_obs, host_actions = (torch.zeros(S, i, pin_memory=on_cuda) for i in sizes[:2])

    def search_half(half):
        own = {name: value.detach()[half] for name, value in online.items()}
        actions = greedy_actions([own], host_obs[half].to(device, non_blocking=True))
        host_actions[half].copy_(actions, non_blocking=True)

    searches = [functools.partial(search_half, half) for half in halves]

    def searched():
        if on_cuda:
            torch.cuda.synchronize()
        return host_actions.numpy()

    def policy(obs):
        host_obs.numpy()[:] = obs
        for search in searches:
            search()
        return searched()

    update = functools.partial(train_step, training_losses, online, target, optimizer, memory, args)
    if args.compile:
        print("compiling (two minutes)", file=sys.stderr)
        try:
            policy(0)
            _, batch, weights = memory.sample(args.batch_size)
            training_losses([online, target], batch, weights)[0].sum().backward()
            if on_cuda:
                torch.cuda.set_stream(torch.cuda.Stream())  # the default cannot be recorded
                searches, update = [*map(CudaGraph, searches)], CudaGraph(update)
        except Exception as error:  # no compiler, full disk
            args.bfloat16 = False
            torch.compiler.set_stance("force_eager")
            print(f"not compiled: {error!r:.300}", file=sys.stderr)
    torch.manual_seed(args.seed)  # the same, compiled or not

    def act(half, search):
        """The environments of a half begin a step."""
        host_obs.numpy()[half] = envs.rows["obs"][half]
        search()  # on a GPU, while this process goes on
        uniform = sample_uniform(host_actions[half].shape, args.on_grid * args.num_bins).numpy()
        explores = torch.rand(len(uniform), 1).numpy() < args.exploration_epsilon
        actions = searched()[half]
        envs.start(half, np.where(explores, uniform, actions))

    def is_due(frequency):
        return frequency and global_step and global_step % frequency == 0

    def log(k, name, value):
        writers[k].add_scalar(name, value, global_step)

    config = {"command": sys.argv, "torch": torch.__version__}
    config["device"] = torch.cuda.get_device_name() if on_cuda else "cpu"
    start, writers, logs = time.time() - saved["wall_time"], [], []
    for seed, run_dir in zip(seeds, run_dirs, strict=True):
        run_dir.mkdir(parents=True, exist_ok=True)
        config["args"] = vars(args) | {"seed": seed}
        text = json.dumps(config, indent=2, default=str)
        (run_dir / f"config{global_step or ''}.json").write_text(text)
        writers.append(SummaryWriter(run_dir, purge_step=global_step + 1))
        atexit.register(writers[-1].close)
        logs += [open(run_dir / name, "a", 1) for name in ("episodes.csv", "eval.csv")]
    if args.resume:
        for file, size in zip(logs, saved["logs"], strict=True):
            file.truncate(size)  # what came later comes again
        for name, value in online.items():
            value.data.copy_(saved["online"][name])
            target[name].copy_(saved["target"][name])
        optimizer.load_state_dict(saved["optimizer"])
        optimizer.param_groups[0] |= adam
        memory.load_state_dict(saved["memory"])
        torch.set_rng_state(saved["rng"])
        torch.cuda.set_rng_state_all(saved["cuda_rng"][: torch.cuda.device_count()])
    else:
        for k in range(S):
            logs[2 * k].write("global_step,episodic_return,episodic_length,wall_time\n")
            logs[2 * k + 1].write("global_step,episode,episodic_return,wall_time\n")
    for _ in halves:
        envs.wait()
    taken = envs.rows.copy()
    if args.resume and (taken["episode"] != saved["episodes"]).any():
        print("an episode cannot go on: a new one starts")
    print(f"runs: {run_dirs[0]} ..., from step {global_step} on {device}")
    checkpoint = run_dirs[0] / "checkpoint.pt"
    progress = tqdm(initial=global_step, total=args.total_timesteps, mininterval=1)
    latest, pauses = np.full(S, np.nan), True
    while True:
        if pauses:  # at first and where more than a step is due
            last = global_step >= args.total_timesteps
            if stop or last and checkpoint.exists() or is_due(args.checkpoint_frequency):
                memory.store()
                state = {"script": SCRIPT, "words": words, "sizes": sizes, "seeds": seeds}
                state |= {"online": online, "target": target, "global_step": global_step}
                state |= {"optimizer": optimizer.state_dict(), "memory": memory.state_dict()}
                state["lengths"] = (taken["length"] * ~taken["ended"]).tolist()
                state["episodes"] = taken["episode"].tolist()
                state["logs"] = [file.seek(0, 2) for file in logs]
                state |= {"rng": torch.get_rng_state(), "cuda_rng": torch.cuda.get_rng_state_all()}
                state["names"] = [own.name for own in run_dirs]
                state["wall_time"] = time.time() - start
                save(state, checkpoint)
                if stop:
                    command = f"python '{sys.argv[0]}' --resume '{run_dirs[0]}'"
                    tqdm.write(f"stopped; to go on: {command}")
                    break
            if is_due(args.eval_frequency):
                returns = evaluate(policy, eval_envs, args, stop)
                if stop:
                    continue  # comes again on --resume
                for k, own in enumerate(returns):
                    for row in enumerate(own):
                        print(global_step, *row, time.time() - start, sep=",", file=logs[2 * k + 1])
                    log(k, "eval/episodic_return", np.mean(own))
            if last:
                break
            if global_step == args.discrete_until:
                args.on_grid = False
                for graph in (*searches, update):
                    graph.num_calls = 0  # recorded anew
            for half, search in zip(halves, searches, strict=True):
                act(half, search)
        # Learn from the steps so far; a GPU does while the environments step.
        learns = global_step >= args.learning_starts
        if learns and is_due(args.train_frequency):
            memory.store()
            metrics = update()
        if learns and is_due(args.target_network_frequency):
            torch._foreach_copy_([*target.values()], [value.detach() for value in online.values()])
        if learns and is_due(100 * args.train_frequency):  # waits for a GPU
            metrics["charts/SPS"] = torch.full([S], global_step / (time.time() - start))
            for name, value in metrics.items():
                check_finite(global_step, seeds, **{name: value.cpu().numpy()})
                for k, own in enumerate(value.tolist()):
                    log(k, name, own)
        global_step += 1
        pauses = stop or global_step in (args.total_timesteps, args.discrete_until)
        pauses = pauses or is_due(args.checkpoint_frequency) or is_due(args.eval_frequency)
        obs = taken["obs"].copy()
        for half, search in zip(halves, searches, strict=True):
            envs.wait()
            taken[half] = envs.rows[half]  # what the step has led to
            if not pauses:
                act(half, search)  # at once; the rest comes while they step
        progress.update()
        data = {name: taken[name] for name in ("action", "reward", "next_obs")}
        check_finite(global_step, seeds, obs=obs, **data)
        memory.add(obs, **data, terminated=taken["terminated"])
        for k in np.flatnonzero(taken["failed"]):
            memory.store()  # of all seeds; with priority 0 this row is never drawn
            memory.priorities[k, int(memory.num_stored - 1) % args.buffer_size] = 0
        for k in np.flatnonzero(taken["ended"]):
            latest[k], length = taken["return"][k], taken["length"][k]
            print(global_step, latest[k], length, time.time() - start, sep=",", file=logs[2 * k])
            log(k, "charts/episodic_return", latest[k])
            log(k, "charts/episodic_length", length)
            progress.set_postfix({"return": np.nanmean(latest)}, refresh=False)
    for k, seed in enumerate(seeds if args.save_model else ()):
        # For qmle_continuous.py, which lacks some flags.
        flags = shlex.split(re.sub(r"--num.(seeds|workers)[= ]\d+", "", shlex.join(words)))
        model = {"script": "qmle_continuous", "words": [*flags, "--seed", str(seed)]}
        model |= {"sizes": sizes, "global_step": global_step}
        model["q_network"] = {name: value[k].detach().clone() for name, value in online.items()}
        save(model, run_dirs[k] / "model.pt")
    if stop:
        sys.exit(128 + stop[0])
