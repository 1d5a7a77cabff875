# /// script
# requires-python = ">=3.11,<3.13"
# dependencies = [
#     "matplotlib==3.11.2",
#     "numpy==2.4.6",
#     "torch==2.13.0",
#     "tqdm==4.70.1",
#     "tyro==1.0.17",
# ]
# ///
"""Linear value decomposition in a continuous climbing game: Q = U_1 + U_2, the baseline of qmle_climbing.py.

    python vdn_climbing.py
    python vdn_climbing.py --seed 11 --num-seeds 20 --output runs/climbing

VDN (Sunehag et al. 2017) in Figure 11 of "Learning in complex action spaces without policy gradients". Each agent has a
utility U_i(o_i, a_i); their sum is fitted to the common reward. An agent acts by maximising its own utility, and since
the sum decomposes, that is the joint argmax: execution is decentralised by construction, at the price of what a sum can
represent. The paper gives no formula for the game; this one, ours, is explained in qmle_climbing.py: the three actions
of the climbing game (PAYOFFS) as equal intervals of o_i * a_i in [-1, 1], joined by linear ramps of width RAMP = 0.1.

Fitted to independent agents, U_i knows an action only by its mean over what the other one does. With a uniform partner
the means are -6.3, -5.7, 1.7 for agent 1 and -6.3, -7.7, 3.7 for agent 2: both choose the third action, reward 5. That
needs exploration. For exact fits to epsilon-greedy agents: below epsilon = 0.12 the second action is agent 1's best
reply to a partner who prefers the third (reward 6), below 0.08 agent 2 follows (reward 7), and below 0.52 the pair of
first actions holds itself up once it is greedy (reward 11). At the default, 0.8, only the pair of third ones does.

It is a one-step game, so Q regresses on the reward: no bootstrapping, no target network. Replay is uniform and keeps
every round. Everything but the form of Q and the way to maximise it is as in qmle_climbing.py.

Shapes in the comments: S seeds (run side by side), B batch, N action samples per state, A = 2 agents and actions.
"""

import dataclasses
import datetime
import pathlib
import sys

import matplotlib
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
import tyro
from tqdm import tqdm

matplotlib.use("Agg")
import matplotlib.pyplot as plt

PAYOFFS = torch.tensor([[11.0, -30.0, 0.0], [-30.0, 7.0, 6.0], [0.0, 0.0, 5.0]])  # rows: agent 1, columns: agent 2
RAMP = 0.1  # width of the ramp around each border between two actions


@dataclasses.dataclass
class Args:
    """In brackets where a default comes from: paper (Table 1), released code (of the paper's authors), ours."""

    seed: int = 1  # first seed; seed k gives the same run alone and beside others [ours]
    num_seeds: int = 10  # S: seeds seed, seed + 1, ... run side by side [ours]
    total_timesteps: int = 20_000  # rounds each seed plays [ours]
    learning_rate: float = 3e-3  # Adam step size of both utilities [ours; paper: 5e-4]
    hidden_size: int = 64  # units in each of the two hidden layers of every network [ours]
    batch_size: int = 128  # rounds per update [ours; paper: 256]
    learning_starts: int = 1000  # rounds stored before the first update [paper]
    train_frequency: int = 10  # rounds per update [paper]
    exploration_epsilon: float = 0.8  # probability, per agent, of a uniformly random action while training [ours]
    num_greedy_samples: int = 100  # uniform samples of an agent's own action of which it takes the best [ours]
    eval_frequency: int = 500  # rounds between evaluations of the greedy joint action [ours]
    output: str | None = None  # directory for the CSV and the figure; default: a new one in runs/


