# /// script
# requires-python = ">=3.11,<3.13"
# dependencies = ["jax==0.10.2", "mujoco==3.17.0", "mujoco-mjx==3.17.0", "numpy==2.4.6",
#   "playground==0.2.0", "psutil==7.2.2", "tensorboard==2.21.0", "torch==2.13.0", "tqdm==4.70.1",
#   "tyro==1.0.17"]
# ///
"""QMLE on thousands of environments that a GPU simulates; Q is never differentiated by a.

    python qmle_playground.py --env-id CheetahRun --eval-frequency 2000000
    python qmle_playground.py --evaluate-only runs/<run>

The learner of qmle_plus.py in torch, one seed, on MuJoCo Playground's tasks in jax. Different:
- one call steps all environments, another resets those that have ended; no action repeat
- one search for all, each with its own least s.d. (--explore-std 0: none)
- updates (--updates-per-step) are queued before the next step is simulated
- uniform replay: an update would sum millions of priorities
- no checkpoints

Rows of episodes.csv are means of episodes that ended at a step, seconds from Python's start.

Shapes: N environments or action samples per state, B batch of states, E elites, A action
dimensions, H heads, n steps; row: obs, next obs, action, reward, terminated, ended.
"""

import atexit
import json
import os
import signal
import sys
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated

os.environ.setdefault("MUJOCO_GL", "disabled")
os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")  # torch needs memory too
os.environ.setdefault("JAX_DEFAULT_MATMUL_PRECISION", "highest")  # TF32 is too coarse for physics

import numpy as np
import psutil
import torch
import torch.nn as nn
import tyro
from torch.utils.tensorboard import SummaryWriter
from tqdm import tqdm

try:
    import jax
    import jax.numpy as jnp
    from mujoco_playground import dm_control_suite
except ImportError as error:
    sys.exit(f"error: {error}; pip install playground 'jax[cuda12]' (without a GPU: jax)")

SCRIPT = Path(__file__).stem
LayerNorm = partial(nn.LayerNorm, elementwise_affine=False)
Share = Annotated[float, (0, 1)]  # with its range
Count = Annotated[int, (1, 10**12)]
Number = Annotated[int, (0, 10**12)]
Positive = Annotated[float, (1e-3, 100)]


@dataclass
class Args:
    env_id: str = "CheetahRun"  # a DM Control task, as MuJoCo Playground names it
    seed: Number = 1  # of everything random
    num_envs: Count = 2048  # N
    total_timesteps: Count = 20_000_000  # of all environments together
    learning_rate: Share = 3e-4  # of AdamW
    weight_decay: Share = 0.01  # of AdamW
    buffer_size: Count = 4_000_000  # transitions, of all environments
    gamma: Annotated[float, (0, 0.99999)] = 0.99  # discount factor
    n_step: Annotated[int, (1, 1000)] = 3  # rewards in a TD target
    batch_size: Count = 2048  # transitions per update
    learning_starts: Count = 25_000  # random steps before the first update
    updates_per_step: Count = 16  # per step of all environments
    target_update_rate: Share = 0.01  # of the target network
    num_explore_samples: Count = 4  # to act on the best of
    explore_std: Share = 0.4  # least s.d., 0 to this over environments
    num_greedy_samples: Count = 64  # m_greedy: search set of evaluations
    num_target_samples: Count = 16  # m_target: search set of an update
    num_value_samples: Count = 4  # of the search set, for a TD target
    num_elites: Count = 4  # best samples, to learn
    uniform_ratio: Annotated[float, (0, 0.99)] = 0.125  # of the search set; the rest is Gaussian
    min_std: Positive = 0.05  # of the Gaussian, in half-ranges
    max_std: Positive = 0.6  # of the Gaussian
    num_heads: Count = 2  # H: Q networks
    pessimism: Share = 0.5  # 0: the heads' mean, 1: the smallest
    width: Count = 128  # of layers; 4 times inside blocks
    num_atoms: Number = 101  # of Q's distribution; 0, 1: squared error
    atom_std: Positive = 0.75  # of HL-Gauss, in distances of atoms
    max_value: Annotated[float, (0, 1e12)] = 0.0  # of Q, at least; grows with returns
    # evaluation
    eval_frequency: Number = 0  # steps between evaluations; 0: none
    eval_episodes: Count = 128  # greedy ones, in the first environments
    evaluate_only: Path | None = None  # a run directory, to play its model.pt
    # run
    save_model: bool = True  # write model.pt
    # machine
    cuda: bool = True  # if there is a CUDA device, for jax too
    compile: bool = True  # and CUDA graphs; jax always compiles
    mixed_precision: bool = True  # with --compile: bfloat16, TF32
    bfloat16 = False  # not a flag


