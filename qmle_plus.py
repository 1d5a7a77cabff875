# /// script
# requires-python = ">=3.11,<3.13"
# dependencies = ["dm_control==1.0.50", "gymnasium==1.4.0", "moviepy==2.2.1", "mujoco==3.17.0",
#   "numpy==2.4.6", "packaging==26.3", "psutil==7.2.2", "shimmy==2.0.1", "tensorboard==2.21.0",
#   "torch==2.13.0", "tqdm==4.70.1", "tyro==1.0.17"]
# ///
"""QMLE with the ingredients of newer methods, for S seeds at once; Q is never differentiated by a.

    python qmle_plus.py --env-id dm_control/cheetah-run-v0 --num-seeds 5
    python qmle_plus.py --resume runs/<run of the first seed>
    python qmle_plus.py --evaluate-only runs/<run> --capture-video

It adds to qmle_continuous.py (sources and measured effects: docs/qmle_plus.md; flags take away):
- a Gaussian predictor with learned s.d., trained on several elites   --num-elites 1
- acting on the best of few of its samples: the spread explores       --num-explore-samples 64
- TD targets from the best of few samples                             --num-value-samples 0
- the smaller one of two Q networks                                   --num-heads 1
- Q as a distribution over atoms, by cross-entropy (HL-Gauss)         --num-atoms 0
- rewards over the largest discounted return so far                   --max-value 100
- n-step returns                                                      --n-step 1
- normalized observations, predictors with layers of their own, an averaged target network
Shapes: S seeds, B batch of states, N action samples per state, E elites, A action dimensions,
K bins each, H heads, n steps.
"""

import atexit
import copy
import functools
import itertools
import json
import os
import re
import shlex
import signal
import sys
import time
import warnings
from collections import ChainMap
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated

import gymnasium as gym
import numpy as np
import psutil
import torch
import torch.nn as nn
import tyro
from dm_control.rl.control import PhysicsError
from torch.utils.tensorboard import SummaryWriter
from tqdm import tqdm

SCRIPT = Path(__file__).stem
Share = Annotated[float, (0, 1)]  # a type and the range that is allowed
Count = Annotated[int, (1, 10**12)]
Steps = Annotated[int, (0, 10**12)]


@dataclass
class Algorithm:
    env_id: str = "dm_control/walker-walk-v0"  # with a Box action space
    seed: Annotated[int, (0, 2**31)] = 1  # the first one: of its networks and environment
    num_seeds: Annotated[int, (1, 10**4)] = 1  # S: agents, of seed, seed + 1, ...
    total_timesteps: Count = 1_000_000  # environment steps of each seed
    learning_rate: Annotated[float, (1e-12, 1)] = 5e-4  # Adam step size
    buffer_size: Count = 1_000_000  # transitions in the replay memory
    gamma: Share = 0.99  # discount factor
    n_step: Annotated[int, (1, 100)] = 3  # rewards in a TD target
    batch_size: Count = 256  # transitions per update
    learning_starts: Count = 5000  # random steps before the first update
    train_frequency: Count = 2  # steps per update
    target_update_rate: Share = 0.01  # of the target network towards the new weights
    exploration_epsilon: Share = 0.01  # probability of a random action
    num_explore_samples: Count = 4  # of the Gaussian, to act on the best
    num_greedy_samples: Count = 64  # m_greedy: search set size of evaluations
    num_target_samples: Count = 64  # m_target: search set size of an update
    num_value_samples: Steps = 4  # of the Gaussian, for a TD target; 0: the search set
    num_elites: Count = 8  # best samples, for the predictors to learn
    gaussian_ratio: Share = 0.8  # share of the Gaussian in the search set
    uniform_ratio: Share = 0.1  # uniform share
    categorical_ratio: Share = 0.1  # share of the categorical predictor
    num_bins: Annotated[int, (2, 10**4)] = 3  # K: grid points per dimension
    min_std: Annotated[float, (0.001, 2)] = 0.05  # of the Gaussian, in half-ranges
    max_std: Annotated[float, (0.001, 2)] = 0.6  # of the Gaussian
    num_heads: Annotated[int, (1, 100)] = 2  # H: Q networks
    pessimism: Share = 1.0  # 0: the heads' mean, 1: the smallest
    width: Annotated[int, (1, 10**5)] = 256  # of hidden layers
    batch_norm: bool = False  # in place of layer normalization
    num_atoms: Annotated[int, (0, 10**4)] = 101  # of Q's distribution; 0: squared error
    atom_std: Annotated[float, (0.01, 100)] = 0.75  # of HL-Gauss, in distances of atoms
    max_value: Annotated[float, (0, 1e12)] = 0.0  # of Q; 0: the largest return so far
    priority_exponent: Share = 0.6  # alpha of prioritized replay
    importance_exponent: Share = 0.2  # beta, constant


