# /// script
# requires-python = ">=3.11,<3.13"
# dependencies = ["dm_control==1.0.50", "gymnasium==1.4.0", "moviepy==2.2.1", "mujoco==3.17.0",
#   "numpy==2.4.6", "packaging==26.3", "psutil==7.2.2", "shimmy==2.0.1", "tensorboard==2.21.0",
#   "torch==2.13.0", "tqdm==4.70.1", "tyro==1.0.17"]
# ///
"""QMLE with the ingredients of newer methods, for S seeds at once; Q is never differentiated by a.

    python qmle_plus.py --env-id dm_control/cheetah-run-v0 --num-seeds 5
    python qmle_plus.py --resume runs/<run>
    python qmle_plus.py --evaluate-only runs/<run>

It adds to qmle_continuous.py (sources, effects: docs/qmle_plus.md; the flag takes it away):
- a Gaussian predictor with learned s.d., kept wide (--min-std 0.05)
- which learns several elites of a search (--num-elites 1)
- acting on the best of few (--num-explore-samples 64)
- TD targets from the best of few samples (--num-value-samples 15)
- two Q networks, between their mean and the smaller one (--num-heads 1)
- rewards over the largest discounted sum so far (--max-value 200)
- n-step returns (--n-step 1)
- actions that last two steps (--action-repeat 1)
- wide (--width 128) residual networks, normalized observations; weight decay (--weight-decay 0)

Shapes: S seeds, B states, N action samples per state, E elites, A action dimensions, H heads,
n steps.
"""

import atexit
import copy
import itertools
import json
import multiprocessing
import os
import re
import signal
import sys
import time
import warnings
from dataclasses import dataclass
from functools import partial
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
LayerNorm = partial(nn.LayerNorm, elementwise_affine=False)
Share = Annotated[float, (0, 1)]  # with its range
Count = Annotated[int, (1, 10**12)]
Number = Annotated[int, (0, 10**12)]
Positive = Annotated[float, (1e-3, 100)]


@dataclass
class Args:
    env_id: str = "dm_control/walker-walk-v0"  # with a Box action space
    seed: Number = 1  # the first
    num_seeds: Count = 1  # S: of seed, seed + 1, ...
    total_timesteps: Count = 1_000_000  # of each seed
    action_repeat: Count = 2  # environment steps per action
    learning_rate: Share = 3e-4  # of AdamW
    weight_decay: Share = 0.01  # of AdamW
    buffer_size: Count = 500_000  # transitions
    gamma: Annotated[float, (0, 0.99999)] = 0.99  # discount factor
    n_step: Annotated[int, (1, 1000)] = 3  # actions in a TD target
    batch_size: Count = 256  # transitions per update
    learning_starts: Count = 5000  # random steps at first
    train_frequency: Count = 1  # actions per update
    target_update_rate: Share = 0.01  # of the target network
    num_explore_samples: Count = 2  # to act on the best of
    explore_std: Share = 0.0  # their least s.d., if above min_std
    num_greedy_samples: Count = 64  # m_greedy: search set of evaluations
    num_target_samples: Count = 16  # m_target: search set of an update
    num_value_samples: Count = 4  # of those, for a TD target
    num_elites: Count = 4  # best samples, to learn
    uniform_ratio: Annotated[float, (0, 0.99)] = 0.125  # of the search set; the rest is Gaussian
    min_std: Positive = 0.3  # least s.d. of the Gaussian, in half-ranges
    max_std: Positive = 0.6  # largest
    num_heads: Count = 2  # H: Q networks
    pessimism: Share = 0.5  # 0: heads' mean, 1: smallest
    width: Count = 512  # of layers; 4 times inside blocks
    num_atoms: Number = 0  # of Q's distribution; 0, 1: squared error
    atom_std: Positive = 0.75  # in distances of atoms
    max_value: Annotated[float, (0, 1e12)] = 0.0  # of Q, at least; grows with returns
    priority_exponent: Share = 0.6  # alpha of replay
    importance_exponent: Share = 0.2  # beta, constant
    # evaluation
    eval_frequency: Number = 0  # steps between evaluations; 0: none
    eval_episodes: Count = 10  # greedy ones in each
    capture_video: bool = False  # of the first seed, as mp4
    evaluate_only: Path | None = None  # a run directory, to play its model.pt
    # run
    save_model: bool = True  # write model.pt
    checkpoint_frequency: Number = 0  # steps between checkpoints; 0: if interrupted
    resume: Path | None = None  # a run directory, to go on from its checkpoint.pt
    # machine
    cuda: bool = True  # if there is a CUDA device
    compile: bool = True  # and CUDA graphs; pays after some thousand steps
    mixed_precision: bool = True  # with --compile: bfloat16, TF32
    bfloat16 = False  # not a flag


