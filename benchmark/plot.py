"""Draws a figure from its data alone, into the folder of its results.

    python benchmark/plot.py figure_3
    python benchmark/plot.py open_details --results some/folder
    python benchmark/plot.py first_run          (also: first_discrete, speed)

Learning curves are means over seeds with one standard error. At the right edge stands the last
tenth with its interval (middle_and_interval in data.py), hollow the greedy policy's return at the
end. Dotted lines are published scores; a dashed line is where a variant left the grid.
"""

import itertools
import math
import pathlib
import re

import matplotlib

matplotlib.use("Agg")
import data
import matplotlib.pyplot as plt
import numpy as np

# Of rising lightness, so that they differ in greyscale too; lines and markers differ as well.
STYLES = [
    ("#08306b", "-", "o"),
    ("#e6850e", "--", "s"),
    ("#2a9d6f", "-.", "^"),
    ("#b03a6f", ":", "D"),
    ("#6baed6", (0, (5, 1)), "v"),
    ("#8c6d31", (0, (1, 1)), "P"),
    ("#7f7f7f", (0, (3, 1, 1, 1)), "X"),
    ("#000000", (0, (8, 2)), "*"),
]


def in_thousands(value, _):
    return f"{value / 1e6:g}M" if value >= 1e6 else f"{value / 1e3:g}k"


def middle_and_error(values):
    """Mean and standard error over the first dimension, without what is NaN."""
    error = np.nanstd(values, 0, ddof=min(len(values) - 1, 1))
    return np.nanmean(values, 0), error / np.isfinite(values).sum(0) ** 0.5


def spread(heights, gap):
    """Rising heights moved so that neighbours are at least gap apart; the top one stays."""
    moved = []
    for height in reversed(heights):
        moved.append(min(height, moved[-1] - gap) if moved else height)
    moved = moved[::-1]
    for i in range(len(moved)):  # none below the panel
        moved[i] = max(moved[i], moved[i - 1] + gap if i else gap / 2)
    return moved


def draw_curves(results, name):
    curves = data.read_curves(results)
    if not curves:
        raise SystemExit(f"error: there are no results in {results}")
    drawn = [variant for by_variant in curves.values() for variant in by_variant]
    order = [variant for _, variant, _ in data.commands(name) if variant in drawn]
    variants = list(dict.fromkeys(order + drawn))
    styles = dict(zip(variants, itertools.cycle(STYLES), strict=False))
    switches = {}  # where a variant left the grid
    for task, variant, command in data.commands(name):
        if match := re.search("--discrete-until ([0-9]+)", command):
            switches[task, variant] = int(match[1])
    columns = min(3, len(curves))
    rows = math.ceil(len(curves) / columns)
    shape = dict(figsize=(3.4 * columns, 2.5 * rows + 0.9), layout="constrained", squeeze=False)
    figure, grid = plt.subplots(rows, columns, **shape)
    for axes in grid.flat[len(curves) :]:
        axes.set_axis_off()
    for task, axes in zip(curves, grid.flat, strict=False):
        by_variant = {v: curves[task][v] for v in variants if v in curves[task]}
        draw_task(axes, by_variant, styles, results / task, switches)
        axes.set_title(task, fontsize=9)
        axes.set(xlim=(0, None))
        draw_references(axes, task, name)
        axes.tick_params(labelsize=7)
        axes.xaxis.set_major_formatter(in_thousands)
        axes.grid(alpha=0.25)

    handles = [
        plt.Line2D([], [], color=color, linestyle=line, marker=marker, markersize=4, label=variant)
        for variant, (color, line, marker) in styles.items()
    ]
    counts = [len(seeds) for by_variant in curves.values() for seeds in by_variant.values()]
    low, high = min(counts), max(counts)
    number = f"{low}" if low == high else f"{low} to {high}"
    kind = "interquartile mean" if low >= 8 else "mean"
    title = f"mean of {number} seeds, one s.e.; right edge: {kind} of the last tenth, 95% interval"
    if any(results.glob("*/*/seed_*_eval.csv")):
        title += "; hollow: greedy policy"
    look = dict(title_fontsize=7, fontsize=8, ncols=min(len(variants), 4), frameon=False)
    figure.legend(handles=handles, title=title, loc="outside upper center", **look)
    figure.supxlabel("environment steps", fontsize=8)
    figure.supylabel("training return", fontsize=8)
    figure.savefig(results / f"{name}.png", dpi=130)


