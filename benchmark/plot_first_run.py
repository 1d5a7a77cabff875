"""Draws the training returns of benchmark/results/first_run, and prints the numbers that the README quotes.

python benchmark/plot_first_run.py benchmark/results/first_run
"""

import pathlib
import sys

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

results = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else "benchmark/results/first_run")
runs = [np.genfromtxt(path, delimiter=",", names=True) for path in sorted(results.glob("seed_?.csv"))]
steps = np.min([run["global_step"][-1] for run in runs])
for at in (100_000, 200_000):
    last_ten = [run["episodic_return"][run["global_step"] <= at][-10:].mean() for run in runs if at <= steps]
    if last_ten:
        print(
            f"mean return of the last ten episodes at {at} steps: {np.mean(last_ten):.0f}, seeds {np.round(last_ten)}"
        )

num_episodes = min(len(run) for run in runs)
returns = np.stack([run["episodic_return"][:num_episodes] for run in runs])  # (seeds, episodes)
x = runs[0]["global_step"][:num_episodes]
mean, standard_error = returns.mean(0), returns.std(0, ddof=1) / len(runs) ** 0.5
figure, axes = plt.subplots(figsize=(6, 3.6), layout="constrained")
for i, run in enumerate(returns):
    axes.plot(x, run, color="0.75", linewidth=0.7, label="single seeds" if i == 0 else None)
axes.plot(x, mean, color="tab:blue", label=f"mean of {len(runs)} seeds")
axes.fill_between(
    x, mean - standard_error, mean + standard_error, alpha=0.3, color="tab:blue", label="one standard error"
)
axes.set(
    title="walker-walk, QMLE", xlabel="environment steps", ylabel="training return", ylim=(0, 1000), xlim=(0, None)
)
axes.xaxis.set_major_formatter(lambda value, _: f"{value / 1000:.0f}k")
axes.legend(loc="lower right", frameon=False)
figure.savefig(results / "walker-walk.png", dpi=150)
