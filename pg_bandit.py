# /// script
# requires-python = ">=3.11,<3.13"
# dependencies = [
#     "matplotlib==3.11.2",
#     "numpy==2.4.6",
#     "tyro==1.0.17",
# ]
# ///
"""True policy gradient in two bandits: softmax finds the best arm, a continuous policy stays local.

    python pg_bandit.py
    python pg_bandit.py --num-seeds 100 --output results

Figure 1 of "Learning in complex action spaces without policy gradients". Nothing is sampled and
nothing is estimated: rewards are deterministic and known, so the policy gradient is exact.
(b) Tabular softmax policy over the arms of (a), from random preferences. It ends deterministic on
    the best arm. On its way it orders the arms as their rewards do, so that sampling from it is a
    probabilistic arg sort (section 3.2).
(c) Delta policy in a continuous bandit with two bumps: it climbs the one it starts below.
(d) Gaussian policy of fixed variance in the same bandit. It sees the reward through a window as
    wide as its own, and climbs the smoothed bump that it starts below.

The rewards are ours, since the paper gives no formula. The arms have evenly spaced rewards in
shuffled order. The continuous reward has a low wide bump and a high narrow one:
    r(a) = 0.6 exp(-(a + 0.45)^2 / (2 * 0.2^2)) + exp(-(a - 0.5)^2 / (2 * 0.12^2)).
The continuous policies start within 0.25 of the low bump's top: no gradient leads out of its basin.

Shapes in the comments: S seeds, K arms, T steps, M bumps. All seeds run at once.
"""

import csv
import dataclasses
import datetime
import pathlib
import sys
from typing import Annotated, get_type_hints

import matplotlib
import numpy as np
import tyro
from matplotlib.figure import Figure

ARMS = np.array([0.4, 1.0, 0.2, 0.8, 0.6])  # rewards of the arms, (K,)
HEIGHTS = np.array([0.6, 1.0])  # of the bumps of the continuous reward, (M,)
WIDTHS = np.array([0.2, 0.12])
TOPS = np.array([-0.45, 0.5])


@dataclasses.dataclass
class Args:
    """All defaults are ours. A pair in a type is the range of its flag."""

    seed: Annotated[int, (0, 2**31)] = 1  # seed of the first run; the others count up from it
    num_seeds: Annotated[int, (1, 10**5)] = 10  # S: independent runs, from other initial policies
    num_steps: Annotated[int, (1, 10**7)] = 4000  # steps of gradient ascent
    initial_std: Annotated[float, (0, 10)] = 0.5  # s.d. of the initial preferences; 2 is slower
    softmax_learning_rate: Annotated[float, (1e-6, 10)] = 0.4  # step size of the softmax policy
    learning_rate: Annotated[float, (1e-6, 1)] = 0.002  # step size of the continuous policies
    gaussian_std: Annotated[float, (0.01, 0.35)] = 0.1  # policy's s.d.; above 0.35 bumps merge
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


def reward(action):
    """The continuous reward of actions (...): (...)."""
    distance = np.asarray(action)[..., None] - TOPS  # (..., M)
    return (HEIGHTS * np.exp(-(distance**2) / (2 * WIDTHS**2))).sum(-1)


def softmax(preferences):
    """Probabilities of preferences (..., K)."""
    exp = np.exp(preferences - preferences.max(-1, keepdims=True))
    return exp / exp.sum(-1, keepdims=True)


def softmax_gradient(preferences, rewards):
    """Policy gradient of a softmax policy in its preferences (S, K): (S, K) (Eq. 6).

    The derivative of sum_a pi(a) r(a) in the preference of a is pi(a) (r(a) - sum_b pi(b) r(b)).
    """
    policy = softmax(preferences)
    return policy * (rewards - (policy * rewards).sum(-1, keepdims=True))


def delta_gradient(action):
    """Policy gradient of a delta policy: the reward's derivative at its action (S,) (Eq. 7c)."""
    distance = action[..., None] - TOPS  # (S, M)
    bumps = HEIGHTS * np.exp(-(distance**2) / (2 * WIDTHS**2))
    return (-distance / WIDTHS**2 * bumps).sum(-1)


def smoothed_bumps(mean, std):
    """E[bump(a)] for a ~ N(mean, std^2), each bump for itself: (...) -> (..., M).

    In closed form: a Gaussian bump seen through a Gaussian window is a wider and lower bump.
    """
    variance = WIDTHS**2 + std**2
    distance = np.asarray(mean)[..., None] - TOPS
    return HEIGHTS * WIDTHS / np.sqrt(variance) * np.exp(-(distance**2) / (2 * variance))


def expected_reward(mean, std):
    """E[r(a)] for a ~ N(mean, std^2): (...) -> (...)."""
    return smoothed_bumps(mean, std).sum(-1)


def gaussian_gradient(mean, std):
    """Policy gradient of a Gaussian policy: the derivative of E[r(a)] in its mean (S,) (Eq. 6)."""
    slope = -(mean[..., None] - TOPS) / (WIDTHS**2 + std**2)  # (S, M)
    return (slope * smoothed_bumps(mean, std)).sum(-1)


def ascend(parameters, gradient, step_size, num_steps):
    """Gradient ascent from parameters (S, ...). Returns them at all steps, (num_steps + 1, ...)."""
    visited = [parameters]
    for _ in range(num_steps):
        visited.append(visited[-1] + step_size * gradient(visited[-1]))
    return np.stack(visited)


