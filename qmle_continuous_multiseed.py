# /// script
# requires-python = ">=3.11,<3.13"
# dependencies = [
#     "dm_control==1.0.50",
#     "gymnasium==1.4.0",
#     "mujoco==3.17.0",
#     "numpy==2.4.6",
#     "packaging==26.3",
#     "psutil==7.2.2",
#     "shimmy==2.0.1",
#     "tensorboard==2.21.0",
#     "torch==2.13.0",
#     "tqdm==4.70.1",
#     "tyro==1.0.17",
# ]
# ///
"""Many seeds of qmle_continuous.py at once: S independent agents in one process, batched on one GPU.

    python qmle_continuous_multiseed.py --env-id dm_control/walker-walk-v0 --num-seeds 16
    python qmle_continuous_multiseed.py --env-id dm_control/cheetah-run-v0 --seed 17 --num-seeds 8

Each agent is the algorithm of qmle_continuous.py, with its own weights, memory, environment, random choices and run
directory; the functions from the networks to the losses are the same text. torch.vmap runs them for all seeds at once:
parameters and memories have a leading seed dimension that those functions do not see. The environments step in worker
processes (or, with --env-backend envpool, in EnvPool's threads). Seed k here is not bit for bit the run of
qmle_continuous.py --seed k: weights and environment start the same, but all seeds draw their search sets from one
random stream of the device. Of its flags, --track, --capture-video and --evaluate-only are missing.

Shapes in the comments: S seeds, B batch of states, N action samples per state, A action dimensions, K bins per
dimension; in functions that are made for one seed the S is absent. Actions are in [-1, 1]; `to_env_action` scales them.
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
import multiprocessing
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
    os.environ.setdefault("MUJOCO_GL", "disabled")
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
    seed: int = 1  # the first seed: of its networks, its exploration and its environment [ours]
    num_seeds: int = 16  # S: independent agents, of the seeds seed, seed + 1, ... [ours]
    env_backend: str = "gymnasium"  # "envpool": its DM Control suite, which has a MuJoCo of its own [ours]
    num_groups: int = 0  # groups of seeds that take turns; 0: 2, or 1 on a single core [ours]
    num_workers: int = 0  # processes for the environments, or threads for each group; 0: as many as pay [ours]
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
    checkpoint_frequency: int = 0  # environment steps between checkpoints; 0: only when a signal asks for one [ours]
    resume: str | None = None  # the first run directory of a run: go on from its checkpoint, with the flags of that run
    save_model: bool = False  # write model.pt into each run directory at the end, for qmle_continuous.py
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
        seed=(0, 2**31), num_seeds=(1, 10**4), num_groups=(0, 10**4), num_workers=(0, 10**4),
        total_timesteps=(1, 10**12), learning_rate=(1e-12, 1.0), buffer_size=(1, 10**12),
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
    if args.env_backend not in ("gymnasium", "envpool"):
        raise ValueError(f"--env-backend is {args.env_backend!r}, expected 'gymnasium' or 'envpool'")


def make_env(env_id):
    """Makes an environment with flat observations.

    Raises ValueError for an id that cannot be made and for spaces that this script does not serve.
    """
    try:
        env = gym.make(env_id)
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
    """Raises ValueError where the memories and the search sets of all seeds would not fit into what is free."""
    replay = args.buffer_size * (2 * obs_size + 2 * action_size + 5) * 4  # the fields of ReplayMemory, per seed
    search = args.batch_size * (args.num_target_samples + 1) * 256 * 16  # about what one update holds, per seed
    free = torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else psutil.virtual_memory().available
    if args.num_seeds * (replay + search) > free:
        raise ValueError(
            f"--num-seeds is {args.num_seeds}: with --buffer-size {args.buffer_size} each needs {replay / 2**30:.2f}"
            f" GiB of memory and {search / 2**30:.2f} GiB to search, and {device} has {free / 2**30:.2f} GiB free,"
            f" expected at most {int(free / (replay + search))}"
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


def finite_seeds(name, values, first_seed, global_step):
    """values (S, ...) as float32, if they are finite; otherwise ends the run with one line that names the seed."""
    values = np.asarray(values, dtype=np.float32)
    if not np.isfinite(values).all():
        k = int(np.argwhere(~np.isfinite(values))[0, 0])
        finite(f"{name} of seed {first_seed + k}", values[k][~np.isfinite(values[k])][:1], global_step)
    return values


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
    """Prioritized replay (Schaul et al. 2016) of S agents, as in qmle_continuous.py with a leading seed dimension.

    Each seed draws from its own transitions by its own priorities. All store their transitions at the same time.
    """

    def __init__(self, args, obs_size, action_size, device):
        self.capacity = capacity = args.buffer_size
        self.priority_exponent, self.importance_exponent = args.priority_exponent, args.importance_exponent
        # A transition is one row: obs, next_obs, actions, a_max, rewards, terminated. The fields are views of rows.
        self.sizes = (obs_size, obs_size, action_size, action_size, 1, 1)
        self.rows = torch.zeros(args.num_seeds, capacity, sum(self.sizes), device=device)
        self.obs, self.next_obs, self.actions, self.a_max, *scalars = self.rows.split(self.sizes, dim=2)
        self.rewards, self.terminated = (field.squeeze(2) for field in scalars)
        self.position = torch.zeros((), dtype=torch.int64, device=device)  # the row that is written next
        # What has not been stored yet is on the host.
        self.staged = np.zeros((args.num_seeds, args.train_frequency, sum(self.sizes)), dtype=np.float32)
        self.num_staged = 0
        self.arrived = torch.zeros(self.staged.shape, device=device)
        self.store = fast(args, device, self._store)  # as a CUDA graph on CUDA
        self.seeds = torch.arange(args.num_seeds, device=device).unsqueeze(1)  # (S, 1), picks each seed's own rows

        # Blocks are smaller than in the plain script, since each draw of each seed reads a whole one.
        self.block_size = math.ceil(math.sqrt(capacity / args.batch_size))
        num_blocks = -(-capacity // self.block_size)
        # 0 where nothing is stored
        self.priorities = torch.zeros(args.num_seeds, num_blocks, self.block_size, device=device)
        self.block_sums = torch.zeros(args.num_seeds, num_blocks, dtype=torch.float64, device=device)
        self.block_mins = torch.full((args.num_seeds, num_blocks), math.inf, device=device)
        self.max_priority = torch.ones(args.num_seeds, 1, device=device)
        self.last_draw = torch.zeros(args.num_seeds, capacity, dtype=torch.int64, device=device)  # scratch

    def add(self, rows, obs, actions, rewards, next_obs, terminated):
        """Takes a transition of each seed in the slice rows: arrays (R, obs_size), (R, A), (R,); a_max <- action.

        The last seeds complete a step; every train_frequency steps are stored together, over the oldest rows.
        """
        fields = (obs, next_obs, actions, actions, rewards[:, None], terminated[:, None])
        self.staged[rows, self.num_staged] = np.concatenate(fields, axis=1, dtype=np.float32)
        if rows.stop < len(self.staged):
            return
        self.num_staged += 1
        if self.num_staged == self.staged.shape[1]:
            self.arrived.copy_(torch.from_numpy(self.staged))
            self.store()
            self.num_staged = 0

    def _store(self):
        indices = self.position + torch.arange(self.arrived.shape[1], device=self.rows.device)
        indices = (indices % self.capacity).expand(len(self.rows), -1)  # (S, train_frequency), the same for all seeds
        self.rows[self.seeds, indices] = self.arrived
        self.priorities.flatten(1).scatter_(1, indices, self.max_priority.expand_as(indices))
        self._sum_blocks(indices // self.block_size)
        self.position.add_(self.arrived.shape[1]).remainder_(self.capacity)

    def last_actions(self, seed, num):
        """The actions (num, A) of a seed's last num transitions, by its place; fewer if it does not hold as many."""
        first = max(self.num_staged - num, -self.capacity)  # in staged; below zero that far back in rows
        indices = (self.position + torch.arange(min(first, 0), 0, device=self.rows.device)) % self.capacity
        staged = np.split(self.staged[seed, max(first, 0) : self.num_staged], np.cumsum(self.sizes), axis=1)[2]
        return np.concatenate([self.actions[seed, indices].cpu(), staged])

    def sample(self, batch_size):
        """Draws rows with replacement: indices (S, B) and importance weights (S, B), at most 1 over a seed's memory."""
        sums = self.block_sums.cumsum(1)  # (S, number of blocks)
        # Draws just under the totals, so that rounding never reaches an empty row; the clamps are for NaN priorities,
        # which the loop reports when it reads the losses.
        u = torch.rand(len(sums), batch_size, dtype=torch.float64, device=sums.device)
        mass = u * sums[:, -1:] * (1 - 1e-12)
        block = torch.searchsorted(sums, mass, right=True).clamp(max=sums.shape[1] - 1)
        within = self.priorities[self.seeds, block].cumsum(2, dtype=torch.float64)  # (S, B, block_size)
        mass = mass - (sums.gather(1, block) - self.block_sums.gather(1, block))
        mass = torch.minimum(mass, within[:, :, -1] * (1 - 1e-12))
        offset = torch.searchsorted(within, mass.unsqueeze(2), right=True).squeeze(2)
        indices = (block * self.block_size + offset).clamp(max=self.capacity - 1)
        # (M * P(i))^-beta over its maximum, which belongs to the smallest priority; M and the total cancel.
        smallest = self.block_mins.amin(1, keepdim=True)
        weights = (self.priorities.flatten(1).gather(1, indices) / smallest) ** -self.importance_exponent
        return indices, weights

    def remember(self, indices, a_max, td_errors):
        """Writes a_max (S, B, A) and the p_i that follow from the TD errors (S, B) into the rows (S, B)."""
        # Of a row that was drawn twice the later draw counts, in whatever order a GPU writes.
        order = torch.arange(indices.shape[1], device=indices.device).expand_as(indices)
        last = self.last_draw.scatter_(1, indices, -1).scatter_reduce_(1, indices, order, "amax").gather(1, indices)
        self.a_max[self.seeds, indices] = a_max[self.seeds, last]
        priorities = (td_errors.gather(1, last).abs() + 1e-6) ** self.priority_exponent
        torch.maximum(self.max_priority, priorities.amax(1, keepdim=True), out=self.max_priority)
        self.priorities.flatten(1).scatter_(1, indices, priorities)
        self._sum_blocks(indices // self.block_size)

    def _sum_blocks(self, blocks):
        rows = self.priorities[self.seeds, blocks]  # (S, number of blocks, block_size)
        self.block_sums.scatter_(1, blocks, rows.sum(2, dtype=torch.float64))
        self.block_mins.scatter_(1, blocks, torch.where(rows > 0, rows, math.inf).amin(2))


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


class Call(nn.Module):
    """function(*networks, *inputs) as a module, in the form in which torch.func can exchange the parameters."""

    def __init__(self, function, networks):
        super().__init__()
        self.function, self.networks = function, nn.ModuleList(networks)

    def forward(self, *inputs):
        return self.function(*self.networks, *inputs)


def for_all_seeds(function, *networks):
    """function(*networks, *inputs), made for one seed, as a function of all seeds.

    That takes a list with the parameters of each network, as dicts of tensors (S, ...), and inputs with a leading S; so
    are its outputs. The networks serve as templates; their own weights play no part.
    """
    call = Call(function, networks)

    def for_one_seed(parameters, *inputs):
        named = {f"networks.{i}.{name}": value for i, p in enumerate(parameters) for name, value in p.items()}
        return torch.func.functional_call(call, named, inputs)

    return torch.vmap(for_one_seed, randomness="different")


def train_step(parameters, optimizer, memory, training_losses, args):
    """One update of Algorithm 1 for each seed. parameters: those of the Q networks and those of the target networks.

    Returns metrics (S,) as tensors on the device, so that the host need not wait for them.
    """
    indices, weights = memory.sample(args.batch_size)  # (S, B) each
    batch = memory.rows[memory.seeds, indices].split(memory.sizes, dim=2)
    loss, a_max, td_errors, metrics = training_losses(parameters, batch, weights)
    optimizer.zero_grad()
    loss.sum().backward()  # the gradient of a seed's parameters is that of its own loss
    optimizer.step()
    memory.remember(indices, a_max, td_errors)  # the best actions found are written back
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


def on_host(function, parameters, input_sizes, output_size, args):
    """function(parameters, *inputs) for R seeds, whose parameters (R, ...) are given, as a function on NumPy arrays.

    It takes arrays (R, size), one per input size, starts the computation and returns a function that waits for its
    result (R, output_size): meanwhile the host can do something else.
    """
    first = next(iter(parameters.values()))
    device, pinned = first.device, first.device.type == "cuda"
    *inputs, output = (torch.zeros(len(first), n, pin_memory=pinned) for n in (*input_sizes, output_size))

    @torch.no_grad()
    def compute():
        on_device = [x.to(device, non_blocking=True) for x in inputs]
        output.copy_(function([parameters], *on_device), non_blocking=True)

    compute_fast = fast(args, device, compute)

    def wait():
        if device.type == "cuda":
            torch.cuda.synchronize()
        return output.numpy().copy()

    def start(*arrays):
        for x, array in zip(inputs, arrays, strict=True):
            x.numpy()[:] = array
        compute_fast()
        return wait

    return start


# What an interrupted run needs to go on, up to evaluate(). These flags may differ then:
MAY_CHANGE = ["total_timesteps", "checkpoint_frequency", "resume", "eval_frequency", "eval_episodes", "capture_video",
              "save_model", "track", "wandb_project_name", "wandb_entity"]  # fmt: skip
CHECKPOINT_FORMAT = 3  # to be raised whenever a checkpoint holds something else


def episode_seed(seed, episode):
    """The seed that an episode of a run is reset with: with it and its actions it can be played again."""
    return int(np.random.SeedSequence([seed, episode]).generate_state(1)[0] >> 1)  # below 2**31


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


def groups_of(args):
    """The seeds in groups, slices: while the environments of one take a step, this process sees to the others."""
    size = math.ceil(args.num_seeds / args.num_groups)
    return [slice(start, min(start + size, args.num_seeds)) for start in range(0, args.num_seeds, size)]


def wait_until(ready, check):
    """Polls until ready() is true; in long waits check() as well.

    For 5 ms, in which a step or an update is over, it does no more than offer its core to others; then it sleeps.
    """
    start = time.perf_counter()
    while not ready():
        waited = time.perf_counter() - start
        if waited < 0.005:
            os.sched_yield()
            continue
        if waited > 0.5:
            check()
        time.sleep(min(waited / 20, 0.02))


STEP, REST = -1, -2  # what a worker may be told to do with an environment, instead of the number of an episode to start


def run_worker(args, number, members, arrays, parent):
    """A worker process: steps its environments, those of the seeds number members. The groups take turns."""
    for name in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1):
        signal.signal(name, signal.SIG_IGN)  # signals are for the parent; when that is gone, a worker ends
    np.seterr(over="ignore")  # the parent checks what arrives

    def check_parent():
        if os.getppid() != parent:
            os._exit(0)

    envs, groups = [make_env(args.env_id) for _ in members], groups_of(args)
    episodes, turn = {}, 0
    while True:
        turn += 1
        wait_until(lambda: arrays["turn"][0] >= turn, check_parent)  # noqa: B023
        rows = groups[(turn - 1) % len(groups)]
        for env, k in zip(envs, members, strict=True):
            if not rows.start <= k < rows.stop or arrays["order"][k] == REST:
                continue
            if arrays["order"][k] == STEP:
                action = to_env_action(arrays["actions"][k], env.action_space)
                obs, arrays["rewards"][k], arrays["terminated"][k], truncated, _ = env.step(action)
                arrays["next_obs"][k] = arrays["obs"][k] = obs
                arrays["ended"][k] = arrays["terminated"][k] or truncated
                if not arrays["ended"][k]:
                    continue
                episodes[k] += 1
            else:
                episodes[k] = arrays["order"][k]
            arrays["obs"][k] = env.reset(seed=episode_seed(arrays["seeds"][k], episodes[k]))[0]
        arrays["done"][number] = turn