@dataclass
class Evaluation:
    eval_frequency: Steps = 0  # steps between evaluations; 0 is never
    eval_episodes: Count = 10  # greedy episodes per evaluation
    capture_video: bool = False  # record those of the first seed as mp4
    evaluate_only: Path | None = None  # a run directory or its model.pt to play, not to train


@dataclass
class Run:
    save_model: bool = False  # write a model.pt for each seed at the end
    checkpoint_frequency: Steps = 0  # steps between checkpoints; 0: if interrupted
    resume: Path | None = None  # the first seed's run directory or its checkpoint.pt


@dataclass
class Machine:
    cuda: bool = True  # use a CUDA device if there is one
    compile: bool = True  # and CUDA graphs; pays after some thousand steps
    mixed_precision: bool = True  # with --compile: bfloat16 in the search, TF32


@dataclass
class Args(Algorithm, Evaluation, Run, Machine):
    bfloat16 = False  # not a flag


def parse_args(words):
    args = {group.__name__.lower(): group() for group in Args.__bases__}
    args = tyro.cli(tyro.conf.OmitArgPrefixes[dict], args=words, default=args, description=__doc__)
    return Args(**ChainMap(*map(vars, args.values())))


def check_args(args):
    """Exits with one line where a number is out of its range."""
    for flag in fields(Args):
        for low, high in getattr(flag.type, "__metadata__", ()):
            if not low <= (value := getattr(args, flag.name)) <= high:  # or NaN
                name = flag.name.replace("_", "-")
                sys.exit(f"error: --{name} is {value}, expected a number from {low:g} to {high:g}")
    if abs((total := args.gaussian_ratio + args.uniform_ratio + args.categorical_ratio) - 1) > 1e-6:
        sys.exit(f"error: gaussian, uniform and categorical ratio sum to {total:g}, expected 1")
    if args.num_elites > args.num_target_samples:
        sys.exit(f"error: --num-elites is {args.num_elites}, expected up to --num-target-samples")
    num, *_ = split_budget(args.num_target_samples, (args.gaussian_ratio, 1 - args.gaussian_ratio))
    if args.num_value_samples >= max(num, 1):  # one of them is the mean
        sys.exit(f"error: --num-value-samples is {args.num_value_samples}, expected below {num}")
    if args.learning_starts >= args.total_timesteps:
        print(f"this run ends before --learning-starts, {args.learning_starts}: nothing is learnt")


class PlainEnv(gym.Wrapper):
    def step(self, action):
        """Takes an action (A,) in [-1, 1]; gives plain numbers. A PhysicsError is an ending."""
        try:
            low, high = self.action_space.low, self.action_space.high
            action = low + (action.reshape(low.shape) + np.float64(1)) / 2 * (high - low)
            obs, *numbers, info = self.env.step(np.clip(action, low, high).astype(low.dtype))
        except PhysicsError as error:  # the simulation has diverged
            obs, info = 0 * self.observation_space.sample(), {"physics_error": error}
            numbers = 0, False, True  # truncated
        return obs, *(np.asarray(number).item() for number in numbers), info


def make_env(env_id, video_dir=None):
    """A PlainEnv with float32 observations (obs_size,) that counts returns and lengths."""
    os.environ.setdefault("MUJOCO_GL", "egl" if video_dir else "disabled")  # read by the import
    import shimmy  # noqa: F401, registers dm_control

    warnings.filterwarnings("ignore", ".*(torch.jit|precision lowered)")  # after shimmy's own
    try:
        env = gym.make(env_id, **({"render_mode": "rgb_array"} if video_dir else {}))
    except (gym.error.UnregisteredEnv, ModuleNotFoundError) as error:
        sys.exit(f"error: --env-id {env_id} is not known: {error}")
    space = env.action_space
    if getattr(space.dtype, "kind", "") != "f" or np.abs([space.low, space.high]).max() >= 1e6:
        sys.exit(f"error: {env_id} has actions {space}, expected a Box of floats below 1e6")
    if not env.spec.max_episode_steps:
        env = gym.wrappers.TimeLimit(env, 1000)
    env = gym.wrappers.DtypeObservation(gym.wrappers.FlattenObservation(env), np.float32)
    env = gym.wrappers.RecordEpisodeStatistics(PlainEnv(env))
    if video_dir:  # where this fails: install libegl1, or set MUJOCO_GL to osmesa
        fps = round(1 / env.unwrapped.dt) if hasattr(env.unwrapped, "dt") else None  # not Shimmy's
        env = gym.wrappers.RecordVideo(env, str(video_dir), lambda _: True, fps=fps)
    return env


def make_envs(args, video_dir=None):
    """An environment per seed, in processes that leave signals to this one; films the first."""
    num_threads = torch.get_num_threads()
    torch.set_num_threads(1)  # no fork survives the threads that an environment may start
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # a child begins so; this process sets others later
    dirs = [video_dir] + [None] * (args.num_seeds - 1)
    makers = [functools.partial(make_env, args.env_id, video_dir) for video_dir in dirs]
    mode = gym.vector.AutoresetMode.SAME_STEP
    envs = gym.vector.AsyncVectorEnv(makers, context="fork", autoreset_mode=mode)
    torch.set_num_threads(num_threads)
    atexit.register(lambda: [process.kill() for process in envs.processes])
    return envs


