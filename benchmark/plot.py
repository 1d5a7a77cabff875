"""Draws a figure from its data alone, into the folder of its results.

    python benchmark/plot.py figure_3
    python benchmark/plot.py open_details --results some/folder
    python benchmark/plot.py first_run          (also: first_discrete, speed)

Colours and fonts are in style.mplstyle. A vertical line is where a variant left the grid.
"""

import itertools
import math
import pathlib
import re
import statistics

import matplotlib

matplotlib.use("Agg")
import data
import matplotlib.pyplot as plt
import numpy as np
from PIL import Image
from tables import ACTION_DIMENSIONS, ORDER

plt.style.use(pathlib.Path(__file__).with_name("style.mplstyle"))
STYLES = list(plt.rcParams["axes.prop_cycle"])  # the first is QMLE
QMLE, DQN, VDN = STYLES[:3]
ABOVE = dict(loc="outside upper center")
RING = dict(marker="o", markerfacecolor="none")
LINES = {  # colour and line of what is published, then of our counterparts
    "A3C": (1, "--"),
    "D4PG": (2, "-."),
    "MPO": (6, (0, (1, 1))),
    "DMPO": (4, (0, (5, 1))),
    "SAC": (5, "-"),
    "TD3 (Spinning Up)": (7, (0, (8, 2))),
    "PPO (DreamerV3)": (3, ":"),
    "PPO (Spinning Up)": (2, "--"),
    "PPO (rl_games)": (5, "-."),
    "QT-Opt": (2, "-"),
    "AQL (continuous)": (3, "-"),
    "AQL (discretised)": (6, "--"),
    "ddpg": (1, "-."),
    "ddpg-lr-1e-4": (2, ":"),
    "qtopt": (2, (0, (5, 1))),
    "aql": (3, "--"),
}
LOOKS = {name: STYLES[i] | {"linestyle": line} for name, (i, line) in LINES.items()}
NAMES = {"qmle": "QMLE", "dqn": "DQN", "ddpg": "DDPG", "qtopt": "QT-Opt", "aql": "AQL"}


def in_thousands(value, _=None):
    return f"{value / 1e6:g}M" if value >= 1e6 else f"{value / 1e3:g}k" if value else "0"


def draw_mean(axes, steps, values, style, **look):
    """The mean over the first dimension with its standard error, without what is NaN."""
    mean, deviation = np.nanmean(values, 0), np.nanstd(values, 0, ddof=min(len(values) - 1, 1))
    error = deviation / np.isfinite(values).sum(0) ** 0.5
    band = dict(color=style["color"], alpha=0.2, linewidth=0)
    axes.fill_between(steps, mean - error, mean + error, **band)
    axes.plot(steps, mean, **style, **look)


def save(figure, path, *vectors):
    """Formats of vectors, and a PNG of 256 colours, which is a third as large."""
    for suffix in ("png", *vectors):
        figure.savefig(f"{path}.{suffix}")
    picture = Image.open(f"{path}.png").convert("RGB").quantize()
    picture.save(f"{path}.png", optimize=True)