class GymnasiumEnvs:
    """One environment per seed, in worker processes that share arrays with this one.

    start(group, actions) lets the environments of a group take a step with actions (R, A), wait(group) waits for it;
    the groups take turns. Then, and after reset, obs (S, obs_size) is what to act on next; next_obs, rewards,
    terminated and ended (S, ...) tell of the step, next_obs before an environment that ended was reset.
    """

    def __init__(self, args, obs_size, action_size):
        self.groups = groups_of(args)
        num_cores = max(len(os.sched_getaffinity(0)) - (len(self.groups) > 1), 1)  # this process works meanwhile
        num_rounds = math.ceil(args.num_seeds / num_cores)  # environments that the busiest worker has
        num_workers = min(args.num_workers or math.ceil(args.num_seeds / num_rounds), args.num_seeds)
        shapes = dict(
            obs=(args.num_seeds, obs_size), next_obs=(args.num_seeds, obs_size), actions=(args.num_seeds, action_size),
            rewards=(args.num_seeds,), terminated=(args.num_seeds,), ended=(args.num_seeds,), seeds=(args.num_seeds,),
            order=(args.num_seeds,), turn=(1,), done=(num_workers,),
        )  # fmt: skip
        arrays = {}
        for name, shape in shapes.items():
            code = "q" if name in ("seeds", "order", "turn", "done") else "f"
            memory = multiprocessing.RawArray(code, math.prod(shape))
            arrays[name] = np.frombuffer(memory, np.int64 if code == "q" else np.float32).reshape(shape)
        self.arrays, self.first_seed = arrays, args.seed
        self.turn, self.last_turn = 0, [0] * len(self.groups)
        self.obs, self.next_obs, self.rewards = arrays["obs"], arrays["next_obs"], arrays["rewards"]
        self.terminated, self.ended = arrays["terminated"], arrays["ended"]
        self.members = [range(args.num_seeds)[i::num_workers] for i in range(num_workers)]
        context = multiprocessing.get_context("fork")  # before this process uses CUDA; the workers use none
        self.workers = [
            context.Process(target=run_worker, args=(args, i, members, arrays, os.getpid()))
            for i, members in enumerate(self.members)
        ]
        for worker in self.workers:
            worker.start()
        atexit.register(self.close)

    def start(self, group, actions=0.0):
        self.arrays["actions"][self.groups[group]] = actions
        self.turn += 1
        self.last_turn[group] = self.turn
        self.arrays["turn"][0] = self.turn

    def wait(self, group):
        wait_until(lambda: self.arrays["done"].min() >= self.last_turn[group], self._check_workers)

    def _check_workers(self):
        for worker, members in zip(self.workers, self.members, strict=True):
            if not worker.is_alive():
                which = ", ".join(str(self.first_seed + k) for k in members)
                sys.exit(f"error: the worker process of seed {which} ended with {worker.exitcode}; the logs stay")

    def reset(self, seeds, episodes):
        """Starts an episode of each environment, given by its seed and its number; REST leaves one as it is."""
        self.arrays["seeds"][:], self.arrays["order"][:] = seeds, episodes
        for group in range(len(self.groups)):
            self.start(group)
        self.wait(group)
        self.arrays["order"][:] = STEP

    def replay(self, actions):
        """Steps each environment with all of its own actions (L, A), another number for each.

        Returns whether an episode has ended on the way, (S,): then it is another one.
        """
        most = max(map(len, actions))
        padded = np.stack([np.pad(own, ((0, most - len(own)), (0, 0))) for own in actions])  # (S, most, A)
        over, self.ended[:] = np.zeros(len(actions), bool), 0
        for i in range(most):
            for group, rows in enumerate(self.groups):
                self.arrays["order"][rows] = [STEP if i < len(own) else REST for own in actions[rows]]
                self.start(group, padded[rows, i])
                self.wait(group)
            over |= self.ended > 0
        self.arrays["order"][:] = STEP
        return over

    def close(self):
        for worker in self.workers:
            worker.kill()
            worker.join()


