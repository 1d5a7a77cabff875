"""Figure 2 from its data: three exploration strategies by three methods. Called by plot.py."""

import matplotlib.pyplot as plt
import numpy as np

METHODS = {"dpg": "DPG", "local": "QMLE, local samples", "global": "QMLE, global samples"}
EXPLORATIONS = {"gaussian": "Gaussian noise", "epsilon-greedy": "ε-greedy", "uniform": "uniform"}


def draw(results):
    figure, grid = plt.subplots(3, 3, figsize=(8.8, 7.4), layout="constrained", sharex=True, sharey=True)
    for i, (exploration, exploration_name) in enumerate(EXPLORATIONS.items()):
        for j, (method, method_name) in enumerate(METHODS.items()):
            axes, folder = grid[i, j], results / exploration / method
            x, y, q = np.loadtxt(folder / "q.csv", delimiter=",", skiprows=1, unpack=True)
            size = round(len(q) ** 0.5)
            levels = np.linspace(-0.3, 1.05, 16)
            filled = axes.contourf(
                *(v.reshape(size, size) for v in (x, y, q)), levels=levels, cmap="Greys", extend="both"
            )
            delta = np.genfromtxt(folder / "delta.csv", delimiter=",", names=True)
            for k, seed in enumerate(np.unique(delta["seed"])):
                way = delta[delta["seed"] == seed]
                labels = (("way of the delta", "its end") if k == 0 else (None, None)) if i == j == 0 else (None, None)
                axes.plot(way["mu_1"], way["mu_2"], color="tab:orange", linewidth=1, label=labels[0])
                axes.scatter(
                    way["mu_1"][-1],
                    way["mu_2"][-1],
                    s=28,
                    color="tab:red",
                    edgecolor="white",
                    zorder=3,
                    label=labels[1],
                )
            axes.set(aspect="equal", xlim=(-1, 1), ylim=(-1, 1))
            if i == 0:
                axes.set_title(method_name)
            if i == 2:
                axes.set_xlabel("action, dimension 1")
            if j == 0:
                axes.set_ylabel(f"{exploration_name} exploration\naction, dimension 2")
    grid[0, 0].legend(loc="upper left", fontsize=8)
    figure.colorbar(filled, ax=grid, label="learned Q of the first seed", shrink=0.6)
    figure.savefig(results / "figure_2.png", dpi=130)
    figure.savefig(results / "figure_2.pdf")
