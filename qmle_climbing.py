# /// script
# requires-python = ">=3.11,<3.13"
# dependencies = [
#     "matplotlib==3.11.2",
#     "numpy==2.4.6",
#     "torch==2.13.0",
#     "tyro==1.0.17",
# ]
# ///
"""QMLE in a continuous climbing game: a free joint Q and one argmax predictor per agent.

    python qmle_climbing.py
    python qmle_climbing.py --seed 11 --num-seeds 20 --output runs/climbing

Figure 11 of "Learning in complex action spaces without policy gradients". Two agents get one
reward. Q(o_1, o_2, a_1, a_2) has no structure imposed on it. Each agent's argmax predictor sees
that agent's observation only and learns its part of the joint argmax. Executing needs no Q at all.

The game is ours (the paper gives no formula). Agent i observes a sign o_i, -1 or +1, and picks a_i
in [-1, 1]. Its effective action o_i * a_i falls into one of three equal intervals, the actions of
the climbing game (Claus and Boutilier 1998, PAYOFFS), joined by linear ramps. 11 is the optimum,
and whoever leaves it alone falls to -30. With a uniform partner the actions are worth -6.3, -5.7,
1.7 to agent 1 and -6.3, -7.7, 3.7 to agent 2: the third is best for both, worth 5.
A sum of utilities knows an action by such means only (vdn_climbing.py), a free Q need not average.
The game has one step, so nothing is bootstrapped. Replay is uniform and keeps every round.

Shapes: S seeds, B batch, N action samples, A = 2 agents and actions, T rounds.
"""

import dataclasses
import datetime
import pathlib
import sys
from typing import Annotated, get_type_hints

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
import tyro
from matplotlib.figure import Figure

PAYOFFS = torch.tensor([[11.0, -30.0, 0.0], [-30.0, 7.0, 6.0], [0.0, 0.0, 5.0]])  # row: agent 1
RAMP = 0.1  # width of the ramp around each border between two actions
Count = Annotated[int, (1, 10**7)]  # type and range of a flag


@dataclasses.dataclass
class Args:
    """In brackets where a default comes from: paper (Table 1), released code, ours."""

    seed: Annotated[int, (0, 2**31)] = 1  # of the first run; the others count up from it
    num_seeds: Count = 10  # S: runs side by side, each the same as if alone [ours]
    total_timesteps: Count = 20_000  # rounds each seed plays [ours]
    learning_rate: Annotated[float, (1e-12, 1)] = 3e-3  # Adam step size [ours; paper: 5e-4]
    hidden_size: Count = 64  # units in each of the two hidden layers of every network [ours]
    batch_size: Count = 128  # rounds per update [ours; paper: 256]
    learning_starts: Count = 1000  # rounds stored before the first update [paper]
    train_frequency: Count = 10  # rounds per update [paper]
    exploration_epsilon: Annotated[float, (0, 1)] = 0.8  # of each agent, in training [ours]
    num_uniform_samples: Annotated[int, (0, 10**6)] = 10  # m_0: uniform samples [ours; paper: 90]
    num_delta_samples: Annotated[int, (0, 10**6)] = 2  # m_1: predictor samples [ours; paper: 1]
    delta_noise_std: Annotated[float, (0, 2)] = 0.1  # s.d. after the first [released code]
    eval_frequency: Count = 500  # rounds between evaluations of the greedy joint action [ours]
    output: str | None = None  # folder of the results; default: a new one in runs/


def check_args(args):
    """Raises ValueError with the flag, its value and what was expected."""
    for name, hint in get_type_hints(Args, include_extras=True).items():
        for low, high in getattr(hint, "__metadata__", ()):
            value = getattr(args, name)
            if not low <= value <= high:  # NaN fails too
                flag = "--" + name.replace("_", "-")
                raise ValueError(f"{flag} is {value}, expected a number from {low:g} to {high:g}")
    steps = args.total_timesteps, args.eval_frequency, args.train_frequency
    if steps[0] % steps[1] or steps[1] % steps[2]:  # the last evaluation is of the final networks
        flags = "--total-timesteps, --eval-frequency and --train-frequency"
        raise ValueError(f"{flags} are {steps}, expected each to be a multiple of the next")


