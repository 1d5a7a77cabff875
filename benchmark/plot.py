"""Draws a figure beside its data.

python benchmark/plot.py figure_3    (also: first_run, playground)
"""

import itertools
import json
import math
import pathlib
import re
import runpy
import statistics

import matplotlib

matplotlib.use("Agg")
import data
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.ticker import EngFormatter
from PIL import Image

plt.style.use(pathlib.Path(__file__).with_name("style.mplstyle"))
STYLES = list(plt.rcParams["axes.prop_cycle"])  # eight of variants; the first is QMLE
QMLE, DQN, VDN = STYLES[:3]
METHODS = (
    "A3C,D4PG,DMPO,MPO,SAC,TD3 (Spinning Up),PPO (DreamerV3),PPO (Spinning Up),PPO (rl_games)"
    ",QT-Opt,AQL (continuous),AQL (discretised),ddpg,ddpg-lr-1e-4,qtopt,aql,aql-discrete"
)
LOOKS = dict(zip(METHODS.split(","), STYLES[8:], strict=True))
LOOKS |= {"qmle_discrete": QMLE, "dqn_discretized": DQN, "MR.Q": LOOKS["SAC"]}
NAMES = {"qmle": "QMLE", "qmle_discrete": "QMLE", "dqn": "DQN", "dqn_discretized": "DQN"}
NAMES |= {"ddpg": "DDPG", "qtopt": "QT-Opt", "aql": "AQL"}
THOUSANDS = EngFormatter(sep="")
ABOVE = dict(loc="outside upper center")
RING = dict(marker="o", markerfacecolor="none")


def draw_mean(axes, steps, values, style, **look):
    """Mean and standard error over the first dimension, without NaN."""
    mean, deviation = np.nanmean(values, 0), np.nanstd(values, 0, ddof=min(len(values) - 1, 1))
    error = deviation / np.isfinite(values).sum(0) ** 0.5
    band = dict(color=style["color"], alpha=0.2, linewidth=0)
    axes.fill_between(steps, mean - error, mean + error, **band)
    axes.plot(steps, mean, **style, **look)


def save(figure, path):
    """An SVG, and a PNG of 256 colours."""
    figure.savefig(f"{path}.svg", metadata={"Date": None})
    figure.savefig(f"{path}.png")
    picture = Image.open(f"{path}.png").convert("RGB")
    picture = picture.quantize(256, Image.Quantize.MAXCOVERAGE, kmeans=2)
    picture.save(f"{path}.png", optimize=True)


