"""Figure 11 from its data: two learning curves. Called by plot.py."""

import matplotlib.pyplot as plt
import numpy as np


def draw(results):
    figure, axes = plt.subplots(figsize=(6, 3.6), layout="constrained")
    for script, name, color, line in (
        ("qmle_climbing", "QMLE, one predictor per agent", "#08306b", "-"),
        ("vdn_climbing", "linear value decomposition", "#e6850e", "-."),
    ):
        rows = np.genfromtxt(results / "climbing" / script.split("_")[0] / f"{script}.csv", delimiter=",", names=True)
        steps, seeds = np.unique(rows["global_step"]), np.unique(rows["seed"])
        rewards = rows["greedy_reward"].reshape(len(steps), len(seeds))
        mean, standard_error = rewards.mean(1), rewards.std(1, ddof=1) / len(seeds) ** 0.5
        axes.fill_between(steps, mean - standard_error, mean + standard_error, color=color, alpha=0.3, linewidth=0)
        axes.plot(steps, mean, line, color=color, linewidth=2, label=name)
        print(
            f"{script}: mean greedy joint reward at the end {mean[-1]:.2f}, seeds {np.round(rewards[-1], 2).tolist()}"
        )
    for reward, name in ((11, "global optimum, 11"), (5, "both take the third action, 5")):
        axes.axhline(reward, color="0.35", linestyle="--", linewidth=0.8)
        axes.text(steps[-1], reward + 0.3, name, ha="right", va="bottom", fontsize="small")
    axes.set(
        xlabel="rounds",
        ylabel="greedy joint reward",
        title="Continuous climbing game",
        xlim=(0, steps[-1]),
        xticks=np.linspace(0, steps[-1], 5),
    )
    axes.set(ylim=(axes.get_ylim()[0] - 2, 14))
    axes.yaxis.set_major_locator(plt.MultipleLocator(5))
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.legend(title=f"mean of {len(seeds)} seeds, one standard error", loc="lower right", frameon=False)
    for suffix in ("png", "pdf"):
        figure.savefig(results / f"figure_11.{suffix}", dpi=150)