def make_folder(args, name):
    """Makes the folder --output, or a new one that no other run writes into."""
    now = datetime.datetime.now()
    folder = pathlib.Path(args.output or f"runs/{name}__{args.seed}__{now:%Y%m%d-%H%M%S-%f}")
    folder.mkdir(parents=True, exist_ok=bool(args.output))
    return folder


def draw(function, generators, *size):
    """function(*size) once per seed, each from the generator of its own: (S, *size)."""
    return torch.stack([function(*size, generator=generator) for generator in generators])


def climbing_reward(obs, actions):
    """w_1 PAYOFFS w_2, with w_i the weights of agent i's actions: (..., A), (..., A) -> (...)."""
    borders = torch.tensor([-1 / 3, 1 / 3])
    passed = (((obs * actions).unsqueeze(-1) - borders) / RAMP + 0.5).clamp(0, 1)  # (..., A, 2)
    first, last = passed.unbind(-1)  # 0 before a border, 1 after it, linear on its ramp
    weights = torch.stack([1 - first, first - last, last], dim=-1)  # (..., A, 3)
    return torch.einsum("...i,ij,...j->...", weights[..., 0, :], PAYOFFS, weights[..., 1, :])


class SeedMLP(nn.Module):
    """S networks side by side, one per seed, with one output: (S, M, inputs) -> (S, M)."""

    def __init__(self, generators, input_size, hidden_size):
        super().__init__()
        sizes = (input_size, hidden_size, hidden_size, 1)
        self.weights, self.biases = nn.ParameterList(), nn.ParameterList()
        for fan_in, fan_out in zip(sizes, sizes[1:], strict=False):  # initialised as nn.Linear
            parameters = (draw(torch.rand, generators, fan_in + 1, fan_out) * 2 - 1) * fan_in**-0.5
            self.weights.append(parameters[:, 1:].clone())  # (S, fan_in, fan_out)
            self.biases.append(parameters[:, :1].clone())  # (S, 1, fan_out)

    def forward(self, x):
        for i in range(2):  # leaky, because in some seeds all units of a plain ReLU layer died
            x = F.leaky_relu_(torch.bmm(x, self.weights[i]).add_(self.biases[i]), 0.1)
        return torch.bmm(x, self.weights[2]).add_(self.biases[2]).squeeze(-1)


class QNetwork(nn.Module):
    """The joint Q and the two agents' argmax predictors, so that one optimizer covers them."""

    def __init__(self, generators, hidden_size):
        super().__init__()
        self.joint = SeedMLP(generators, 4, hidden_size)
        self.predictors = nn.ModuleList(SeedMLP(generators, 1, hidden_size) for _ in range(2))

    def q_values(self, obs, actions):
        """Q of many joint actions per state: (S, B, A), (S, B, N, A) -> (S, B, N)."""
        inputs = torch.cat([obs.unsqueeze(2).expand_as(actions), actions], dim=-1)  # (S, B, N, 2A)
        return self.joint(inputs.flatten(1, 2)).view(actions.shape[:-1])


class ReplayMemory:
    """Every round of every seed, each with the best joint action known at its observations."""

    def __init__(self, num_seeds, capacity):
        self.obs, self.actions, self.a_max = torch.zeros(3, num_seeds, capacity, 2)
        self.rewards, self.size = torch.zeros(num_seeds, capacity), 0

    def add(self, obs, actions, rewards):
        """Takes T rounds (S, T, A), (S, T, A), (S, T), with a_max <- action."""
        rows = slice(self.size, self.size + obs.shape[1])
        self.obs[:, rows], self.rewards[:, rows] = obs, rewards
        self.actions[:, rows] = self.a_max[:, rows] = actions
        self.size = rows.stop

    def sample(self, generators, batch_size):
        """Rows drawn uniformly, for each seed its own: what selects (S, B) of every field."""
        rows = (draw(torch.rand, generators, batch_size) * self.size).long()
        return torch.arange(len(rows)).unsqueeze(1), rows.clamp(max=self.size - 1)


