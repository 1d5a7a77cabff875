# /// script
# requires-python = ">=3.11,<3.13"
# dependencies = [
#     "matplotlib==3.11.2",
#     "numpy==2.4.6",
#     "tyro==1.0.17",
# ]
# ///
"""The true policy gradient in two bandits: a softmax policy finds the best arm, continuous ones stay local (Figure 1).

    python pg_bandit.py
    python pg_bandit.py --num-seeds 100 --output results

Nothing is sampled and nothing is estimated: rewards are deterministic and known, so the policy gradient is exact.
(b) Tabular softmax policy over the arms of (a), from random preferences: it ends deterministic on the best arm, and on
    its way orders the arms as their rewards do, which makes sampling from it a probabilistic arg sort (section 3.2).
(c) Delta policy in a continuous bandit with a bimodal reward: it climbs the top it starts below.
(d) Gaussian policy of fixed variance in the same bandit, its gradient integrated by quadrature: it sees the reward
    through a window as wide as its own, and climbs the smoothed top that it starts below.

The rewards are ours (the paper gives no formula). For the arms: evenly spaced values in a shuffled order, so that the
ranking is clear (a policy that starts all but sure of a bad arm takes far longer, which --initial-std 2 shows). For the
continuous bandit: a low wide bump and a high narrow one, further apart than the Gaussian policy is wide,
    r(a) = 0.6 exp(-(a + 0.45)^2 / (2 * 0.2^2)) + exp(-(a - 0.5)^2 / (2 * 0.12^2)).
The continuous policies start within 0.25 of the low bump's top: by following the gradient nothing leaves its basin.

Shapes in the comments: S seeds, K arms, T steps recorded. All seeds run at once.
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
import tyro

ARMS = np.array([0.4, 1.0, 0.2, 0.8, 0.6])  # rewards of (a), (K,)
HEIGHTS, WIDTHS, TOPS = np.array([0.6, 1.0]), np.array([0.2, 0.12]), np.array([-0.45, 0.5])  # the bumps of (c) and (d)


@dataclasses.dataclass
class Args:
    """All defaults are ours."""

    seed: int = 1  # seed of the first run; the others count up from it
    num_seeds: int = 10  # S: independent runs, from other initial policies
    num_steps: int = 4000  # steps of gradient ascent
    initial_std: float = 0.5  # s.d. of the softmax policy's initial preferences
    softmax_learning_rate: float = 0.4  # step size of the softmax policy's preferences
    learning_rate: float = 0.002  # step size of the continuous policies' parameter
    gaussian_std: float = 0.1  # s.d. of the Gaussian policy; the action space is [-1, 1]
    output: str | None = None  # folder for the results; by default a new one under runs/


def check_args(args):
    """Raises ValueError with the flag, its value and what was expected, before anything has been created."""
    limits = dict(
        seed=(0, 2**31), num_seeds=(1, 10**5), num_steps=(1, 10**7), initial_std=(0, 10),
        softmax_learning_rate=(1e-6, 10), learning_rate=(1e-6, 1), gaussian_std=(0.01, 1),
    )  # fmt: skip
    for name, (low, high) in limits.items():
        if not low <= getattr(args, name) <= high:  # NaN fails too
            flag = name.replace("_", "-")
            raise ValueError(f"--{flag} is {getattr(args, name)}, expected a number from {low:g} to {high:g}")


def reward(action):
    """The bimodal reward of actions (...): (...)."""
    return (HEIGHTS * np.exp(-((np.asarray(action)[..., None] - TOPS) ** 2) / (2 * WIDTHS**2))).sum(-1)


def softmax(preferences):
    """Probabilities of preferences (S, K)."""
    exp = np.exp(preferences - preferences.max(-1, keepdims=True))
    return exp / exp.sum(-1, keepdims=True)


def softmax_gradient(preferences, rewards):
    """Exact policy gradient of sum_a pi(a) r(a) in the preferences (S, K): pi(a) (r(a) - sum_b pi(b) r(b)) (Eq. 6)."""
    policy = softmax(preferences)
    return policy * (rewards - (policy * rewards).sum(-1, keepdims=True))


def delta_gradient(action):
    """Exact policy gradient of a delta policy at action (S,): the derivative of the reward there (Eq. 7c)."""
    action = action[..., None]
    bumps = HEIGHTS * np.exp(-((action - TOPS) ** 2) / (2 * WIDTHS**2))
    return (-(action - TOPS) / WIDTHS**2 * bumps).sum(-1)


def gaussian_gradient(mean, std, num_points=41):
    """Exact policy gradient of E[r(a)], a ~ N(mean, std^2), in mean (S,): E[r(a) (a - mean) / std^2] (Eq. 12).

    By Gauss-Hermite quadrature: the sum over its points stands for the integral, to about eight digits here.
    """
    points, weights = np.polynomial.hermite_e.hermegauss(num_points)  # for the weight exp(-x^2 / 2)
    score = points / std  # (a - mean) / std^2 at a = mean + std * point
    return (reward(mean[..., None] + std * points) * score * weights).sum(-1) / np.sqrt(2 * np.pi)


def expected_reward(mean, std, num_points=41):
    """E[r(a)] of the Gaussian policy with mean (...), by the same quadrature."""
    points, weights = np.polynomial.hermite_e.hermegauss(num_points)
    return (reward(np.asarray(mean)[..., None] + std * points) * weights).sum(-1) / np.sqrt(2 * np.pi)


def ascend(parameters, gradient, step_size, num_steps):
    """Gradient ascent from parameters (S, ...). Returns all parameters on the way, (num_steps + 1, S, ...)."""
    way = [parameters]
    for _ in range(num_steps):
        way.append(way[-1] + step_size * gradient(way[-1]))
    return np.stack(way)


def local_optimum(objective):
    """The best action below the valley between the bumps, to 1e-4: where the ascent should end."""
    grid = np.linspace(-1, 0.1, 11_001)
    return grid[np.argmax(objective(grid))]


def draw(policy, delta, mean, std, path):
    """The four panels of Figure 1, for one seed: policy (T, K), delta (T,) and mean (T,), as PNG and PDF."""
    figure, ((a, b), (c, d)) = plt.subplots(2, 2, figsize=(8, 5.6), layout="constrained")
    order = np.argsort(-ARMS)
    shades = plt.cm.viridis(np.linspace(0, 0.9, len(ARMS)))
    for rank, arm in enumerate(order):
        a.bar(arm, ARMS[arm], color=shades[rank])
        b.plot(policy[:, arm], color=shades[rank], linewidth=2 if rank == 0 else 1)
    a.set(title="(a) rewards of the arms", xlabel="action", ylabel="reward", xticks=range(len(ARMS)))
    b.set(
        title="(b) softmax policy, arms as in (a)", xlabel="step", ylabel="probability", xscale="symlog", xlim=(0, None)
    )
    grid = np.linspace(-1, 1, 401)
    shown = np.unique(np.geomspace(1, len(delta), 9).astype(int)) - 1  # dense at the start, where it moves most
    colors = plt.cm.viridis(np.linspace(0.9, 0, len(shown)))
    for axes in (c, d):
        axes.plot(grid, reward(grid), color="black", linewidth=1.2, label="reward")
        axes.set(xlabel="action", xlim=(-1, 1), ylim=(0, 1.1))
    for i, color in zip(shown, colors, strict=True):
        label = {shown[0]: "policy, first step", shown[-1]: "policy, last step"}.get(i)
        c.vlines(delta[i], 0, reward(delta[i]), color=color, linewidth=2, label=label)
        density = np.exp(-((grid - mean[i]) ** 2) / (2 * std**2))
        d.plot(grid, 0.5 * density, color=color, linewidth=1.2, label=label)
    c.set(title="(c) delta policy", ylabel="reward")
    d.set(title="(d) Gaussian policy, density scaled", ylabel="reward")
    c.legend(fontsize=8, loc="upper left")
    d.legend(fontsize=8, loc="upper left")
    figure.savefig(path.with_suffix(".png"), dpi=150)
    figure.savefig(path.with_suffix(".pdf"))


if __name__ == "__main__":
    args = tyro.cli(Args)
    try:
        check_args(args)
    except ValueError as error:
        sys.exit(f"error: {error}")
    seeds = range(args.seed, args.seed + args.num_seeds)
    random = [np.random.default_rng(seed) for seed in seeds]
    preferences = np.stack([generator.normal(0, args.initial_std, len(ARMS)) for generator in random])  # (S, K)
    start = TOPS[0] + np.stack([generator.uniform(-0.25, 0.25) for generator in random])  # (S,)

    def ascend_softmax(preferences):
        return softmax_gradient(preferences, ARMS)

    def ascend_gaussian(mean):
        return gaussian_gradient(mean, args.gaussian_std)

    policy = softmax(ascend(preferences, ascend_softmax, args.softmax_learning_rate, args.num_steps))  # (T, S, K)
    delta = ascend(start, delta_gradient, args.learning_rate, args.num_steps)  # (T, S)
    mean = ascend(start, ascend_gaussian, args.learning_rate, args.num_steps)  # (T, S)

    folder = pathlib.Path(args.output or f"runs/pg_bandit__{args.seed}__{time.strftime('%Y%m%d-%H%M%S')}")
    folder.mkdir(parents=True, exist_ok=True)
    shown = np.unique(np.geomspace(1, args.num_steps + 1, 60).astype(int)) - 1  # dense at the start, as the figure
    with open(folder / "progress.csv", "w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["step", "seed", "delta", "gaussian_mean", *(f"softmax_{arm}" for arm in range(len(ARMS)))])
        for i in shown:
            for s, seed in enumerate(seeds):
                table.writerow([i, seed, *map("{:.5f}".format, (delta[i, s], mean[i, s], *policy[i, s]))])
    drawn = np.abs(start - TOPS[0]).argmax()  # the seed that has the longest way to go
    draw(policy[:, drawn], delta[:, drawn], mean[:, drawn], args.gaussian_std, folder / "figure")

    best = (policy[-1].argmax(-1) == ARMS.argmax()) & (policy[-1].max(-1) > 0.99)  # (S,)
    sorted_arms = np.argsort(ARMS)
    ordered = (np.diff(policy[..., sorted_arms], axis=-1) > 0).all(-1).any(0)  # (S,) at some step, all arms in order
    delta_ends = np.abs(delta[-1] - local_optimum(reward)) < 0.01
    smoothed = local_optimum(lambda grid: expected_reward(grid, args.gaussian_std))
    mean_ends = np.abs(mean[-1] - smoothed) < 0.01
    print(f"softmax: {best.sum()} of {args.num_seeds} end on the best arm with probability above 0.99;")
    print(f"         {ordered.sum()} pass through the order of the rewards, all {len(ARMS)} arms")
    print(f"delta: {delta_ends.sum()} of {args.num_seeds} end at the local optimum ({local_optimum(reward):.3f})")
    print(f"Gaussian: {mean_ends.sum()} of {args.num_seeds} end at the local optimum of what they see ({smoothed:.3f})")
    print(f"results: {folder}")