def check_args(args):
    for name, kind in Args.__annotations__.items():
        for low, high in getattr(kind, "__metadata__", ()):
            if not low <= (value := getattr(args, name)) <= high:  # or NaN
                sys.exit(f"error: --{name} is {value}, expected a number from {low:g} to {high:g}")
    least = max(args.num_elites, args.num_value_samples + 1)
    for name, low in (("num_target_samples", least), ("max_std", args.min_std)):
        if (value := getattr(args, name)) < low:
            sys.exit(f"error: --{name} is {value}, expected {low:g} or more")


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


def make_env(env_id, render=False):
    """A PlainEnv with float32 observations (obs_size,) that counts returns and lengths."""
    os.environ.setdefault("MUJOCO_GL", "egl" if render else "disabled")  # for the import
    os.environ["DISABLE_RENDER_THREAD_OFFLOADING"] = "1"  # which ends too early
    import shimmy  # noqa: F401, registers dm_control

    warnings.filterwarnings("ignore", ".*(torch.jit|precision lowered)")  # after shimmy's own
    try:
        env = gym.make(env_id, **({"render_mode": "rgb_array"} if render else {}))
    except (gym.error.Error, ImportError) as error:
        sys.exit(f"error: --env-id is {env_id}, expected e.g. dm_control/walker-walk-v0: {error}")
    space = env.action_space
    if getattr(space.dtype, "kind", "") != "f" or np.abs([space.low, space.high]).max() >= 1e6:
        sys.exit(f"error: {env_id} has actions {space}, expected a Box of floats below 1e6")
    if render:  # needs libegl1, or MUJOCO_GL=osmesa
        getattr(env.unwrapped, "render_kwargs", {}).update(width=640, height=480, camera_id=0)
        env.reset()
        env.render()
    env = gym.wrappers.DtypeObservation(gym.wrappers.FlattenObservation(env), np.float32)
    return gym.wrappers.RecordEpisodeStatistics(PlainEnv(env))


def make_envs(args, video_dir=None):
    """An environment per seed, each in a process; films the first."""
    torch.set_num_threads(1)  # no fork survives other threads
    os.environ.setdefault("MUJOCO_GL", "egl" if video_dir else "disabled")
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # a child begins so

    def make(k):
        films = video_dir and k == 0 and multiprocessing.parent_process()  # nor a renderer
        env = make_env(args.env_id, bool(films))
        if not env.spec.max_episode_steps:  # the statistics stay outside
            env.env = gym.wrappers.TimeLimit(env.env, 1000)
        if films:  # Shimmy's frame rate is wrong
            fps = round(1 / getattr(env.unwrapped, "dt", 1 / 30))
            env = gym.wrappers.RecordVideo(env, str(video_dir), lambda _: True, fps=fps)
        return gym.wrappers.RepeatAction(env, args.action_repeat)

    makers = [partial(make, k) for k in range(args.num_seeds)]
    mode = gym.vector.AutoresetMode.SAME_STEP
    atexit.register(lambda: [process.kill() for process in multiprocessing.active_children()])
    return gym.vector.AsyncVectorEnv(makers, context="fork", autoreset_mode=mode)