def draw_curves(results, name):
    folder = data.RESULTS / "figure_3" if name == "figure_6" else results
    curves = data.read_curves(folder)
    published = [row for row in data.references() if name in row["figures"].split()]
    if name == "figure_6":
        for task in curves.keys() - {row["task"] for row in published}:
            del curves[task]
    old = re.fullmatch("figure_[57]|plus(_exploration|_million)?", name)
    if old or "plus" in name:
        of, own = ("figure_3", "qmle") if old else ("plus", "qmle_plus")
        base = data.read_curves(data.RESULTS / of)
        for task in curves.keys() & base.keys():
            curves[task].pop("qmle-rerun", None)
            end = max(map(data.last_step, curves[task].values()))
            curves[task] = {own: data.until(base[task][own], end)} | curves[task]
    if not curves:
        raise SystemExit(f"error: no results in {results}")
    tasks = list(curves)
    drawn = [variant for by_variant in curves.values() for variant in by_variant]
    commands = {(task, variant): command for task, variant, command in data.commands(name)}
    order = dict.fromkeys(["qmle", "qmle_discrete", *(variant for _, variant in commands), *drawn])
    variants = [variant for variant in order if variant in drawn]
    several = len(variants) > 1
    looks = zip(variants, itertools.cycle(STYLES), itertools.cycle("os^DvPX*"), strict=False)
    styles = {v: LOOKS.get(v, s) | {"marker": m if several else ""} for v, s, m in looks}
    columns = 4 if len(tasks) > 6 else 2 if len(tasks) == 4 else min(3, len(tasks))
    rows = math.ceil(len(tasks) / columns)
    blank = ["." if several else "legend"] * (rows * columns - len(tasks))
    grid = np.reshape(tasks + blank, (rows, columns)).tolist()
    height = rows * (1.45 if columns > 3 else 2.4) + 0.8 * ("legend" not in blank)
    figure, panels = plt.subplot_mosaic(grid, figsize=(8, height))
    for number, task in enumerate(tasks):
        axes = panels[task]
        for row in published:
            if row["task"] == task:
                axes.axhline(float(row["score"]), **LOOKS[row["method"]], linewidth=1.2)
        by_variant = {v: curves[task][v] for v in variants if v in curves[task]}
        draw_task(axes, by_variant, styles, folder / task, commands)
        top = 500 if task == "CartPole-v1" else 1000
        axes.set(ylim=(0, top), yticks=np.linspace(0, top, 3 if columns > 3 else 6))
        axes.set_title(f"{task} ({data.ACTION_DIMENSIONS[task]})")
        axes.tick_params(labelleft=number % columns == 0 or "CartPole-v1" in tasks)

    handles = []
    for variant, style in styles.items():
        method, *rest = variant.split("-", 1)
        label = "-".join([NAMES.get(method, method), *rest])
        handles.append(plt.Line2D([], [], label=label, **style))
    if any(folder.glob("*/*/seed_*_eval.csv")):
        look = RING | dict(color="k", linestyle="", label="greedy, last common evaluation")
        handles.append(plt.Line2D([], [], **look))
    for method, style in LOOKS.items():
        steps = {row["task"]: float(row["steps"]) for row in published if row["method"] == method}
        if steps:
            usual = statistics.mode(steps.values())
            label = f"{method}, {THOUSANDS(usual)} steps"
            others = [f" ({t}: {THOUSANDS(n)})" for t, n in steps.items() if n != usual]
            handles.append(plt.Line2D([], [], label=label + "".join(others), **style))
    counts = {len(seeds) for by_variant in curves.values() for seeds in by_variant.values()}
    number = " or ".join(map(str, sorted(counts)))
    title = f"mean of {number} seeds, one standard error; "
    if several:
        kind = "interquartile mean" if min(counts) >= 8 else "mean"
        title += f"beside a panel: {kind} of the last tenth of common steps, 95% interval\n"
    title += "level lines: published; " if published else ""
    title += "in brackets: action dimensions"
    title += "; upright lines: end of the grid" if name == "figure_12" else ""
    if "legend" in panels:
        figure.suptitle(title)
        panels["legend"].set_axis_off()
        panels["legend"].legend(handles=handles, loc="center").set_in_layout(False)
    else:
        number = 3 if published else 4  # of columns
        handles = [handle for i in range(number) for handle in handles[i::number]]
        figure.legend(handles=handles, title=title, **ABOVE, ncols=number)
    figure.supxlabel("environment steps")
    figure.supylabel("return of training episodes")
    save(figure, results / name)


def draw_task(axes, by_variant, styles, folder, commands):
    end = max(rows[-1, 0] for seeds in by_variant.values() for rows in seeds.values())
    common = min(map(data.last_step, by_variant.values()))
    several = len(styles) > 1
    for number, (variant, seeds) in enumerate(by_variant.items()):
        style = styles[variant]
        command = commands.get((folder.name, variant), "")
        match = re.search("--discrete-until ([0-9]+)", command)
        if match and int(match[1]) < end:
            axes.axvline(int(match[1]), color=style["color"], linestyle="--", linewidth=0.8)
        draw_mean(axes, *data.mean_curves(seeds), style | {"marker": ""})
        at, greedy = data.greedy_returns(folder / variant)
        if greedy:
            axes.plot(at, np.mean(greedy), **style | RING, clip_on=False, zorder=3)
        if several:  # beside the panel
            scores = data.final_scores(data.until(seeds, common))
            middle, *ends = np.clip(data.middle_and_interval(scores), 0, 1000)
            bars, beside = np.abs(np.subtract(ends, middle))[:, None], axes.get_yaxis_transform()
            look = style | dict(linestyle="-", clip_on=False, transform=beside)
            axes.errorbar(1.03 + 0.04 * number, middle, bars, **look)
    axes.set_xlim(0, end)
    axes.xaxis.set_major_locator(plt.MaxNLocator(5 if several else 2, steps=[1, 2.5, 5, 10]))
    axes.xaxis.set_major_formatter(THOUSANDS)


