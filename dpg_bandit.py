# /// script
# requires-python = ">=3.11,<3.13"
# dependencies = [
#     "matplotlib==3.11.2",
#     "numpy==2.4.6",
#     "torch==2.13.0",
#     "tyro==1.0.17",
# ]
# ///
"""Deterministic policy gradient in a bandit with two bumps: it ends on the one it starts below.

    python dpg_bandit.py
    python dpg_bandit.py --exploration uniform --num-seeds 10

Figure 2 of "Learning in complex action spaces without policy gradients". One state, two action
dimensions. Q(a) learns the reward by regression. The delta policy, the parameter mu, follows the
gradient of Q at mu (Eq. 7c), and mu is the greedy action. qmle_bandit.py has an argmax predictor
in place of the policy. Networks, initial weights, exploration and hyper-parameters are the same.

The reward is ours (the paper gives none): a low wide bump, a high narrow one,
    r(a) = 0.6 exp(-|a - (-0.4, -0.4)|^2 / (2 * 0.35^2)) + exp(-|a - (0.5, 0.5)|^2 / (2 * 0.25^2)).
mu starts within 0.2 per dimension of the low bump's top, and the gradient leads to that top,
however well Q is known.

Shapes: S seeds, B batch, N actions, M bumps.
"""

import csv
import dataclasses
import datetime
import pathlib
import sys
from typing import Annotated, Literal, get_type_hints

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
import tyro
from matplotlib.figure import Figure

HEIGHTS, WIDTHS = torch.tensor([0.6, 1.0]), torch.tensor([0.35, 0.25])  # low bump, high one: (M,)
TOPS = torch.tensor([[-0.4, -0.4], [0.5, 0.5]])  # (M, 2)
Count = Annotated[int, (1, 10**7)]  # type and range of a flag


@dataclasses.dataclass
class Args:
    """All defaults are ours, and those of qmle_bandit.py."""

    exploration: Literal["gaussian", "epsilon-greedy", "uniform"] = "gaussian"  # behavior policy
    seed: Annotated[int, (0, 2**31)] = 1  # of the first run; the others count up from it
    num_seeds: Count = 10  # S: independent runs, computed together
    total_timesteps: Count = 10_000  # rewards drawn per run
    learning_rate: Annotated[float, (1e-12, 1)] = 1e-3  # Adam step size of Q and policy
    batch_size: Count = 128  # per update, one update per step
    learning_starts: Count = 1000  # steps before mu moves, for Q to learn first
    exploration_std: Annotated[float, (0, 10)] = 0.5  # s.d. of gaussian exploration
    exploration_epsilon: Annotated[float, (0, 1)] = 0.1  # share of uniform actions, epsilon-greedy
    output: str | None = None  # folder of the results; default: a new one in runs/


def check_args(args):
    """Raises ValueError with the flag, its value and what was expected."""
    for name, hint in get_type_hints(Args, include_extras=True).items():
        for low, high in getattr(hint, "__metadata__", ()):
            value = getattr(args, name)
            if not low <= value <= high:  # NaN fails too
                flag = "--" + name.replace("_", "-")
                raise ValueError(f"{flag} is {value}, expected a number from {low:g} to {high:g}")


def make_folder(args, name):
    """Makes the folder --output, or a new one that no other run writes into."""
    now = datetime.datetime.now()
    folder = pathlib.Path(args.output or f"runs/{name}__{args.seed}__{now:%Y%m%d-%H%M%S-%f}")
    folder.mkdir(parents=True, exist_ok=bool(args.output))
    return folder


def reward(actions):
    """The deterministic reward of actions (..., 2): (...)."""
    squared = ((actions.unsqueeze(-2) - TOPS) ** 2).sum(-1)  # (..., M)
    return (HEIGHTS * torch.exp(-squared / (2 * WIDTHS**2))).sum(-1)


def climb(actions):
    """Where steepest ascent on the reward leads from actions (S, 2)."""
    for _ in range(2000):
        actions = actions.detach().requires_grad_()
        (gradient,) = torch.autograd.grad(reward(actions).sum(), actions)
        actions = (actions + 0.01 * gradient).clamp(-1, 1)
    return actions.detach()


def bumps_reached(actions):
    """0 for actions (S, 2) at the low bump's top, 1 at the high one's, -1 at neither: (S,)."""
    distance = (actions.unsqueeze(1) - TOPS).norm(dim=-1)  # (S, M)
    return torch.where(distance.amin(1) < 0.15, distance.argmin(1), -1)


class QNetwork(nn.Module):
    """Q(a) of S independent networks: all weights have a leading seed dimension."""

    def __init__(self, seeds, width=64):
        super().__init__()
        networks = []
        for seed in seeds:  # one by one: a run starts the same whatever runs beside it
            torch.manual_seed(seed)
            networks.append([nn.Linear(2, width), nn.Linear(width, width), nn.Linear(width, 1)])
        self.weights, self.biases = nn.ParameterList(), nn.ParameterList()
        for layer in zip(*networks, strict=True):
            self.weights.append(torch.stack([linear.weight.T for linear in layer]).detach())
            self.biases.append(torch.stack([linear.bias[None] for linear in layer]).detach())

    def forward(self, actions):
        """Q of actions (S, N, 2): (S, N)."""
        x = actions
        for i in range(2):
            x = F.elu(torch.baddbmm(self.biases[i], x, self.weights[i]))  # (S, N, width)
        return torch.baddbmm(self.biases[2], x, self.weights[2]).squeeze(-1)


