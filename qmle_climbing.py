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
"""QMLE in a continuous climbing game: a free joint Q, one argmax predictor per agent, decentralised execution.

    python qmle_climbing.py
    python qmle_climbing.py --seed 11 --num-seeds 20 --output runs/climbing

Figure 11 and appendix E.2 of "Learning in complex action spaces without policy gradients". Two agents get one reward.
Q(o_1, o_2, a_1, a_2) has no structure imposed on it; the argmax predictor of each agent sees that agent's observation
only and learns, by maximum likelihood, to propose that agent's part of the joint argmax. Executing needs no Q at all.

The paper gives no formula for the game; this one is ours. Every round agent i observes a sign o_i, -1 or +1 with equal
probability, and picks a_i in [-1, 1]; o_i * a_i is its effective action, so nobody can act well without its own sign.
[-1, 1] is cut into three equal intervals, the three actions of the climbing game (Claus and Boutilier 1998, PAYOFFS):
plateaus, joined across the two borders by linear ramps of width RAMP = 0.1, bilinear where ramps cross. A reward is
thus a weighted mean of payoffs: 11 stays the optimum, and whoever leaves it alone falls to -30. Why that shows the
effect: fitted to independent agents, Q = U_1 + U_2 can know an action only by its mean over what the other one does.
With a uniform partner these means are -6.3, -5.7, 1.7 for agent 1 and -6.3, -7.7, 3.7 for agent 2: the third is best
for both, worth 5. A free Q need not average. (The averages follow the partner: if both explore rarely, the best reply
to the third action is the second, and so on. See --exploration-epsilon in vdn_climbing.py.)

It is a one-step game, so Q regresses on the reward: no bootstrapping, no target network, and Algorithm 1's search at
the next state is a search at the state itself. Replay is uniform and keeps every round; no categorical predictor.

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
    learning_rate: float = 3e-3  # Adam step size of Q and the predictors [ours; paper: 5e-4]
    hidden_size: int = 64  # units in each of the two hidden layers of every network [ours]
    batch_size: int = 128  # rounds per update [ours; paper: 256]
    learning_starts: int = 1000  # rounds stored before the first update [paper]
    train_frequency: int = 10  # rounds per update [paper]
    exploration_epsilon: float = 0.8  # probability, per agent, of a uniformly random action while training [ours]
    num_uniform_samples: int = 10  # m_0: uniform joint actions in a search set [ours; paper: 90]
    num_delta_samples: int = 2  # m_1: samples of the joint delta predictor in a search set [ours; paper: 1]
    delta_noise_std: float = 0.1  # s.d. of delta samples after the first, in half-ranges [released code]
    eval_frequency: int = 500  # rounds between evaluations of the greedy joint action [ours]
    output: str | None = None  # directory for the CSV and the figure; default: a new one in runs/


def check_args(args):
    """Raises ValueError with the flag, its value and what was expected, before anything has been created."""
    one_up = ("num_seeds", "total_timesteps", "hidden_size", "batch_size", "learning_starts", "train_frequency")
    limits = dict.fromkeys((*one_up, "eval_frequency"), (1, 10**9)) | dict(
        seed=(0, 2**31), learning_rate=(1e-12, 1.0), exploration_epsilon=(0, 1), num_uniform_samples=(0, 10**6),
        num_delta_samples=(0, 10**6), delta_noise_std=(0, 2),
    )  # fmt: skip
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
    """The joint Q and the argmax predictors of the two agents, in one module so that one optimizer covers them."""

    def __init__(self, generators, hidden_size):
        super().__init__()
        self.joint = SeedMLP(generators, 4, hidden_size)
        self.delta_predictors = nn.ModuleList(SeedMLP(generators, 1, hidden_size) for _ in range(2))

    def q_values(self, obs, actions):
        """Q(o_1, o_2, a_1, a_2) of many joint actions per state: (S, B, A), (S, B, N, A) -> (S, B, N)."""
        inputs = torch.cat([obs.unsqueeze(2).expand_as(actions), actions], dim=-1)  # (S, B, N, 2A)
        return self.joint(inputs.flatten(1, 2)).view(actions.shape[:-1])

    def mode(self, obs):
        """The joint delta predictor: each agent's own predictor on its own observation. (S, B, A) -> (S, B, A)."""
        modes = [predictor(obs[..., [agent]]) for agent, predictor in enumerate(self.delta_predictors)]
        return torch.stack(modes, dim=-1).tanh()


class ReplayMemory:
    """Every round of every seed, each with the best joint action known at its observations."""

    def __init__(self, num_seeds, capacity):
        self.obs, self.actions, self.a_max = torch.zeros(3, num_seeds, capacity, 2)
        self.rewards, self.size = torch.zeros(num_seeds, capacity), 0

    def add(self, obs, actions, rewards):
        """Takes T rounds (S, T, A), (S, T, A), (S, T), with a_max <- action."""
        rows = slice(self.size, self.size + obs.shape[1])
        self.obs[:, rows], self.actions[:, rows], self.a_max[:, rows] = obs, actions, actions
        self.rewards[:, rows] = rewards
        self.size = rows.stop

    def sample(self, generators, batch_size):
        """Draws rows uniformly, with replacement, for each seed its own: indices that select (S, B) of every field."""
        rows = (draw(torch.rand, generators, batch_size) * self.size).long().clamp(max=self.size - 1)
        return torch.arange(len(rows)).unsqueeze(1), rows


def sample_uniform(generators, batch_size, num_samples):
    """Uniform samples (S, B, N, A) of the joint action space."""
    return draw(torch.rand, generators, batch_size, num_samples, 2) * 2 - 1