def draw_task(axes, by_variant, styles, folder, switches):
    end = max(rows[-1, 0] for seeds in by_variant.values() for rows in seeds.values())
    for number, (variant, seeds) in enumerate(by_variant.items()):
        color, line, marker = styles[variant]
        if switches.get((folder.name, variant), end) < end:
            axes.axvline(switches[folder.name, variant], color=color, linestyle="--", linewidth=0.8)
        steps, means = data.mean_curves(seeds)
        mean, error = middle_and_error(means)
        axes.plot(steps, mean, color=color, linestyle=line, linewidth=1.4)
        axes.fill_between(steps, mean - error, mean + error, color=color, alpha=0.25, linewidth=0)
        middle, low, high = data.middle_and_interval(data.final_scores(seeds))
        x = end * (1.05 + 0.04 * number)
        if greedy := data.greedy_returns(folder / variant):
            look = dict(marker=marker, markersize=5, markerfacecolor="none", color=color)
            axes.plot(x, np.mean(greedy), **look)
        bars = [[middle - low], [high - middle]]
        axes.errorbar(x, middle, bars, color=color, marker=marker, markersize=3.5)


def draw_references(axes, task, name):
    """Published scores as lines, with their labels beside the panel, where no curve is."""
    rows = [r for r in data.references() if r["task"] == task and name in r["figures"].split()]
    rows.sort(key=lambda row: float(row["score"]))
    for row in rows:
        axes.axhline(float(row["score"]), color="0.45", linestyle=(0, (2, 3)), linewidth=0.9)
    axes.set(ylim=(0, 1.07 * axes.get_ylim()[1]))
    heights = spread([float(row["score"]) for row in rows], 0.065 * axes.get_ylim()[1])
    for row, height in zip(rows, heights, strict=True):
        steps = f"{float(row['steps']):.0e}".replace("e+0", "e").replace("e+", "e")
        place = dict(transform=axes.get_yaxis_transform(), ha="left", va="center")
        axes.text(1.02, height, f"{row['method']}, {steps}", fontsize=6, color="0.3", **place)


def draw_bandits(results):
    """Figure 2: three exploration strategies by three methods."""
    methods = {"dpg": "DPG", "local": "QMLE, local samples", "global": "QMLE, global samples"}
    strategies = {"gaussian": "Gaussian noise", "epsilon-greedy": "ε-greedy", "uniform": "uniform"}
    shape = dict(figsize=(8.8, 7.4), layout="constrained", sharex=True, sharey=True)
    figure, grid = plt.subplots(3, 3, **shape)
    for row, (strategy, strategy_name) in zip(grid, strategies.items(), strict=True):
        row[0].set_ylabel(f"{strategy_name} exploration\naction, dimension 2")
        for axes, method in zip(row, methods, strict=True):
            folder = results / strategy / method
            x, y, q = np.loadtxt(folder / "q.csv", delimiter=",", skiprows=1, unpack=True)
            size = round(len(q) ** 0.5)
            x, y, q = (values.reshape(size, size) for values in (x, y, q))
            levels = np.linspace(-0.3, 1.05, 16)
            filled = axes.contourf(x, y, q, levels=levels, cmap="Greys", extend="both")
            delta = data.read_csv(folder / "delta.csv")
            for seed in np.unique(delta["seed"]):
                way = delta[delta["seed"] == seed]
                (line,) = axes.plot(way["mu_1"], way["mu_2"], color="tab:orange", linewidth=1)
                end = dict(s=28, color="tab:red", edgecolor="white", zorder=3)
                point = axes.scatter(way["mu_1"][-1], way["mu_2"][-1], **end)
            axes.set(aspect="equal", xlim=(-1, 1), ylim=(-1, 1))
    for axes, method_name in zip(grid[0], methods.values(), strict=True):
        axes.set_title(method_name)
    for axes in grid[2]:
        axes.set_xlabel("action, dimension 1")
    grid[0, 0].legend([line, point], ["way of the delta", "its end"], loc="upper left", fontsize=8)
    figure.colorbar(filled, ax=grid, label="learned Q of the first seed", shrink=0.6)
    for suffix in ("png", "pdf"):
        figure.savefig(results / f"figure_2.{suffix}", dpi=130)


