# /// script
# requires-python = ">=3.11,<3.13"
# dependencies = [
#     "dm_control==1.0.50",
#     "gymnasium==1.4.0",
#     "moviepy==2.2.1",
#     "mujoco==3.17.0",
#     "numpy==2.4.6",
#     "packaging==26.3",
#     "psutil==7.2.2",
#     "shimmy==2.0.1",
#     "tensorboard==2.21.0",
#     "torch==2.13.0",
#     "tqdm==4.70.1",
#     "tyro==1.0.17",
#     "wandb==0.31.0",
# ]
# ///
"""QMLE for continuous action spaces: Q-learning with a sampled argmax and maximum-likelihood argmax predictors.

    python qmle_continuous.py --env-id dm_control/walker-walk-v0
    python qmle_continuous.py --env-id dm_control/cheetah-run-v0 --seed 3 --eval-frequency 10000 --save-model
    python qmle_continuous.py --evaluate-only runs/<run>/model.pt --eval-episodes 5 --capture-video

Algorithm 1 and appendix B of "Learning in complex action spaces without policy gradients". There is no policy: to find
max_a Q(s, a), draw a search set of actions (uniform, from two learned argmax predictors, and the best action remembered
for that state), evaluate Q on all of them and keep the best one; the predictors then learn to propose that one.

Shapes in the comments: B batch of states, N action samples per state, A action dimensions, K bins per dimension.
Actions are in [-1, 1] everywhere; `to_env_action` scales them to the bounds of the environment.
"""

import atexit
import contextlib
import copy
import ctypes
import dataclasses
import datetime
import difflib
import functools
import json
import math
import os
import pathlib
import platform
import re
import signal
import subprocess
import sys
import threading
import time
import warnings
import zipfile
from fractions import Fraction
from importlib import metadata

# dm_control chooses its renderer when it is imported; without a screen its own choice warns or fails.
if sys.platform == "linux" and not os.environ.get("DISPLAY"):
    video = {"--capture-video", "--capture_video"} & set(sys.argv)
    os.environ.setdefault("MUJOCO_GL", "egl" if video else "disabled")
os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # read by cuBLAS; needed by --torch-deterministic on CUDA

import gymnasium as gym
import numpy as np
import psutil
import shimmy
import torch
import torch.nn as nn
import torch.nn.functional as F
import tyro
from torch.utils.tensorboard import SummaryWriter
from tqdm import tqdm

gym.register_envs(shimmy)  # the dm_control/* environments
warnings.filterwarnings("ignore", "`torch.jit", DeprecationWarning)  # what PyTorch says to itself when it compiles


@dataclasses.dataclass
class Args:
    """In brackets where a default comes from: paper (Table 1), released code (of the paper's authors), ours."""

    env_id: str = "dm_control/walker-walk-v0"  # gymnasium environment with a finite Box action space
    seed: int = 1  # seed of the networks, of all sampling and of the environment [ours]
    total_timesteps: int = 1_000_000  # environment steps to train for [ours; the paper runs about 1e6 to 1e7]
    learning_rate: float = 5e-4  # Adam step size of all networks [paper]
    buffer_size: int = 1_000_000  # transitions the replay memory holds [paper]
    gamma: float = 0.99  # discount factor per environment step [paper]
    batch_size: int = 256  # transitions per update [paper]
    learning_starts: int = 1000  # environment steps stored before the first update [paper]
    train_frequency: int = 10  # environment steps per update [paper]
    target_network_frequency: int = 200  # environment steps per target copy [released code; paper: 2000]
    exploration_epsilon: float = 0.1  # probability of a uniformly random action while training [paper]
    num_target_samples: int = 100  # m_target: search set size in the TD target, without the stored action [paper]
    num_greedy_samples: int = 1000  # m_greedy: search set size when acting [paper]
    uniform_ratio: float = 0.9  # rho_0: share of the search set drawn uniformly [paper]
    delta_ratio: float = 0.01  # rho_1: share drawn from the delta predictor [paper]
    categorical_ratio: float = 0.09  # rho_2: share drawn from the factored categorical predictor [paper]
    uniform_grid_fraction: float = 0.0  # share of the uniform samples on the grid of bins [paper; released code: 0.5]
    num_bins: int = 3  # K: evenly spaced points per action dimension, bounds included; 3 is bang-off-bang [paper]
    delta_noise_std: float = 0.1  # s.d. of delta samples after the first, in half-ranges [released code]
    priority_exponent: float = 0.6  # alpha of prioritized replay; 0 draws uniformly [paper]
    importance_exponent: float = 0.2  # beta of prioritized replay, constant [paper]
    stored_action: bool = True  # the best action stored with a transition joins its search set in the target [paper]
    predictor_target: str = "fresh"  # predictors learn the a_max just found; "stored": the one before [paper]
    discrete_until: int = 0  # all actions stay on the grid of bins up to this environment step (Figure 12) [ours]
    eval_frequency: int = 0  # environment steps between evaluations of the greedy policy; 0 is never [ours]
    eval_episodes: int = 10  # episodes per evaluation [ours]
    capture_video: bool = False  # record the evaluation episodes as mp4 in the run directory
    save_model: bool = False  # write model.pt into the run directory at the end
    checkpoint_frequency: int = 0  # environment steps between checkpoints; 0: only when a signal asks for one [ours]
    resume: str | None = None  # a run directory: go on from its checkpoint, in there, with the flags of that run
    evaluate_only: str | None = None  # path of a model.pt: play --eval-episodes greedy episodes of it, do not train
    track: bool = False  # log to Weights & Biases as well
    wandb_project_name: str = "qmle"  # project of --track
    wandb_entity: str | None = None  # team of --track
    cuda: bool = True  # train on a CUDA device if there is one
    compile: bool = True  # torch.compile the heavy functions; pays after some thousand steps
    cudagraphs: bool = True  # on CUDA, replay recorded kernels instead of launching them one by one
    mixed_precision: bool = True  # with --compile, where it is faster: search sets in bfloat16, the rest in TF32
    torch_deterministic: bool = False  # only kernels that PyTorch calls deterministic, which are slower on CUDA


def sample_ratios(args):
    """rho_0, rho_1, rho_2 of the search set: uniform, delta, categorical."""
    return args.uniform_ratio, args.delta_ratio, args.categorical_ratio