class ObsNorm(nn.Module):
    """Normalizes (..., obs_size) by running averages, which losses update."""

    def __init__(self, obs_size):
        super().__init__()
        self.mean = nn.Parameter(torch.zeros(obs_size), False)
        self.var = nn.Parameter(torch.ones(obs_size), False)

    def forward(self, obs):
        if torch.is_grad_enabled():
            var, mean = torch.var_mean(obs, 0, correction=0)
            self.mean.mul_(0.99).add_(0.01 * mean)
            self.var.mul_(0.99).add_(0.01 * var)
        return (obs - self.mean) * (self.var + 1e-5).rsqrt()


class Linear(nn.Module):
    """nn.Linear of H heads at once: (H or 1, M, inputs) -> (H, M, outputs)."""

    def __init__(self, heads, inputs, outputs):
        super().__init__()
        bound = inputs**-0.5
        self.weight = nn.Parameter(torch.empty(heads, inputs, outputs).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(heads, 1, outputs).uniform_(-bound, bound))

    def forward(self, x):
        return x @ self.weight + self.bias


class ResidualBlock(nn.Sequential):
    def __init__(self, heads, width):  # as in SimBa (Lee et al. 2025)
        layers = Linear(heads, width, 4 * width), nn.ReLU(), Linear(heads, 4 * width, width)
        super().__init__(LayerNorm(width), *layers)

    def forward(self, x):
        return x + super().forward(x)


class QNetwork(nn.Module):
    """Action-in networks of Q(s, a), or its distribution over atoms; H with nothing in common."""

    def __init__(self, args, obs_size, action_size):
        super().__init__()
        self.args, heads, width = args, args.num_heads, args.width
        self.obs_stream = nn.Sequential(ObsNorm(obs_size), Linear(heads, obs_size, width))
        self.action_stream = Linear(heads, action_size, width)
        blocks = ResidualBlock(heads, width), ResidualBlock(heads, width)
        self.joint = nn.Sequential(*blocks, LayerNorm(width))
        self.output = Linear(heads, width, max(args.num_atoms, 1))

    def forward(self, obs, actions):
        """obs (B, obs_size), N actions each (B, N, A) -> logits (H, B, N, atoms)."""
        with torch.autocast(obs.device.type, torch.bfloat16, enabled=self.args.bfloat16):
            obs = self.obs_stream(obs).repeat_interleave(actions.shape[1], 1)
            x = self.joint(obs + self.action_stream(actions.flatten(0, 1)))
        # In bfloat16 near values would be equal.
        return self.output(x.float()).unflatten(1, actions.shape[:2])


class ArgmaxPredictor(nn.Sequential):
    """A Gaussian per action dimension."""

    def __init__(self, args, obs_size, action_size):
        first = ObsNorm(obs_size), Linear(1, obs_size, args.width), ResidualBlock(1, args.width)
        super().__init__(*first, LayerNorm(args.width), Linear(1, args.width, 2 * action_size))
        self.min_std, self.max_std = args.min_std, args.max_std

    def forward(self, obs):
        """obs (B, obs_size) -> mean and s.d. (B, A)."""
        mean, log_std = super().forward(obs)[0].chunk(2, -1)
        return mean.tanh(), self.min_std * (self.max_std / self.min_std) ** log_std.sigmoid()