def draw_climbing(results):
    """Figure 11: two learning curves."""
    figure, axes = plt.subplots(figsize=(6, 3.6), layout="constrained")
    for method, label, color, line in (
        ("qmle", "QMLE, one predictor per agent", "#08306b", "-"),
        ("vdn", "linear value decomposition", "#e6850e", "-."),
    ):
        rows = data.read_csv(results / "climbing" / method / f"{method}_climbing.csv")
        steps, seeds = np.unique(rows["global_step"]), np.unique(rows["seed"])
        rewards = rows["greedy_reward"].reshape(len(steps), len(seeds))
        mean, error = middle_and_error(rewards.T)
        axes.fill_between(steps, mean - error, mean + error, color=color, alpha=0.3, linewidth=0)
        axes.plot(steps, mean, line, color=color, linewidth=2, label=label)
    for reward, label in ((11, "global optimum, 11"), (5, "both take the third action, 5")):
        axes.axhline(reward, color="0.35", linestyle="--", linewidth=0.8)
        axes.text(steps[-1], reward + 0.3, label, ha="right", va="bottom", fontsize="small")
    axes.set(xlabel="rounds", ylabel="greedy joint reward", title="Continuous climbing game")
    axes.set(xlim=(0, steps[-1]), xticks=np.linspace(0, steps[-1], 5))
    axes.set(ylim=(axes.get_ylim()[0] - 2, 14))
    axes.yaxis.set_major_locator(plt.MultipleLocator(5))
    axes.xaxis.set_major_formatter("{x:,.0f}")
    title = f"mean of {len(seeds)} seeds, one standard error"
    axes.legend(title=title, loc="lower right", frameon=False)
    for suffix in ("png", "pdf"):
        figure.savefig(results / f"figure_11.{suffix}", dpi=150)


def draw_first_run(results):
    """Returns of single seeds on walker-walk, and their mean."""
    runs = [data.read_csv(path) for path in sorted(results.glob("seed_?.csv"))]
    num_episodes = min(len(run) for run in runs)
    returns = np.stack([run["episodic_return"][:num_episodes] for run in runs])  # (seeds, episodes)
    steps = runs[0]["global_step"][:num_episodes]
    mean, error = middle_and_error(returns)
    figure, axes = plt.subplots(figsize=(6, 3.6), layout="constrained")
    for i, run in enumerate(returns):
        axes.plot(steps, run, color="0.75", linewidth=0.7, label="_" * (i > 0) + "single seeds")
    axes.plot(steps, mean, color="tab:blue", label=f"mean of {len(runs)} seeds")
    look = dict(alpha=0.3, color="tab:blue", label="one standard error")
    axes.fill_between(steps, mean - error, mean + error, **look)
    axes.set(title="walker-walk, QMLE", xlabel="environment steps", ylabel="training return")
    axes.set(ylim=(0, 1000), xlim=(0, None))
    axes.xaxis.set_major_formatter(in_thousands)
    axes.legend(loc="lower right", frameon=False)
    figure.savefig(results / "walker-walk.png", dpi=150)