def check_args(args):
    """Raises ValueError with the flag, its value and what was expected, before anything has been created."""
    limits = dict(
        seed=(0, 2**31), total_timesteps=(1, 10**12), learning_rate=(1e-12, 1.0), buffer_size=(1, 10**12),
        gamma=(0, 1), batch_size=(1, 10**7), learning_starts=(1, 10**12), train_frequency=(1, 10**12),
        target_network_frequency=(1, 10**12), exploration_epsilon=(0, 1), num_target_samples=(1, 10**7),
        num_greedy_samples=(1, 10**7), uniform_ratio=(0, 1), delta_ratio=(0, 1), categorical_ratio=(0, 1),
        uniform_grid_fraction=(0, 1), num_bins=(2, 10**4), delta_noise_std=(0, 2), priority_exponent=(0, 1),
        importance_exponent=(0, 1), discrete_until=(0, 10**12), eval_frequency=(0, 10**12), eval_episodes=(1, 10**6),
        checkpoint_frequency=(0, 10**12),
    )  # fmt: skip
    for name, (low, high) in limits.items():
        if not low <= getattr(args, name) <= high:  # NaN fails too
            flag = name.replace("_", "-")
            raise ValueError(f"--{flag} is {getattr(args, name)}, expected a number from {low:g} to {high:g}")
    ratios = sample_ratios(args)
    if abs(sum(ratios) - 1) > 1e-6:
        flags = "--uniform-ratio, --delta-ratio and --categorical-ratio"
        raise ValueError(f"{flags} are {ratios} and sum to {sum(ratios):g}, expected a sum of 1")
    if args.predictor_target not in ("fresh", "stored"):
        raise ValueError(f"--predictor-target is {args.predictor_target!r}, expected 'fresh' or 'stored'")
    if max(args.learning_starts, args.train_frequency) > min(args.total_timesteps - 1, args.buffer_size):
        raise ValueError(
            f"--learning-starts is {args.learning_starts} and --train-frequency {args.train_frequency}, expected less"
            f" than --total-timesteps ({args.total_timesteps}) and no more than --buffer-size ({args.buffer_size})"
        )
    if args.capture_video and not (args.eval_frequency or args.evaluate_only):
        raise ValueError("--capture-video records evaluation episodes: set --eval-frequency or --evaluate-only too")


def make_env(env_id, render=False):
    """Makes an environment with flat observations; with render, one whose frames can be recorded.

    Raises ValueError for an id that cannot be made and for spaces that this script does not serve.
    """
    try:
        env = gym.make(env_id, **({"render_mode": "rgb_array"} if render else {}))
        if render:  # what cannot be rendered is found out now, not at the first evaluation
            env.reset()
            env.render()
    except Exception as error:  # environments raise what they like
        close = [name for name in difflib.get_close_matches(env_id, gym.registry, n=4, cutoff=0.4) if name != env_id]
        reason = str(error).partition("\n")[0]
        known = f"registered ids close to it: {', '.join(close) or 'none'}"
        raise ValueError(f"--env-id {env_id!r} cannot be made ({reason}); {known}") from None
    space = env.action_space
    if isinstance(space, (gym.spaces.Discrete, gym.spaces.MultiDiscrete)):
        raise ValueError(
            f"--env-id {env_id!r} has the action space {space}, expected a Box; use qmle_discrete.py for it"
        )
    if not isinstance(space, gym.spaces.Box) or not np.issubdtype(space.dtype, np.floating):
        raise ValueError(f"--env-id {env_id!r} has the action space {space}, expected a Box of floats")
    if not (np.abs([space.low, space.high]) < 1e6).all():  # dm_control's lqr says "unbounded" with +-1e10
        raise ValueError(
            f"--env-id {env_id!r} has the unbounded action space {space}, expected bounds below 1e6;"
            " no script here serves it: give it bounds in make_env, with gymnasium.wrappers.TransformAction"
        )
    obs_space = env.observation_space
    for part in obs_space.values() if isinstance(obs_space, gym.spaces.Dict) else [obs_space]:
        image = part.dtype == np.uint8 or (part.shape or ())[2:] in ((1,), (3,), (4,))
        flat = (gym.spaces.Box, gym.spaces.Discrete, gym.spaces.MultiDiscrete, gym.spaces.MultiBinary)  # or one-hot
        if not isinstance(part, flat) or image:
            raise ValueError(
                f"--env-id {env_id!r} has {part} in its observation space, expected numbers or a flat Dict of numbers;"
                " for images and nested observations write another observation stream (make_env, QNetwork)"
            )
    return gym.wrappers.FlattenObservation(env)


def check_memory(args, obs_size, action_size, device):
    """Raises ValueError where the replay memory would not fit into what is free on the device."""
    needed = args.buffer_size * (2 * obs_size + 2 * action_size + 5) * 4  # the fields of ReplayMemory
    free = torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else psutil.virtual_memory().available
    if needed > free:
        raise ValueError(
            f"--buffer-size is {args.buffer_size}: the replay memory needs {needed / 2**30:.2f} GiB and {device} has"
            f" {free / 2**30:.2f} GiB free, expected at most {int(args.buffer_size * free / needed)} transitions"
        )


def describe_run(args, device):
    """What config.json records: all flags, versions, the commit of the folder this script lies in, the device."""
    names = ("torch", "gymnasium", "dm_control", "mujoco", "shimmy", "numpy")
    script = pathlib.Path(__file__).resolve()
    git = ["git", "-C", str(script.parent)]
    try:
        commit = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True, check=True).stdout.strip()
        if subprocess.run([*git, "status", "--porcelain", "--", script.name], capture_output=True, text=True).stdout:
            commit += ", the script is not as committed there"
    except (OSError, subprocess.CalledProcessError):
        commit = None
    return {
        "command": sys.argv,
        "args": dataclasses.asdict(args),
        "versions": {"python": platform.python_version()} | {name: metadata.version(name) for name in names},
        "commit": commit,
        "device": torch.cuda.get_device_name() if device.type == "cuda" else f"cpu, {torch.get_num_threads()} threads",
    }


def finite(name, value, global_step):
    """value as float32, if it is finite there; otherwise ends the run with one line. Everything logged before stays."""
    value = np.asarray(value, dtype=np.float32)  # of too large a number this makes infinity
    if not np.isfinite(value).all():
        sys.exit(f"error: {name} is not finite at step {global_step}: {value}; the logs up to here stay")
    return value


def to_env_action(action, space):
    """Scales an action of shape (A,) from [-1, 1] to the bounds, shape and dtype of a Box space."""
    action = space.low + (action.reshape(space.shape).astype(np.float64) + 1) / 2 * (space.high - space.low)
    return np.minimum(np.maximum(action, space.low), space.high).astype(space.dtype)


class ResidualBlock(nn.Module):
    """x + Linear(ReLU(Linear(x))), the width unchanged (B.1; the inside as in the released code)."""

    def __init__(self, width):
        super().__init__()
        self.linear1 = nn.Linear(width, width)
        self.linear2 = nn.Linear(width, width)

    def forward(self, x):
        return x + self.linear2(F.relu(self.linear1(x)))