class Norm(nn.Module):
    """Batch or layer normalization of (..., size); observations: by running averages alone.

    Where gradients are taken the statistics are the batch's, whose noise observations do not bear.
    """

    def __init__(self, args, size, affine=True):
        super().__init__()
        self.over_batch = args.batch_norm or not affine
        self.scale = nn.Parameter(torch.ones(size), affine)
        self.shift = nn.Parameter(torch.zeros(size), affine)
        self.mean = nn.Parameter(torch.zeros(size), False)
        self.var = nn.Parameter(torch.ones(size), False)

    def forward(self, x):
        mean, var = self.mean, self.var
        if not self.over_batch:
            var, mean = torch.var_mean(x, -1, correction=0, keepdim=True)
        elif torch.is_grad_enabled():
            new_var, new_mean = torch.var_mean(x.flatten(0, -2), 0, correction=0)
            self.mean.mul_(0.99).add_(0.01 * new_mean.detach())
            self.var.mul_(0.99).add_(0.01 * new_var.detach())
            if self.scale.requires_grad:
                mean, var = new_mean, new_var
        return (x - mean) * (var + 1e-5).rsqrt() * self.scale + self.shift


def obs_layers(args, obs_size):
    return Norm(args, obs_size, affine=False), nn.Linear(obs_size, args.width)


def hidden_layers(args, num, size_out):
    sizes = [args.width] * num + [size_out]
    for i in range(num):
        yield from (Norm(args, args.width), nn.ReLU(), nn.Linear(*sizes[i : i + 2]))


class QNetwork(nn.Module):
    """Action-in network of the distribution of Q(s, a) over atoms."""

    def __init__(self, args, obs_size, action_size):
        super().__init__()
        self.obs_stream = nn.Sequential(*obs_layers(args, obs_size))
        self.action_stream = nn.Linear(action_size, args.width)
        self.joint = nn.Sequential(*hidden_layers(args, 3, max(args.num_atoms, 1)))

    def forward(self, obs, actions):
        """obs (B, obs_size), N actions each (B, N, A) -> logits (B, N, atoms)."""
        return self.joint(self.obs_stream(obs).unsqueeze(1) + self.action_stream(actions))


class QNetworks(nn.ModuleList):
    """H heads with nothing in common: logits (H, B, N, atoms)."""

    def __init__(self, args, *sizes):
        super().__init__(QNetwork(args, *sizes) for _ in range(args.num_heads))

    def forward(self, *inputs):
        return torch.stack([head(*inputs) for head in self])


class ArgmaxPredictors(nn.Sequential):
    """For each action dimension a Gaussian and a categorical over K bins."""

    def __init__(self, args, obs_size, action_size):
        size = action_size, 2 + args.num_bins
        hidden = hidden_layers(args, 2, size[0] * size[1])
        super().__init__(*obs_layers(args, obs_size), *hidden, nn.Unflatten(-1, size))
        self.min_std, self.max_std = args.min_std, args.max_std

    def forward(self, obs):
        """obs (B, obs_size) -> mean (B, A), s.d. (B, A), logits (B, A, K)."""
        x = super().forward(obs)  # (B, A, 2 + K)
        std = self.min_std * (self.max_std / self.min_std) ** x[..., 1].sigmoid()
        return x[..., 0].tanh(), std, x[..., 2:]


