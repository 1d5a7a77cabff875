"""Draws the data of benchmark/speed.py, what more samples cost and what more seeds cost, and prints all its tables.

python benchmark/plot_speed.py
"""

import argparse
import csv
import pathlib
import statistics

import matplotlib.pyplot as plt
from speed import print_table

FOLDER = pathlib.Path(__file__).resolve().parent / "results" / "speed"
MACHINES = {"cpu": "2 CPU cores", "cuda": "one H100"}
STYLES = {"walker-walk": ("o-", "C0"), "dog-walk": ("s--", "C1")}
WAITS = {"environments": ("0.85", ""), "acting": ("0.6", "//"), "update": ("0.35", ""), "host": ("white", "..")}


def plot_cost(data):
    figure, axes = plt.subplots(1, 2, figsize=(9, 3.4), constrained_layout=True)
    for kind, rows in data.items():
        for axis, what in zip(axes, ("update", "action"), strict=True):
            for task, (style, color) in STYLES.items():
                points = {}
                for part, name, variant, value, _ in rows:
                    if part == "cost" and name == f"{what}, {task}":
                        points.setdefault(int(variant.split()[1]), []).append(float(value))
                counts, times = list(points), [statistics.median(values) for values in points.values()]
                filled = color if kind == "cuda" else "white"
                label = f"{task}, {MACHINES[kind]}"
                axis.plot(counts, times, style, color=color, markerfacecolor=filled, label=label, markersize=5)
    for axis, name, number in zip(axes, ("update", "action"), ("m_target", "m_greedy"), strict=True):
        axis.set(xscale="log", yscale="log", xlabel=f"{number}: samples in a search set", ylabel=f"ms per {name}")
        axis.grid(alpha=0.3)
    axes[0].legend(fontsize=7)
    return figure


def plot_seeds(rows):
    """Steps per second together, and what one step of all seeds consists of, against the number of seeds."""
    values = {}  # of (backend, what): number of seeds -> values
    for part, what, variant, value, _ in rows:
        if part == "seeds" and " S=" in variant:
            backend, num_seeds = variant.split(" S=")
            values.setdefault((backend, what), {}).setdefault(int(num_seeds), []).append(float(value))
    values = {key: {n: statistics.median(v) for n, v in sorted(points.items())} for key, points in values.items()}
    figure, axes = plt.subplots(1, 2, figsize=(9, 3.4), constrained_layout=True)
    for backend, style in (("gymnasium", "ko-"), ("envpool", "ks:")):
        if points := values.get((backend, "together")):
            label = {"gymnasium": "dm_control", "envpool": "EnvPool"}[backend]
            axes[0].plot(points.keys(), points.values(), style, markersize=5, label=label)
    numbers = list(values["gymnasium", "together"])
    axes[0].set(xscale="log", xlabel="seeds", ylabel="environment steps per second, together", ylim=(0, None))
    axes[0].set_xticks(numbers, [str(n) for n in numbers])
    axes[0].minorticks_off()
    axes[0].grid(alpha=0.3)
    axes[0].legend(fontsize=8)
    bottom = [0.0] * len(numbers)
    for what, (color, hatch) in WAITS.items():
        heights = [values["gymnasium", what][n] / 1000 for n in numbers]
        axes[1].bar(range(len(numbers)), heights, bottom=bottom, color=color, hatch=hatch, edgecolor="k", label=what)
        bottom = [low + height for low, height in zip(bottom, heights, strict=True)]
    axes[1].set_xticks(range(len(numbers)), [str(n) for n in numbers])
    axes[1].set(xlabel="seeds (dm_control)", ylabel="ms per step of all seeds")
    axes[1].legend(fontsize=8)
    return figure


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    data = {kind: list(csv.reader((FOLDER / f"{kind}.csv").open()))[1:] for kind in MACHINES}
    for kind, rows in data.items():
        print(f"\n{MACHINES[kind]}")
        print_table(rows)
    for name, figure in (("cost_of_samples", plot_cost(data)), ("seeds", plot_seeds(data["cuda"]))):
        figure.savefig(FOLDER / f"{name}.png", dpi=150)
        print(f"\n{FOLDER / name}.png")
