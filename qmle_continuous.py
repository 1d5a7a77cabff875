# /// script
# requires-python = ">=3.11,<3.13"
# dependencies = ["dm_control==1.0.50", "gymnasium==1.4.0", "moviepy==2.2.1", "mujoco==3.17.0",
#   "numpy==2.4.6", "packaging==26.3", "psutil==7.2.2", "shimmy==2.0.1", "tensorboard==2.21.0",
#   "torch==2.13.0", "tqdm==4.70.1", "tyro==1.0.17", "wandb==0.31.0"]
# ///
"""QMLE for continuous action spaces: Q-learning with a sampled argmax and argmax predictors.

    python qmle_continuous.py --env-id dm_control/walker-walk-v0
    python qmle_continuous.py --resume runs/<run>
    python qmle_continuous.py --evaluate-only runs/<run> --capture-video

Algorithm 1 of "Learning in complex action spaces without policy gradients". To find max_a Q(s, a),
it draws uniform actions and samples of two learned argmax predictors, adds the best action known
for that state, and keeps the best under Q, which the predictors then learn to propose.
Defaults are the paper's (Table 1), unless brackets name its authors' code or us.

Shapes: B batch of states, N action samples per state, A action dimensions, K bins per dimension.
"""

import atexit
import json
import os
import re
import signal
import sys
import time
import warnings
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
    seed: Number = 1  # of networks, sampling and environment [ours]
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
    capture_video: bool = False  # as mp4
    evaluate_only: Path | None = None  # a run directory, to play its model.pt
    # run
    save_model: bool = True  # write model.pt
    checkpoint_frequency: Number = 0  # steps between checkpoints; 0: if interrupted
    resume: Path | None = None  # a run directory, to go on from its checkpoint.pt
    track: bool = False  # log to W&B too
    # machine
    cuda: bool = True  # if there is a CUDA device
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


def train_step(q_network, target_network, optimizer, memory, args):
    """One update of Algorithm 1. Metrics stay on the device, for the host not to wait."""
    indices, batch, weights = memory.sample(args.batch_size)
    loss, a_max, td_errors, metrics = training_loss(q_network, target_network, args, batch, weights)
    optimizer.zero_grad()
    loss.backward()
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


def check_finite(step, **values):
    """Exits where a value is not finite as float32."""
    for name, value in values.items():
        if not np.abs(value).max() < 3e38:  # or NaN
            sys.exit(f"error: {name} is not finite at step {step}: {value}")