class ReplayMemory(nn.Module):
    """Prioritized replay (Schaul et al. 2016) of single steps, drawn as n-step transitions."""

    def __init__(self, args, obs_size, action_size, device, seeds=()):
        super().__init__()
        self.alpha, self.beta = args.priority_exponent, args.importance_exponent
        self.gamma, self.n_step, self.max_value = args.gamma, args.n_step, args.max_value
        self.sizes = obs_size, obs_size, action_size, 1, 1, 1
        rows = torch.zeros(*seeds, args.buffer_size, sum(self.sizes), device=device)
        self.register_buffer("rows", rows)
        self.register_buffer("priorities", torch.zeros(rows.shape[:-1], device=device))
        self.register_buffer("max_priority", torch.ones(*seeds, 1, device=device))
        self.register_buffer("num_stored", torch.zeros((), dtype=torch.int64))
        self.register_buffer("newest", torch.zeros((), dtype=torch.int64, device=device))
        self.register_buffer("scale", torch.ones(*seeds, 1, device=device))
        self.register_buffer("largest_return", torch.full(seeds, 1e-6, dtype=torch.float64))
        self.discounted_return = np.zeros(seeds)  # up to the last step
        self.new_rows = []  # on the host, until store

    def add(self, obs, action, reward, next_obs, terminated, ended):
        """Takes a transition; ended: by termination or truncation."""
        row = obs, next_obs, action, np.stack([reward, terminated, ended], axis=-1)
        self.new_rows.append(np.concatenate(row, axis=-1, dtype=np.float32))
        self.discounted_return = self.gamma * self.discounted_return + reward
        largest = self.largest_return.numpy()
        np.maximum(largest, np.abs(self.discounted_return), out=largest)
        self.discounted_return = self.discounted_return * np.logical_not(ended)

    def store(self):
        """Writes what was added over the oldest rows, in one copy: each takes a GPU time."""
        while self.new_rows:
            first = int(self.num_stored) % self.rows.shape[-2]
            new_rows = self.new_rows[: self.rows.shape[-2] - first]
            last, self.new_rows = first + len(new_rows), self.new_rows[len(new_rows) :]
            self.rows[..., first:last, :] = torch.from_numpy(np.stack(new_rows, axis=-2))
            self.priorities[..., first:last] = self.max_priority
            self.num_stored += len(new_rows)
            self.newest.fill_(last - 1)
        self.scale[:] = self.max_value or self.largest_return.unsqueeze(-1)

    def sample(self, batch_size):
        """Draws indices (B,) with replacement, an n-step batch, weights (B,) up to 1."""
        cdf = self.priorities.flatten().cumsum(0, dtype=torch.float64).view_as(self.priorities)
        start, end = cdf[..., :1] - self.priorities[..., :1], cdf[..., -1:]
        u = torch.rand(*start.shape[:-1], batch_size, dtype=torch.float64, device=start.device)
        mass = start + u * (end - start) * (1 - 1e-12)  # never the end
        indices = torch.searchsorted(cdf, mass, right=True).clamp(max=cdf.shape[-1] - 1)  # of NaN
        # (M * P(i))^-beta over its maximum; M and the sum of priorities cancel.
        smallest = torch.where(self.priorities > 0, self.priorities, torch.inf).amin(-1, True)
        weights = (self.priorities.gather(-1, indices) / smallest) ** -self.beta
        return indices, self.n_step_batch(indices), weights

    def n_step_batch(self, indices):
        """Rows (B,) and those after them, up to n, the end of the episode or the newest one.

        Returns obs, the last next_obs, actions, sums of rewards over scale, discounts: (B, ...).
        """
        steps = torch.arange(self.n_step, device=indices.device)
        path = (indices.unsqueeze(-1) + steps) % self.rows.shape[-2]  # (B, n)
        rows = torch.take_along_dim(self.rows, path.flatten(-2).unsqueeze(-1), dim=-2)
        rows = rows.unflatten(-2, path.shape[-2:])  # (B, n, row)
        ends = (rows[..., -1] > 0) | (path == self.newest) | (steps == self.n_step - 1)
        last = ends.int().argmax(-1, keepdim=True)  # (B, 1), the first of them
        rewards = (rows[..., -3] * self.gamma**steps * (steps <= last)).sum(-1) / self.scale
        obs, _, actions, *_ = rows[..., 0, :].split(self.sizes, -1)
        last_rows = torch.take_along_dim(rows, last.unsqueeze(-1), dim=-2).squeeze(-2)
        _, next_obs, _, _, terminated, _ = last_rows.split(self.sizes, -1)
        discounts = self.gamma ** (last + 1) * (1 - terminated)
        return obs, next_obs, actions, rewards, discounts.squeeze(-1)

    def remember(self, indices, td_errors):
        """Writes the priorities (|TD error| + 1e-6)^alpha of the rows (B,)."""
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


def sample_gaussian(mean, std, num_samples):
    """Samples of mean and std (B, A), kept in bounds: (B, N, A)."""
    noise = torch.randn(len(mean), num_samples, mean.shape[1], device=mean.device)
    return (mean.unsqueeze(1) + noise * std.unsqueeze(1)).clamp(-1, 1)


def sample_actions(predicted, num_samples, args):
    """The search set (Eq. 21) of mean and std (B, A) and logits (B, A, K): (B, N, A)."""
    mean, std, logits = predicted
    (batch_size, action_size, num_bins), device = logits.shape, logits.device
    ratios = args.gaussian_ratio, args.uniform_ratio, args.categorical_ratio
    num_gaussian, num_uniform, num_categorical = split_budget(num_samples, ratios)
    gaussian = sample_gaussian(mean, std, max(num_gaussian - 1, 0))
    uniform = torch.rand(batch_size, num_uniform, action_size, device=device) * 2 - 1
    cdf = logits.softmax(-1).cumsum(-1)[:, None, :, :-1]  # (B, 1, A, K-1)
    u = torch.rand(batch_size, num_categorical, action_size, 1, device=device)
    categorical = bin_value((u >= cdf).sum(-1), num_bins)  # by inverse c.d.f., per dimension
    mean = mean.unsqueeze(1)[:, :num_gaussian]  # comes first
    return torch.cat([mean, gaussian, uniform, categorical], dim=1)


def expected_value(logits, args):
    """The mean of each distribution over atoms from -1 to 1: (..., atoms) -> (...)."""
    if not args.num_atoms:
        return logits.squeeze(-1)
    atoms = torch.linspace(-1, 1, args.num_atoms, device=logits.device)
    return (logits.softmax(-1, dtype=torch.float32) * atoms).sum(-1)