def check_args(args):
    """Raises ValueError with the flag, its value and what was expected, before anything has been created."""
    one_up = ("num_seeds", "total_timesteps", "hidden_size", "batch_size", "learning_starts", "train_frequency")
    limits = dict.fromkeys((*one_up, "num_greedy_samples", "eval_frequency"), (1, 10**9)) | dict(
        seed=(0, 2**31), learning_rate=(1e-12, 1.0), exploration_epsilon=(0, 1)
    )
    for name, (low, high) in limits.items():
        if not low <= getattr(args, name) <= high:  # NaN fails too
            flag = name.replace("_", "-")
            raise ValueError(f"--{flag} is {getattr(args, name)}, expected a number from {low:g} to {high:g}")
    for name, other in (("eval_frequency", "train_frequency"), ("total_timesteps", "eval_frequency")):
        if getattr(args, name) % getattr(args, other):  # with these the last evaluation is of the networks at the end
            flags = f"--{name.replace('_', '-')} is {getattr(args, name)}", f"--{other.replace('_', '-')}"
            raise ValueError(f"{flags[0]}, expected a multiple of {flags[1]} ({getattr(args, other)})")


def draw(function, generators, *size):
    """function(*size) once per seed, each from the generator of its own: (S, *size)."""
    return torch.stack([function(*size, generator=generator) for generator in generators])


def climbing_reward(obs, actions):
    """Reward of joint actions (..., A) under observations (..., A): (...). Each agent's effective action is o_i * a_i.

    w, the weights of the three actions, moves linearly from one action to the next on a ramp; the reward is w_1 P w_2.
    """
    borders = torch.tensor([-1 / 3, 1 / 3])
    passed = (((obs * actions).unsqueeze(-1) - borders) / RAMP + 0.5).clamp(0, 1)  # (..., A, 2): 0 before, 1 after
    first, last = passed.unbind(-1)
    weights = torch.stack([1 - first, first - last, last], dim=-1)  # (..., A, 3)
    return torch.einsum("...i,ij,...j->...", weights[..., 0, :], PAYOFFS, weights[..., 1, :])


class SeedMLP(nn.Module):
    """S networks side by side, one per seed, two hidden layers and one output: (S, M, inputs) -> (S, M).

    The seed is a batch dimension of every product, so no number of one seed enters another. Initialised as nn.Linear.
    Leaky ReLU: a predictor sees just two inputs, and in some seeds all units of a plain ReLU layer died, for good.
    """

    def __init__(self, generators, input_size, hidden_size):
        super().__init__()
        sizes = (input_size, hidden_size, hidden_size, 1)
        self.weights, self.biases = nn.ParameterList(), nn.ParameterList()
        for fan_in, fan_out in zip(sizes, sizes[1:], strict=False):
            parameters = (draw(torch.rand, generators, fan_in + 1, fan_out) * 2 - 1) * fan_in**-0.5
            self.weights.append(parameters[:, 1:].clone())  # (S, fan_in, fan_out)
            self.biases.append(parameters[:, :1].clone())  # (S, 1, fan_out)

    def forward(self, x):
        for weight, bias in zip(self.weights[:-1], self.biases[:-1], strict=True):
            x = F.leaky_relu_(torch.bmm(x, weight).add_(bias), 0.1)  # in place: fresh memory is slow
        return torch.bmm(x, self.weights[-1]).add_(self.biases[-1]).squeeze(-1)


class QNetwork(nn.Module):
    """The utilities of the two agents; their sum is the joint Q."""

    def __init__(self, generators, hidden_size):
        super().__init__()
        self.utilities = nn.ModuleList(SeedMLP(generators, 2, hidden_size) for _ in range(2))

    def agent_values(self, agent, own_obs, own_actions):
        """U_i(o_i, a_i) of one agent for many of its actions per state: (S, B), (S, B, N) -> (S, B, N)."""
        inputs = torch.stack([own_obs.unsqueeze(2).expand_as(own_actions), own_actions], dim=-1)  # (S, B, N, 2)
        return self.utilities[agent](inputs.flatten(1, 2)).view(own_actions.shape)

    def q_values(self, obs, actions):
        """Q = U_1(o_1, a_1) + U_2(o_2, a_2) of many joint actions per state: (S, B, A), (S, B, N, A) -> (S, B, N)."""
        return sum(self.agent_values(agent, obs[..., agent], actions[..., agent]) for agent in range(2))


