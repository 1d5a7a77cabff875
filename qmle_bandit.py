# /// script
# requires-python = ">=3.11,<3.13"
# dependencies = [
#     "matplotlib==3.11.2",
#     "numpy==2.4.6",
#     "torch==2.13.0",
#     "tyro==1.0.17",
# ]
# ///
"""QMLE in a continuous bandit with two modes: maximum likelihood leaves a local optimum, a gradient cannot (Figure 2).

    python qmle_bandit.py --sampling global
    python qmle_bandit.py --sampling local --exploration uniform --num-seeds 10

One state, two action dimensions, deterministic rewards. Q(a) learns the reward by regression. A delta predictor, the
parameter mu, learns the argmax of Q over a search set by maximum likelihood, and mu is the greedy action.
`--sampling local`: all of the search set is mu plus noise of s.d. 0.001; there are no uniform samples and no stored
a_max (it would begin as the exploratory action, and make the search global). `--sampling global` adds uniform samples,
and nothing else. dpg_bandit.py is the same with the deterministic policy gradient in place of the predictor's loss.

The reward (the paper gives no formula; this one is ours) is a sum of two Gaussian bumps in [-1, 1]^2, one wide and low,
one narrow and high, with a valley of reward below 0.2 between them:
    r(a) = 0.6 exp(-|a - (-0.4, -0.4)|^2 / (2 * 0.35^2)) + exp(-|a - (0.5, 0.5)|^2 / (2 * 0.25^2)).
mu starts within 0.2 of the low bump's top, per dimension: there following the gradient can only lead up the low bump,
however well Q is known. The argmax over samples from everywhere sees both tops and compares their heights.

Shapes in the comments: S seeds, B batch, N action samples. All seeds run at once, each on its own slice.
"""

import csv
import dataclasses
import pathlib
import sys
import time

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
import tyro

HEIGHTS, WIDTHS, TOPS = (0.6, 1.0), (0.35, 0.25), ((-0.4, -0.4), (0.5, 0.5))  # of the local and the global mode


@dataclasses.dataclass
class Args:
    """All defaults are ours, except where the paper is named."""

    sampling: str = "global"  # search set: "local" is mu plus tiny noise, "global" adds uniform samples [paper]
    exploration: str = "gaussian"  # "gaussian" noise around mu, "epsilon-greedy" (uniform or mu), or "uniform"
    seed: int = 1  # seed of the first run; the others count up from it
    num_seeds: int = 10  # S: independent runs, computed together
    total_timesteps: int = 10_000  # rewards drawn per run
    learning_rate: float = 1e-3  # Adam step size of Q network and predictor
    batch_size: int = 128  # transitions per update, one update per step
    learning_starts: int = 1000  # steps before mu moves, so that no method follows a Q that knows nothing yet
    exploration_std: float = 0.5  # s.d. of gaussian exploration
    exploration_epsilon: float = 0.1  # share of uniform actions of epsilon-greedy exploration
    num_delta_samples: int = 50  # search set: mu itself and perturbations of it
    num_uniform_samples: int = 50  # search set: uniform samples that global sampling adds
    delta_noise_std: float = 0.001  # s.d. of the perturbations [paper]
    output: str | None = None  # folder for the results; by default a new one under runs/


def check_args(args):
    """Raises ValueError with the flag, its value and what was expected, before anything has been created."""
    limits = dict(
        seed=(0, 2**31), num_seeds=(1, 10**4), total_timesteps=(1, 10**8), learning_rate=(1e-12, 1.0),
        batch_size=(1, 10**6), learning_starts=(1, 10**8), exploration_std=(0, 10), exploration_epsilon=(0, 1),
        num_delta_samples=(1, 10**6), num_uniform_samples=(1, 10**6), delta_noise_std=(0, 2),
    )  # fmt: skip
    for name, (low, high) in limits.items():
        if not low <= getattr(args, name) <= high:  # NaN fails too
            flag = name.replace("_", "-")
            raise ValueError(f"--{flag} is {getattr(args, name)}, expected a number from {low:g} to {high:g}")
    choices = dict(sampling=("local", "global"), exploration=("gaussian", "epsilon-greedy", "uniform"))
    for name, values in choices.items():
        if getattr(args, name) not in values:
            raise ValueError(f"--{name} is {getattr(args, name)!r}, expected one of {', '.join(values)}")


def reward(actions):
    """The deterministic reward of actions (..., 2): (...)."""
    tops = torch.tensor(TOPS)
    squared = ((actions.unsqueeze(-2) - tops) ** 2).sum(-1)  # (..., 2 modes)
    return (torch.tensor(HEIGHTS) * torch.exp(-squared / (2 * torch.tensor(WIDTHS) ** 2))).sum(-1)