def draw_curves(results, name):
    folder = data.RESULTS / "figure_3" if name == "figure_6" else results  # of what is drawn
    curves = data.read_curves(folder)
    published = [row for row in data.references() if name in row["figures"].split()]
    if name == "figure_6":
        curves = {row["task"]: curves[row["task"]] for row in published}
    if name in ("figure_5", "figure_7"):
        qmle = data.read_curves(data.RESULTS / "figure_3")
        for task, others in curves.items():
            others.pop("qmle-rerun", None)  # shorter; it is in the table
            end = max(map(data.last_step, others.values()))
            curves[task] = {"qmle": data.until(qmle[task]["qmle"], end)} | others
    if not curves:
        raise SystemExit(f"error: there are no results in {results}")
    tasks = sorted(curves, key=ORDER)
    drawn = [variant for by_variant in curves.values() for variant in by_variant]
    commands = {(task, variant): command for task, variant, command in data.commands(name)}
    order = dict.fromkeys(["qmle", *(variant for _, variant in commands), *drawn])
    variants = [variant for variant in order if variant in drawn]
    several = len(variants) > 1
    looks = zip(variants, itertools.cycle(STYLES), itertools.cycle("os^DvPX*"), strict=False)
    styles = {v: LOOKS.get(v, s) | {"marker": m if several else ""} for v, s, m in looks}
    columns = 5 if len(tasks) > 6 else 2 if len(tasks) == 4 else min(3, len(tasks))
    rows = math.ceil(len(tasks) / columns)
    blank = rows * columns - len(tasks)  # these hold the legend
    grid = np.reshape(tasks + ["legend"] * blank, (rows, columns)).tolist()
    height = rows * (1.44 if columns > 3 else 2.6) + 0.6 * (not blank)
    figure, panels = plt.subplot_mosaic(grid, figsize=(8, height))
    for number, task in enumerate(tasks):
        axes = panels[task]
        for row in published:
            if row["task"] == task:
                axes.axhline(float(row["score"]), **LOOKS[row["method"]], linewidth=1.1)
        by_variant = {v: curves[task][v] for v in variants if v in curves[task]}
        draw_task(axes, by_variant, styles, folder / task, commands)
        what = "" if blank else "action dimensions: "
        axes.set_title(f"{task} ({what}{ACTION_DIMENSIONS[task]})")
        axes.set(ylim=(0, 1000), yticks=range(0, 1001, 500 if columns > 3 else 250))
        axes.tick_params(labelleft=number % columns == 0)

    handles = []
    for variant, style in styles.items():
        method, *rest = variant.split("-", 1)
        label = "-".join([NAMES.get(method, method), *rest])
        handles.append(plt.Line2D([], [], label=label, **style))
    if any(folder.glob("*/*/seed_*_eval.csv")):
        look = QMLE | RING | dict(linestyle="", label="greedy policy at the end")
        handles.append(plt.Line2D([], [], **look))
    for method, style in LOOKS.items():
        steps = {row["task"]: float(row["steps"]) for row in published if row["method"] == method}
        if steps:
            usual = statistics.mode(steps.values())
            label = f"{method}, {in_thousands(usual)} steps"
            others = [f" ({t}: {in_thousands(n)})" for t, n in steps.items() if n != usual]
            handles.append(plt.Line2D([], [], label=label + "".join(others), **style))
    counts = {len(seeds) for by_variant in curves.values() for seeds in by_variant.values()}
    number = " to ".join(map(str, sorted({min(counts), max(counts)})))
    title = f"mean of {number} seeds with one standard error"
    if several:
        kind = "interquartile mean" if min(counts) >= 8 else "mean"
        title += f"; right edge: {kind} of the last tenth of common steps, 95% interval"
    if blank:
        title += "\n(in brackets: action dimensions)"
        panels["legend"].set_axis_off()
        legend = panels["legend"].legend(handles=handles, title=title, loc="center")
        legend.set_in_layout(False)
    else:
        title += "; level lines: published" if published else ""
        number = math.ceil(len(handles) / math.ceil(len(handles) / 4))  # of columns; filled by rows
        handles = [handle for i in range(number) for handle in handles[i::number]]
        figure.legend(handles=handles, title=title, **ABOVE, ncols=number)
    figure.supxlabel("environment steps")
    figure.supylabel("return of training episodes")
    save(figure, results / name, "svg")