class QNetwork(nn.Module):
    """Action-in Q network and the two argmax predictors (B.1, Figure 4).

    They are one module so that one optimizer and one target copy cover all of them, as in Algorithm 1.
    """

    def __init__(self, obs_size, action_size, num_bins):
        super().__init__()
        self.obs_stream = nn.Sequential(nn.Linear(obs_size, 128), ResidualBlock(128), nn.LayerNorm(128), nn.ELU())
        self.action_stream = nn.Sequential(nn.Linear(action_size, 128), nn.LayerNorm(128), nn.ELU())
        self.joint_block = ResidualBlock(256)
        self.joint_norm = nn.Sequential(nn.LayerNorm(256), nn.ELU())
        self.joint_output = nn.Linear(256, 1)
        self.delta_predictor = nn.Sequential(nn.Linear(128, 128), nn.ReLU(), nn.Linear(128, action_size), nn.Tanh())
        self.categorical_predictor = nn.Sequential(
            nn.Linear(128, 128),
            nn.ReLU(),
            nn.Linear(128, action_size * num_bins),
            nn.Unflatten(-1, (action_size, num_bins)),  # logits, one softmax per action dimension
        )

    def q_values(self, features, actions, bfloat16=False):
        """Q(s, a) of many actions per state: features (B, 128) of obs_stream, actions (B, N, A) -> (B, N).

        With bfloat16 the matrix products compute in it, all but the last, which would round Q to two or three digits.
        """
        with torch.autocast(features.device.type, torch.bfloat16, enabled=bfloat16):
            action_features = self.action_stream(actions)  # (B, N, 128)
            # joint_block on concat(features, action_features). Its first layer is linear, so the half that reads the
            # observation is computed once per state and added to all N action halves: half of its work is saved.
            obs_weight, action_weight = self.joint_block.linear1.weight.split(128, dim=1)  # (256, 128) each
            obs_half = F.linear(features, obs_weight, self.joint_block.linear1.bias)  # (B, 256)
            hidden = F.relu(obs_half.unsqueeze(1) + F.linear(action_features, action_weight))  # (B, N, 256)
            joint = torch.cat([features.unsqueeze(1).expand_as(action_features), action_features], dim=-1)
            joint = joint + self.joint_block.linear2(hidden)  # (B, N, 256)
        # joint_output, written as a sum because no intermediate result has to be stored for it when it is compiled.
        return (self.joint_norm(joint.float()) * self.joint_output.weight.squeeze(0)).sum(-1) + self.joint_output.bias