def sample_uniform(generators, batch_size, num_samples):
    """Uniform samples (S, B, N, A) of the joint action space."""
    return draw(torch.rand, generators, batch_size, num_samples, 2) * 2 - 1


def greedy_action(q_network, obs):
    """Each agent's predictor on that agent's observation alone: (S, B, A) -> (S, B, A)."""
    actions = [q_network.predictors[agent](obs[..., [agent]]) for agent in range(2)]
    return torch.stack(actions, dim=-1).tanh()


def sample_actions(generators, q_network, obs, args):
    """The search set without the stored action: obs (S, B, A) -> (S, B, m_0 + m_1, A) (Eq. 21)."""
    uniform = sample_uniform(generators, obs.shape[1], args.num_uniform_samples)
    noise = draw(torch.randn, generators, obs.shape[1], args.num_delta_samples, 2)
    noise[:, :, :1] = 0  # the first sample is the predictors' output itself
    delta = greedy_action(q_network, obs).unsqueeze(2) + noise * args.delta_noise_std
    return torch.cat([uniform, delta.clamp(-1, 1)], dim=2)


def argmax_action(q_network, obs, actions):
    """The best of a search set: obs (S, B, A), actions (S, B, N, A) -> a_max (S, B, A) (Eq. 17)."""
    index = q_network.q_values(obs, actions).argmax(2)
    return actions.take_along_dim(index[..., None, None], dim=2).squeeze(2)


def q_loss(q, rewards):
    """Squared TD error, of which a one-step game leaves r - Q: (S, B) -> (S,) (Eq. 4)."""
    return ((rewards - q) ** 2).mean(1)


def argmax_predictor_loss(mode, a_max):
    """Negative log-likelihood of a_max, fixed-variance Gaussians: (S, B, A) -> (S,) (Eq. 11)."""
    return ((mode - a_max) ** 2).mean((1, 2))


def train_step(generators, q_network, optimizer, memory, args):
    """One update of Algorithm 1. Returns the losses of Q and of the predictors, (S,) each."""
    rows = memory.sample(generators, args.batch_size)
    obs, stored = memory.obs[rows], memory.a_max[rows].unsqueeze(2)  # (S, B, A), (S, B, 1, A)
    with torch.no_grad():
        actions = torch.cat([sample_actions(generators, q_network, obs, args), stored], dim=2)
        a_max = argmax_action(q_network, obs, actions)
    memory.a_max[rows] = a_max  # written back: later searches contain it
    q = q_network.q_values(obs, memory.actions[rows].unsqueeze(2)).squeeze(2)  # (S, B)
    losses = [q_loss(q, memory.rewards[rows])]
    losses.append(argmax_predictor_loss(greedy_action(q_network, obs), a_max))
    optimizer.zero_grad()
    sum(losses).sum().backward()  # the sum over seeds: each one's gradient is its own
    optimizer.step()
    return [loss.detach() for loss in losses]


@torch.no_grad()
def evaluate(q_network, args):
    """Greedy joint actions under the four pairs of observations (S, 4, A), mean reward (S,)."""
    signs = torch.tensor([-1.0, 1.0])
    obs = torch.cartesian_prod(signs, signs).expand(args.num_seeds, 4, 2)
    actions = greedy_action(q_network, obs)
    return actions, climbing_reward(obs, actions).mean(1)