class ReplayMemory:
    """Every round of every seed."""

    def __init__(self, num_seeds, capacity):
        self.obs, self.actions = torch.zeros(2, num_seeds, capacity, 2)
        self.rewards, self.size = torch.zeros(num_seeds, capacity), 0

    def add(self, obs, actions, rewards):
        """Takes T rounds (S, T, A), (S, T, A), (S, T)."""
        rows = slice(self.size, self.size + obs.shape[1])
        self.obs[:, rows], self.actions[:, rows] = obs, actions
        self.rewards[:, rows] = rewards
        self.size = rows.stop

    def sample(self, generators, batch_size):
        """Draws rows uniformly, with replacement, for each seed its own: indices that select (S, B) of every field."""
        rows = (draw(torch.rand, generators, batch_size) * self.size).long().clamp(max=self.size - 1)
        return torch.arange(len(rows)).unsqueeze(1), rows


def sample_uniform(generators, batch_size, num_samples):
    """Uniform samples (S, B, N, A) of the joint action space."""
    return draw(torch.rand, generators, batch_size, num_samples, 2) * 2 - 1


def q_loss(q, rewards):
    """Squared error to the reward, which is the TD target of a one-step game (Eq. 3): (S, B) -> (S,)."""
    return ((rewards - q) ** 2).mean(1)


@torch.no_grad()
def greedy_action(generators, q_network, obs, num_samples):
    """Each agent's best of num_samples actions of its own, by its own utility: (S, B, A) -> (S, B, A)."""
    samples = sample_uniform(generators, obs.shape[1], num_samples)  # (S, B, N, A)
    best = []
    for agent in range(2):
        index = q_network.agent_values(agent, obs[..., agent], samples[..., agent]).argmax(2, keepdim=True)
        best.append(samples[..., agent].take_along_dim(index, dim=2).squeeze(2))  # (S, B)
    return torch.stack(best, dim=-1)


def train_step(generators, q_network, optimizer, memory, args):
    """One update of the utilities through their sum. Returns the loss of Q, (S,), in a tuple."""
    rows = memory.sample(generators, args.batch_size)
    q = q_network.q_values(memory.obs[rows], memory.actions[rows].unsqueeze(2)).squeeze(2)  # (S, B)
    losses = (q_loss(q, memory.rewards[rows]),)
    optimizer.zero_grad()
    sum(losses).sum().backward()  # the sum over seeds: each one's gradient is its own
    optimizer.step()
    return tuple(loss.detach() for loss in losses)


@torch.no_grad()
def evaluate(q_network, args):
    """The greedy joint actions under the four pairs of observations, (S, 4, A), and their mean reward, (S,).

    Searches with the same random numbers at each call, none of them those of training.
    """
    generators = [torch.Generator().manual_seed(args.seed + 1_000_000 + i) for i in range(args.num_seeds)]
    obs = torch.cartesian_prod(torch.tensor([-1.0, 1.0]), torch.tensor([-1.0, 1.0])).expand(args.num_seeds, 4, 2)
    actions = greedy_action(generators, q_network, obs, args.num_greedy_samples)
    return actions, climbing_reward(obs, actions).mean(1)


@torch.no_grad()
def draw_figure(path, q_network, steps, curve, action):
    """Draws the learning curve (steps, seeds), the game, and the first seed's Q and action (A,) if both observe +1."""
    figure, axes = plt.subplots(1, 3, figsize=(12, 3.6), layout="constrained")
    mean, error = curve.mean(1), curve.std(1) / max(1, curve.shape[1] - 1) ** 0.5
    axes[0].fill_between(steps, mean - error, mean + error, color="0.75", label="one standard error")
    axes[0].plot(steps, mean, color="black", label=f"mean of {curve.shape[1]} seeds")
    for reward, name in ((11, "optimum, 11"), (5, "third action of both, 5")):
        axes[0].axhline(reward, color="0.4", linestyle="--", linewidth=0.8)
        axes[0].text(steps[-1], reward, name, ha="right", va="bottom", fontsize="small")
    axes[0].set(title="learning curve", xlabel="rounds", ylabel="greedy joint reward", ylim=(-32, 15))
    axes[0].legend(loc="lower right", frameon=False)

    line = torch.linspace(-1, 1, 101)
    grid = torch.cartesian_prod(line, line)  # (N, A)
    obs = torch.ones(curve.shape[1], 1, 2)
    q = q_network.q_values(obs, grid.expand(curve.shape[1], 1, -1, 2))[0, 0]  # (N,)
    for axis, values, title in ((axes[1], climbing_reward(obs[0], grid), "reward"), (axes[2], q, "learned joint Q")):
        levels = np.linspace(-32, 14, 24)
        filled = axis.contourf(line, line, values.view(101, 101).T, levels, cmap="viridis", extend="both")
        axis.plot(*action, "X", color="white", markeredgecolor="black", markersize=11, clip_on=False, zorder=3)
        axis.set(title=f"{title}, both observe +1", xlabel="action of agent 1", ylabel="action of agent 2")
        figure.colorbar(filled, ax=axis, ticks=range(-30, 11, 10))
    for (row, column), payoff in np.ndenumerate(PAYOFFS.numpy()):
        at, color = ((row - 1) * 2 / 3, (column - 1) * 2 / 3), "white" if payoff < -10 else "black"
        axes[1].text(*at, f"{payoff:g}", color=color, ha="center", va="center", fontsize="large")
    axes[2].plot([], [], "X", color="white", markeredgecolor="black", markersize=9, label="greedy joint action")
    axes[2].legend(loc="upper center", fontsize="small")
    for suffix in ("png", "pdf"):
        figure.savefig(f"{path}.{suffix}", dpi=150)