def q_values(q_network, obs, actions, args):
    """Q, in units of scale: obs (B, obs_size), N actions each (B, N, A) -> (B, N).

    From the heads' mean (--pessimism 0) to their smallest value (1; Fujimoto et al. 2018).
    """
    with torch.autocast(obs.device.type, torch.bfloat16, enabled=args.bfloat16):
        logits = q_network(obs, actions)
    values = expected_value(logits, args)  # (H, B, N)
    return torch.lerp(values.mean(0), values.amin(0), args.pessimism)


@torch.no_grad()
def greedy_action(q_network, predictors, args, obs):
    """The best action (A,) of a search set for an observation (obs_size,)."""
    obs = obs.unsqueeze(0)
    actions = sample_actions(predictors(obs), args.num_greedy_samples, args)
    return actions[0, q_values(q_network, obs, actions, args)[0].argmax()]


@torch.no_grad()
def exploring_action(q_network, predictors, args, obs):
    """The best action of few samples of the Gaussian, whose spread is the exploration."""
    obs = obs.unsqueeze(0)
    actions = sample_gaussian(*predictors(obs)[:2], args.num_explore_samples)
    return actions[0, q_values(q_network, obs, actions, args)[0].argmax()]


def hl_gauss(values, args):
    """Gaussians around values (B,) as chances of the atoms (B, atoms) (Imani and White 2018)."""
    spacing = 2 / max(args.num_atoms - 1, 1)
    end = 1 + spacing / 2
    edges = torch.linspace(-end, end, args.num_atoms + 1, device=values.device)
    distances = edges - values.clamp(-1, 1).unsqueeze(-1)
    chances = torch.special.ndtr(distances / (args.atom_std * spacing)).diff(dim=-1)
    return chances / chances.sum(-1, keepdim=True)


def q_loss(logits, target, args):
    """Cross-entropy to the target's distribution, or squared error: (..., B, atoms) -> (..., B)."""
    if not args.num_atoms:
        return (logits.squeeze(-1) - target) ** 2
    return -(hl_gauss(target, args) * logits.log_softmax(-1)).sum(-1)


def predictor_loss(mean, std, logits, elites):
    """Mean -log likelihoods of elites (B, E, A): Gaussian, categorical of nearest bins (Eq. 11)."""
    distances = (elites - mean.unsqueeze(1)) / std.unsqueeze(1)
    bins = nearest_bin(elites, logits.shape[-1])  # (B, E, A)
    categorical = -logits.log_softmax(-1).gather(-1, bins.movedim(1, -1))  # (B, A, E)
    return (distances**2 / 2).mean() + std.log().mean(), categorical.mean()


def training_loss(q_network, target_network, predictors, args, batch, weights):
    """For an n-step batch of the memory: the loss, TD errors (B,) and metrics."""
    obs, next_obs, actions, rewards, discounts = batch
    with torch.no_grad():
        samples = sample_actions(predictors(next_obs), args.num_target_samples, args)
        values = q_values(target_network, next_obs, samples, args)
        best = values.topk(args.num_elites)[1].unsqueeze(-1)
        elites = torch.take_along_dim(samples, best, dim=1)  # (B, E, A)
        # The value of the best of a few, as in acting: that of the best of many is too high.
        few = slice(1, 1 + args.num_value_samples) if args.num_value_samples else slice(None)
        target = rewards + discounts * values[:, few].amax(1)
    logits = q_network(obs, actions.unsqueeze(1)).squeeze(2)  # (H, B, atoms)
    td_loss = (weights * q_loss(logits, target, args)).mean()
    mean, std, bin_logits = predictors(next_obs)
    gaussian_loss, categorical_loss = predictor_loss(mean, std, bin_logits, elites)
    q = expected_value(logits.detach(), args)  # (H, B)
    metrics = {"losses/td_loss": td_loss, "losses/gaussian_loss": gaussian_loss, "argmax/std": std}
    metrics |= {"losses/categorical_loss": categorical_loss, "losses/q_values": q}
    metrics |= {"argmax/spread_of_values": values.std(1)}
    metrics = {name: value.detach().mean() for name, value in metrics.items()}
    return td_loss + gaussian_loss + categorical_loss, (target - q).abs().amax(0), metrics


class OneSeed(nn.ModuleList):
    def forward(self, function, *inputs):
        return function(*self, *inputs)  # of networks in which torch.func exchanges the weights


def over_seeds(function, args, *networks):
    """function(*networks, args, *inputs) for all seeds, given the weights (S, ...) of each."""
    module = OneSeed(networks)

    def for_one_seed(weights, *inputs):
        weights = {f"{i}.{name}": x for i, own in enumerate(weights) for name, x in own.items()}
        return torch.func.functional_call(module, weights, (function, args, *inputs))

    return torch.vmap(for_one_seed, randomness="different")