def initial_delta(seeds):
    """theta (S, 2) such that mu = tanh(theta) is uniform within 0.2 of the low bump's top."""
    generators = [torch.Generator().manual_seed(seed) for seed in seeds]
    mu = torch.stack([torch.rand(2, generator=g) for g in generators])
    return torch.atanh(mu * 0.4 - 0.2 + TOPS[0])


def explore(mu, args):
    """The actions (S, 2) to try, given the greedy ones mu (S, 2)."""
    uniform = torch.rand(mu.shape) * 2 - 1
    if args.exploration == "gaussian":
        return (mu + torch.randn(mu.shape) * args.exploration_std).clamp(-1, 1)
    if args.exploration == "epsilon-greedy":
        return torch.where(torch.rand(len(mu), 1) < args.exploration_epsilon, uniform, mu)
    return uniform


def q_loss(q_values, rewards):
    """Squared error (S, B) -> (): summed over seeds, so that each has its own gradient."""
    return ((q_values - rewards) ** 2).mean(1).sum()


def policy_loss(q_network, mu):
    """Minus Q at mu (S, 2): its gradient is minus the policy gradient (Eq. 7c)."""
    return -q_network(mu.unsqueeze(1)).sum()


def draw(q_network, mu, path, title):
    """The reward, and the first seed's Q with the ways of all deltas, mu (T, S, 2)."""
    axis = torch.linspace(-1, 1, 81)
    grid = torch.stack(torch.meshgrid(axis, axis, indexing="xy"), dim=-1)  # (81, 81, 2)
    with torch.no_grad():
        q = q_network(grid.view(1, -1, 2).expand(mu.shape[1], -1, -1))[0].view(81, 81)
    figure = Figure(figsize=(7.5, 3.6), layout="constrained")
    panels = figure.subplots(1, 2, sharey=True)
    for axes, values in zip(panels, (reward(grid), q), strict=True):
        figure.colorbar(axes.contourf(axis, axis, values, levels=15, cmap="Greys"), ax=axes)
        axes.set(xlabel="action, dimension 1", xlim=(-1, 1), ylim=(-1, 1), aspect="equal")
    panels[0].set(title="reward", ylabel="action, dimension 2")
    panels[1].set(title=f"learned Q: {title}")
    ways = panels[1].plot(*mu.permute(2, 0, 1), color="tab:orange", linewidth=1)  # S lines
    ends = panels[1].scatter(*mu[-1].T, color="tab:red", edgecolor="white", zorder=3)
    panels[1].legend([ways[0], ends], ["way of the delta", "its end"], loc="upper left", fontsize=8)
    figure.savefig(path / "figure.png", dpi=150)
    figure.savefig(path / "figure.pdf")
    table = np.c_[grid.view(-1, 2), q.view(-1)]
    np.savetxt(path / "q.csv", table, "%.5g", ",", header="x,y,q", comments="")


if __name__ == "__main__":
    args = tyro.cli(Args, description=__doc__.partition("\n")[0])
    try:
        check_args(args)
        folder = make_folder(args, f"dpg_bandit_{args.exploration}")
    except (ValueError, OSError) as error:
        sys.exit(f"error: {error}")
    seeds = range(args.seed, args.seed + args.num_seeds)
    q_network, theta = QNetwork(seeds), nn.Parameter(initial_delta(seeds))
    q_optimizer = torch.optim.Adam(q_network.parameters(), lr=args.learning_rate)
    delta_optimizer = torch.optim.Adam([theta], lr=args.learning_rate)
    in_basin = bumps_reached(climb(theta.detach().tanh())) == 0  # (S,)
    torch.manual_seed(args.seed)
    actions = torch.zeros(args.num_seeds, args.total_timesteps, 2)  # replay memory
    rewards = torch.zeros(args.num_seeds, args.total_timesteps)
    rows = torch.arange(args.num_seeds).unsqueeze(1)  # (S, 1)
    visited = [theta.detach().tanh()]

    for global_step in range(1, args.total_timesteps + 1):
        action = explore(theta.detach().tanh(), args)
        actions[:, global_step - 1], rewards[:, global_step - 1] = action, reward(action)

        batch = torch.randint(global_step, (args.num_seeds, args.batch_size))  # (S, B)
        loss = q_loss(q_network(actions[rows, batch]), rewards[rows, batch])  # no bootstrapping
        q_optimizer.zero_grad()
        loss.backward()
        q_optimizer.step()

        if global_step >= args.learning_starts:
            mu = theta.tanh()
            delta_optimizer.zero_grad()
            policy_loss(q_network, mu).backward()
            delta_optimizer.step()
        if global_step % 20 == 0:
            visited.append(theta.detach().tanh())

    mu = torch.stack(visited)  # (T, S, 2), every 20 steps
    with open(folder / "delta.csv", "w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["global_step", "seed", "mu_1", "mu_2", "reward"])
        for i in range(len(mu)):
            for seed, point in zip(seeds, mu[i], strict=True):
                table.writerow([i * 20, seed, *map("{:.5f}".format, (*point, reward(point)))])
    draw(q_network, mu, folder, "DPG")
    reached = bumps_reached(mu[-1])
    low, high, neither = ((reached == bump).sum() for bump in (0, 1, -1))
    print(f"DPG, {args.exploration}:", end=" ")
    print(f"{in_basin.sum()} of {args.num_seeds} seeds start in the local basin")
    print(f"ends: {low} at the local mode, {high} at the global mode, {neither} at neither")
    print(f"results: {folder}")