@torch.no_grad()
def draw_figure(path, q_network, steps, curve, action):
    """The learning curve (steps, S), and the game and the first seed's Q where both observe +1."""
    figure = Figure(figsize=(12, 3.6), layout="constrained")
    axes = figure.subplots(1, 3)
    axes[0].plot(steps, curve, color="0.75", linewidth=0.8)
    axes[0].plot(steps, curve.mean(1), color="black")
    axes[0].set(title="learning curve: seeds and mean", xlabel="rounds", ylim=(-32, 15))
    axes[0].set(ylabel="greedy joint reward", yticks=[-30, -20, -10, 0, 5, 11])
    axes[0].grid(axis="y")

    line = torch.linspace(-1, 1, 101)
    grid = torch.cartesian_prod(line, line)  # (N, A)
    obs = torch.ones(curve.shape[1], 1, 2)
    q = q_network.q_values(obs, grid.expand(len(obs), 1, -1, 2))[0, 0]  # (N,)
    panels = (axes[1], climbing_reward(obs[0], grid), "reward"), (axes[2], q, "learned joint Q")
    for axis, values, title in panels:
        levels = np.linspace(-32, 14, 24)
        filled = axis.contourf(line, line, values.view(101, 101).T, levels, extend="both")
        axis.plot(*action, "Xw", markersize=10, markeredgecolor="k", clip_on=False, label="greedy")
        axis.set(title=f"{title}, both observe +1")
        axis.set(xlabel="action of agent 1", ylabel="action of agent 2")
        figure.colorbar(filled, ax=axis, ticks=range(-30, 11, 10))
    for (row, column), payoff in np.ndenumerate(PAYOFFS.numpy()):
        at = (row - 1) * 2 / 3, (column - 1) * 2 / 3
        color = "white" if payoff < -10 else "black"
        axes[1].text(*at, f"{payoff:g}", color=color, ha="center", va="center", fontsize="large")
    axes[2].legend(loc="upper center", fontsize="small")
    figure.savefig(f"{path}.png", dpi=150)
    figure.savefig(f"{path}.pdf")


if __name__ == "__main__":
    args = tyro.cli(Args, description=__doc__.partition("\n")[0])
    script = pathlib.Path(__file__).stem
    try:
        check_args(args)
        folder = make_folder(args, script)
    except (ValueError, OSError) as error:
        sys.exit(f"error: {error}")
    generators = [torch.Generator().manual_seed(args.seed + i) for i in range(args.num_seeds)]
    q_network = QNetwork(generators, args.hidden_size)
    optimizer = torch.optim.Adam(q_network.parameters(), lr=args.learning_rate, fused=True)
    memory = ReplayMemory(args.num_seeds, args.total_timesteps)
    steps, curve = [0], [evaluate(q_network, args)[1]]
    num_rounds = args.train_frequency  # the networks stay as they are in between: played at once
    for global_step in range(num_rounds, args.total_timesteps + 1, num_rounds):
        obs = (draw(torch.rand, generators, num_rounds, 2) < 0.5) * 2.0 - 1  # a sign for each agent
        explores = draw(torch.rand, generators, num_rounds, 2) < args.exploration_epsilon
        random_actions = sample_uniform(generators, num_rounds, 1).squeeze(2)
        greedy_actions = greedy_action(q_network, obs).detach()
        actions = torch.where(explores, random_actions, greedy_actions)  # (S, T, A)
        memory.add(obs, actions, climbing_reward(obs, actions))
        if global_step >= args.learning_starts:
            losses = train_step(generators, q_network, optimizer, memory, args)
            if not torch.stack(losses).isfinite().all():
                sys.exit(f"error: a loss is not finite at step {global_step}: {losses}")
        if global_step % args.eval_frequency == 0:
            evaluated_actions, rewards = evaluate(q_network, args)
            steps.append(global_step)
            curve.append(rewards)

    curve = torch.stack(curve).numpy()  # (steps, S)
    with open(folder / f"{script}.csv", "w") as file:
        file.write("global_step,seed,greedy_reward\n")
        for step, rewards in zip(steps, curve, strict=True):
            for i, reward in enumerate(rewards):
                file.write(f"{step},{args.seed + i},{reward:.4f}\n")
    draw_figure(folder / script, q_network, np.array(steps), curve, evaluated_actions[0, -1])
    solved = (abs(curve[-1] - 11) <= 0.1).sum()
    print("verdict: decentralised greedy joint reward 11 for", end=" ")
    print(f"{solved} of {args.num_seeds} seeds; mean {curve[-1].mean():.2f}, seeds", end=" ")
    print(*map("{:.2f}".format, curve[-1]), end=f"; in {folder}\n")