def train_step(training_losses, networks, optimizer, memory, args):
    """One update of each seed. Returns metrics (S,) on the device."""
    indices, batch, weights = memory.sample(args.batch_size)
    loss, td_errors, metrics = training_losses(networks, batch, weights)
    optimizer.zero_grad()
    loss.sum().backward()  # to the weights of a seed this is the gradient of its own loss
    optimizer.step()
    online, target = ([value.detach() for value in own.values()] for own in networks[:2])
    torch._foreach_lerp_(target, online, args.target_update_rate)
    memory.remember(indices, td_errors)
    return metrics | {"charts/scale": memory.scale.squeeze(-1)}


class CudaGraph:
    """function(), whose kernels are recorded and replayed: to launch each takes longer."""

    def __init__(self, function):
        self.function, self.num_calls = function, 0

    def __call__(self):
        self.num_calls += 1
        if self.num_calls < 4:  # the first ones allocate, which a recording must not
            return self.function()
        if self.num_calls == 4:
            self.graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(self.graph):
                self.outputs = self.function()  # they hold until the next call
        self.graph.replay()
        return self.outputs


def check_finite(step, seeds, **values):
    """Exits with one line where a value (S, ...) is not finite as float32; the logs stay."""
    for name, value in values.items():
        if not (finite := np.abs(value) < 3e38).all():
            k = np.argwhere(~finite)[0, 0]
            sys.exit(f"error: {name} of seed {seeds[k]} is not finite at step {step}: {value[k]}")


def evaluate(policy, envs, args, stop):
    """Returns (S, episodes) of greedy ones, from the same states each time, fewer if stopped."""
    returns, seed = [[] for _ in range(args.num_seeds)], args.seed + 10**6
    with torch.random.fork_rng(range(torch.cuda.device_count())):  # training goes on as before
        torch.manual_seed(seed)
        obs, _ = envs.reset(seed=seed)
        for step in tqdm(itertools.count(1), "evaluation", leave=False):
            obs, rewards, terminated, truncated, infos = envs.step(policy(obs))
            check_finite(step, range(args.seed, seed), obs=obs, reward=rewards)
            for k in np.flatnonzero(terminated | truncated):
                returns[k].append(infos["final_info"]["episode"]["r"][k])
            if stop or min(map(len, returns)) >= args.eval_episodes:  # quick seeds have played more
                return [own[: args.eval_episodes] for own in returns]


def save(state, path):
    """Writes a file that is whole at any instant: the old one stays until the new one is."""
    with open(f"{path}.tmp", "wb") as file:
        torch.save(state, file)
        os.fsync(file.fileno())
    os.replace(file.name, path)