def sample_delta(generators, mode, num_samples, noise_std):
    """Samples of the joint delta predictor: its output mode (S, B, A), then perturbations of it: (S, B, N, A)."""
    noise = draw(torch.randn, generators, mode.shape[1], num_samples, 2) * noise_std
    noise[:, :, :1] = 0
    return (mode.unsqueeze(2) + noise).clamp(-1, 1)


def sample_actions(generators, q_network, obs, args):
    """The search set without the stored action (Eq. 21), uniform then delta: obs (S, B, A) -> (S, B, m_0 + m_1, A)."""
    uniform = sample_uniform(generators, obs.shape[1], args.num_uniform_samples)
    delta = sample_delta(generators, q_network.mode(obs), args.num_delta_samples, args.delta_noise_std)
    return torch.cat([uniform, delta], dim=2)


def argmax_action(q_network, obs, actions):
    """The best joint action of a search set (Eq. 17): (S, B, A), (S, B, N, A) -> a_max (S, B, A), index, q.

    index (S, B) is its place in the set; q (S, B, N) are the values of the set, their maximum that of Eq. 18.
    """
    q = q_network.q_values(obs, actions)
    index = q.argmax(2)
    return actions.take_along_dim(index[..., None, None], dim=2).squeeze(2), index, q


def q_loss(q, rewards):
    """Squared error to the reward, which is the TD target of a one-step game (Eq. 3): (S, B) -> (S,)."""
    return ((rewards - q) ** 2).mean(1)


def argmax_predictor_loss(mode, a_max):
    """Negative log-likelihood of a_max under Gaussians of fixed variance around mode, each agent's its own part of it.

    So the mean squared error, averaged over batch and agents (Eq. 11): (S, B, A), (S, B, A) -> (S,).
    """
    return ((mode - a_max) ** 2).mean((1, 2))


@torch.no_grad()
def greedy_action(q_network, obs):
    """Decentralised execution: each agent's action from its own predictor and observation. (S, B, A) -> (S, B, A)."""
    return q_network.mode(obs)


def train_step(generators, q_network, optimizer, memory, args):
    """One update of Algorithm 1 for a one-step game. Returns the losses of Q and predictors, (S,) each."""
    rows = memory.sample(generators, args.batch_size)
    obs, stored = memory.obs[rows], memory.a_max[rows]  # (S, B, A)
    with torch.no_grad():  # the best of the search set and the stored action is written back
        actions = torch.cat([sample_actions(generators, q_network, obs, args), stored.unsqueeze(2)], dim=2)
        a_max = memory.a_max[rows] = argmax_action(q_network, obs, actions)[0]
    q = q_network.q_values(obs, memory.actions[rows].unsqueeze(2)).squeeze(2)  # (S, B)
    losses = q_loss(q, memory.rewards[rows]), argmax_predictor_loss(q_network.mode(obs), a_max)
    optimizer.zero_grad()
    sum(losses).sum().backward()  # the sum over seeds: each one's gradient is its own
    optimizer.step()
    return tuple(loss.detach() for loss in losses)


@torch.no_grad()
def evaluate(q_network, num_seeds):
    """The greedy joint actions under the four pairs of observations, (S, 4, A), and their mean reward, (S,)."""
    obs = torch.cartesian_prod(torch.tensor([-1.0, 1.0]), torch.tensor([-1.0, 1.0])).expand(num_seeds, 4, 2)
    actions = greedy_action(q_network, obs)
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
    steps, curve, num_updates = [0], [evaluate(q_network, args.num_seeds)[1]], 0
    # The networks stay as they are between two updates, so the rounds in between are played at once.
    for global_step in tqdm(range(args.train_frequency, args.total_timesteps + 1, args.train_frequency), mininterval=1):
        obs = (draw(torch.rand, generators, args.train_frequency, 2) < 0.5) * 2.0 - 1  # a sign for each agent
        explores = draw(torch.rand, generators, args.train_frequency, 2) < args.exploration_epsilon  # each for itself
        random_actions = sample_uniform(generators, args.train_frequency, 1).squeeze(2)
        actions = torch.where(explores, random_actions, greedy_action(q_network, obs))  # (S, T, A)
        memory.add(obs, actions, climbing_reward(obs, actions))
        if global_step >= args.learning_starts:
            losses = train_step(generators, q_network, optimizer, memory, args)
            num_updates += 1
        if global_step % args.eval_frequency == 0:
            steps.append(global_step)
            greedy_actions, greedy_rewards = evaluate(q_network, args.num_seeds)
            curve.append(greedy_rewards)
            if num_updates and not torch.stack(losses).isfinite().all():
                sys.exit(f"error: a loss is not finite at step {global_step}: {losses}")

    curve = torch.stack(curve).numpy()  # (steps, seeds)
    with open(output / f"{script}.csv", "w") as file:
        file.write("global_step,seed,greedy_reward\n")
        for step, rewards in zip(steps, curve, strict=True):
            file.writelines(f"{step},{args.seed + i},{reward:.4f}\n" for i, reward in enumerate(rewards))
    draw_figure(output / script, q_network, np.array(steps), curve, greedy_actions[0, -1])
    solved = int((abs(curve[-1] - 11) <= 0.1).sum())
    print(f"verdict: decentralised greedy joint reward 11 for {solved} of {args.num_seeds} seeds;", end=" ")
    print(f"mean {curve[-1].mean():.2f}, seeds {' '.join(f'{reward:.2f}' for reward in curve[-1])}; in {output}")