def local_optimum(objective):
    """The best action below the valley between the bumps, to 1e-4: where ascent should end."""
    grid = np.linspace(-1, 0.1, 11_001)
    return grid[np.argmax(objective(grid))]


def steps_to_show(num_recorded, count):
    """At most count of the recorded steps, dense at the start, where policies move most."""
    return np.unique(np.geomspace(1, num_recorded, count).astype(int)) - 1


def draw(policy, delta, mean, std, path):
    """The four panels of Figure 1 for one seed: policy (T, K), delta (T,), mean (T,)."""
    figure = Figure(figsize=(8, 5.6), layout="constrained")
    (a, b), (c, d) = figure.subplots(2, 2)
    viridis = matplotlib.colormaps["viridis"]
    shades = viridis(np.linspace(0, 0.9, len(ARMS)))
    for rank, arm in enumerate(np.argsort(-ARMS)):
        a.bar(arm, ARMS[arm], color=shades[rank])
        b.plot(policy[:, arm], color=shades[rank], linewidth=2 if rank == 0 else 1)
    a.set(title="(a) rewards of the arms", xlabel="action", ylabel="reward")
    a.set_xticks(range(len(ARMS)))
    b.set(title="(b) softmax policy, arms as in (a)", xlabel="step", ylabel="probability")
    b.set(xscale="symlog", xlim=(0, None))
    grid = np.linspace(-1, 1, 401)
    for axes in (c, d):
        axes.plot(grid, reward(grid), color="black", linewidth=1.2, label="reward")
        axes.set(xlabel="action", xlim=(-1, 1), ylim=(0, 1.1))
    shown = steps_to_show(len(delta), 9)
    labels = {shown[0]: "policy, first step", shown[-1]: "policy, last step"}
    colors = viridis(np.linspace(0.9, 0, len(shown)))
    for i, color in zip(shown, colors, strict=True):
        c.vlines(delta[i], 0, reward(delta[i]), color=color, linewidth=2, label=labels.get(i))
        density = np.exp(-((grid - mean[i]) ** 2) / (2 * std**2))
        d.plot(grid, 0.5 * density, color=color, linewidth=1.2, label=labels.get(i))
    c.set(title="(c) delta policy", ylabel="reward")
    d.set(title="(d) Gaussian policy, density scaled", ylabel="reward")
    c.legend(fontsize=8, loc="upper left")
    d.legend(fontsize=8, loc="upper left")
    figure.savefig(path.with_suffix(".png"), dpi=150)
    figure.savefig(path.with_suffix(".pdf"))


if __name__ == "__main__":
    args = tyro.cli(Args, description=__doc__.partition("\n")[0])
    try:
        check_args(args)
        folder = make_folder(args, "pg_bandit")
    except (ValueError, OSError) as error:
        sys.exit(f"error: {error}")
    seeds = range(args.seed, args.seed + args.num_seeds)
    generators = [np.random.default_rng(seed) for seed in seeds]
    preferences = np.stack([g.normal(0, args.initial_std, len(ARMS)) for g in generators])  # (S, K)
    start = TOPS[0] + np.stack([g.uniform(-0.25, 0.25) for g in generators])  # (S,)

    policy = softmax(
        ascend(
            preferences,
            lambda preferences: softmax_gradient(preferences, ARMS),
            args.softmax_learning_rate,
            args.num_steps,
        )
    )  # (T, S, K)
    delta = ascend(start, delta_gradient, args.learning_rate, args.num_steps)  # (T, S)
    mean = ascend(
        start,
        lambda mean: gaussian_gradient(mean, args.gaussian_std),
        args.learning_rate,
        args.num_steps,
    )  # (T, S)

    with open(folder / "progress.csv", "w", newline="") as file:
        table = csv.writer(file)
        names = [f"softmax_{arm}" for arm in range(len(ARMS))]
        table.writerow(["step", "seed", "delta", "gaussian_mean", *names])
        for i in steps_to_show(args.num_steps + 1, 60):
            for s, seed in enumerate(seeds):
                values = (delta[i, s], mean[i, s], *policy[i, s])
                table.writerow([i, seed, *map("{:.5f}".format, values)])
    drawn = np.abs(start - TOPS[0]).argmax()  # the seed that has the longest way to go
    draw(policy[:, drawn], delta[:, drawn], mean[:, drawn], args.gaussian_std, folder / "figure")

    best = (policy[-1].argmax(-1) == ARMS.argmax()) & (policy[-1].max(-1) > 0.99)  # (S,)
    gaps = np.diff(policy[..., np.argsort(ARMS)], axis=-1)  # (T, S, K - 1), from the worst arm on
    ordered = (gaps > 0).all(-1).any(0)  # (S,): at some step all arms are in order
    top = local_optimum(reward)
    smoothed_top = local_optimum(lambda grid: expected_reward(grid, args.gaussian_std))
    delta_ends = np.abs(delta[-1] - top) < 0.01
    mean_ends = np.abs(mean[-1] - smoothed_top) < 0.01
    of = f"of {args.num_seeds} end"
    print(f"softmax: {best.sum()} {of} on the best arm with probability above 0.99;")
    print(f"         {ordered.sum()} pass through the order of the rewards, all {len(ARMS)} arms")
    print(f"delta: {delta_ends.sum()} {of} at the local optimum ({top:.3f})")
    seen = f"at the local optimum of what they see ({smoothed_top:.3f})"
    print(f"Gaussian: {mean_ends.sum()} {of} {seen}")
    print(f"results: {folder}")