def climb(actions, num_steps=2000):
    """Where steepest ascent on the true reward leads from actions (..., 2): this decides in whose basin they lie."""
    actions = actions.clone().requires_grad_()
    for _ in range(num_steps):
        (gradient,) = torch.autograd.grad(reward(actions).sum(), actions)
        actions = (actions.detach() + 0.01 * gradient).clamp(-1, 1).requires_grad_()
    return actions.detach()


def modes_reached(actions, radius=0.15):
    """For actions (S, 2): 0 at the local mode, 1 at the global one, -1 at neither, by distance to where climbs end."""
    distance = (actions.unsqueeze(1) - climb(torch.tensor(TOPS))).norm(dim=-1)  # (S, 2 modes)
    return torch.where(distance.amin(1) < radius, distance.argmin(1), -1)


class QNetwork(nn.Module):
    """Action-in Q(a) of S independent networks with two hidden layers: weights have a leading seed dimension."""

    def __init__(self, seeds, width=64):
        super().__init__()
        networks = []
        for seed in seeds:  # seeded one by one: a run starts the same whatever runs beside it
            torch.manual_seed(seed)
            networks.append([nn.Linear(2, width), nn.Linear(width, width), nn.Linear(width, 1)])
        layers = list(zip(*networks, strict=True))
        self.weights = nn.ParameterList(torch.stack([linear.weight.T for linear in layer]).detach() for layer in layers)
        self.biases = nn.ParameterList(
            torch.stack([linear.bias[None] for linear in layer]).detach() for layer in layers
        )

    def forward(self, actions):
        """Q of actions (S, N, 2): (S, N)."""
        x = actions
        for i, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            x = torch.baddbmm(bias, F.elu(x) if i else x, weight)  # (S, N, width), at last (S, N, 1)
        return x.squeeze(-1)


def initial_delta(seeds):
    """Parameters theta (S, 2) of the delta, mu = tanh(theta), with mu uniform within 0.2 of the local mode's top."""
    mu = torch.stack([torch.rand(2, generator=torch.Generator().manual_seed(seed)) for seed in seeds]) * 0.4 - 0.2
    return torch.atanh(mu + torch.tensor(TOPS[0]))


def explore(mu, args):
    """The actions (S, 2) to try, one per seed, around the greedy ones mu (S, 2)."""
    uniform = torch.rand(mu.shape) * 2 - 1
    if args.exploration == "gaussian":
        return (mu + torch.randn(mu.shape) * args.exploration_std).clamp(-1, 1)
    if args.exploration == "epsilon-greedy":
        return torch.where(torch.rand(len(mu), 1) < args.exploration_epsilon, uniform, mu)
    return uniform


def sample_uniform(num_seeds, num_samples):
    """Uniform samples of the action space: (S, N, 2)."""
    return torch.rand(num_seeds, num_samples, 2) * 2 - 1


def sample_delta(mode, num_samples, noise_std):
    """Samples of the delta predictor: its output mode (S, 2) itself, then Gaussian perturbations of it: (S, N, 2)."""
    noise = torch.randn(mode.shape[0], num_samples, mode.shape[1], device=mode.device) * noise_std
    noise[:, :1] = 0
    return (mode.unsqueeze(1) + noise).clamp(-1, 1)


def sample_actions(mode, args):
    """The search set (Eq. 21, without a stored action): mode (S, 2) -> (S, N, 2)."""
    parts = [sample_delta(mode, args.num_delta_samples, args.delta_noise_std)]
    if args.sampling == "global":
        parts.append(sample_uniform(len(mode), args.num_uniform_samples))
    return torch.cat(parts, dim=1)


def argmax_action(q_network, actions):
    """The best action of a search set (Eq. 17): actions (S, N, 2) -> a_max (S, 2)."""
    index = q_network(actions).argmax(1)
    return actions[torch.arange(len(actions)), index]


def q_loss(q_values, rewards):
    """Squared error, (S, B) each -> (): mean over the batch, sum over seeds: each has its own gradient."""
    return ((q_values - rewards) ** 2).mean(1).sum()


def argmax_predictor_loss(mode, a_max):
    """Negative log-likelihood (Eq. 11) of a_max (S, 2) under a Gaussian of fixed variance around mode, up to scale."""
    return ((mode - a_max) ** 2).mean(1).sum()


def gradient_cosine(q_network, mode, a_max):
    """Cosine of the step towards a_max and the deterministic policy gradient of Q at mode (Eq. 7c): (S,)."""
    action = mode.detach().unsqueeze(1).requires_grad_()  # (S, 1, 2)
    (gradient,) = torch.autograd.grad(q_network(action).sum(), action)
    return F.cosine_similarity(a_max - mode.detach(), gradient.squeeze(1), dim=1)