class ReplayMemory(nn.Module):
    """Prioritized replay (Schaul et al. 2016) of single steps, drawn as n-step transitions."""

    def __init__(self, args, obs_size, action_size, device, seeds=()):
        super().__init__()
        self.args, self.gamma = args, args.gamma
        self.sizes = obs_size, obs_size, action_size, 1, 1, 1
        size = *seeds, args.buffer_size
        self.rows = nn.Buffer(torch.zeros(*size, sum(self.sizes), device=device))
        self.priorities = nn.Buffer(torch.zeros(size, device=device))
        self.max_priority = nn.Buffer(torch.ones(*seeds, 1, device=device))
        self.num_stored = nn.Buffer(torch.tensor(0))
        self.newest = nn.Buffer(torch.tensor(0, device=device))
        self.scale = nn.Buffer(torch.ones(*seeds, 1, device=device))
        self.largest_return = nn.Buffer(torch.full(seeds, max(args.max_value, 1e-6)))
        self.discounted_return = np.zeros(seeds)

    def add(self, obs, action, reward, next_obs, terminated, ended):
        """Writes a transition over the oldest row; ended: by termination or truncation."""
        self.discounted_return = self.gamma * self.discounted_return + reward
        largest = self.largest_return.numpy()
        np.maximum(largest, np.abs(self.discounted_return), out=largest)
        self.discounted_return *= 1 - terminated  # not by truncation
        row = obs, next_obs, action, np.array([reward, terminated, ended, largest]).T
        new = torch.from_numpy(np.concatenate(row, -1, dtype=np.float32))
        if self.rows.is_cuda:  # without waiting
            new = new.pin_memory().to(self.rows.device, non_blocking=True)
        index = int(self.num_stored) % self.rows.shape[-2]
        self.rows[..., index, :] = new[..., :-1]
        self.scale[:] = new[..., -1:]
        self.priorities[..., index : index + 1] = self.max_priority
        self.num_stored += 1
        self.newest.fill_(index)

    def sample(self, batch_size):
        """Draws indices (B,) with replacement, an n-step batch, weights (B,) up to 1."""
        cdf = self.priorities.flatten().cumsum(0, dtype=torch.float64).view_as(self.priorities)
        start, end = cdf[..., :1] - self.priorities[..., :1], cdf[..., -1:]
        u = torch.rand(*start.shape[:-1], batch_size, dtype=torch.float64, device=start.device)
        mass = start + u * (end - start) * (1 - 1e-12)  # never the end
        indices = torch.searchsorted(cdf, mass, right=True).clamp(max=cdf.shape[-1] - 1)  # of NaN
        # (M * P(i))^-beta over its maximum; M and the sum of priorities cancel.
        smallest = torch.where(self.priorities > 0, self.priorities, torch.inf).amin(-1, True)
        weights = (self.priorities.gather(-1, indices) / smallest) ** -self.args.importance_exponent
        return indices, self.n_step_batch(indices), weights

    def n_step_batch(self, indices):
        """Of rows (B,) and the next ones, up to n, the episode's end or the newest row:

        obs, the last next_obs, actions, sums of rewards over scale, discounts (B, ...).
        """
        steps = torch.arange(self.args.n_step, device=indices.device)
        path = (indices.unsqueeze(-1) + steps) % self.rows.shape[-2]  # (B, n)
        rows = torch.take_along_dim(self.rows, path.flatten(-2).unsqueeze(-1), -2)
        rows = rows.unflatten(-2, path.shape[-2:])  # (B, n, row)
        ends = (rows[..., -1] > 0) | (path == self.newest) | (steps == self.args.n_step - 1)
        last = ends.int().argmax(-1, True)  # (B, 1), the first of them
        rewards = (rows[..., -3] * self.gamma**steps * (steps <= last)).sum(-1) / self.scale
        obs, _, actions, *_ = rows[..., 0, :].split(self.sizes, -1)
        last_rows = torch.take_along_dim(rows, last.unsqueeze(-1), -2).squeeze(-2)
        _, next_obs, _, _, terminated, _ = last_rows.split(self.sizes, -1)
        discounts = self.gamma ** (last + 1) * (1 - terminated)
        return obs, next_obs, actions, rewards, discounts.squeeze(-1)

    def remember(self, indices, td_errors):
        """Writes the priorities (|TD error| + 1e-6)^alpha of the rows (B,)."""
        priorities = (td_errors.abs() + 1e-6) ** self.args.priority_exponent
        self.priorities.scatter_(-1, indices, priorities)
        torch.maximum(self.max_priority, priorities.amax(-1, True), out=self.max_priority)


def sample_gaussian(mean, std, num_samples):
    """Samples of mean and std (B, A), kept in bounds: (B, N, A)."""
    noise = torch.randn(len(mean), num_samples, mean.shape[1], device=mean.device)
    return (mean.unsqueeze(1) + noise * std.unsqueeze(1)).clamp(-1, 1)