def check_args(args):
    for name, kind in Args.__annotations__.items():
        for low, high in getattr(kind, "__metadata__", ()):
            if not low <= (value := getattr(args, name)) <= high:  # or NaN
                sys.exit(f"error: --{name} is {value}, expected a number from {low:g} to {high:g}")
    least = max(args.num_elites, args.num_value_samples + 1)
    limits = ("num_envs", args.eval_episodes), ("buffer_size", args.num_envs)
    for name, low in (("num_target_samples", least), ("max_std", args.min_std), *limits):
        if (value := getattr(args, name)) < low:
            sys.exit(f"error: --{name} is {value}, expected {low:g} or more")


def load_env(env_id):
    """A DM Control task and its time limit."""
    try:  # other suites would download models of robots
        limit = dm_control_suite.get_default_config(env_id).episode_length
        return dm_control_suite.load(env_id, config_overrides={"impl": "jax"}), limit
    except (AttributeError, ValueError) as error:  # Reacher
        sys.exit(f"error: --env-id {env_id} cannot be loaded: {error}")


def step_envs(env, limit, envs, actions):
    """Takes actions (N, A). Returns envs, observations (N, obs_size), rows of the memory (N, row),
    and stats (4,): whole episodes that ended, sum of their returns, diverged ones, all that ended.
    """
    before, after = envs["state"], jax.vmap(env.step)(envs["state"], actions)
    # Where physics diverge, Playground says done; here such a step leads nowhere, without reward.
    sound = (jnp.abs(after.obs) < 1e4).all(-1) & (jnp.abs(after.reward) < 1e4)  # NaN is not
    reached = jnp.where(sound[:, None], after.obs, before.obs)
    rewards = jnp.where(sound, after.reward, 0.0)
    terminated, lengths = sound & (after.done > 0), envs["lengths"] + 1
    ended = terminated | ~sound | (lengths >= limit)
    returns = envs["returns"] + rewards
    whole = ended & envs["whole"]
    stats = jnp.stack([x.sum() for x in (whole, whole * returns, ~sound, ended)])
    rows = jnp.column_stack([before.obs, reached, actions, rewards, terminated, ended])
    envs |= {"state": after, "lengths": lengths, "returns": returns, "ended": ended}
    envs = jax.tree.map(lambda x: x.astype(x.dtype), envs)  # no weak types: they compile again
    return envs, after.obs, rows, stats


def reset_envs(env, envs):
    """Begins new episodes where one has ended. Returns envs and observations (N, obs_size)."""
    key, reset_key = jax.random.split(envs.pop("key"))
    ended = envs["ended"]

    def choose(new, old):
        chosen = jnp.where(ended.reshape(-1, *[1] * (old.ndim - 1)), new, old)
        return chosen.astype(old.dtype)  # not a weak type

    new = {"state": jax.vmap(env.reset)(jax.random.split(reset_key, len(ended)))}
    new |= {"lengths": 0, "returns": 0, "whole": True, "ended": False}
    envs = jax.tree.map(choose, new, envs) | {"key": key}
    return envs, envs["state"].obs


class Envs:
    """N environments, whose arrays torch reads without a copy."""

    def __init__(self, env, limit, num_envs):
        self.limit, self.num_envs, self.envs = limit, num_envs, None
        parts = partial(step_envs, env, limit), partial(reset_envs, env)
        self.step_envs, self.reset_envs = (jax.jit(f, donate_argnums=0) for f in parts)
        self.shapes = jax.eval_shape(jax.vmap(env.reset), jnp.zeros((num_envs, 2), jnp.uint32))

    def reset(self, seed, spread=False):
        """Begins new episodes; returns observations (N, obs_size)."""
        keys = jax.random.split(jax.random.PRNGKey(seed))
        state = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), self.shapes)
        zeros = jnp.zeros(self.num_envs, jnp.int32)
        envs = {"state": state, "lengths": zeros, "returns": zeros.astype(jnp.float32)}
        envs |= {"whole": zeros > 0, "ended": zeros == 0, "key": keys[0]}
        device = jax.devices()[0]  # by name, or it compiles again
        self.envs, obs = self.reset_envs(jax.device_put(envs, device))
        # Else all would end at once; valid, as a limit truncates. In tenths: resets stay rare.
        lengths = jax.random.randint(keys[1], zeros.shape, 0, 10) * spread * self.limit // 10
        whole = lengths == 0  # shorter ones are in no curve
        self.envs |= jax.device_put({"lengths": lengths, "whole": whole}, device)
        return torch.from_dlpack(obs)

    def step(self, actions):
        """Takes actions, resets what has ended; returns observations, rows (N, row) and stats."""
        self.envs, obs, rows, stats = self.step_envs(self.envs, actions)
        stats = np.asarray(stats)  # waits; torch has read the last rows
        if stats[-1]:  # computes all N
            self.envs, obs = self.reset_envs(self.envs)
        return torch.from_dlpack(obs), torch.from_dlpack(rows), stats


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


