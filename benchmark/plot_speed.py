"""Draws what more samples cost, from the data of benchmark/speed.py, and prints all its tables.

python benchmark/plot_speed.py
"""

import csv
import pathlib
import statistics

import matplotlib.pyplot as plt
from speed import print_table

FOLDER = pathlib.Path(__file__).resolve().parent / "results" / "speed"
MACHINES = {"cpu": "2 CPU cores", "cuda": "one H100"}
STYLES = {"walker-walk": ("o-", "C0"), "dog-walk": ("s--", "C1")}

if __name__ == "__main__":
    figure, axes = plt.subplots(1, 2, figsize=(9, 3.4), constrained_layout=True)
    for kind, machine in MACHINES.items():
        rows = list(csv.reader((FOLDER / f"{kind}.csv").open()))[1:]
        print(f"\n{machine}")
        print_table(rows)
        for axis, what in zip(axes, ("update", "action"), strict=True):
            for task, (style, color) in STYLES.items():
                points = {}
                for part, name, variant, value, _ in rows:
                    if part == "cost" and name == f"{what}, {task}":
                        points.setdefault(int(variant.split()[1]), []).append(float(value))
                counts, times = list(points), [statistics.median(values) for values in points.values()]
                filled = color if kind == "cuda" else "white"
                label = f"{task}, {machine}"
                axis.plot(counts, times, style, color=color, markerfacecolor=filled, label=label, markersize=5)
    for axis, name, number in zip(axes, ("update", "action"), ("m_target", "m_greedy"), strict=True):
        axis.set(xscale="log", yscale="log", xlabel=f"{number}: samples in a search set", ylabel=f"ms per {name}")
        axis.grid(alpha=0.3)
    axes[0].legend(fontsize=7)
    path = FOLDER / "cost_of_samples.png"
    figure.savefig(path, dpi=150)
    print(f"\n{path}")