def sample_actions(mean, std, num_samples, args):
    """The search set (Eq. 21): mean, samples of mean and std (B, A), uniform ones: (B, N, A)."""
    num_uniform = int(args.uniform_ratio * num_samples)
    gaussian = sample_gaussian(mean, std, num_samples - num_uniform - 1)
    uniform = torch.rand(len(mean), num_uniform, mean.shape[1], device=mean.device) * 2 - 1
    return torch.cat([mean.unsqueeze(1), gaussian, uniform], dim=1)


def expected_value(logits, args):
    """The mean of each distribution over atoms from -1 to 1: (..., atoms) -> (...)."""
    if args.num_atoms < 2:
        return logits.squeeze(-1)
    atoms = torch.linspace(-1, 1, args.num_atoms, device=logits.device)
    return (logits.softmax(-1) * atoms).sum(-1)


def q_values(q_network, obs, actions, args):
    """Q over scale, from the heads' mean to the smallest: obs, actions (B, N, A) -> (B, N)."""
    values = expected_value(q_network(obs, actions), args)  # (H, B, N)
    return torch.lerp(values.mean(0), values.amin(0), args.pessimism)


@torch.no_grad()
def best_action(q_network, predictor, args, obs, explores=False):
    """The best action (A,) for an observation (obs_size,); explores: of few Gaussian samples."""
    mean, std = predictor(obs := obs.unsqueeze(0))
    if explores:
        actions = sample_gaussian(mean, std.clamp(args.explore_std), args.num_explore_samples)
    else:
        actions = sample_actions(mean, std, args.num_greedy_samples, args)
    return actions[0, q_values(q_network, obs, actions, args)[0].argmax()]


def hl_gauss(values, args):
    """Gaussians around values (B,) as chances of the atoms (B, atoms) (Imani and White 2018)."""
    spacing = 2 / (args.num_atoms - 1)
    end = 1 + spacing / 2
    edges = torch.linspace(-end, end, args.num_atoms + 1, device=values.device)
    distances = edges - values.clamp(-1, 1).unsqueeze(-1)
    chances = torch.special.ndtr(distances / (args.atom_std * spacing)).diff()
    return chances / chances.sum(-1, True)


def q_loss(logits, target, args):
    """Cross-entropy to the target's distribution, or squared error: (..., B, atoms) -> (..., B)."""
    if args.num_atoms < 2:
        return (logits.squeeze(-1) - target) ** 2
    return -(hl_gauss(target, args) * logits.log_softmax(-1)).sum(-1)


def argmax_predictor_loss(mean, std, elites):
    """Mean -log likelihood of elites (B, E, A) under the Gaussian of mean, std (B, A) (Eq. 11)."""
    distances = (elites - mean.unsqueeze(1)) / std.unsqueeze(1)
    return (distances**2 / 2).mean() + std.log().mean()


def training_loss(q_network, target_network, predictor, args, batch, weights):
    """For an n-step batch of the memory: the loss, TD errors (B,) and metrics."""
    obs, next_obs, actions, rewards, discounts = batch
    mean, std = predictor(next_obs)
    with torch.no_grad():
        samples = sample_actions(mean, std, args.num_target_samples, args)
        values = q_values(target_network, next_obs, samples, args)
        best = values.topk(args.num_elites)[1].unsqueeze(-1)
        elites = torch.take_along_dim(samples, best, 1)  # (B, E, A)
        # The best of a few (without the mean): that of many is too high.
        target = rewards + discounts * values[:, 1 : 1 + args.num_value_samples].amax(1)
    logits = q_network(obs, actions.unsqueeze(1)).squeeze(2)  # (H, B, atoms)
    td_loss = (weights * q_loss(logits, target, args)).mean()
    predictor_loss = argmax_predictor_loss(mean, std, elites)
    q = expected_value(logits.detach(), args)  # (H, B)
    metrics = {"losses/td_loss": td_loss, "losses/predictor_loss": predictor_loss}
    metrics |= {"losses/q_values": q, "argmax/std": std}
    metrics = {name: value.detach().mean() for name, value in metrics.items()}
    return td_loss + predictor_loss, (target - q).abs().amax(0), metrics


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