class EnvPoolEnvs:
    """The same with EnvPool's DM Control suite, in threads of this process. Its MuJoCo is not that of dm_control.

    Raises ImportError without an EnvPool that this knows, ValueError for an environment that it does not have.
    """

    def __init__(self, args, obs_size, action_size):
        import envpool

        words = re.split("[-_]", args.env_id.removeprefix("dm_control/").removesuffix("-v0"))
        self.name = "".join(word[:1].upper() + word[1:] for word in words) + "-v1"  # walker-walk is WalkerWalk-v1
        if not args.env_id.startswith("dm_control/") or self.name not in envpool.list_all_envs():
            raise ValueError(f"--env-id is {args.env_id!r}, expected a dm_control/ id that EnvPool has ({self.name})")
        self.pools, self.numbers, self.make, self.groups = [], [], envpool.make, groups_of(args)
        self.num_workers, env, pool = args.num_workers, make_env(args.env_id), envpool.make_gymnasium(self.name)
        self.keys = getattr(pool, "_state_keys", ())
        self.obs_keys = [f"obs:{key}" for key in env.env.observation_space]  # EnvPool has more of them in some tasks
        known = getattr(pool, "_action_keys", None) == ["env_id", "players.env_id", "action"]
        if not known or not {"_send", "_recv", "_reset"} <= set(dir(pool)) or not set(self.obs_keys) <= set(self.keys):
            version = metadata.version("envpool")
            raise ImportError(f"envpool {version} works otherwise inside, expected 1.2.5 or, on Python 3.12, 1.2.7")
        self.spaces = [gym.vector.utils.batch_space(env.action_space, rows.stop - rows.start) for rows in self.groups]
        self.obs, self.next_obs = np.zeros((2, args.num_seeds, obs_size), np.float32)
        self.rewards, self.ended, self.terminated = np.zeros(
            (3, args.num_seeds), np.float32
        )  # the suite only truncates

    def _receive(self, group):
        """What a pool sends: observations (R, obs_size), rewards and whether an episode is over (R,).

        EnvPool's methods without an underscore do the same, with names and infos that take most of their time.
        """
        found = dict(zip(self.keys, self.pools[group]._recv(), strict=True))
        parts = [found[key].reshape(len(found[key]), -1) for key in self.obs_keys]
        return np.concatenate(parts, axis=1), found["reward"], found["trunc"]

    def reset(self, seeds, episodes):
        """Starts new episodes in new pools, whose seeds follow from the seeds and the numbers of the episodes."""
        self.close()
        seeds = np.array([episode_seed(seed, episode) for seed, episode in np.broadcast(seeds, episodes)])
        num_threads = self.num_workers or max(len(os.sched_getaffinity(0)) - 1, 1)  # one is for this process
        for rows in self.groups:
            own = [int(seed) for seed in seeds[rows]]
            flags = dict(num_envs=len(own), seed=own, num_threads=min(num_threads, len(own)))
            self.pools.append(self.make(self.name, env_type="gymnasium", **flags))
            self.numbers.append(np.arange(len(own), dtype=np.int32))
            self.pools[-1]._reset(self.numbers[-1])
            self.obs[rows] = self._receive(len(self.pools) - 1)[0]

    def start(self, group, actions):
        numbers = self.numbers[group]  # of the environments, and of the players
        self.pools[group]._send([numbers, numbers, to_env_action(actions, self.spaces[group])])

    def wait(self, group):
        rows = self.groups[group]
        self.next_obs[rows], self.rewards[rows], self.ended[rows] = self._receive(group)
        self.obs[rows] = self.next_obs[rows]
        ended = self.numbers[group][self.ended[rows] > 0]
        if len(ended):
            self.pools[group]._reset(ended)
            self.obs[rows][ended] = self._receive(group)[0]

    def replay(self, actions):
        """None can be played again, since seeds belong to pools: all are others."""
        return np.ones(len(actions), bool)

    def close(self):
        for pool in self.pools:
            pool.close()
        self.pools, self.numbers = [], []


