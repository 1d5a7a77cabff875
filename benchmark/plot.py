"""Draws a figure from its data alone.

    python benchmark/plot.py figure_3
    python benchmark/plot.py open_details --results some/folder

Learning curves, <results>/<task>/<variant>/seed_K.csv, become a grid with a panel for each task: the mean over seeds
and one standard error as in the paper, in fifty parts of the run, a dashed line where a variant left the grid. At the
right edge stands the interquartile mean of the last tenth with its interval (see last_tenth), hollow the greedy
policy's return at the end, where it was evaluated.
Published scores of benchmark/references.csv are horizontal lines, each with its method and its number of steps. Writes
<results>/<name>.png.
"""

import argparse
import csv
import math
import pathlib
import re

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import plot_bandits
import plot_climbing
from scipy import stats

ROOT = pathlib.Path(__file__).resolve().parent.parent
REFERENCES = ROOT / "benchmark" / "references.csv"
# Of rising lightness, so that they differ in greyscale too; lines and markers differ as well.
STYLES = [("#08306b", "-", "o"), ("#e6850e", "--", "s"), ("#2a9d6f", "-.", "^"), ("#b03a6f", ":", "D"),
          ("#6baed6", (0, (5, 1)), "v"), ("#8c6d31", (0, (1, 1)), "P"), ("#7f7f7f", (0, (3, 1, 1, 1)), "X"),
          ("#000000", (0, (8, 2)), "*")]  # fmt: skip
DRAWN_ELSEWHERE = {"figure_2": plot_bandits.draw, "figure_11": plot_climbing.draw}


def commands(name):
    """(task, variant, command) of each line that a figure's shell script launches; none where there is no script."""
    path = ROOT / "benchmark" / f"{name}.sh"
    lines = path.read_text().split("<<'END'\n")[1].split("\nEND\n")[0].splitlines() if path.exists() else []
    return [tuple(line.split(maxsplit=2)) for line in lines]


def read(results):
    """task -> variant -> seed -> array (episodes, 2) of global_step and episodic_return."""
    data = {}
    for path in sorted(results.glob("*/*/seed_*.csv")):
        if not path.stem.endswith("_eval"):
            rows = np.loadtxt(path, delimiter=",", skiprows=1, ndmin=2)
            task, variant, seed = path.parts[-3], path.parts[-2], int(path.stem.split("_")[1])
            data.setdefault(task, {}).setdefault(variant, {})[seed] = rows
    return data


def curve(seeds, num_bins=50):
    """Ends of num_bins equal parts of the run, and the mean return of the episodes in each: (bins,), (seeds, bins).

    NaN in parts in which no episode ended.
    """
    last = min(rows[-1, 0] for rows in seeds.values())
    edges = np.linspace(0, last, min(num_bins, min(len(rows) for rows in seeds.values())) + 1)
    means = np.full((len(seeds), len(edges) - 1), np.nan)
    for i, rows in enumerate(seeds.values()):
        rows = rows[rows[:, 0] <= last]
        number = np.clip(np.searchsorted(edges, rows[:, 0]) - 1, 0, len(edges) - 2)
        for j in np.unique(number):
            means[i, j] = rows[number == j, 1].mean()
    return edges[1:], means


def final_scores(seeds, share=0.1):
    """Mean return of each seed over the last share of the run: (seeds,)."""
    last = min(rows[-1, 0] for rows in seeds.values())
    parts = [rows[(rows[:, 0] > (1 - share) * last) & (rows[:, 0] <= last), 1] for rows in seeds.values()]
    return np.array([part.mean() for part in parts])


def interquartile_mean(scores, axis=-1):
    return stats.trim_mean(scores, 0.25, axis=axis)


def bootstrap_interval(statistic, *samples, num_resamples=5000):
    """95% percentile bootstrap interval of a statistic of samples, each resampled on its own: (low, high)."""
    rng = np.random.default_rng(0)
    draws = [sample[rng.integers(len(sample), size=(num_resamples, len(sample)))] for sample in samples]
    return tuple(np.quantile(statistic(*draws), [0.025, 0.975]))


def last_tenth(scores):
    """Middle, low and high of what the right edge shows of the seeds' final scores.

    The interquartile mean and its 95% bootstrap interval; below eight seeds, where that covers too little, the mean
    and its 95% t interval.
    """
    if len(scores) >= 8:
        return interquartile_mean(scores), *bootstrap_interval(interquartile_mean, scores)
    half = stats.t.ppf(0.975, len(scores) - 1) * scores.std(ddof=1) / len(scores) ** 0.5 if len(scores) > 1 else 0.0
    return scores.mean(), scores.mean() - half, scores.mean() + half


def greedy_returns(folder):
    """Mean greedy return at the end of each seed of a folder that evaluated."""
    tables = [np.loadtxt(path, delimiter=",", skiprows=1, ndmin=2) for path in folder.glob("seed_*_eval.csv")]
    return [rows[rows[:, 0] == rows[-1, 0], 2].mean() for rows in tables]


def read_references(task, name):
    """The published scores that a figure shows for a task: rows of references.csv."""
    if not REFERENCES.exists():
        return []
    rows = csv.DictReader(REFERENCES.open())
    return [row for row in rows if row["task"] == task and name in row["figures"].split()]