def train_step(training_losses, networks, optimizer, memory, args):
    """One update of each seed. Returns metrics (S,) on the device."""
    indices, batch, weights = memory.sample(args.batch_size)
    loss, td_errors, metrics = training_losses(networks, batch, weights)
    optimizer.zero_grad()
    loss.sum().backward()  # each weight is in the loss of one seed
    optimizer.step()
    online, target = ([x.detach() for x in own.values()] for own in networks[:2])
    torch._foreach_lerp_(target, online, args.target_update_rate)
    memory.remember(indices, td_errors)
    return metrics | {"charts/scale": memory.scale.squeeze(-1)}


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


def check_finite(step, seeds, **values):
    """Exits where a value (S, ...) is not finite as float32."""
    for name, value in values.items():
        if not (finite := np.abs(value) < 3e38).all():
            k = np.argwhere(~finite)[0, 0]
            sys.exit(f"error: {name} of seed {seeds[k]} is not finite at step {step}: {value[k]}")


def evaluate(policy, envs, args, stop):
    """Returns (S, episodes) of greedy ones, from the same states each time, fewer if stopped."""
    returns, seed = [[] for _ in range(args.num_seeds)], args.seed + 10**6
    with torch.random.fork_rng(range(torch.cuda.device_count())):  # training goes on as before
        torch.manual_seed(seed)
        obs, _ = envs.reset(seed=seed % 2**31)
        for step in tqdm(itertools.count(1), "evaluation", leave=False):
            obs, rewards, terminated, truncated, infos = envs.step(policy(obs))
            check_finite(step, range(args.seed, seed), obs=obs, reward=rewards)
            for k in np.flatnonzero(terminated | truncated):
                returns[k].append(float(infos["final_info"]["episode"]["r"][k]))
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
    if run_dir := args.evaluate_only or args.resume:
        path = run_dir / ("model.pt" if args.evaluate_only else "checkpoint.pt")
        try:  # runs no code of it
            saved = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
            assert saved["script"] == SCRIPT, saved["script"]
        except Exception as error:  # missing, cut
            sys.exit(f"error: {path} is not a file of {SCRIPT}.py: {error!r}")
        words = saved["words"] + words  # the last of a flag counts
        args = tyro.cli(Args, args=words)
    check_args(args)
    name = f"{args.env_id}__{SCRIPT}__{args.seed}__{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}"
    run_dir = run_dir or Path("runs", re.sub("[/:]", "_", name))
    num_threads = torch.get_num_threads()
    if args.eval_frequency or args.evaluate_only:  # first: sets MUJOCO_GL
        eval_envs = make_envs(args, run_dir / "videos" if args.capture_video else None)
    envs = make_envs(args)
    torch.set_num_threads(num_threads)
    stop = []  # obeyed after a step; a second ends at once
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda n, _: (stop.append(n), signal.signal(n, signal.SIG_DFL)))
    sizes = envs.single_observation_space.shape[0], int(np.prod(envs.single_action_space.shape))
    seeds = range(args.seed, args.seed + args.num_seeds)
    sizes += args.width, args.num_heads, args.num_atoms, len(seeds), args.buffer_size, args.seed
    n = 6 if args.evaluate_only else None  # not the memory's
    if saved.get("sizes", sizes)[:n] != sizes[:n]:
        sys.exit(f"error: {path} is for sizes {saved['sizes']}, these flags give {sizes}")
    on_cuda = args.cuda and torch.cuda.is_available()
    device = "cuda" if on_cuda else "cpu"
    modules = []
    for seed in seeds:
        torch.manual_seed(seed)
        kinds = QNetwork, QNetwork, ArgmaxPredictor
        modules.append([kind(args, *sizes[:2]).to(device) for kind in kinds])
    # Weights (S, ...) by name: online, target, predictor.
    networks = [torch.func.stack_module_state(own)[0] for own in zip(*modules, strict=True)]
    networks[1] = {name: x.detach().clone() for name, x in networks[0].items()}
    for own, values in zip(networks, saved.get("networks", ()), strict=False):
        for name, value in own.items():
            value.data.copy_(values[name])
    # For speed: compiled functions, CUDA graphs.
    args.compile = args.compile and not args.evaluate_only
    bf16 = torch.cuda.is_bf16_supported(False) if on_cuda else torch.cpu._is_avx512_bf16_supported()
    args.bfloat16 = bf16 and args.compile and args.mixed_precision
    torch.set_float32_matmul_precision("high" if args.bfloat16 and on_cuda else "highest")
    options = {"dynamic": False, "options": {"fallback_random": True}, "disable": not args.compile}
    templates = [module.to("meta") for module in modules[0]]
    training_losses = torch.compile(over_seeds(training_loss, args, *templates), **options)
    host_obs, host_actions = (torch.zeros(len(seeds), i, pin_memory=on_cuda) for i in sizes[:2])

    def search(function):
        actions = function(networks[::2], host_obs.to(device, non_blocking=True))
        host_actions.copy_(actions, non_blocking=True)

    searches = []  # greedy and exploring
    for explores in (False, True):
        function = partial(best_action, explores=explores)
        function = torch.compile(over_seeds(function, args, *templates[1:]), **options)
        searches.append(partial(search, function))

    def policy(obs, explores=False):
        host_obs.numpy()[:] = obs
        searches[explores]()
        if on_cuda:
            torch.cuda.synchronize()
        return host_actions.numpy().copy()

    if args.evaluate_only:
        returns = evaluate(policy, eval_envs, args, stop)
        print("returns:", *returns, "mean:", np.mean(sum(returns, [])))
        sys.exit(bool(stop))
    free = torch.cuda.mem_get_info()[0] if on_cuda else psutil.virtual_memory().available
    if args.buffer_size > (fits := free // (8 * sum(sizes[:2]) + 16) // args.num_seeds):
        sys.exit(f"error: --buffer-size is {args.buffer_size}, {device} has room for {fits} a seed")
    memory = ReplayMemory(args, *sizes[:2], device, seeds=(args.num_seeds,))
    learnt = [x for own in networks for x in own.values() if x.requires_grad]
    adam = {"lr": args.learning_rate, "weight_decay": args.weight_decay, "capturable": on_cuda}
    optimizer = torch.optim.AdamW(learnt, fused=True, **adam)
    update = partial(train_step, training_losses, networks, optimizer, memory, args)
    if args.compile:
        print("compiling (two minutes)", file=sys.stderr)
        try:
            for search in searches:
                search()
            _, batch, weights = memory.sample(args.batch_size)
            copies = copy.deepcopy(networks)  # running averages change
            training_losses(copies, batch, weights)[0].sum().backward()
            if on_cuda:
                torch.cuda.set_stream(torch.cuda.Stream())  # the default cannot be recorded
                searches, update = [CudaGraph(search) for search in searches], CudaGraph(update)
        except Exception as error:  # no compiler, full disk
            args.bfloat16 = False
            torch.compiler.set_stance("force_eager")
            print(f"not compiled: {error!r:.300}", file=sys.stderr)
    torch.manual_seed(args.seed)  # the same, compiled or not
    global_step = saved["global_step"]  # of each seed
    config = {"command": sys.argv, "args": vars(args), "torch": torch.__version__}
    config["device"] = torch.cuda.get_device_name() if on_cuda else "cpu"
    run_dir.mkdir(parents=True, exist_ok=True)
    text = json.dumps(config, indent=2, default=str)
    (run_dir / f"config{global_step or ''}.json").write_text(text)
    start, writers, logs = time.time() - saved["wall_time"], [], []
    for folder in (run_dir / f"seed_{seed}" for seed in seeds):
        writers.append(SummaryWriter(folder, purge_step=global_step + 1))
        atexit.register(writers[-1].close)
        logs += [open(folder / name, "a", 1) for name in ("episodes.csv", "eval.csv")]

    def log(k, name, value):
        writers[k].add_scalar(name, value, global_step)

    def is_due(frequency):
        return frequency and global_step and global_step % frequency < args.action_repeat

    if args.resume:  # new episodes
        for file, size in zip(logs, saved["logs"], strict=True):
            file.truncate(size)  # what came later comes again
        optimizer.load_state_dict(saved["optimizer"])
        optimizer.param_groups[0] |= adam
        memory.load_state_dict(saved["memory"])
        memory.largest_return.clamp_(args.max_value)
        memory.rows[:, memory.newest, -1] = 1  # what follows is new
        torch.set_rng_state(saved["rng"])
        torch.cuda.set_rng_state_all(saved["cuda_rng"][: torch.cuda.device_count()])
    else:
        for k in range(len(seeds)):
            logs[2 * k].write("global_step,episodic_return,episodic_length,wall_time\n")
            logs[2 * k + 1].write("global_step,episode,episodic_return,wall_time\n")
    obs, _ = envs.reset(seed=[(seed + 10**4 * global_step) % 2**31 for seed in seeds])
    print(f"run: {run_dir}, from step {global_step} on {device}")
    checkpoint = run_dir / "checkpoint.pt"
    progress = tqdm(initial=global_step, total=args.total_timesteps, mininterval=1)
    while True:
        last = global_step >= args.total_timesteps
        model = {"script": SCRIPT, "words": words, "sizes": sizes, "global_step": global_step}
        model["networks"] = networks
        if stop or last and checkpoint.exists() or is_due(args.checkpoint_frequency):
            state = model | {"optimizer": optimizer.state_dict(), "memory": memory.state_dict()}
            state |= {"rng": torch.get_rng_state(), "cuda_rng": torch.cuda.get_rng_state_all()}
            state |= {"logs": [file.seek(0, 2) for file in logs], "wall_time": time.time() - start}
            save(state, checkpoint)
            if stop:
                tqdm.write(f"stopped; to go on: python '{sys.argv[0]}' --resume '{run_dir}'")
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
        learns = global_step >= args.learning_starts
        actions = policy(obs, True) if learns else torch.rand_like(host_actions).numpy() * 2 - 1
        envs.step_async(actions)  # and learn meanwhile
        if learns and is_due(args.train_frequency * args.action_repeat):
            metrics = update()
        next_obs, rewards, terminated, truncated, infos = envs.step_wait()
        if learns and is_due(100 * args.train_frequency * args.action_repeat):  # waits for a GPU
            metrics["charts/SPS"] = torch.full((len(seeds),), global_step / (time.time() - start))
            for name, value in metrics.items():
                check_finite(global_step, seeds, **{name: value.cpu().numpy()})
                for k, own in enumerate(value.tolist()):
                    log(k, name, own)
        global_step += args.action_repeat
        progress.update(args.action_repeat)
        ended, reached = terminated | truncated, next_obs.copy()
        for k in np.flatnonzero(ended):  # next_obs is a new episode's
            reached[k], info = infos["final_obs"][k], infos["final_info"]
            if "diverged" in info and info["diverged"][k]:
                reached[k] = obs[k]  # it leads nowhere
            episodic_return, length = info["episode"]["r"][k], info["episode"]["l"][k]
            row = global_step, episodic_return, length, time.time() - start
            print(*row, sep=",", file=logs[2 * k])
            log(k, "charts/episodic_return", episodic_return)
            progress.set_postfix({f"return, seed {seeds[k]}": episodic_return}, refresh=False)
        check_finite(global_step, seeds, action=actions, obs=obs, next_obs=reached, reward=rewards)
        memory.add(obs, actions, rewards, reached, terminated, ended)
        obs = next_obs
    if args.save_model:
        save(model, run_dir / "model.pt")
    if stop:
        sys.exit(128 + stop[0])