def draw_task(axes, by_variant, styles, folder, commands):
    end = max(rows[-1, 0] for seeds in by_variant.values() for rows in seeds.values())
    common = min(map(data.last_step, by_variant.values()))
    several = len(styles) > 1
    for number, (variant, seeds) in enumerate(by_variant.items()):
        style = styles[variant]
        command = commands.get((folder.name, variant), "")
        match = re.search("--discrete-until ([0-9]+)", command)
        if match and int(match[1]) < end:  # where it left the grid
            axes.axvline(int(match[1]), color=style["color"], linestyle="--", linewidth=0.8)
        draw_mean(axes, *data.mean_curves(seeds), style | {"marker": ""})
        if greedy := data.greedy_returns(folder / variant):
            axes.plot(end, np.mean(greedy), **style | RING, clip_on=False, zorder=3)
        if several:
            scores = data.final_scores(data.until(seeds, common))
            middle, low, high = data.middle_and_interval(scores)
            bars, x = [[middle - low], [high - middle]], end * (1.05 + 0.04 * number)
            axes.errorbar(x, middle, bars, **style | {"linestyle": "-"})
    ticks = plt.MaxNLocator(4 if several else 2, steps=[1, 2.5, 5, 10]).tick_values(0, end)
    right = end * (1.05 + 0.04 * len(styles)) if several else end
    axes.set(xlim=(0, right), xticks=ticks[ticks <= end])
    axes.xaxis.set_major_formatter(in_thousands)


def draw_bandits(results):
    """Figure 2: three exploration strategies by three methods."""
    methods = {"dpg": "DPG", "local": "QMLE, local samples", "global": "QMLE, global samples"}
    strategies = {"gaussian": "Gaussian noise", "epsilon-greedy": "ε-greedy", "uniform": "uniform"}
    figure, grid = plt.subplots(3, 3, figsize=(8, 7), sharex=True, sharey=True)
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
                (line,) = axes.plot(way["mu_1"], way["mu_2"], "-", color="tab:orange", linewidth=1)
                end = dict(s=28, color="tab:red", edgecolor="white", zorder=3)
                point = axes.scatter(way["mu_1"][-1], way["mu_2"][-1], **end)
            axes.set(aspect="equal", xlim=(-1, 1), ylim=(-1, 1), yticks=np.linspace(-1, 1, 5))
            axes.grid(False)
    for axes, method_name in zip(grid[0], methods.values(), strict=True):
        axes.set_title(method_name)
    for axes in grid[2]:
        axes.set_xlabel("action, dimension 1")
    figure.legend([line, point], ["way of the delta", "its end"], **ABOVE, ncols=2)
    figure.colorbar(filled, ax=grid, label="learned Q of the first seed", shrink=0.6)
    save(figure, results / "figure_2", "pdf")


def draw_climbing(results):
    """Figure 11: two learning curves."""
    figure, axes = plt.subplots()
    for method, label, style in (
        ("qmle", "QMLE, one predictor per agent", QMLE),
        ("vdn", "linear value decomposition", VDN),
    ):
        rows = data.read_csv(results / "climbing" / method / f"{method}_climbing.csv")
        steps, seeds = np.unique(rows["global_step"]), np.unique(rows["seed"])
        rewards = rows["greedy_reward"].reshape(len(steps), len(seeds))
        draw_mean(axes, steps, rewards.T, style, label=label)
    for reward, label in ((11, "global optimum, 11"), (5, "both take the third action, 5")):
        axes.axhline(reward, color="0.35", linestyle="--", linewidth=0.8)
        axes.text(steps[-1], reward + 0.3, label, ha="right", va="bottom")
    axes.set(xlabel="rounds", ylabel="greedy joint reward", title="Continuous climbing game")
    axes.set(xlim=(0, steps[-1]), ylim=(None, 14), yticks=range(-5, 11, 5))
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.legend(title=f"mean of {len(seeds)} seeds, one standard error", loc="lower right")
    save(figure, results / "figure_11", "pdf")


def draw_first_run(results):
    """Returns of single seeds on walker-walk, and their mean."""
    runs = [data.read_csv(path) for path in sorted(results.glob("seed_?.csv"))]
    num_episodes = min(len(run) for run in runs)
    returns = np.stack([run["episodic_return"][:num_episodes] for run in runs])  # (seeds, episodes)
    steps = runs[0]["global_step"][:num_episodes]
    figure, axes = plt.subplots()
    labels = ["single seeds", *["_"] * (len(runs) - 1)]
    axes.plot(steps, returns.T, "-", color="0.7", linewidth=0.7, label=labels)
    draw_mean(axes, steps, returns, QMLE, label=f"mean of {len(runs)} seeds, one standard error")
    axes.set(title="walker-walk, QMLE", xlabel="environment steps", ylabel="training return")
    axes.set(ylim=(0, 1000), xlim=(0, steps[-1]))
    axes.xaxis.set_major_formatter(in_thousands)
    axes.legend(loc="lower right")
    save(figure, results / "walker-walk")