if __name__ == "__main__":
    args = tyro.cli(Args)
    script = pathlib.Path(__file__).stem
    output = args.output or f"runs/{script}__{args.seed}__{datetime.datetime.now():%Y%m%d-%H%M%S-%f}"
    try:
        check_args(args)
        output = pathlib.Path(output)
        output.mkdir(parents=True, exist_ok=True)
    except (ValueError, OSError) as error:
        sys.exit(f"error: {error}")
    generators = [torch.Generator().manual_seed(args.seed + i) for i in range(args.num_seeds)]
    q_network = QNetwork(generators, args.hidden_size)
    optimizer = torch.optim.Adam(q_network.parameters(), lr=args.learning_rate, fused=True)
    memory = ReplayMemory(args.num_seeds, args.total_timesteps)
    steps, curve, num_updates = [0], [evaluate(q_network, args)[1]], 0
    # The networks stay as they are between two updates, so the rounds in between are played at once.
    for global_step in tqdm(range(args.train_frequency, args.total_timesteps + 1, args.train_frequency), mininterval=1):
        obs = (draw(torch.rand, generators, args.train_frequency, 2) < 0.5) * 2.0 - 1  # a sign for each agent
        explores = draw(torch.rand, generators, args.train_frequency, 2) < args.exploration_epsilon  # each for itself
        random_actions = sample_uniform(generators, args.train_frequency, 1).squeeze(2)
        greedy = greedy_action(generators, q_network, obs, args.num_greedy_samples)
        actions = torch.where(explores, random_actions, greedy)  # (S, T, A)
        memory.add(obs, actions, climbing_reward(obs, actions))
        if global_step >= args.learning_starts:
            losses = train_step(generators, q_network, optimizer, memory, args)
            num_updates += 1
        if global_step % args.eval_frequency == 0:
            steps.append(global_step)
            greedy_actions, greedy_rewards = evaluate(q_network, args)
            curve.append(greedy_rewards)
            if num_updates and not torch.stack(losses).isfinite().all():
                sys.exit(f"error: a loss is not finite at step {global_step}: {losses}")

    curve = torch.stack(curve).numpy()  # (steps, seeds)
    with open(output / f"{script}.csv", "w") as file:
        file.write("global_step,seed,greedy_reward\n")
        for step, rewards in zip(steps, curve, strict=True):
            file.writelines(f"{step},{args.seed + i},{reward:.4f}\n" for i, reward in enumerate(rewards))
    draw_figure(output / script, q_network, np.array(steps), curve, greedy_actions[0, -1])
    solved = int((abs(curve[-1] - 5) <= 0.1).sum())
    print(f"verdict: greedy joint reward 5 for {solved} of {args.num_seeds} seeds;", end=" ")
    print(f"mean {curve[-1].mean():.2f}, seeds {' '.join(f'{reward:.2f}' for reward in curve[-1])}; in {output}")