def draw(q_network, mu, path, title):
    """The reward, and the learned Q of the first seed with the ways of all deltas, mu (steps, S, 2): PNG and PDF."""
    axis = torch.linspace(-1, 1, 81)
    grid = torch.stack(torch.meshgrid(axis, axis, indexing="xy"), dim=-1)  # (81, 81, 2)
    with torch.no_grad():
        q = q_network(grid.view(1, -1, 2).expand(mu.shape[1], -1, -1))[0].view(81, 81)
    figure, panels = plt.subplots(1, 2, figsize=(7.5, 3.6), layout="constrained", sharey=True)
    for axes, values, name in zip(panels, (reward(grid), q), ("reward", f"learned Q: {title}"), strict=True):
        filled = axes.contourf(axis, axis, values, levels=15, cmap="Greys")
        figure.colorbar(filled, ax=axes)
        axes.set(title=name, xlabel="action, dimension 1", xlim=(-1, 1), ylim=(-1, 1), aspect="equal")
    panels[0].set_ylabel("action, dimension 2")
    for s in range(mu.shape[1]):
        panels[1].plot(*mu[:, s].T, color="tab:orange", linewidth=1, label="way of the delta" if s == 0 else None)
    panels[1].scatter(*mu[-1].T, color="tab:red", edgecolor="white", zorder=3, label="its end")
    panels[1].legend(loc="upper left", fontsize=8)
    figure.savefig(path.with_suffix(".png"), dpi=150)
    figure.savefig(path.with_suffix(".pdf"))
    np.savetxt(path.with_name("q.csv"), np.c_[grid.view(-1, 2), q.view(-1)], "%.5g", ",", header="x,y,q", comments="")


if __name__ == "__main__":
    args = tyro.cli(Args)
    try:
        check_args(args)
    except ValueError as error:
        sys.exit(f"error: {error}")
    seeds = range(args.seed, args.seed + args.num_seeds)
    q_network, theta = QNetwork(seeds), nn.Parameter(initial_delta(seeds))
    q_optimizer = torch.optim.Adam(q_network.parameters(), lr=args.learning_rate)
    delta_optimizer = torch.optim.Adam([theta], lr=args.learning_rate)
    in_basin = modes_reached(climb(theta.detach().tanh())) == 0  # steepest ascent on the reward ends at the local mode
    torch.manual_seed(args.seed)
    actions = torch.zeros(args.num_seeds, args.total_timesteps, 2)  # the replay memory holds the whole run
    rewards = torch.zeros(args.num_seeds, args.total_timesteps)
    history, cosines, rows = [theta.detach().tanh()], [], torch.arange(args.num_seeds).unsqueeze(1)

    for global_step in range(1, args.total_timesteps + 1):
        tried = explore(theta.detach().tanh(), args)
        actions[:, global_step - 1], rewards[:, global_step - 1] = tried, reward(tried)

        batch = torch.randint(global_step, (args.num_seeds, args.batch_size))  # (S, B)
        loss = q_loss(q_network(actions[rows, batch]), rewards[rows, batch])  # regression: one step, no bootstrapping
        q_optimizer.zero_grad()
        loss.backward()
        q_optimizer.step()

        if global_step >= args.learning_starts:
            mode = theta.tanh()
            with torch.no_grad():
                a_max = argmax_action(q_network, sample_actions(mode, args))
            cosines.append(gradient_cosine(q_network, mode, a_max))
            delta_optimizer.zero_grad()
            argmax_predictor_loss(mode, a_max).backward()
            delta_optimizer.step()
        if global_step % 20 == 0:
            history.append(theta.detach().tanh())

    name = f"qmle_bandit_{args.sampling}_{args.exploration}"
    folder = pathlib.Path(args.output or f"runs/{name}__{args.seed}__{time.strftime('%Y%m%d-%H%M%S')}")
    folder.mkdir(parents=True, exist_ok=True)
    mu = torch.stack(history)  # (steps / 20 + 1, S, 2)
    with open(folder / "delta.csv", "w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["global_step", "seed", "mu_1", "mu_2", "reward"])
        for i, row in enumerate(mu):
            table.writerows(
                [i * 20, seed, *map("{:.5f}".format, (*m, reward(m)))] for seed, m in zip(seeds, row, strict=True)
            )
    draw(q_network, mu, folder / "figure", f"QMLE, {args.sampling}")
    reached = modes_reached(mu[-1])
    ends = [(reached == mode).sum().item() for mode in (0, 1, -1)]
    print(
        f"QMLE {args.sampling}, {args.exploration}: {in_basin.sum()} of {args.num_seeds} seeds start in the local basin"
    )
    print(f"ends: {ends[0]} at the local mode, {ends[1]} at the global mode, {ends[2]} at neither")
    if cosines:
        print(f"mean cosine between the predictor's step and the policy gradient: {torch.stack(cosines).mean():.2f}")
    print(f"results: {folder}")