if __name__ == "__main__":
    words = sys.argv[1:]
    args = parse_args(words)
    saved = {"global_step": 0, "wall_time": 0.0}
    if path := args.evaluate_only or args.resume:
        name = "model.pt" if args.evaluate_only else "checkpoint.pt"
        path = path / name if path.is_dir() else path
        try:  # executes no code from the file
            saved = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
            assert saved["script"] == SCRIPT, f"it is of {saved['script']}.py"
            assert args.evaluate_only or "memory" in saved, "it is a model.pt"
        except Exception as error:  # no such file, a cut one, one of something else
            sys.exit(f"error: {path} is not a {name} of {SCRIPT}.py: {error!r}")
        words = saved["words"] + words  # of a flag given twice the last one counts
        args = parse_args(words)
    check_args(args)
    seeds = list(range(args.seed, args.seed + args.num_seeds))
    name = f"{args.env_id}__{SCRIPT}__%d__{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}"
    run_dirs = [Path("runs", re.sub("[/:]", "_", name % seed)) for seed in seeds]
    if path:  # the other folders lie beside the first one, which may have been renamed
        folder = path.resolve().parents[1]
        run_dirs = [path.parent, *(folder / name for name in saved["names"][1:])]
        if missing := [str(run_dir) for run_dir in run_dirs if not run_dir.is_dir()]:
            sys.exit(f"error: {path} goes on in {missing} too, expected there")
    if args.eval_frequency or args.evaluate_only:  # at first: they may need a renderer
        eval_envs = make_envs(args, run_dirs[0] / "videos" if args.capture_video else None)
    envs = make_envs(args)
    stop = []  # signals are obeyed at the end of a step; a second one ends the run at once
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda n, _: (stop.append(n), signal.signal(n, signal.SIG_DFL)))
    sizes = envs.single_observation_space.shape[0], int(np.prod(envs.single_action_space.shape))
    sizes = *sizes, args.num_bins, args.width, args.num_heads, args.num_atoms, args.buffer_size
    if path and (found := (saved["sizes"], saved["seeds"])) != (sizes, seeds):
        sys.exit(f"error: {path} is for sizes and seeds {found}, {args.env_id} has {sizes, seeds}")
    on_cuda = args.cuda and torch.cuda.is_available()
    device = "cuda" if on_cuda else "cpu"
    modules = []
    for seed in seeds:
        torch.manual_seed(seed)
        kinds = QNetworks, QNetworks, ArgmaxPredictors
        modules.append([kind(args, *sizes[:2]).to(device) for kind in kinds])
    # Weights (S, ...) by name: online, target and predictors.
    networks = [torch.func.stack_module_state(own)[0] for own in zip(*modules, strict=True)]
    networks[1] = {name: value.detach().clone() for name, value in networks[0].items()}
    # What makes it fast: compiled functions, bfloat16, CUDA graphs.
    args.compile = args.compile and not args.evaluate_only
    bf16 = torch.cuda.is_bf16_supported(False) if on_cuda else torch.cpu._is_avx512_bf16_supported()
    args.bfloat16 = bf16 and args.compile and args.mixed_precision
    torch.set_float32_matmul_precision("high" if args.bfloat16 and on_cuda else "highest")
    options = {"dynamic": False, "options": {"fallback_random": True}, "disable": not args.compile}
    templates = [module.to("meta") for module in modules[0]]
    training_losses = torch.compile(over_seeds(training_loss, args, *templates), **options)
    policies = {}
    for f in (greedy_action, exploring_action):
        policies[f] = torch.compile(over_seeds(f, args, *templates[1:]), **options)
    host_obs, host_actions = (torch.zeros(len(seeds), n, pin_memory=on_cuda) for n in sizes[:2])

    def search(function):
        obs = host_obs.to(device, non_blocking=True)
        host_actions.copy_(policies[function](networks[::2], obs), non_blocking=True)

    searches = {function: functools.partial(search, function) for function in policies}

    def policy(obs, function=greedy_action):
        host_obs.numpy()[:] = obs
        searches[function]()
        if on_cuda:
            torch.cuda.synchronize()
        return host_actions.numpy().copy()

    if path:
        for own, values in zip(networks, saved["networks"], strict=True):
            for name, value in own.items():
                value.data.copy_(values[name])
    if args.evaluate_only:
        (returns,) = evaluate(policy, eval_envs, args, stop)
        print("returns:", np.round(returns, 1), f"mean: {np.mean(returns or np.nan):.1f}")
        sys.exit(128 + stop[0] if stop else 0)
    free = torch.cuda.mem_get_info()[0] if on_cuda else psutil.virtual_memory().available
    if args.buffer_size > (fits := free // (8 * sum(sizes[:2]) + 16) // args.num_seeds):
        sys.exit(f"error: --buffer-size is {args.buffer_size}, {device} has room for {fits} a seed")
    memory = ReplayMemory(args, *sizes[:2], device, seeds=(args.num_seeds,))
    learnt = [value for own in networks for value in own.values() if value.requires_grad]
    adam = {"lr": args.learning_rate, "capturable": on_cuda}
    optimizer = torch.optim.Adam(learnt, fused=True, **adam)
    update = functools.partial(train_step, training_losses, networks, optimizer, memory, args)
    if args.compile:
        print("compiling, for up to two minutes ...", file=sys.stderr)
        try:
            for function in searches:
                searches[function]()
            _, batch, weights = memory.sample(args.batch_size)
            copies = copy.deepcopy(networks)  # whose running statistics may change
            training_losses(copies, batch, weights)[0].sum().backward()
            if on_cuda:
                torch.cuda.set_stream(torch.cuda.Stream())  # the default one cannot be recorded
                searches = {name: CudaGraph(function) for name, function in searches.items()}
                update = CudaGraph(update)
        except Exception as error:  # no compiler, a full disk, a cut file in its cache, ...
            args.bfloat16 = False
            torch.set_float32_matmul_precision("highest")
            torch.compiler.set_stance("force_eager")
            cache = os.getenv("TORCHINDUCTOR_CACHE_DIR", "/tmp/torchinductor_<user>")
            print(f"not compiled (is {cache} broken? delete it): {error!r:.300}", file=sys.stderr)
    torch.manual_seed(args.seed)  # the same draws, compiled or not
    global_step = saved["global_step"]  # environment steps taken, of each seed
    config = {"command": sys.argv, "torch": torch.__version__}
    config["device"] = torch.cuda.get_device_name() if on_cuda else "cpu"
    start, writers, logs = time.time() - saved["wall_time"], [], []
    for seed, run_dir in zip(seeds, run_dirs, strict=True):
        run_dir.mkdir(parents=True, exist_ok=True)
        config["args"] = vars(args) | {"seed": seed}
        text = json.dumps(config, indent=2, default=str)
        (run_dir / f"config{global_step or ''}.json").write_text(text)
        writers.append(SummaryWriter(run_dir, purge_step=global_step + 1))
        atexit.register(writers[-1].close)  # on an error too: what was logged stays
        columns = {"episodes": "episodic_return,episodic_length", "eval": "episode,episodic_return"}
        for name, own in columns.items():
            logs.append(open(run_dir / f"{name}.csv", "a", buffering=1))
            logs[-1].write("" if path else f"global_step,{own},wall_time\n")

    def log(k, name, value):
        writers[k].add_scalar(name, value, global_step)

    def is_due(frequency):
        return frequency and global_step and global_step % frequency == 0

    if path:  # the run goes on where its checkpoint was written, with new episodes
        for file, size in zip(logs, saved["log_sizes"], strict=True):
            file.truncate(size)  # what came later comes again
        optimizer.load_state_dict(saved["optimizer"])
        optimizer.param_groups[0] |= adam  # the flag and the device may be others now
        memory.load_state_dict(saved["memory"])
        memory.rows[:, memory.newest, -1] = 1  # has ended: what is added next does not follow
        torch.set_rng_state(saved["rng"])
        torch.cuda.set_rng_state_all(saved["cuda_rng"][: torch.cuda.device_count()])
    obs, _ = envs.reset(seed=[(seed + 10**4 * global_step) % 2**31 for seed in seeds])
    latest = np.full(len(seeds), np.nan)
    print(f"training on {config['device']} from step {global_step}; runs: {run_dirs[0]} ...")
    progress = tqdm(initial=global_step, total=args.total_timesteps, mininterval=1)
    while True:
        last = global_step == args.total_timesteps
        model = {"script": SCRIPT, "sizes": sizes, "global_step": global_step}
        due = is_due(args.checkpoint_frequency) and global_step > saved["global_step"]
        if stop or due or last and (run_dirs[0] / "checkpoint.pt").exists():
            memory.store()
            state = model | {"words": words, "seeds": seeds, "networks": networks}
            state |= {"optimizer": optimizer.state_dict(), "memory": memory.state_dict()}
            state |= {"rng": torch.get_rng_state(), "cuda_rng": torch.cuda.get_rng_state_all()}
            state["log_sizes"] = [os.path.getsize(file.name) for file in logs]
            state |= {"names": [own.name for own in run_dirs], "wall_time": time.time() - start}
            save(state, run_dirs[0] / "checkpoint.pt")
            if stop:
                command = shlex.join(["python", sys.argv[0], "--resume", str(run_dirs[0])])
                tqdm.write(f"stopped after step {global_step}; to go on: {command}")
                sys.exit(128 + stop[0])
        if is_due(args.eval_frequency):
            returns = evaluate(policy, eval_envs, args, stop)
            if stop:
                continue  # it comes again when the run goes on
            for k, own in enumerate(returns):
                for row in enumerate(own):
                    print(global_step, *row, time.time() - start, sep=",", file=logs[2 * k + 1])
                log(k, "eval/episodic_return", np.mean(own))
        if last:
            break
        learns = global_step >= args.learning_starts
        actions = (torch.rand(host_actions.shape) * 2 - 1).numpy()
        explores = torch.rand(len(seeds), 1).numpy() < args.exploration_epsilon
        if learns:
            actions = np.where(explores, actions, policy(obs, exploring_action))
        envs.step_async(actions)
        # Learn from the steps so far, while the environments take the next one.
        if learns and is_due(args.train_frequency):
            memory.store()
            metrics = update()
        if learns and is_due(100 * args.train_frequency):  # reading waits for a GPU
            metrics["charts/SPS"] = torch.full((len(seeds),), global_step / (time.time() - start))
            for name, value in metrics.items():
                check_finite(global_step, seeds, **{name: value.cpu().numpy()})
                for k, own in enumerate(value.tolist()):
                    log(k, name, own)
        next_obs, rewards, terminated, truncated, infos = envs.step_wait()
        global_step += 1
        progress.update()
        ended, reached = terminated | truncated, next_obs.copy()
        for k in np.flatnonzero(ended):  # next_obs is of a new episode there
            reached[k], info = infos["final_obs"][k], infos["final_info"]
            latest[k], length = info["episode"]["r"][k], info["episode"]["l"][k]
            print(global_step, latest[k], length, time.time() - start, sep=",", file=logs[2 * k])
            log(k, "charts/episodic_return", latest[k])
            log(k, "charts/episodic_length", length)
            progress.set_postfix({"return": f"{np.nanmean(latest):.1f}"}, refresh=False)
            if "physics_error" in info and info["physics_error"][k]:
                reached[k] = obs[k]  # it leads nowhere, without reward
                tqdm.write(f"step {global_step}: PhysicsError of seed {seeds[k]}")
                log(k, "charts/physics_error", 1)
        check_finite(global_step, seeds, action=actions, obs=obs, next_obs=reached, reward=rewards)
        memory.add(obs, actions, rewards, reached, terminated, ended)
        obs = next_obs
    for k, seed in enumerate(seeds if args.save_model else ()):
        model |= {"words": [*words, "--seed", str(seed), "--num-seeds", "1"], "seeds": [seed]}
        own = [{name: value[[k]].detach() for name, value in own.items()} for own in networks]
        save(model | {"networks": own, "names": []}, run_dirs[k] / "model.pt")
    tqdm.write(f"last returns: {np.round(latest, 1)}; runs: {run_dirs[0]} ...")