def spread(heights, gap):
    """Rising heights moved up or, from the top, down, so that neighbours are at least gap apart; the top one stays."""
    moved = []
    for height in reversed(heights):
        moved.append(min(height, moved[-1] - gap) if moved else height)
    moved = moved[::-1]
    for i in range(len(moved)):  # none below the panel
        moved[i] = max(moved[i], moved[i - 1] + gap if i else gap / 2)
    return moved


def draw_curves(results, name):
    data = read(results)
    if not data:
        raise SystemExit(f"error: no */*/seed_*.csv in {results}")
    order = [variant for _, variant, _ in commands(name)] + [variant for task in data.values() for variant in task]
    variants = [variant for variant in dict.fromkeys(order) if any(variant in task for task in data.values())]
    switches = {line[:2]: re.search("--discrete-until ([0-9]+)", line[2]) for line in commands(name)}
    switches = {run: int(match[1]) for run, match in switches.items() if match}
    num_columns = min(3, len(data))
    num_rows = math.ceil(len(data) / num_columns)
    size = (3.4 * num_columns, 2.5 * num_rows + 0.9)
    figure, grid = plt.subplots(num_rows, num_columns, figsize=size, layout="constrained", squeeze=False)
    for axes in grid.flat[len(data) :]:
        axes.set_axis_off()
    for (task, by_variant), axes in zip(data.items(), grid.flat, strict=False):
        end = max(seeds[k][-1, 0] for seeds in by_variant.values() for k in seeds)
        for number, variant in enumerate(variant for variant in variants if variant in by_variant):
            seeds, (color, line, marker) = by_variant[variant], STYLES[variants.index(variant) % len(STYLES)]
            if switches.get((task, variant), end) < end:
                axes.axvline(switches[task, variant], color=color, linestyle="--", linewidth=0.8)
            steps, means = curve(seeds)
            mean, error = np.nanmean(means, 0), np.nanstd(means, 0, ddof=min(len(means) - 1, 1))
            error /= np.isfinite(means).sum(0) ** 0.5
            axes.plot(steps, mean, color=color, linestyle=line, linewidth=1.4)
            axes.fill_between(steps, mean - error, mean + error, color=color, alpha=0.25, linewidth=0)
            scores = final_scores(seeds)
            middle, low, high = last_tenth(scores)
            x = end * (1.05 + 0.04 * number)
            if greedy := greedy_returns(results / task / variant):
                axes.plot(x, np.mean(greedy), marker=marker, markersize=5, markerfacecolor="none", color=color)
            axes.errorbar(x, middle, [[middle - low], [high - middle]], color=color, marker=marker, markersize=3.5)
        references = sorted(read_references(task, name), key=lambda row: float(row["score"]))
        for row in references:
            axes.axhline(float(row["score"]), color="0.45", linestyle=(0, (2, 3)), linewidth=0.9)
        axes.set_title(task, fontsize=9)
        axes.set(xlim=(0, None), ylim=(0, 1.07 * axes.get_ylim()[1]))
        heights = spread([float(row["score"]) for row in references], 0.065 * axes.get_ylim()[1])
        for row, height in zip(references, heights, strict=True):  # beside the panel, where no curve is
            label = f"{row['method']}, {float(row['steps']):.0e}".replace("e+0", "e").replace("e+", "e")
            place = dict(transform=axes.get_yaxis_transform(), ha="left", va="center")
            axes.text(1.02, height, label, fontsize=6, color="0.3", **place)
        axes.tick_params(labelsize=7)
        axes.xaxis.set_major_formatter(lambda value, _: f"{value / 1e6:g}M" if value >= 1e6 else f"{value / 1e3:g}k")
        axes.grid(alpha=0.25)
    handles = []
    for variant in variants:
        color, line, marker = STYLES[variants.index(variant) % len(STYLES)]
        handles.append(plt.Line2D([], [], color=color, linestyle=line, marker=marker, markersize=4, label=variant))
    counts = sorted({len(seeds) for task in data.values() for seeds in task.values()})
    number = f"{counts[0]}" if len(counts) == 1 else f"{counts[0]} to {counts[-1]}"
    kind = "interquartile mean" if counts[0] >= 8 else "mean"
    title = f"mean of {number} seeds, one s.e.; right edge: {kind} of the last tenth, 95% interval"
    title += "; hollow: greedy policy" * any(results.glob("*/*/seed_*_eval.csv"))
    figure.legend(handles=handles, title=title, title_fontsize=7, fontsize=8, ncols=min(len(variants), 4),
                  loc="outside upper center", frameon=False)  # fmt: skip
    figure.supxlabel("environment steps", fontsize=8)
    figure.supylabel("training return", fontsize=8)
    figure.savefig(results / f"{name}.png", dpi=130)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", help="of the figure")
    parser.add_argument("--smoke", action="store_true", help="the results of launch.py --smoke")
    parser.add_argument("--results", help="folder; default benchmark/results/<name>")
    args, _ = parser.parse_known_args()  # what else the shell scripts got is for launch.py
    default = (
        ROOT / ("runs/smoke" if args.smoke else "benchmark/results") / args.name / ("results" if args.smoke else "")
    )
    results = pathlib.Path(args.results or default)
    DRAWN_ELSEWHERE.get(args.name, lambda folder: draw_curves(folder, args.name))(results)
    print(f"{results / args.name}.png")
