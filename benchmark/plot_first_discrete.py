"""Draws benchmark/results/first_discrete, and prints the numbers that the README quotes.

python benchmark/plot_first_discrete.py
"""

import pathlib
import sys

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np

results = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else "benchmark/results/first_discrete")
style = {"qmle_discrete": ("QMLE", "tab:blue", "-"), "dqn_discretized": ("DQN", "black", "--")}
figure, panels = plt.subplots(1, 2, figsize=(9, 3.4), layout="constrained")
for task, axes in zip(("CartPole-v1", "finger-spin"), panels, strict=True):
    for script, (label, color, line) in style.items():
        for path in sorted((results / task / script).glob("seed_?.csv")):
            run = np.genfromtxt(path, delimiter=",", names=True)
            window = np.ones(10) / 10  # episodes; those of CartPole are short and many
            smooth = np.convolve(run["episodic_return"], window, "valid")
            axes.plot(run["global_step"][9:], smooth, color=color, linestyle=line, linewidth=1.1, label=label)
            label = None
            evaluation = np.genfromtxt(path.with_name(f"{path.stem}_eval.csv"), delimiter=",", names=True)
            steps = np.unique(evaluation["global_step"])
            means = [evaluation["episodic_return"][evaluation["global_step"] == step].mean() for step in steps]
            greedy = ", ".join(f"{step:.0f}: {mean:.1f}" for step, mean in zip(steps, means, strict=True))
            last = run["episodic_return"][-10:].mean()
            print(f"{task} {script} {path.stem}: last ten training episodes {last:.1f}; greedy {greedy}")
            solved = [step for step, mean in zip(steps, means, strict=True) if mean >= 475]
            if task == "CartPole-v1":
                print(f"    first evaluation of at least 475: {solved[0] if solved else 'none'}")
    axes.set(title=task, xlabel="environment steps", ylabel="training return, mean of 10 episodes", ylim=(0, None))
    axes.xaxis.set_major_formatter(lambda value, _: f"{value / 1000:.0f}k")
    axes.legend(loc="upper left", frameon=False)
figure.savefig(results / "first_discrete.png", dpi=150)