def draw_first_discrete(results):
    """Returns of single seeds of both scripts for discrete actions."""
    styles = {"qmle_discrete": QMLE, "dqn_discretized": DQN}
    figure, panels = plt.subplots(1, 2)
    limits = {"CartPole-v1": (25_000, 500), "finger-spin": (100_000, 1000)}  # of steps, returns
    for (task, (end, top)), axes in zip(limits.items(), panels, strict=True):
        for script, style in styles.items():
            for path in sorted((results / task / script).glob("seed_?.csv")):
                run = data.read_csv(path)
                window = np.ones(10) / 10  # episodes; those of CartPole are short and many
                smooth = np.convolve(run["episodic_return"], window, "valid")
                axes.plot(run["global_step"][9:], smooth, **style, linewidth=1)
        axes.set(title=task, xlabel="environment steps", xlim=(0, end), ylim=(0, top))
        axes.xaxis.set_major_formatter(in_thousands)
    panels[0].set_ylabel("training return, mean of 10 episodes")
    handles = [plt.Line2D([], [], **style) for style in styles.values()]
    figure.legend(handles, ["QMLE", "DQN"], title="a line for each seed", **ABOVE, ncols=2)
    save(figure, results / "first_discrete")


def draw_cost(results):
    """Milliseconds of an update and of an action against the number of samples."""
    figure, panels = plt.subplots(1, 2)
    whats = {"update": "m_target", "action": "m_greedy"}
    for axes, (what, count) in zip(panels, whats.items(), strict=True):
        for kind, machine in (("cpu", "2 CPU cores"), ("cuda", "one H100")):
            values, _ = data.read_speed(kind)
            for task, style in zip(("walker-walk", "dog-walk"), STYLES[:2], strict=True):
                points = {
                    int(variant.split()[1]): time
                    for (part, name, variant), time in values.items()
                    if (part, name) == ("cost", f"{what}, {task}")
                }
                fill = style["color"] if kind == "cuda" else "white"
                look = dict(marker="o", markerfacecolor=fill, label=f"{task}, {machine}")
                axes.plot(points.keys(), points.values(), **style, **look)
        axes.set(xscale="log", yscale="log", xlabel=f"{count}: samples in a search set")
        axes.set(ylabel=f"milliseconds per {what}")
        axes.xaxis.set_major_formatter("{x:,g}")
        axes.yaxis.set_major_formatter("{x:g}")
    figure.legend(handles=panels[0].get_lines(), **ABOVE, ncols=4)
    save(figure, results / "cost_of_samples")


def draw_seeds(results):
    """Steps per second of all seeds against their number."""
    values, _ = data.read_speed("cuda")
    keys = {count: ("seeds", "together", f"gymnasium S={count}") for count in range(1, 100)}
    speeds = {count: values[key] for count, key in keys.items() if key in values}
    figure, axes = plt.subplots()
    axes.plot(speeds.keys(), speeds.values(), marker="o", **QMLE)
    axes.set(xscale="log", xlabel="seeds in one process, one H100", ylim=(0, None))
    axes.set_ylabel("environment steps per second, together")
    axes.set_xticks(list(speeds), list(speeds))
    axes.minorticks_off()
    axes.yaxis.set_major_formatter("{x:,.0f}")
    save(figure, results / "seeds")


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
    results.mkdir(parents=True, exist_ok=True)
    for draw in DRAWN_ALONE.get(args.name, [lambda folder: draw_curves(folder, args.name)]):
        draw(results)
    print(f"drawn into {results}")