def draw_gradients(results):
    """Figure 1: three policies in two bandits, of one seed."""
    bandit = runpy.run_path(str(data.ROOT / "pg_bandit.py"))
    path, arms, reward = results / "bandits/pg", bandit["ARMS"], bandit["reward"]
    rows = data.read_csv(path / "progress.csv")
    start = np.abs(rows["delta"] - bandit["TOPS"][0]) * (rows["step"] == 0)
    rows = rows[rows["seed"] == rows["seed"][start.argmax()]]
    figure, ((a, b), (c, d)) = plt.subplots(2, 2, figsize=(8, 5.6))
    for arm, style in zip(np.argsort(-arms), STYLES, strict=False):
        a.bar(arm, arms[arm], color=style["color"])
        b.plot(rows["step"], rows[f"softmax_{arm}"], **style, label=f"arm {arm}")
    a.set(title="(a) rewards of the arms", xlabel="arm", ylabel="reward")
    b.set(title="(b) softmax policy", xlabel="step", ylabel="probability", xscale="symlog")
    b.set(xlim=(0, rows["step"][-1]), ylim=(0, 1))
    c.set_title("(c) delta policy")
    d.set_title("(d) Gaussian policy, density scaled")
    grid = np.linspace(-1, 1, 401)
    for axes in (c, d):
        axes.plot(grid, reward(grid), "-k", label="reward")
        axes.set(xlabel="action", ylabel="reward", xlim=(-1, 1), ylim=(0, 1.1))
        axes.set_xticks(np.linspace(-1, 1, 5))
    labels = ["policy, first step", *["_"] * 4, "policy, last step"]
    for i, label in enumerate(labels):
        row = rows[i * (len(rows) - 1) // 5]
        look = dict(color=plt.cm.viridis(0.9 - 0.18 * i), linestyle="-", label=label)
        c.vlines(row["delta"], 0, reward(row["delta"]), **look, linewidth=2)
        distance = (grid - row["gaussian_mean"]) / bandit["Args"].gaussian_std
        d.plot(grid, 0.5 * np.exp(-(distance**2) / 2), **look)
    for axes in (b, c, d):
        axes.legend(loc="upper left")
    save(figure, path / "figure")


def draw_bandits(results):
    """Figure 2: three exploration strategies by three methods."""
    methods = {"dpg": "DPG", "local": "QMLE, local samples", "global": "QMLE, global samples"}
    strategies = {"gaussian": "Gaussian noise", "epsilon-greedy": "ε-greedy", "uniform": "uniform"}
    shape = dict(figsize=(8, 7.2), sharex=True, sharey=True, layout="compressed")
    figure, grid = plt.subplots(3, 3, **shape)
    for row, (strategy, strategy_name) in zip(grid, strategies.items(), strict=True):
        row[0].set_ylabel(f"{strategy_name} exploration\naction, dimension 2")
        for axes, method in zip(row, methods, strict=True):
            folder = results / strategy / method
            q = data.read_csv(folder / "q.csv")["q"]
            q = q.reshape(2 * [round(len(q) ** 0.5)])
            look = dict(cmap=plt.get_cmap("Greys", 10), vmin=0, vmax=1)
            shown = axes.imshow(q, extent=(-1, 1, -1, 1), **look)
            delta = data.read_csv(folder / "delta.csv")
            for seed in np.unique(delta["seed"]):
                way = delta[delta["seed"] == seed]
                way = way[np.linspace(0, len(way) - 1, 45, dtype=int)]
                (line,) = axes.plot(way["mu_1"], way["mu_2"], "-", color="C1", linewidth=1)
                look = dict(s=28, color="C5", edgecolor="white", zorder=3)
                end = axes.scatter(*way[["mu_1", "mu_2"]][-1], **look)
            axes.set(xticks=(-1, 0, 1), yticks=(-1, 0, 1))
            axes.grid(False)
    for above, below, name in zip(grid[0], grid[2], methods.values(), strict=True):
        above.set_title(name)
        below.set_xlabel("action, dimension 1")
    figure.legend([line, end], ["way of the delta", "its end"], **ABOVE, ncols=2)
    figure.colorbar(shown, ax=grid, label="learned Q of the first seed", shrink=0.5)
    save(figure, results / "figure_2")


def draw_climbing(results):
    """Figure 11: two learning curves."""
    figure, axes = plt.subplots()
    labels = {"qmle": "QMLE, one predictor per agent", "vdn": "linear value decomposition"}
    for (method, label), style in zip(labels.items(), (QMLE, VDN), strict=True):
        rows = data.read_csv(results / f"climbing/{method}/{method}_climbing.csv")
        steps, seeds = np.unique(rows["global_step"]), np.unique(rows["seed"])
        rewards = rows["greedy_reward"].reshape(len(steps), len(seeds))
        draw_mean(axes, steps, rewards.T, style, label=label)
    level = dict(color="0.7", linewidth=3, zorder=1)
    axes.axhline(11, **level, label="global optimum, 11")
    axes.axhline(5, **level, linestyle=":", label="both take the third action, 5")
    axes.set(xlabel="rounds", ylabel="greedy joint reward", title="Continuous climbing game")
    axes.set(xlim=(0, steps[-1]), ylim=(None, 14), yticks=range(-5, 11, 5))
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.legend(title=f"mean of {len(seeds)} seeds, one standard error", loc="lower right")
    save(figure, results / "figure_11")


def draw_first_run(results):
    """Single seeds on walker-walk, and their mean."""
    runs = [data.read_csv(path) for path in sorted(results.glob("seed_?.csv"))]
    returns = np.stack([run["episodic_return"] for run in runs])  # (seeds, episodes)
    steps = runs[0]["global_step"]
    figure, axes = plt.subplots()
    axes.plot(steps, returns.T, "-", color="0.7", linewidth=0.7)
    draw_mean(axes, steps, returns, QMLE, label=f"mean of {len(runs)} seeds, one standard error")
    axes.set(xlabel="environment steps", ylabel="training return", ylim=(0, 1000))
    axes.set(xlim=(0, steps[-1]), title="walker-walk (6 action dimensions)")
    axes.xaxis.set_major_formatter(THOUSANDS)
    axes.legend(title="grey: single seeds", loc="lower right")
    save(figure, results / "walker-walk")


def draw_playground(results):
    """Returns against seconds and steps, a line for each seed."""
    timed = {"envs-2048": "2,048 environments", "brax-sac": "SAC of Brax"}
    others = {"envs-1024": "1,024", "envs-4096": "4,096", "envs-2048-first": "first attempts"}
    tasks = sorted({folder.parent.name for folder in results.glob("*/*/")})
    for unit, names in {"seconds since the first step": timed, "steps": timed | others}.items():
        figure, panels = plt.subplots(2, 4, figsize=(8, 3.9), sharey=True)
        for axes, task in itertools.zip_longest(panels.flat, tasks):
            axes.set(title=task, ylim=(0, 1020)) if task else axes.set_axis_off()
            for variant, style in zip(names, STYLES, strict=False):
                for path in results.glob(f"{task}/{variant}/seed_?.csv"):
                    start = json.loads(path.with_suffix(".json").read_text())["start_seconds"]
                    for csv in path.parent.glob(f"{path.stem}*.csv"):
                        rows = data.read_csv(csv)
                        x = np.maximum(rows["seconds"] - start, 0)  # SAC evaluates before
                        x = rows["global_step"] if unit == "steps" else x
                        look = {} if csv == path else RING | {"linestyle": ""}
                        axes.plot(x, rows["episodic_return"], **style | look)
            axes.set_xlim(left=0)
            axes.xaxis.set_major_formatter(THOUSANDS)
        lines = [plt.Line2D([], [], **style) for style in STYLES[: len(names)]]
        lines.append(plt.Line2D([], [], color="k", linestyle="", **RING))
        figure.legend(lines, [*names.values(), "greedy"], **ABOVE, ncols=3)
        figure.supxlabel(unit)
        figure.supylabel("return")
        save(figure, results / f"playground_{unit.split()[0]}")


DRAWN_ALONE = {
    "figure_1": draw_gradients,
    "figure_2": draw_bandits,
    "figure_11": draw_climbing,
    "first_run": draw_first_run,
    "playground": draw_playground,
}

if __name__ == "__main__":
    args, _ = data.figure_parser(__doc__).parse_known_args()  # the rest is for launch.py
    results = data.results_of(args)
    results.mkdir(parents=True, exist_ok=True)
    DRAWN_ALONE.get(args.name, lambda folder: draw_curves(folder, args.name))(results)
    print(f"drawn into {results}")