def draw_first_discrete(results):
    """Returns of single seeds of both scripts for discrete actions."""
    styles = {"qmle_discrete": ("QMLE", "tab:blue", "-"), "dqn_discretized": ("DQN", "black", "--")}
    figure, panels = plt.subplots(1, 2, figsize=(9, 3.4), layout="constrained")
    for task, axes in zip(("CartPole-v1", "finger-spin"), panels, strict=True):
        for script, (label, color, line) in styles.items():
            for i, path in enumerate(sorted((results / task / script).glob("seed_?.csv"))):
                run = data.read_csv(path)
                window = np.ones(10) / 10  # episodes; those of CartPole are short and many
                smooth = np.convolve(run["episodic_return"], window, "valid")
                look = dict(color=color, linestyle=line, linewidth=1.1, label="_" * (i > 0) + label)
                axes.plot(run["global_step"][9:], smooth, **look)
        axes.set(title=task, xlabel="environment steps", ylim=(0, None))
        axes.set(ylabel="training return, mean of 10 episodes")
        axes.xaxis.set_major_formatter(in_thousands)
        axes.legend(loc="upper left", frameon=False)
    figure.savefig(results / "first_discrete.png", dpi=150)


def draw_cost(results):
    """Milliseconds of an update and of an action against the number of samples."""
    styles = {"walker-walk": ("o-", "C0"), "dog-walk": ("s--", "C1")}
    figure, panels = plt.subplots(1, 2, figsize=(9, 3.4), layout="constrained")
    whats = {"update": "m_target", "action": "m_greedy"}
    for axes, (what, count) in zip(panels, whats.items(), strict=True):
        for kind, machine in (("cpu", "2 CPU cores"), ("cuda", "one H100")):
            values, _ = data.read_speed(kind)
            for task, (style, color) in styles.items():
                points = {
                    int(variant.split()[1]): time
                    for (part, name, variant), time in values.items()
                    if (part, name) == ("cost", f"{what}, {task}")
                }
                look = dict(color=color, markerfacecolor=color if kind == "cuda" else "white")
                look |= dict(label=f"{task}, {machine}", markersize=5)
                axes.plot(points.keys(), points.values(), style, **look)
        axes.set(xscale="log", yscale="log", xlabel=f"{count}: samples in a search set")
        axes.set(ylabel=f"ms per {what}")
        axes.grid(alpha=0.3)
    panels[0].legend(fontsize=7)
    figure.savefig(results / "cost_of_samples.png", dpi=150)


def draw_seeds(results):
    """Steps per second of all seeds against their number."""
    values, _ = data.read_speed("cuda")
    keys = {count: ("seeds", "together", f"gymnasium S={count}") for count in range(1, 100)}
    speeds = {count: values[key] for count, key in keys.items() if key in values}
    figure, axes = plt.subplots(figsize=(4.5, 3.4), layout="constrained")
    axes.plot(speeds.keys(), speeds.values(), "ko-", markersize=5)
    axes.set(xscale="log", xlabel="seeds", ylim=(0, None), ylabel="steps per second, together")
    axes.set_xticks(list(speeds), list(speeds))
    axes.minorticks_off()
    axes.grid(alpha=0.3)
    figure.savefig(results / "seeds.png", dpi=150)


DRAWN_ALONE = {
    "figure_2": [draw_bandits],
    "figure_11": [draw_climbing],
    "first_run": [draw_first_run],
    "first_discrete": [draw_first_discrete],
    "speed": [draw_cost, draw_seeds],
}

if __name__ == "__main__":
    parser = data.parser(__doc__)
    parser.add_argument("name", help="of the figure")
    parser.add_argument("--smoke", action="store_true", help="the results of launch.py --smoke")
    parser.add_argument("--results", help="folder; default benchmark/results/<name>")
    args, _ = parser.parse_known_args()  # what else the shell scripts got is for launch.py
    smoke = data.ROOT / "runs" / "smoke" / args.name / "results"
    default = smoke if args.smoke else data.RESULTS / args.name
    results = pathlib.Path(args.results or default)
    for draw in DRAWN_ALONE.get(args.name, [lambda folder: draw_curves(folder, args.name)]):
        draw(results)
    print(f"drawn into {results}")