def evaluate(envs, policies, args, seeds, device):
    """Undiscounted returns (S, args.eval_episodes) of greedy episodes: own environments, an own random stream.

    The same seeds give the same initial states at every evaluation.
    """
    returns = [[0.0] for _ in seeds]
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seeds[0])
        envs.reset(seeds, 0)
        while min(map(len, returns)) <= args.eval_episodes:
            for group, rows in enumerate(envs.groups):
                envs.start(group, policies[group](envs.obs[rows])())
            for group in range(len(envs.groups)):
                envs.wait(group)
            for k, reward in enumerate(envs.rewards):
                returns[k][-1] += float(reward)
                if envs.ended[k]:
                    returns[k].append(0.0)
    return [episodes[: args.eval_episodes] for episodes in returns]


if __name__ == "__main__":
    args = tyro.cli(Args)
    device = torch.device("cuda" if args.cuda and torch.cuda.is_available() else "cpu")
    try:
        checkpoint, args = read_checkpoint(args.resume) if args.resume is not None else ({}, args)
        check_args(args)
        args.num_groups = args.num_groups or (2 if len(os.sched_getaffinity(0)) > 1 else 1)  # a checkpoint keeps it
        env = make_env(args.env_id)
        obs_size, action_size = math.prod(env.observation_space.shape), math.prod(env.action_space.shape)
        env.close()
        make_envs = EnvPoolEnvs if args.env_backend == "envpool" else GymnasiumEnvs
        envs = make_envs(args, obs_size, action_size)  # before CUDA is used, since processes are forked
        eval_envs = make_envs(args, obs_size, action_size) if args.eval_frequency else None
        check_memory(args, obs_size, action_size, device)
    except (ValueError, ImportError) as error:
        sys.exit(f"error: {error}")
    seeds = np.arange(args.seed, args.seed + args.num_seeds)
    set_up_torch(args, device)
    if device.type == "cpu":
        print("this script is made for a GPU; on a CPU it is no faster than one process per seed", file=sys.stderr)

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
    first, start_time = loop.get("global_step", 0), time.time() - loop.get("wall_time", 0.0)
    script, stamp = pathlib.Path(__file__).stem, f"{datetime.datetime.now():%Y%m%d-%H%M%S-%f}"
    env_name = re.sub(r"[/:]", "_", args.env_id)
    names = loop.get("run_dirs", [f"{env_name}__{script}__{seed}__{stamp}" for seed in seeds])
    folder = pathlib.Path(args.resume).resolve().parent if args.resume else pathlib.Path("runs")
    run_dirs = [pathlib.Path(args.resume or folder / names[0]), *(folder / name for name in names[1:])]
    writers, episodes_csvs, eval_csvs = [], [], []
    description = describe_run(args, device)
    if args.env_backend == "envpool":  # with a MuJoCo of its own
        description["versions"] |= {"mujoco": "EnvPool's", "envpool": metadata.version("envpool")}
    for seed, run_dir in zip(seeds, run_dirs, strict=True):
        run_dir.mkdir(parents=True, exist_ok=bool(args.resume))
        description["args"] |= {"seed": int(seed), "first_seed": args.seed}
        config = run_dir / (f"config_{first + 1}.json" if args.resume else "config.json")  # each start has its own
        config.write_text(json.dumps(description, indent=2) + "\n")
        writers.append(SummaryWriter(run_dir.resolve(), purge_step=first + 1))
        atexit.register(writers[-1].close)  # also on every exit with an error: what was logged stays
        logs = []
        for name, columns in (("episodes", "episodic_return,episodic_length"), ("eval", "episode,episodic_return")):
            logs.append(open(run_dir / f"{name}.csv", "a", buffering=1))  # line by line, so that a crash loses nothing
            size = loop["logs"][os.path.relpath(logs[-1].name, run_dirs[0])] if loop else 0
            logs[-1].truncate(size)  # what came after the checkpoint comes again
            if not loop:
                logs[-1].write(f"global_step,{columns},wall_time\n")
        episodes_csvs.append(logs[0])
        eval_csvs.append(logs[1])
    print(f"training {args.num_seeds} seeds on {description['device']}; runs: {run_dirs[0]} ...")

    # The parameters of all seeds, each the ones that qmle_continuous.py starts with.
    online, target = {}, {}
    for seed in seeds:
        torch.manual_seed(seed)
        for name, value in QNetwork(obs_size, action_size, args.num_bins).state_dict().items():
            online.setdefault(name, []).append(value)
    for name, values in online.items():
        online[name] = torch.stack(values).to(device).requires_grad_()  # (S, ...)
        target[name] = online[name].detach().clone()
    torch.manual_seed(args.seed)
    adam = dict(lr=args.learning_rate, fused=True, capturable=device.type == "cuda")
    optimizer = torch.optim.Adam(online.values(), **adam)
    memory = ReplayMemory(args, obs_size, action_size, device)

    # The computations of the loop, once for actions anywhere and once for on_grid; policies for each group of seeds.
    templates = [QNetwork(obs_size, action_size, args.num_bins).to(device) for _ in range(2)]
    policies, updates = [], []
    for on_grid in (False, True):
        greedy_actions = for_all_seeds(functools.partial(greedy_action, args=args, on_grid=on_grid), templates[0])
        training_losses = for_all_seeds(functools.partial(training_loss, args=args, on_grid=on_grid), *templates)
        if args.compile:
            greedy_actions, training_losses = compiled(greedy_actions), compiled(training_losses)
        parts = [{name: value.detach()[rows] for name, value in online.items()} for rows in envs.groups]  # views
        policies.append([on_host(greedy_actions, part, [obs_size], action_size, args) for part in parts])
        inputs = ([online, target], optimizer, memory, training_losses, args)
        updates.append(fast(args, device, train_step, *inputs))
    if args.compile and device.type == "cuda":  # where the number of kernels counts
        memory.sample = compiled(memory.sample)  # not remember: a compiler writes whole columns where that writes rows
    first_q = for_all_seeds(lambda q_network, obs, action: q_network.q_values(
        q_network.obs_stream(obs.unsqueeze(0)), action.view(1, 1, -1)).squeeze(0), templates[0])  # fmt: skip
    first_qs = [on_host(first_q, part, [obs_size, action_size], 1, args) for part in parts]

    def copy_target():
        with torch.no_grad():
            for name, value in online.items():
                target[name].copy_(value)

    copy_target_fast = fast(args, device, copy_target)

    rngs = [np.random.default_rng(seed) for seed in seeds]  # decide when to explore, and where
    np.seterr(over="ignore")  # finite() reports what float32 cannot hold
    num_episodes = np.zeros(args.num_seeds, np.int64)  # of the running one
    envs.reset(seeds, num_episodes)
    obs = finite_seeds("observation", envs.obs, args.seed, first).copy()
    actions = np.zeros((args.num_seeds, action_size), np.float32)
    numbers = np.zeros((4, args.num_seeds))  # of the running episodes
    episodic_return, episodic_length, discounted_return, initial_q = numbers
    last_returns, num_updates = loop.get("last_returns", [[] for _ in seeds]), loop.get("num_updates", 0)
    kept = ("rows", "position", "priorities", "block_sums", "block_mins", "max_priority")  # of the replay memory
    if checkpoint:
        with torch.no_grad():
            for name in online:
                online[name].copy_(checkpoint["online"][name])
                target[name].copy_(checkpoint["target"][name])
        optimizer.load_state_dict(copy.deepcopy(checkpoint["optimizer"]))  # it keeps what it is given
        optimizer.param_groups[0]["capturable"] = adam["capturable"]  # the checkpoint may be of another device
        for name in kept:
            getattr(memory, name).copy_(checkpoint[name])
        memory.staged[:], memory.num_staged = checkpoint["staged"].numpy(), first % args.train_frequency
        torch.set_rng_state(checkpoint["torch_random"])
        if device.type == "cuda" and "cuda_random" in checkpoint:
            torch.cuda.set_rng_state(checkpoint["cuda_random"])
        for rng, state in zip(rngs, loop["rngs"], strict=True):
            rng.bit_generator.state = state
        numbers[:], num_episodes[:] = loop["numbers"], loop["num_episodes"]
        envs.reset(seeds, num_episodes)
        last = [memory.last_actions(k, int(num)) for k, num in enumerate(episodic_length)]
        other = envs.replay(last) | (episodic_length > [len(own) for own in last])
        other |= (envs.obs != checkpoint["obs"].numpy()).any(1)
        if other.any():
            print(f"{args.env_id} does not play the same episode again: a new one starts", file=sys.stderr)
            numbers[:, other], num_episodes[other] = 0.0, num_episodes[other] + 1
            envs.reset(seeds, np.where(other, num_episodes, REST))
        obs[:] = finite_seeds("observation", envs.obs, args.seed, first)
    checkpoint, checkpoint_path = None, run_dirs[0] / "checkpoint.pt"  # None frees the file

    def save_checkpoint():
        loop = dict(global_step=num_stored, wall_time=time.time() - start_time, num_updates=num_updates)
        loop |= dict(run_dirs=[run_dir.resolve().name for run_dir in run_dirs], numbers=numbers.tolist())
        loop |= dict(num_episodes=num_episodes.tolist())
        loop |= dict(last_returns=last_returns, rngs=[rng.bit_generator.state for rng in rngs])
        logs = [file.name for file in (*episodes_csvs, *eval_csvs)]
        loop |= dict(logs={os.path.relpath(name, run_dirs[0]): os.path.getsize(name) for name in logs})
        state = {"online": online, "target": target, "optimizer": optimizer.state_dict()}
        state |= {name: getattr(memory, name) for name in kept} | {"staged": torch.from_numpy(memory.staged)}
        state |= {"torch_random": torch.get_rng_state(), "obs": torch.from_numpy(obs)}
        state |= {"cuda_random": torch.cuda.get_rng_state()} if device.type == "cuda" else {}
        state |= {"script": script, "format": CHECKPOINT_FORMAT}
        state |= {"args": dataclasses.asdict(args), "loop": json.dumps(loop, default=float)}
        write_checkpoint(checkpoint_path, state)

    def take_in(rows):
        """What came of the step that the environments of these seeds have taken."""
        next_obs = finite_seeds("observation", envs.next_obs[rows], args.seed + rows.start, num_stored)
        rewards = finite_seeds("reward", envs.rewards[rows], args.seed + rows.start, num_stored)
        memory.add(rows, obs[rows], actions[rows], rewards, next_obs, envs.terminated[rows])
        obs[rows] = finite_seeds("observation", envs.obs[rows], args.seed + rows.start, num_stored)
        discounted_return[rows] += args.gamma ** episodic_length[rows] * rewards
        episodic_return[rows] += rewards
        episodic_length[rows] += 1
        for k in np.flatnonzero(envs.ended[rows]) + rows.start:
            wall_time = time.time() - start_time
            episodes_csvs[k].write(f"{num_stored},{episodic_return[k]},{episodic_length[k]:.0f},{wall_time:.2f}\n")
            writers[k].add_scalar("charts/episodic_return", episodic_return[k], num_stored)
            writers[k].add_scalar("charts/episodic_length", episodic_length[k], num_stored)
            writers[k].add_scalar("charts/initial_q_gap", initial_q[k] - discounted_return[k], num_stored)
            last_returns[k] = [*last_returns[k][-9:], episodic_return[k]]
            num_episodes[k] += 1
            episodic_return[k], episodic_length[k], discounted_return[k] = 0.0, 0, 0.0
            mean = np.mean([returns[-1] for returns in last_returns if returns])
            progress.set_postfix({"return": f"{mean:.1f}"}, refresh=False)

    def act(group, rows, found_actions):
        """Has the environments of a group take a step with what was found, or with what a seed explores."""
        actions[rows] = found_actions()
        for k in range(rows.start, rows.stop):
            if rngs[k].random() < args.exploration_epsilon:
                if on_grid:
                    actions[k] = bin_value(rngs[k].integers(args.num_bins, size=action_size), args.num_bins)
                else:
                    actions[k] = rngs[k].uniform(-1, 1, action_size)
        finite_seeds("action", actions[rows], args.seed + rows.start, num_stored + 1)
        starts = episodic_length[rows] == 0
        if starts.any():  # what Q promises at the start is held against the return
            initial_q[rows][starts] = first_qs[group](obs[rows], actions[rows])()[starts, 0]
        envs.start(group, actions[rows])  # from here until wait, what envs holds of these rows may change

    total = args.total_timesteps * args.num_seeds
    every = 0.5 if sys.stderr.isatty() else 30
    progress = tqdm(total=total, initial=max(first - 1, 0) * args.num_seeds, unit="step", mininterval=every)
    atexit.register(progress.close)
    for num_stored in range(first, args.total_timesteps + 1):  # steps of each seed that are over
        on_grid, last = num_stored < args.discrete_until, num_stored == args.total_timesteps
        received = tuple(signals) if num_stored > first else ()  # more may come meanwhile
        due = args.checkpoint_frequency and num_stored % args.checkpoint_frequency == 0
        due = due or last and (args.checkpoint_frequency or checkpoint_path.exists())  # none is left behind the run
        saves = num_stored > first and (received or due)
        for group, rows in enumerate(envs.groups):
            if num_stored > first:
                envs.wait(group)
            if not saves and not last:
                found_actions = policies[on_grid][group](envs.obs[rows])  # a GPU looks for them during take_in
            if num_stored > first:
                take_in(rows)
            if not saves and not last:
                act(group, rows, found_actions)
        if saves:  # when no environment is in the middle of a step
            save_checkpoint()
            for number in received:
                if number in (signal.SIGINT, signal.SIGTERM):
                    print(f"stopped after step {num_stored}; to go on: python {script}.py --resume {run_dirs[0]}")
                    sys.exit(128 + number)
            del signals[: len(received)]
            for group, rows in enumerate(envs.groups):
                if not last:
                    act(group, rows, policies[on_grid][group](envs.obs[rows]))
        if num_stored == 0:
            continue

        # The update of the steps so far. It stands here so that a GPU works on it while the environments take a step.
        learning = args.learning_starts <= num_stored < args.total_timesteps
        updated = learning and num_stored % args.train_frequency == 0
        if updated:
            metrics = updates[num_stored <= args.discrete_until]()
            num_updates += 1
        if learning and num_stored % args.target_network_frequency == 0:
            copy_target_fast()

        if updated and num_updates % 100 == 1:  # S times as many as in the plain script, so not as often
            values = torch.stack(list(metrics.values()), dim=1).cpu().numpy()
            values = finite_seeds("a loss", values, args.seed, num_stored)  # (S, number of metrics)
            for k, writer in enumerate(writers):
                for name, value in zip(metrics, values[k], strict=True):
                    writer.add_scalar(name, value, num_stored)
                writer.add_scalar("charts/SPS", num_stored / (time.time() - start_time), num_stored)

        if args.eval_frequency and num_stored % args.eval_frequency == 0:
            returns = evaluate(eval_envs, policies[num_stored <= args.discrete_until], args, seeds + 1_000_000, device)
            for k, episodes in enumerate(returns):
                for episode, value in enumerate(episodes):
                    eval_csvs[k].write(f"{num_stored},{episode},{value},{time.time() - start_time:.2f}\n")
                writers[k].add_scalar("eval/episodic_return", np.mean(episodes), num_stored)
        progress.update(args.num_seeds)

    progress.close()
    for k, (seed, run_dir) in enumerate(zip(seeds, run_dirs, strict=True)):
        writers[k].close()
        if args.save_model:  # in the form that qmle_continuous.py --evaluate-only reads
            own = ("num_seeds", "env_backend", "num_groups", "num_workers")
            flags = {name: value for name, value in dataclasses.asdict(args).items() if name not in own}
            model = {"q_network": {name: value[k].detach().clone() for name, value in online.items()}}
            model |= {"obs_size": obs_size, "action_size": action_size, "args": flags | {"seed": int(seed)}}
            torch.save(model, run_dir / "model.pt")
    for pool in (envs, eval_envs):
        if pool is not None:
            pool.close()
    means = [np.mean(returns) for returns in last_returns if returns]
    spread = f"{np.mean(means):.1f} (seeds: {', '.join(f'{mean:.1f}' for mean in means)})" if means else "none ended"
    print(f"mean return of the last training episodes: {spread}; runs: {run_dirs[0]} ...")