class ReplayMemory:
    """Prioritized replay (Schaul et al. 2016) that also remembers, per transition, the best action known at next_obs.

    P(i) is proportional to p_i = (|TD error| + 1e-6)^alpha. The p_i are stored in blocks of about sqrt(capacity), with
    the sum and the minimum of each block beside them: a draw finds a block by the sums, then a row inside the block, so
    it reads O(sqrt(capacity)) numbers, and nothing needs a Python loop or makes the host wait for the device.
    """

    def __init__(self, args, obs_size, action_size, device):
        self.capacity = capacity = args.buffer_size
        self.priority_exponent, self.importance_exponent = args.priority_exponent, args.importance_exponent
        # A transition is one row: obs, next_obs, actions, a_max, rewards, terminated. The fields are views of rows.
        self.sizes = (obs_size, obs_size, action_size, action_size, 1, 1)
        self.rows = torch.zeros(capacity, sum(self.sizes), device=device)
        self.obs, self.next_obs, self.actions, self.a_max, *scalars = self.rows.split(self.sizes, dim=1)
        self.rewards, self.terminated = (field.squeeze(1) for field in scalars)
        self.position = torch.zeros((), dtype=torch.int64, device=device)  # the row that is written next
        self.staged = np.zeros((args.train_frequency, sum(self.sizes)), dtype=np.float32)  # on the host
        self.num_staged = 0
        self.arrived = torch.zeros(self.staged.shape, device=device)
        self.store = fast(args, device, self._store)  # as a CUDA graph on CUDA

        self.block_size = math.isqrt(capacity - 1) + 1
        num_blocks = -(-capacity // self.block_size)
        self.priorities = torch.zeros(num_blocks, self.block_size, device=device)  # 0 where nothing is stored
        self.block_sums = torch.zeros(num_blocks, dtype=torch.float64, device=device)
        self.block_mins = torch.full((num_blocks,), math.inf, device=device)
        self.max_priority = torch.ones((), device=device)
        self.last_draw = torch.zeros(capacity, dtype=torch.int64, device=device)  # scratch

    def add(self, obs, action, reward, next_obs, terminated):
        """Takes one transition, arrays (obs_size,) and (A,) and scalars, with a_max <- action.

        Every train_frequency transitions are stored together, over the oldest rows.
        """
        transition = [obs, next_obs, action, action, [reward, terminated]]
        self.staged[self.num_staged] = np.concatenate(transition, dtype=np.float32)
        self.num_staged += 1
        if self.num_staged == len(self.staged):
            self.arrived.copy_(torch.from_numpy(self.staged))
            self.store()
            self.num_staged = 0

    def _store(self):
        indices = (self.position + torch.arange(len(self.arrived), device=self.rows.device)) % self.capacity
        self.rows[indices] = self.arrived
        self.priorities.view(-1)[indices] = self.max_priority
        self._sum_blocks(indices // self.block_size)
        self.position.add_(len(self.arrived)).remainder_(self.capacity)

    def last_actions(self, num):
        """The actions (num, A) of the last num transitions, stored or staged; fewer if it does not hold as many."""
        first = max(self.num_staged - num, -self.capacity)  # in staged; below zero that far back in rows
        indices = (self.position + torch.arange(min(first, 0), 0, device=self.rows.device)) % self.capacity
        staged = np.split(self.staged[max(first, 0) : self.num_staged], np.cumsum(self.sizes), axis=1)[2]
        return np.concatenate([self.actions[indices].cpu(), staged])

    def sample(self, batch_size):
        """Draws rows with replacement: their indices (B,) and importance weights (B,), at most 1 over the memory."""
        sums = self.block_sums.cumsum(0)
        # Draws just under the totals, so that rounding never reaches an empty row; the clamps are for NaN priorities,
        # which the loop reports when it reads the losses.
        mass = torch.rand(batch_size, dtype=torch.float64, device=sums.device) * sums[-1] * (1 - 1e-12)
        block = torch.searchsorted(sums, mass, right=True).clamp(max=len(sums) - 1)
        within = self.priorities[block].cumsum(1, dtype=torch.float64)  # (B, block_size)
        mass = torch.minimum(mass - (sums[block] - self.block_sums[block]), within[:, -1] * (1 - 1e-12))
        offset = torch.searchsorted(within, mass.unsqueeze(1), right=True).squeeze(1)
        indices = (block * self.block_size + offset).clamp(max=self.capacity - 1)
        # (M * P(i))^-beta over its maximum, which belongs to the smallest priority; M and the total cancel.
        weights = (self.priorities.view(-1)[indices] / self.block_mins.min()) ** -self.importance_exponent
        return indices, weights

    def remember(self, indices, a_max, td_errors):
        """Writes a_max (B, A) and the p_i that follow from the TD errors (B,) into the rows (B,)."""
        # Of a row that was drawn twice the later draw counts, in whatever order a GPU writes.
        order = torch.arange(len(indices), device=indices.device)
        last = self.last_draw.index_fill_(0, indices, -1).scatter_reduce_(0, indices, order, "amax")[indices]
        self.a_max[indices] = a_max[last]
        priorities = (td_errors[last].abs() + 1e-6) ** self.priority_exponent
        torch.maximum(self.max_priority, priorities.max(), out=self.max_priority)
        self.priorities.view(-1)[indices] = priorities
        self._sum_blocks(indices // self.block_size)

    def _sum_blocks(self, blocks):
        rows = self.priorities[blocks]  # (number of blocks, block_size)
        self.block_sums[blocks] = rows.sum(1, dtype=torch.float64)
        self.block_mins[blocks] = torch.where(rows > 0, rows, math.inf).amin(1)


@torch.compiler.assume_constant_result  # so that a compiler need not read it
def split_budget(num_samples, ratios):
    """Splits num_samples over ratios by largest remainder, ties to the earlier one: (2, (0.5, 0.5, 0)) -> (1, 1, 0).

    Exact fractions of the decimals as written: with floats, 0.29 * 100 would count as 28.999999999999996.
    """
    ratios = [Fraction(str(ratio)) for ratio in ratios]
    shares = [num_samples * ratio / sum(ratios) for ratio in ratios]
    counts = [math.floor(share) for share in shares]
    by_remainder = sorted(range(len(shares)), key=lambda i: counts[i] - shares[i])
    for i in by_remainder[: num_samples - sum(counts)]:
        counts[i] += 1
    return tuple(counts)


def nearest_bin(actions, num_bins):
    """Index of the grid point nearest to each coordinate: (...) in [-1, 1] -> (...) in 0..K-1."""
    return ((actions + 1) / 2 * (num_bins - 1)).round().long()


def bin_value(bins, num_bins):
    """Coordinate of each grid point, K of them evenly spaced from -1 to 1: (...) in 0..K-1 -> (...) in [-1, 1]."""
    return bins * (2 / (num_bins - 1)) - 1


def sample_uniform(batch_size, num_samples, action_size, device, num_bins=None):
    """Uniform samples (B, N, A) of the action space, or of its grid of bins if num_bins is given."""
    if num_bins:
        return bin_value(torch.randint(num_bins, (batch_size, num_samples, action_size), device=device), num_bins)
    return torch.rand(batch_size, num_samples, action_size, device=device) * 2 - 1


def sample_delta(mode, num_samples, noise_std):
    """Samples of the delta predictor: its output mode (B, A) itself, then Gaussian perturbations of it: (B, N, A)."""
    mode = mode.unsqueeze(1)  # (B, 1, A)
    noise = torch.randn(mode.shape[0], max(num_samples - 1, 0), mode.shape[2], device=mode.device) * noise_std
    return torch.cat([mode[:, :num_samples], (mode + noise).clamp(-1, 1)], dim=1)


def sample_categorical(logits, num_samples):
    """Independent draws per dimension of the categorical predictor, logits (B, A, K), by inverse c.d.f.: (B, N, A)."""
    cdf = logits.softmax(-1).cumsum(-1)[:, None, :, :-1]  # (B, 1, A, K-1)
    u = torch.rand(logits.shape[0], num_samples, logits.shape[1], 1, device=logits.device)
    return bin_value((u >= cdf).sum(-1), logits.shape[-1])


def sample_actions(q_network, features, num_samples, args, on_grid=False):
    """The search set without the stored action (Eq. 21): features (B, 128) -> (B, num_samples, A).

    Ordered uniform, delta, categorical, as many of each as split_budget says. on_grid: every action is a grid point.
    """
    num_uniform, num_delta, num_categorical = split_budget(num_samples, sample_ratios(args))
    logits = q_network.categorical_predictor(features)  # (B, A, K)
    batch_size, action_size, num_bins = logits.shape
    num_grid = num_uniform if on_grid else round(num_uniform * args.uniform_grid_fraction)
    delta = sample_delta(q_network.delta_predictor(features), num_delta, args.delta_noise_std)
    return torch.cat(
        [
            sample_uniform(batch_size, num_grid, action_size, features.device, num_bins),
            sample_uniform(batch_size, num_uniform - num_grid, action_size, features.device),
            bin_value(nearest_bin(delta, num_bins), num_bins) if on_grid else delta,
            sample_categorical(logits, num_categorical),
        ],
        dim=1,
    )


def argmax_action(q_network, features, actions, bfloat16=False):
    """The best action of a search set (Eq. 17), and its place in it.

    features (B, 128), actions (B, N, A) -> a_max (B, A), index (B,).
    """
    # On a CPU some states at a time, so that what is computed for them stays in its cache (about 3200 actions).
    on_cpu = features.device.type == "cpu"
    num = max(3232 // actions.shape[1], len(features) // 16, 1) if on_cpu else len(features)
    parts = zip(features.split(num), actions.split(num), strict=True)
    index = torch.cat([q_network.q_values(*part, bfloat16) for part in parts]).argmax(1)
    return actions[torch.arange(len(actions), device=actions.device), index], index


@torch.no_grad()
def greedy_action(q_network, obs, args, on_grid=False):
    """The argmax action (A,) of the online networks for one observation (obs_size,)."""
    features = q_network.obs_stream(obs.unsqueeze(0))
    actions = sample_actions(q_network, features, args.num_greedy_samples, args, on_grid)
    # For one state the casts cost a GPU more than they save.
    bfloat16 = args.mixed_precision and obs.device.type == "cpu"
    return argmax_action(q_network, features, actions, bfloat16)[0].squeeze(0)


def td_target(rewards, terminated, next_values, gamma):
    """r + gamma_{t+1} max_a Q(s', a), all (B,): gamma_{t+1} is 0 on termination, so truncated episodes bootstrap."""
    return rewards + gamma * (1 - terminated) * next_values


def q_loss(weights, td_errors):
    """Squared TD error under the importance weights of the replay memory. Both (B,) -> ()."""
    return (weights * td_errors**2).mean()


def argmax_predictor_loss(mode, logits, a_max):
    """Negative log-likelihoods of a_max (B, A) under both predictors, averaged over batch and dimensions (Eq. 11).

    Delta: a Gaussian of fixed variance around mode (B, A), so the mean squared error. Categorical: cross-entropy of
    logits (B, A, K) against the bin nearest to a_max. Returns the two losses, ().
    """
    categorical_loss = F.cross_entropy(logits.flatten(0, 1), nearest_bin(a_max, logits.shape[-1]).flatten())
    return F.mse_loss(mode, a_max), categorical_loss


def training_loss(q_network, target_network, batch, weights, args, on_grid=False):
    """The loss of Algorithm 1 on a batch of rows of the replay memory and their importance weights (B,).

    Returns the loss (), what the memory is to remember, a_max (B, A) and TD errors (B,), and metrics, () each.
    """
    obs, next_obs, actions, stored, rewards, terminated = batch

    # Search set at s' from the *target* predictors, judged by the *target* Q. The two values that count, of the action
    # found and of the stored one, are computed again without bfloat16: its rounding must not replace a better action.
    with torch.no_grad():
        features = target_network.obs_stream(next_obs)
        searched = sample_actions(target_network, features, args.num_target_samples, args, on_grid)
        if args.stored_action:
            searched = torch.cat([searched, stored.unsqueeze(1)], dim=1)  # (B, N+1, A)
        found, best = argmax_action(target_network, features, searched, args.mixed_precision)
        next_q = target_network.q_values(features, torch.stack([found, stored], dim=1))  # (B, 2)
        keep = (next_q[:, 1] > next_q[:, 0]) & args.stored_action  # (B,)
        a_max = torch.where(keep.unsqueeze(1), stored, found)
        next_values = torch.where(keep, next_q[:, 1], next_q[:, 0])
        target = td_target(rewards.squeeze(1), terminated.squeeze(1), next_values, args.gamma)
        # No gradient reaches the observation stream from the predictors' losses (Figure 4, dashed lines).
        next_features = q_network.obs_stream(next_obs)

    q = q_network.q_values(q_network.obs_stream(obs), actions.unsqueeze(1)).squeeze(1)
    td_errors = target - q
    td_loss = q_loss(weights, td_errors)
    delta_loss, categorical_loss = argmax_predictor_loss(
        q_network.delta_predictor(next_features),
        q_network.categorical_predictor(next_features),
        stored if args.predictor_target == "stored" else a_max,
    )
    metrics = {
        "losses/td_loss": td_loss.detach(),
        "losses/delta_loss": delta_loss.detach(),
        "losses/categorical_loss": categorical_loss.detach(),
        "losses/q_values": q.detach().mean(),
        "argmax/refresh_gain": (next_values - next_q[:, 1]).mean(),
    }
    # Which part of the search set the best action came from: the parts lie one after the other along N.
    best = best.masked_fill(keep, searched.shape[1] - 1)
    num_uniform, num_delta, _ = split_budget(args.num_target_samples, sample_ratios(args))
    part = (best >= num_uniform).int() + (best >= num_uniform + num_delta) + (best >= args.num_target_samples)
    for i, name in enumerate(("uniform", "delta", "categorical", "stored")):
        metrics[f"argmax/share_{name}"] = (part == i).float().mean()
    return td_loss + delta_loss + categorical_loss, a_max, td_errors.detach(), metrics


def train_step(q_network, target_network, optimizer, memory, args, on_grid=False):
    """One update of Algorithm 1. Returns metrics as tensors on the device, so that the host need not wait for them."""
    indices, weights = memory.sample(args.batch_size)
    batch = memory.rows[indices].split(memory.sizes, dim=1)
    loss, a_max, td_errors, metrics = training_loss(q_network, target_network, batch, weights, args, on_grid)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    memory.remember(indices, a_max, td_errors)  # the best action found is written back
    return metrics


@contextlib.contextmanager
def uninterrupted():
    """Keeps signals from processes that start meanwhile: a compiler that Ctrl-C ends would end the run as well."""
    if not hasattr(signal, "pthread_sigmask"):  # Windows
        yield
        return
    numbers = [signal.SIGINT, signal.SIGTERM, signal.SIGUSR1]
    before = signal.pthread_sigmask(signal.SIG_BLOCK, numbers)  # what this thread starts inherits it
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def set_up_torch(args, device):
    """Seed, determinism, precision and, on a CPU, the allocator of this process.

    --compile is switched off, with one line, where it does not work, --mixed-precision where it would not be faster.
    """
    if args.compile:
        try:
            with uninterrupted():
                torch.compile(nn.Linear(8, 8).to(device))(torch.ones(8, 8, device=device)).sum().backward()
        except Exception as error:  # no C++ compiler, no Triton, or one of their many errors
            args.compile = False
            reason = f"{type(error).__name__}: {error}".strip().partition("\n")[0]
            print(f"--compile does not work here, going on without it ({reason})", file=sys.stderr)
    if device.type == "cuda":
        has_bfloat16 = torch.cuda.get_device_capability(device) >= (8, 0)
    else:
        has_bfloat16 = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
        if platform.libc_ver()[0] == "glibc":  # keep freed memory, since to get it anew from the system takes long
            for parameter in (-1, -3):  # M_TRIM_THRESHOLD, M_MMAP_THRESHOLD
                ctypes.CDLL(None).mallopt(parameter, 2**30)
    args.mixed_precision = args.mixed_precision and args.compile and has_bfloat16
    torch.set_float32_matmul_precision("high" if args.mixed_precision and device.type == "cuda" else "highest")
    torch.use_deterministic_algorithms(args.torch_deterministic, warn_only=True)
    torch.utils.deterministic.fill_uninitialized_memory = False  # nothing here reads memory before writing it
    torch.manual_seed(args.seed)


def compiled(function):
    """function through torch.compile, for fixed shapes, with the random numbers that it draws without it."""
    return torch.compile(function, dynamic=False, options={"fallback_random": True})


class CudaGraph:
    """Calls function() as usual three times, then records its CUDA kernels and from then on replays the recording.

    That takes the host out of the way: launching hundreds of small kernels costs it more time than they take to run.
    The recording reads and writes the same tensors each time, so inputs are written in place before a call, and outputs
    hold until the next one. Random numbers go on as without it.
    """

    def __init__(self, function):
        self.function, self.num_warmups, self.graph = function, 0, None
        self.stream = torch.cuda.Stream()

    def __call__(self):
        if self.graph is None and self.num_warmups < 3:
            self.num_warmups += 1
            self.stream.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(self.stream):
                outputs = self.function()
            torch.cuda.current_stream().wait_stream(self.stream)
            return outputs
        if self.graph is None:
            self.graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(self.graph):  # recorded, not run
                self.outputs = self.function()
        self.graph.replay()
        return self.outputs


def fast(args, device, function, *inputs):
    """function(*inputs) as a call without arguments: through a CUDA graph where it computes on CUDA."""
    call = uninterrupted()(functools.partial(function, *inputs))  # a call may compile
    return CudaGraph(call) if args.cudagraphs and device.type == "cuda" else call


def make_policy(q_network, args, on_grid=False):
    """The greedy policy as a function from an observation (obs_size,) to an action (A,), both NumPy arrays."""
    device = next(q_network.parameters()).device
    sizes = q_network.obs_stream[0].in_features, q_network.action_stream[0].in_features
    host_obs, host_action = (torch.zeros(size, pin_memory=device.type == "cuda") for size in sizes)

    def search():
        device_obs = host_obs.to(device, non_blocking=True)
        host_action.copy_(greedy_action(q_network, device_obs, args, on_grid), non_blocking=True)

    search_fast = fast(args, device, search)

    def policy(obs):
        host_obs.numpy()[:] = obs
        search_fast()
        if device.type == "cuda":
            torch.cuda.synchronize()
        return host_action.numpy().copy()

    return policy


# What an interrupted run needs to go on, up to evaluate(). These flags may differ then:
MAY_CHANGE = ["total_timesteps", "checkpoint_frequency", "resume", "eval_frequency", "eval_episodes", "capture_video",
              "save_model", "track", "wandb_project_name", "wandb_entity"]  # fmt: skip
CHECKPOINT_FORMAT = 3  # to be raised whenever a checkpoint holds something else


def episode_seed(seed, episode):
    """The seed that an episode of a run is reset with: with it and its actions it can be played again."""
    return int(np.random.SeedSequence([seed, episode]).generate_state(1)[0] >> 1)  # below 2**31


def replay_episode(env, seed, actions):
    """Plays an episode again, from its seed and the environment's own actions. Returns the last observation.

    Or None, where it ends on the way: then it is another one.
    """
    obs, _ = env.reset(seed=seed)
    for action in actions:
        obs, _, terminated, truncated, _ = env.step(action)
        if terminated or truncated:
            return None
    return np.asarray(obs, dtype=np.float32)


def write_checkpoint(path, state):
    """torch.save in such a way that path is whole at any instant: the old file until the new one is complete."""
    temporary = path.with_name("checkpoint.tmp")
    try:
        with open(temporary, "wb") as file:
            torch.save(state, file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except (OSError, RuntimeError) as error:  # torch.save raises a RuntimeError after the OSError
        sys.exit(f"error: {path} cannot be written ({error.__context__ or error}); the one before stays")
    finally:
        temporary.unlink(missing_ok=True)


def report_error(kind, error, trace):
    """Says in one line what a full disk, or another error of the file system, has ended."""
    if issubclass(kind, OSError):
        print(f"error: {error}; the logs and the checkpoint up to here stay", file=sys.stderr)
    else:
        sys.__excepthook__(kind, error, trace)


def read_checkpoint(run_dir):
    """The checkpoint in a run directory and the flags to go on with. Executes no code from the file.

    Raises ValueError for a file that is damaged or of another script, and for a flag that may not change.
    """
    path = pathlib.Path(run_dir) / "checkpoint.pt"
    if not path.exists():
        written = "--checkpoint-frequency or a signal writes one, of many seeds into the directory of the first"
        raise ValueError(f"--resume {run_dir!r}: there is no {path}; {written}")
    try:
        damaged = zipfile.ZipFile(path).testzip()  # compares the checksum of every part
        state = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
        origin = f"{state['script']}.py, format {state['format']}"
        if damaged or origin != f"{pathlib.Path(__file__).stem}.py, format {CHECKPOINT_FORMAT}":
            raise ValueError(f"{damaged} is damaged" if damaged else f"it is of {origin}")
        before, loop = Args(**state["args"]), json.loads(state["loop"])
    except Exception as error:  # a missing or cut file, no checkpoint at all, unknown flags: one line for each
        reason = f"{type(error).__name__}: {error}".partition("\n")[0]
        raise ValueError(f"--resume {run_dir!r}: {path} is not a checkpoint of this script ({reason})") from None
    args = tyro.cli(Args, default=before)
    for name, old in dataclasses.asdict(before).items():
        if getattr(args, name) != old and name not in MAY_CHANGE:
            flag = name.replace("_", "-")
            raise ValueError(f"--{flag} is {getattr(args, name)}, expected {old}, since --resume cannot change it")
    if args.total_timesteps < loop["global_step"]:
        expected = f"at least {loop['global_step']}, the step of {path}"
        raise ValueError(f"--total-timesteps is {args.total_timesteps}, expected {expected}")
    for name, size in loop["logs"].items():  # of many seeds in other directories too
        if not (path.parent / name).exists() or (path.parent / name).stat().st_size < size:
            raise ValueError(f"--resume {run_dir!r}: {path.parent / name} lacks what was logged before the checkpoint")
    return state, args


def evaluate(q_network, args, seed, on_grid=False, video_dir=None):
    """Undiscounted returns of args.eval_episodes greedy episodes: an own environment, an own random stream.

    The same seed gives the same initial states at every evaluation.
    """
    env = make_env(args.env_id, render=bool(video_dir))
    if video_dir:  # Shimmy's own frame rate is wrong and shared between its environments
        fps = round(1 / env.unwrapped.dt) if hasattr(env.unwrapped, "dt") else None
        env = gym.wrappers.RecordVideo(env, str(video_dir), episode_trigger=lambda _: True, fps=fps)
    device = next(q_network.parameters()).device
    policy = make_policy(q_network, args, on_grid)
    returns = []
    # Training draws go on afterwards as if there had been no evaluation.
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        for episode in range(args.eval_episodes):
            obs, _ = env.reset(seed=episode_seed(seed, episode))
            returns.append(0.0)
            done = False
            while not done:
                obs, reward, terminated, truncated, _ = env.step(to_env_action(policy(obs), env.action_space))
                returns[-1] += float(reward)
                done = terminated or truncated
    env.close()
    return returns


def load_model(path, args):
    """Reads a --save-model file: its Q network and args with the flags of its training. ValueError if it is bad."""
    try:
        saved = torch.load(path, map_location="cpu", weights_only=True)
        kept = ("eval_episodes", "capture_video", "evaluate_only", "seed", "cuda", "cudagraphs", "torch_deterministic")
        if args.env_id not in (Args.env_id, saved["args"]["env_id"]):
            raise ValueError(f"--env-id is {args.env_id!r}, it was trained on {saved['args']['env_id']!r}")
        args = dataclasses.replace(Args(**saved["args"]), compile=False, **{name: getattr(args, name) for name in kept})
        q_network = QNetwork(saved["obs_size"], saved["action_size"], args.num_bins)
        q_network.load_state_dict(saved["q_network"])
    except Exception as error:  # a missing file, no model at all, other sizes, unknown flags: one line for each
        reason = f"{type(error).__name__}: {error}".partition("\n")[0]
        raise ValueError(f"--evaluate-only {path!r} is not a model.pt of this script that fits ({reason})") from None
    return q_network, args


if __name__ == "__main__":
    args = tyro.cli(Args)
    device = torch.device("cuda" if args.cuda and torch.cuda.is_available() else "cpu")
    try:
        checkpoint, args = read_checkpoint(args.resume) if args.resume is not None else ({}, args)
        if args.evaluate_only is not None:
            q_network, args = load_model(args.evaluate_only, args)
        check_args(args)
        env = make_env(args.env_id, render=args.capture_video)
        obs_size, action_size = math.prod(env.observation_space.shape), math.prod(env.action_space.shape)
        if args.evaluate_only is None:
            check_memory(args, obs_size, action_size, device)
        if args.track:
            import wandb
    except (ValueError, ImportError) as error:
        sys.exit(f"error: {error}")
    set_up_torch(args, device)

    if args.evaluate_only:
        on_grid = args.total_timesteps <= args.discrete_until  # as at the last step of its training
        video_dir = pathlib.Path(args.evaluate_only).parent / "videos" if args.capture_video else None
        returns = evaluate(q_network.to(device), args, args.seed + 1_000_000, on_grid, video_dir)
        print(f"mean return of {len(returns)} greedy episodes: {np.mean(returns):.1f}", [round(r, 1) for r in returns])
        sys.exit()

    signals = []  # what a signal asks for is done at the end of a step; a second Ctrl-C ends the run at once

    def note_signal(number, frame):
        if number == signal.SIGINT in signals:
            signal.default_int_handler(number, frame)
        signals.append(number)

    for name in ("SIGINT", "SIGTERM", "SIGUSR1"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), note_signal)

    sys.excepthook = report_error
    threading.excepthook = sys.unraisablehook = lambda hook: report_error(*hook[:3])  # TensorBoard's thread, atexit
    loop = json.loads(checkpoint["loop"]) if checkpoint else {}  # numbers of the main loop where it stopped
    first_step, start_time = loop.get("global_step", 0) + 1, time.time() - loop.get("wall_time", 0.0)
    script, stamp = pathlib.Path(__file__).stem, f"{datetime.datetime.now():%Y%m%d-%H%M%S-%f}"
    run_dir = pathlib.Path("runs") / f"{re.sub(r'[/:]', '_', args.env_id)}__{script}__{args.seed}__{stamp}"
    run_dir = pathlib.Path(args.resume or run_dir)
    run_dir.mkdir(parents=True, exist_ok=bool(args.resume))
    description = describe_run(args, device)
    config = run_dir / ("config.json" if first_step == 1 else f"config_{first_step}.json")  # each start has its own
    config.write_text(json.dumps(description, indent=2) + "\n")
    if args.track:
        project = dict(project=args.wandb_project_name, entity=args.wandb_entity, name=run_dir.name, dir=run_dir)
        project |= dict(id=run_dir.name, resume="allow")
        try:
            wandb.init(**project, config=dataclasses.asdict(args), sync_tensorboard=True)
        except Exception as error:
            sys.exit(f"error: --track: {error}; log in with 'wandb login' or set WANDB_MODE=offline")
    print(f"training on {description['device']}; run: {run_dir}")
    writer = SummaryWriter(run_dir.resolve(), purge_step=first_step)
    atexit.register(writer.close)  # also on every exit with an error: what was logged stays
    logs = []
    for name, columns in (("episodes", "episodic_return,episodic_length"), ("eval", "episode,episodic_return")):
        logs.append(open(run_dir / f"{name}.csv", "a", buffering=1))  # line by line, so that a crash loses nothing
        logs[-1].truncate(loop["logs"][f"{name}.csv"] if loop else 0)  # what came after the checkpoint comes again
        if not loop:
            logs[-1].write(f"global_step,{columns},wall_time\n")
    episodes_csv, eval_csv = logs

    q_network = QNetwork(obs_size, action_size, args.num_bins).to(device)
    target_network = QNetwork(obs_size, action_size, args.num_bins).to(device)
    target_network.load_state_dict(q_network.state_dict())
    adam = dict(lr=args.learning_rate, fused=True, capturable=device.type == "cuda")
    optimizer = torch.optim.Adam(q_network.parameters(), **adam)
    memory = ReplayMemory(args, obs_size, action_size, device)
    if args.compile:  # from here on make_policy and train_step find the compiled functions under these names
        greedy_action, training_loss = compiled(greedy_action), compiled(training_loss)
        if device.type == "cuda":  # where the number of kernels counts
            memory.sample, memory.remember = compiled(memory.sample), compiled(memory.remember)
    # The computations of the loop, the first two once for actions anywhere and once for on_grid.
    policy = [make_policy(q_network, args, on_grid) for on_grid in (False, True)]
    inputs = (q_network, target_network, optimizer, memory, args)
    update = [fast(args, device, train_step, *inputs, on_grid) for on_grid in (False, True)]
    copy_target = fast(args, device, target_network.load_state_dict, q_network.state_dict())

    rng = np.random.default_rng(args.seed)  # decides when to explore
    np.seterr(over="ignore")  # finite() reports what float32 cannot hold
    obs = finite("observation", env.reset(seed=episode_seed(args.seed, 0))[0], 0)
    num_episodes, episodic_return, episodic_length, discounted_return, initial_q = 0, 0.0, 0, 0.0, 0.0
    last_returns, num_updates = loop.get("last_returns", []), loop.get("num_updates", 0)
    kept = ("rows", "position", "priorities", "block_sums", "block_mins", "max_priority")  # of the replay memory
    networks = {"q_network": q_network, "target_network": target_network, "optimizer": optimizer}
    if checkpoint:
        for name, part in networks.items():
            part.load_state_dict(copy.deepcopy(checkpoint[name]))  # an optimizer keeps what it is given
        optimizer.param_groups[0]["capturable"] = adam["capturable"]  # the checkpoint may be of another device
        for name in kept:
            getattr(memory, name).copy_(checkpoint[name])
        memory.staged[:], memory.num_staged = checkpoint["staged"].numpy(), (first_step - 1) % args.train_frequency
        torch.set_rng_state(checkpoint["torch_random"])
        if device.type == "cuda" and "cuda_random" in checkpoint:
            torch.cuda.set_rng_state(checkpoint["cuda_random"])
        rng.bit_generator.state = loop["rng"]
        obs = checkpoint["obs"].numpy().copy()
        num_episodes, episodic_return, episodic_length, discounted_return, initial_q = loop["episode"]
        actions = memory.last_actions(episodic_length)
        actions = [to_env_action(action, env.action_space) for action in actions]
        again = replay_episode(env, episode_seed(args.seed, num_episodes), actions)
        if len(actions) < episodic_length or not np.array_equal(again, obs):
            print(f"{args.env_id} does not play the same episode again: a new one starts", file=sys.stderr)
            num_episodes, episodic_return, episodic_length, discounted_return = num_episodes + 1, 0.0, 0, 0.0
            obs = finite("observation", env.reset(seed=episode_seed(args.seed, num_episodes))[0], first_step - 1)
    checkpoint, checkpoint_path = None, run_dir / "checkpoint.pt"  # None frees the file

    def save_checkpoint():
        loop = dict(global_step=global_step, wall_time=time.time() - start_time, num_updates=num_updates)
        loop |= dict(episode=[num_episodes, episodic_return, episodic_length, discounted_return, initial_q])
        loop |= dict(last_returns=last_returns, rng=rng.bit_generator.state)
        loop |= dict(logs={os.path.basename(log.name): os.path.getsize(log.name) for log in logs})
        state = {name: part.state_dict() for name, part in networks.items()}
        state |= {name: getattr(memory, name) for name in kept} | {"staged": torch.from_numpy(memory.staged)}
        state |= {"torch_random": torch.get_rng_state(), "obs": torch.from_numpy(obs)}
        state |= {"cuda_random": torch.cuda.get_rng_state()} if device.type == "cuda" else {}
        state |= {"script": script, "format": CHECKPOINT_FORMAT}
        state |= {"args": dataclasses.asdict(args), "loop": json.dumps(loop)}
        write_checkpoint(checkpoint_path, state)

    every = 0.5 if sys.stderr.isatty() else 30
    progress = tqdm(total=args.total_timesteps, initial=first_step - 1, unit="step", mininterval=every)
    atexit.register(progress.close)
    for global_step in range(first_step, args.total_timesteps + 1):
        on_grid = global_step <= args.discrete_until
        if rng.random() < args.exploration_epsilon:
            action = sample_uniform(1, 1, action_size, "cpu", args.num_bins if on_grid else None)[0, 0].numpy()
        else:
            action = policy[on_grid](obs)
        if episodic_length == 0:  # what Q promises at the start is held against the return that follows
            with torch.no_grad():
                features = q_network.obs_stream(torch.from_numpy(obs).to(device).unsqueeze(0))
                initial_q = q_network.q_values(features, torch.from_numpy(action).to(device).view(1, 1, -1)).item()
        finite("action", action, global_step)

        # The update of the steps so far. It stands here so that a GPU works on it while the environment takes a step.
        num_stored = global_step - 1
        updated = num_stored >= args.learning_starts and num_stored % args.train_frequency == 0
        if updated:
            metrics = update[num_stored <= args.discrete_until]()
            num_updates += 1
        if num_stored >= args.learning_starts and num_stored % args.target_network_frequency == 0:
            copy_target()

        next_obs, reward, terminated, truncated, _ = env.step(to_env_action(action, env.action_space))
        next_obs = finite("observation", next_obs, global_step)
        reward = float(finite("reward", reward, global_step))
        memory.add(obs, action, reward, next_obs, terminated)
        obs = next_obs
        discounted_return += args.gamma**episodic_length * reward
        episodic_return += reward
        episodic_length += 1

        if terminated or truncated:
            wall_time = time.time() - start_time
            episodes_csv.write(f"{global_step},{episodic_return},{episodic_length},{wall_time:.2f}\n")
            writer.add_scalar("charts/episodic_return", episodic_return, global_step)
            writer.add_scalar("charts/episodic_length", episodic_length, global_step)
            writer.add_scalar("charts/initial_q_gap", initial_q - discounted_return, global_step)
            last_returns = [*last_returns[-9:], episodic_return]
            progress.set_postfix({"return": f"{episodic_return:.1f}"}, refresh=False)
            num_episodes, episodic_return, episodic_length, discounted_return = num_episodes + 1, 0.0, 0, 0.0
            obs = finite("observation", env.reset(seed=episode_seed(args.seed, num_episodes))[0], global_step)

        if updated and num_updates % 10 == 1:  # reading metrics makes the host wait for the device, so not every time
            for name, value in zip(metrics, torch.stack(list(metrics.values())).tolist(), strict=True):
                writer.add_scalar(name, finite(name, value, global_step), global_step)
            writer.add_scalar("charts/SPS", global_step / (time.time() - start_time), global_step)

        if args.eval_frequency and global_step % args.eval_frequency == 0:
            video_dir = run_dir / "videos" / str(global_step) if args.capture_video else None
            returns = evaluate(q_network, args, args.seed + 1_000_000, on_grid, video_dir)
            for episode, value in enumerate(returns):
                eval_csv.write(f"{global_step},{episode},{value},{time.time() - start_time:.2f}\n")
            writer.add_scalar("eval/episodic_return", np.mean(returns), global_step)
        progress.update()

        last, received = global_step == args.total_timesteps, tuple(signals)  # more may come meanwhile
        due = args.checkpoint_frequency and global_step % args.checkpoint_frequency == 0
        due = due or last and (args.checkpoint_frequency or checkpoint_path.exists())  # none is left behind the run
        if received or due:
            save_checkpoint()
        for number in received:
            if number in (signal.SIGINT, signal.SIGTERM):
                print(f"stopped after step {global_step}; to go on: python {script}.py --resume {run_dir}")
                sys.exit(128 + number)
        del signals[: len(received)]

    progress.close()
    env.close()
    writer.close()
    if args.save_model:
        model = {"q_network": q_network.state_dict(), "obs_size": obs_size, "action_size": action_size}
        torch.save(model | {"args": dataclasses.asdict(args)}, run_dir / "model.pt")
    mean = f"{np.mean(last_returns):.1f}" if last_returns else "none ended"
    print(f"mean return of the last {len(last_returns)} training episodes: {mean}; run: {run_dir}")