class ReplayMemory:
    """Uniform replay of single steps of all environments, drawn as n-step transitions."""

    def __init__(self, args, obs_size, action_size, device):
        self.args, self.gamma = args, args.gamma
        self.sizes = obs_size, obs_size, action_size, 1, 1, 1
        size = args.buffer_size // args.num_envs, args.num_envs, sum(self.sizes)  # (T, N, row)
        self.rows = torch.zeros(size, device=device)
        self.num_stored = 0  # steps so far
        # Tensors, as a CUDA graph reads them again at each replay.
        self.num_rows, self.newest = torch.zeros(2, dtype=torch.int64, device=device)
        self.scale = torch.full((1,), max(args.max_value, 1e-6), device=device)
        self.discounted_return = torch.zeros(args.num_envs, device=device)

    def add(self, rows):
        """Writes a step of all environments (N, row) over the oldest one."""
        rewards, terminated, _ = rows[:, -3:].unbind(1)
        self.discounted_return.mul_(self.gamma).add_(rewards)
        largest = self.discounted_return.abs().amax(0, keepdim=True)
        torch.maximum(self.scale, largest, out=self.scale)
        self.discounted_return.mul_(1 - terminated)  # not by truncation
        index = self.num_stored % len(self.rows)
        self.rows[index] = rows
        self.num_stored += 1
        self.newest.fill_(index)
        self.num_rows.fill_(min(self.num_stored, len(self.rows)) * len(rows))

    def sample(self, batch_size):
        """An n-step batch of rows drawn with replacement."""
        u = torch.rand(batch_size, dtype=torch.float64, device=self.rows.device)
        return self.n_step_batch((u * self.num_rows).long())

    def n_step_batch(self, indices):
        """Of rows (B,) and their environments' next ones, up to n, an end or the newest step:

        obs, the last next_obs, actions, sums of rewards over scale, discounts (B, ...).
        """
        num_steps, num_envs, _ = self.rows.shape
        steps = torch.arange(self.args.n_step, device=indices.device)
        path = (indices.unsqueeze(-1) // num_envs + steps) % num_steps  # (B, n)
        rows = self.rows[path, indices.unsqueeze(-1) % num_envs]  # (B, n, row)
        ends = (rows[..., -1] > 0) | (path == self.newest) | (steps == self.args.n_step - 1)
        last = ends.int().argmax(-1, True)  # (B, 1), the first of them
        rewards = (rows[..., -3] * self.gamma**steps * (steps <= last)).sum(-1) / self.scale
        obs, _, actions, *_ = rows[..., 0, :].split(self.sizes, -1)
        last_rows = torch.take_along_dim(rows, last.unsqueeze(-1), -2).squeeze(-2)
        _, next_obs, _, _, terminated, _ = last_rows.split(self.sizes, -1)
        discounts = self.gamma ** (last + 1) * (1 - terminated)
        return obs, next_obs, actions, rewards, discounts.squeeze(-1)


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
def best_actions(q_network, predictor, args, obs, least_std=None):
    """The best actions (N, A) for obs (N, obs_size); with a smallest s.d. (N, 1), of few."""
    mean, std = predictor(obs)
    if least_std is None:
        actions = sample_actions(mean, std, args.num_greedy_samples, args)
    else:
        actions = sample_gaussian(mean, std.maximum(least_std), args.num_explore_samples)
    best = q_values(q_network, obs, actions, args).argmax(1)
    return torch.take_along_dim(actions, best[:, None, None], dim=1).squeeze(1)


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


def train_step(training_losses, networks, optimizer, memory, args):
    """One update. Returns metrics on the device."""
    batch = memory.sample(args.batch_size)
    loss, _, metrics = training_losses(*networks, args, batch, 1)  # all weigh the same
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    online, target = ([x.detach() for x in own.parameters()] for own in networks[:2])
    torch._foreach_lerp_(target, online, args.target_update_rate)
    return metrics | {"charts/scale": memory.scale[0]}


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
            # jax's threads may allocate.
            with torch.cuda.graph(self.graph, capture_error_mode="thread_local"):
                self.outputs = self.function()  # hold until the next call
        self.graph.replay()
        return self.outputs


def evaluate(policy, envs, args, stop):
    """Returns of greedy first episodes (eval_episodes,), from the same states each time."""
    training = envs.envs  # goes on as before
    with torch.random.fork_rng(range(torch.cuda.device_count())):
        torch.manual_seed(args.seed + 10**6)
        obs = envs.reset((args.seed + 10**6) % 2**31)
        goes_on = torch.ones(args.eval_episodes, device=obs.device)
        returns = 0 * goes_on
        while goes_on.any() and not stop:
            obs, rows, _ = envs.step(policy(obs))
            rewards, _, ended = rows[: len(returns), -3:].unbind(1)
            returns += goes_on * rewards
            goes_on *= 1 - ended
    envs.envs = training
    return returns.cpu().numpy()


if __name__ == "__main__":
    words = sys.argv[1:]
    args = tyro.cli(Args, args=words, description=__doc__)
    saved = {}
    if run_dir := args.evaluate_only:
        path = run_dir / "model.pt"
        try:  # runs no code of it
            saved = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
            assert saved["script"] == SCRIPT, saved["script"]
        except Exception as error:  # missing, cut
            sys.exit(f"error: {path} is not a file of {SCRIPT}.py: {error!r}")
        words = saved["words"] + words  # the last of a flag counts
        args = tyro.cli(Args, args=words)
    check_args(args)
    on_cuda = args.cuda and torch.cuda.is_available()
    device = "cuda" if on_cuda else "cpu"
    if not on_cuda:
        jax.config.update("jax_platforms", "cpu")
    elif jax.default_backend() != "gpu":
        sys.exit("error: jax sees no GPU, torch does; pip install 'jax[cuda12]', or --no-cuda")
    env, limit = load_env(args.env_id)
    envs, sizes = Envs(env, limit, args.num_envs), (env.observation_size, env.action_size)
    stop = []  # obeyed after a step; a second ends at once
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda n, _: (stop.append(n), signal.signal(n, signal.SIG_DFL)))
    torch.manual_seed(args.seed)
    kinds = QNetwork, QNetwork, ArgmaxPredictor
    networks = [kind(args, *sizes).to(device) for kind in kinds]  # online, target, predictor
    networks[1].load_state_dict(networks[0].state_dict())
    try:
        for own, values in zip(networks, saved.get("networks", ()), strict=False):
            own.load_state_dict(values)
    except RuntimeError:
        sys.exit(f"error: {path} is of another network")
    # For speed: compiled functions, bfloat16, CUDA graphs.
    args.compile = args.compile and not args.evaluate_only
    bf16 = torch.cuda.is_bf16_supported(False) if on_cuda else torch.cpu._is_avx512_bf16_supported()
    args.bfloat16 = bf16 and args.compile and args.mixed_precision
    torch.set_float32_matmul_precision("high" if args.bfloat16 and on_cuda else "highest")
    options = {"dynamic": False, "options": {"fallback_random": True}, "disable": not args.compile}
    best, training_losses = (torch.compile(f, **options) for f in (best_actions, training_loss))
    graph = lambda function: function
    if args.compile and on_cuda:
        torch.cuda.set_stream(torch.cuda.Stream())  # the default cannot be recorded
        graph = CudaGraph

    def make_policy(count, *least_std):
        """Acts in the first environments; the others stand still."""
        obs = torch.zeros(count, sizes[0], device=device)
        actions = torch.zeros(args.num_envs, sizes[1], device=device)

        @graph
        def search():
            actions[:count] = best(networks[0], networks[2], args, obs, *least_std)

        def policy(new_obs):
            obs.copy_(new_obs[:count])
            search()
            # A copy in torch's order: jax's CUDA graphs fail with memory of torch.
            return jnp.from_dlpack(actions) + 0

        return policy

    print("compiling", file=sys.stderr)
    greedy_policy = make_policy(args.eval_episodes)
    if args.evaluate_only:
        returns = evaluate(greedy_policy, envs, args, stop)
        stop or print("returns:", *returns, "mean:", returns.mean())
        sys.exit(bool(stop))
    # As in Parallel Q-learning (Li et al. 2023) and FastTD3.
    least_std = torch.linspace(0, args.explore_std, args.num_envs, device=device).unsqueeze(1)
    policy = make_policy(args.num_envs, least_std)
    try:
        memory = ReplayMemory(args, *sizes, device)
    except RuntimeError as error:  # no room
        sys.exit(f"error: --buffer_size is {args.buffer_size}: {error}")
    random_actions = torch.zeros(args.num_envs, sizes[1], device=device)
    learnt = [x for own in networks[::2] for x in own.parameters() if x.requires_grad]
    adam = {"lr": args.learning_rate, "weight_decay": args.weight_decay, "capturable": on_cuda}
    optimizer = torch.optim.AdamW(learnt, fused=True, **adam)
    update = graph(lambda: train_step(training_losses, networks, optimizer, memory, args))
    obs, *_ = envs.step(policy(envs.reset(0)))
    if args.eval_frequency:
        greedy_policy(obs)
    training_losses(*networks, args, memory.sample(args.batch_size), 1)[0].backward()
    torch.manual_seed(args.seed)  # the same, compiled or not
    obs = envs.reset(args.seed % 2**31, spread=True)
    name = f"{args.env_id}__{SCRIPT}__{args.seed}__{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}"
    run_dir = Path("runs", name)
    run_dir.mkdir(parents=True)
    config = {"command": sys.argv, "args": vars(args), "torch": torch.__version__}
    start_python = psutil.Process().create_time()
    config |= {"jax": jax.__version__, "start_seconds": time.time() - start_python}
    config["device"] = torch.cuda.get_device_name() if on_cuda else "cpu"
    (run_dir / "config.json").write_text(json.dumps(config, indent=2, default=str))
    writer = SummaryWriter(run_dir)
    atexit.register(writer.close)
    logs = [open(run_dir / name, "a", 1) for name in ("episodes.csv", "eval.csv")]
    for file in logs:
        file.write("global_step,seconds,episodic_return\n")
    global_step, start = 0, time.time()

    def log(name, value, file=None):
        writer.add_scalar(name, value, global_step)
        if file:
            print(global_step, time.time() - start_python, value, sep=",", file=file)

    def is_due(frequency):  # the last step reached a multiple
        return frequency and global_step % frequency < args.num_envs <= global_step

    print(f"run: {run_dir} on {device}")
    progress, num_diverged = tqdm(total=args.total_timesteps, mininterval=1), 0
    while not stop:
        if is_due(args.eval_frequency):
            returns = evaluate(greedy_policy, envs, args, stop)
            if not stop:
                log("eval/episodic_return", returns.mean(), logs[1])
        if stop or global_step >= args.total_timesteps:
            break
        learns = global_step >= args.learning_starts
        if learns:
            actions = policy(obs)
            for _ in range(args.updates_per_step):  # queued before jax simulates
                metrics = update()
        else:
            actions = jnp.from_dlpack(random_actions.uniform_(-1, 1)) + 0
        obs, rows, stats = envs.step(actions)
        global_step += args.num_envs
        progress.update(args.num_envs)
        memory.add(rows)
        num_ended, total, diverged, _ = stats.tolist()
        num_diverged += diverged
        if num_ended:
            mean = total / num_ended
            log("charts/episodic_return", mean, logs[0])
            progress.set_postfix({"return": mean}, refresh=False)
        if learns and is_due(100 * args.num_envs):  # waits for a GPU
            metrics["charts/SPS"] = global_step / (time.time() - start)
            metrics["charts/diverged"] = num_diverged
            for name, value in metrics.items():
                if not abs(value := float(value)) < 3e38:
                    sys.exit(f"error: {name} is not finite at step {global_step}: {value}")
                log(name, value)
    progress.close()
    if args.save_model:
        states = [own.state_dict() for own in networks]
        model = {"script": SCRIPT, "words": words, "networks": states}
        torch.save(model, run_dir / "model.pt")
    if stop:
        sys.exit(128 + stop[0])