def evaluate(policy, args, stop, video_dir):
    """Returns of greedy episodes, from the same states each time; fewer after a stop."""
    env, seed, returns = make_env(args.env_id, args.capture_video), args.seed + 10**6, []
    if args.capture_video:  # Shimmy's frame rate is wrong
        fps = round(1 / getattr(env.unwrapped, "dt", 1 / 30))
        env = gym.wrappers.RecordVideo(env, str(video_dir), lambda _: True, fps=fps)
    with torch.random.fork_rng(range(torch.cuda.device_count())):  # training goes on as before
        torch.manual_seed(seed)
        for episode in tqdm(range(args.eval_episodes), "evaluation", leave=False):
            obs, _ = env.reset(seed=episode_seed(seed, episode))
            for step in range(env.spec.max_episode_steps or 1000):
                obs, reward, terminated, truncated, _ = env.step(policy(obs))
                check_finite(step, obs=obs, reward=reward)
                if stop or terminated or truncated:
                    break
            if stop:
                break
            returns.append(env.get_wrapper_attr("episode_returns"))
    env.close()
    return returns


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
        words = saved["words"] + words  # the last one of a flag counts
        args = tyro.cli(Args, args=words)
    check_args(args)
    env = make_env(args.env_id, args.capture_video)
    action_size = int(np.prod(env.action_space.shape))
    sizes = env.observation_space.shape[0], action_size, args.num_bins, args.buffer_size
    if run_dir and saved["sizes"] != sizes:
        sys.exit(f"error: {path} is for sizes {saved['sizes']}, these flags give {sizes}")
    stop = []  # obeyed after a step; a second one ends at once
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda n, _: (stop.append(n), signal.signal(n, signal.SIG_DFL)))
    on_cuda = args.cuda and torch.cuda.is_available()
    device = "cuda" if on_cuda else "cpu"
    torch.manual_seed(args.seed)
    q_network, target_network = (QNetwork(*sizes[:3]).to(device) for _ in range(2))
    target_network.load_state_dict(q_network.state_dict())
    global_step = saved["global_step"]
    args.on_grid = 0 < args.discrete_until >= global_step
    host_obs, host_action = (torch.zeros(size, pin_memory=on_cuda) for size in sizes[:2])

    def search():
        action = greedy_action(q_network, args, host_obs.to(device, non_blocking=True))
        host_action.copy_(action, non_blocking=True)

    def policy(obs):
        host_obs.numpy()[:] = obs
        search()
        if on_cuda:
            torch.cuda.synchronize()
        return host_action.numpy().copy()

    if args.evaluate_only:
        q_network.load_state_dict(saved["q_network"])
        returns = evaluate(policy, args, stop, run_dir / "videos")
        print("returns:", returns, "mean:", np.mean(returns))
        sys.exit(bool(stop))
    free = torch.cuda.mem_get_info()[0] if on_cuda else psutil.virtual_memory().available
    if args.buffer_size > (fits := free // (8 * sum(sizes[:2]) + 12)):
        sys.exit(f"error: --buffer-size is {args.buffer_size}, {device} has room for {fits}")
    memory = ReplayMemory(args, *sizes[:2], device)
    adam = {"lr": args.learning_rate, "capturable": on_cuda}
    optimizer = torch.optim.Adam(q_network.parameters(), fused=True, **adam)

    def update():
        return train_step(q_network, target_network, optimizer, memory, args)

    # For speed: compiled functions, CUDA graphs.
    bf16 = torch.cuda.is_bf16_supported(False) if on_cuda else torch.cpu._is_avx512_bf16_supported()
    args.bfloat16 = bf16 and args.compile and args.mixed_precision
    torch.set_float32_matmul_precision("high" if args.bfloat16 and on_cuda else "highest")
    if args.compile:
        print("compiling (two minutes)", file=sys.stderr)
        options = {"dynamic": False, "options": {"fallback_random": True}}
        greedy_action = torch.compile(greedy_action, **options)
        training_loss = torch.compile(training_loss, **options)
        try:
            search()
            _, batch, weights = memory.sample(args.batch_size)
            training_loss(q_network, target_network, args, batch, weights)[0].backward()
            if on_cuda:
                torch.cuda.set_stream(torch.cuda.Stream())  # the default cannot be recorded
                search, update = CudaGraph(search), CudaGraph(update)
        except Exception as error:  # no compiler, full disk
            args.bfloat16 = False
            torch.compiler.set_stance("force_eager")
            print(f"not compiled: {error!r:.300}", file=sys.stderr)
    torch.manual_seed(args.seed)  # the same, compiled or not
    name = f"{args.env_id}__{SCRIPT}__{args.seed}__{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}"
    run_dir = run_dir or Path("runs", re.sub("[/:]", "_", name))
    run_dir.mkdir(parents=True, exist_ok=True)
    config = {"command": sys.argv, "args": vars(args), "torch": torch.__version__}
    config["device"] = torch.cuda.get_device_name() if on_cuda else "cpu"
    text = json.dumps(config, indent=2, default=str)
    (run_dir / f"config{global_step or ''}.json").write_text(text)
    if args.track:
        import wandb

        run = {"id": run_dir.name, "name": run_dir.name, "resume": "allow"}
        wandb.init(**run, config=config, sync_tensorboard=True)
    writer = SummaryWriter(run_dir, purge_step=global_step + 1)
    atexit.register(writer.close)
    start = time.time() - saved["wall_time"]
    logs = [open(run_dir / name, "a", 1) for name in ("episodes.csv", "eval.csv")]

    def log(name, value):
        check_finite(global_step, **{name: value})
        writer.add_scalar(name, value, global_step)

    def is_due(frequency):
        return frequency and global_step and global_step % frequency == 0

    modules = {"q_network": q_network, "target_network": target_network}
    modules |= {"optimizer": optimizer, "memory": memory}
    ended = not args.resume
    if args.resume:
        for file, size in zip(logs, saved["logs"], strict=True):
            file.truncate(size)  # what came later comes again
        for name, module in modules.items():
            module.load_state_dict(saved[name])
        optimizer.param_groups[0] |= adam
        torch.set_rng_state(saved["rng"])
        torch.cuda.set_rng_state_all(saved["cuda_rng"][: torch.cuda.device_count()])
        env.episode_count, length = saved["episode"]
        obs, _ = env.reset(seed=episode_seed(args.seed, env.episode_count))
        for i in range(length, 0, -1):  # to where it was
            row = (memory.num_stored - i) % args.buffer_size
            obs, *_ = env.step(memory.actions[row].cpu().numpy())
            ended = not np.array_equal(obs, memory.next_obs[row].cpu())
        if ended:
            print("the episode cannot go on: a new one starts")
            env.episode_count += 1
    else:
        logs[0].write("global_step,episodic_return,episodic_length,wall_time\n")
        logs[1].write("global_step,episode,episodic_return,wall_time\n")
    print(f"run: {run_dir}, from step {global_step} on {device}")
    checkpoint = run_dir / "checkpoint.pt"
    progress = tqdm(initial=global_step, total=args.total_timesteps, mininterval=1)
    while True:
        if ended:
            obs, _ = env.reset(seed=episode_seed(args.seed, env.episode_count))
        model = {"script": SCRIPT, "words": words, "sizes": sizes, "global_step": global_step}
        last = global_step >= args.total_timesteps
        if stop or last and checkpoint.exists() or is_due(args.checkpoint_frequency):
            memory.store()
            state = model | {name: module.state_dict() for name, module in modules.items()}
            state |= {"episode": (env.episode_count, env.episode_lengths)}
            state |= {"logs": [file.seek(0, 2) for file in logs], "wall_time": time.time() - start}
            state |= {"rng": torch.get_rng_state(), "cuda_rng": torch.cuda.get_rng_state_all()}
            save(state, checkpoint)
            if stop:
                tqdm.write(f"stopped; to go on: python '{sys.argv[0]}' --resume '{run_dir}'")
                break
        if is_due(args.eval_frequency):
            returns = evaluate(policy, args, stop, run_dir / "videos" / str(global_step))
            if stop:
                continue  # comes again on --resume
            for row in enumerate(returns):
                print(global_step, *row, time.time() - start, sep=",", file=logs[1])
            log("eval/episodic_return", np.mean(returns))
        if last:
            break
        if global_step == args.discrete_until:
            args.on_grid, search.num_calls, update.num_calls = False, 0, 0  # recorded anew
        if torch.rand(()).item() < args.exploration_epsilon:
            action = sample_uniform((action_size,), args.on_grid * args.num_bins).numpy()
        else:
            action = policy(obs)
        # Learn from the steps so far; a GPU works on it during env.step.
        learns = global_step >= args.learning_starts
        if learns and is_due(args.train_frequency):
            memory.store()
            metrics = update()
        if learns and is_due(args.target_network_frequency):
            target_network.load_state_dict(q_network.state_dict())
        next_obs, reward, terminated, truncated, info = env.step(action)
        if learns and is_due(10 * args.train_frequency):  # waits for a GPU
            for name, value in metrics.items():
                log(name, value.item())
            log("charts/SPS", global_step / (time.time() - start))
        global_step += 1
        progress.update()
        check_finite(global_step, action=action, obs=obs, next_obs=next_obs, reward=reward)
        if "diverged" not in info:
            memory.add(obs, action, reward, next_obs, terminated)
        obs = next_obs
        if ended := terminated or truncated:
            episodic_return, length = env.episode_returns, env.episode_lengths
            print(global_step, episodic_return, length, time.time() - start, sep=",", file=logs[0])
            log("charts/episodic_return", episodic_return)
            log("charts/episodic_length", length)
            progress.set_postfix({"return": episodic_return}, refresh=False)
    if args.save_model:
        save(model | {"q_network": q_network.state_dict()}, run_dir / "model.pt")
    if stop:
        sys.exit(128 + stop[0])
