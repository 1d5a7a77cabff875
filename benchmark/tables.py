"""Makes the tables of the README from the data, so that no number there is typed.

    python benchmark/tables.py                 writes them into README.md, between <!-- table: NAME --> and <!-- end -->
    python benchmark/tables.py open_details    prints one

tests/test_benchmark.py fails when the README differs from what this makes.
"""

import argparse
import csv
import functools
import json
import pathlib
import re
import shlex
import statistics

import numpy as np
import plot
from scipy import stats

ROOT = pathlib.Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmark" / "results"
README = ROOT / "README.md"
MACHINES = {"cpu": "2 CPU cores (AMD EPYC)", "cuda": "one H100, 16 cores"}


def markdown(header, rows):
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines) + "\n"


def number(value, digits=3):
    """A number to so many digits, in decimal notation."""
    return f"{float(f'{value:.{digits}g}'):,f}".rstrip("0").rstrip(".")


# ---- learning


def last_ten(path, at):
    rows = np.genfromtxt(path, delimiter=",", names=True)
    return rows["episodic_return"][rows["global_step"] <= at][-10:].mean()


def greedy(path, at):
    rows = np.genfromtxt(path, delimiter=",", names=True)
    return rows["episodic_return"][rows["global_step"] == at].mean()


def first_run():
    folder, rows = RESULTS / "first_run", []
    for at in (100_000, 200_000):
        values = [last_ten(folder / f"seed_{seed}.csv", at) for seed in (1, 2, 3)]
        rows.append(
            [f"training, last ten episodes, {at:,} steps", f"{np.mean(values):.0f}", *(f"{v:.0f}" for v in values)]
        )
    values = [greedy(folder / f"seed_{seed}_eval.csv", 200_000) for seed in (1, 2, 3)]
    rows.append(
        ["greedy policy, five episodes, 200,000 steps", f"{np.mean(values):.0f}", *(f"{v:.0f}" for v in values)]
    )
    return markdown(["mean return", "mean", "seed 1", "seed 2", "seed 3"], rows)


def cartpole():
    rows = []
    for script in ("qmle_discrete", "dqn_discretized"):
        firsts, lasts = [], []
        for seed in (1, 2, 3):
            path = RESULTS / "first_discrete" / "CartPole-v1" / script / f"seed_{seed}_eval.csv"
            steps = np.unique(np.genfromtxt(path, delimiter=",", names=True)["global_step"])
            solved = [step for step in steps if greedy(path, step) >= 475]
            firsts.append(f"{solved[0]:,.0f}" if solved else "never")
            lasts.append(f"{greedy(path, 25_000):.0f}")
        rows.append([f"`{script}.py`", "; ".join(firsts), "; ".join(lasts)])
    header = [
        "CartPole-v1, greedy return over 100 episodes, seeds 1; 2; 3",
        "first step at 475 or more",
        "at 25,000 steps",
    ]
    return markdown(header, rows)


def finger_spin():
    rows = []
    for script in ("qmle_discrete", "dqn_discretized"):
        folder = RESULTS / "first_discrete" / "finger-spin" / script
        returns = [f"{greedy(folder / 'seed_1_eval.csv', at):.0f}" for at in (50_000, 100_000)]
        wall = np.genfromtxt(folder / "seed_1.csv", delimiter=",", names=True)
        speed = (wall["global_step"][-1] - wall["global_step"][0]) / (wall["wall_time"][-1] - wall["wall_time"][0])
        rows.append([f"`{script}.py`" + " (enumerated)" * (script == "qmle_discrete"), *returns, f"{speed:.0f}"])
    header = ["finger-spin, greedy return, one seed, default settings", "at 50,000", "at 100,000 steps"]
    return markdown([*header, "steps per second (two runs at a time)"], rows)


# ---- speed


def speed_data(kind):
    """(part, what, variant) -> median value, and part -> manifest."""
    values = {}
    for part, what, variant, value, _ in list(csv.reader((RESULTS / "speed" / f"{kind}.csv").open()))[1:]:
        values.setdefault((part, what, variant), []).append(float(value))
    manifests = json.loads((RESULTS / "speed" / f"{kind}.json").read_text())
    return {key: statistics.median(numbers) for key, numbers in values.items()}, manifests


def loop():
    rows, variants = (
        [],
        {"plain": "plain", "against": "before (d869a6c)", "fast, float32": "fast, float32", "fast": "fast"},
    )
    for kind, machine in MACHINES.items():
        data, manifests = speed_data(kind)
        speeds = [data.get(("loop", "training", variant)) for variant in variants]
        cells = ["" if speed is None else f"{speed:,.0f}" for speed in speeds]
        alone, share = (
            data["loop", "dm_control alone, around fast", ""],
            data["loop", "share of dm_control alone", "fast"],
        )
        where = f"{machine}, torch {manifests['loop']['torch'].split('+')[0]}, commit {manifests['loop']['commit']}"
        rows.append([where, *cells, f"{alone:,.0f}", f"{share:.2f}"])
    return markdown(["steps per second", *variants.values(), "dm_control alone", "share of it"], rows)


def parts():
    rows, variants = [], ["plain", "CUDA graphs", "compiled, float32", "fast (default)"]
    for kind in MACHINES:
        data, _ = speed_data(kind)
        for what in ("one action", "one update", "target maximisation", "target maximisation over its floor"):
            cells = [data.get(("parts", what, variant)) for variant in variants]
            if any(cells):
                name = f"{plot_machine(kind)}: {what}".replace("floor", "arithmetic alone (ratio)")
                rows.append([name, *("" if cell is None else number(cell) for cell in cells)])
    return markdown(["milliseconds", *variants], rows)


def plot_machine(kind):
    return MACHINES[kind].split(" (")[0].split(",")[0]


def cost():
    rows, counts = [], (2, 10, 100, 1000, 10_000)
    for kind in reversed(MACHINES):
        data, _ = speed_data(kind)
        for what, name in (("update", "m_target"), ("action", "m_greedy")):
            for task in ("walker-walk", "dog-walk"):
                cells = [data.get(("cost", f"{what}, {task}", f"{name} {count}")) for count in counts]
                label = f"{plot_machine(kind)}: {what} against m<sub>{name[2:]}</sub>, {task}"
                rows.append([label, *("" if cell is None else number(cell, 2) for cell in cells)])
    return markdown(["milliseconds, number of samples:", *(f"{count:,}" for count in counts)], rows)


def seeds():
    data, _ = speed_data("cuda")
    variants = [variant for part, what, variant in data if part == "seeds" and what == "together"]
    rows = []
    for variant in sorted(variants, key=lambda name: (name.split(" S=")[0] != "gymnasium", int(name.split("S=")[1]))):
        backend, num_seeds = variant.split(" S=")
        microseconds = [f"{data['seeds', what, variant]:.0f}" for what in ("environments", "acting", "update", "host")]
        row = [num_seeds, {"gymnasium": "dm_control", "envpool": "EnvPool"}[backend]]
        row += [f"{data['seeds', 'together', variant]:,.0f}", *microseconds]
        row += [
            f"{data['seeds', 'one update alone', variant]:.2f} ms",
            f"{data['seeds', 'GPU memory', variant]:.1f} GB",
        ]
        rows.append(row)
    header = [
        "seeds",
        "environments",
        "steps per second, together",
        "a step of all seeds: waiting for environments, us",
    ]
    return markdown([*header, "acting, us", "update, us", "host, us", "one update alone", "GPU memory"], rows)


def waits():
    """Versions of the many seeds' script, by commit."""
    data, manifests = speed_data("cpu")
    names = {"now": manifests["waits"]["commit"], "before-635a5e4": "before 635a5e4"}
    variants = [variant for part, what, variant in data if (part, what) == ("waits", "1 at a time")]
    rows = []
    for variant in variants:
        values = [data["waits", f"{n} at a time", variant] for n in (1, 3)]
        rows.append([names.get(variant, variant), *(f"{value:,.0f}" for value in values)])
    return markdown(["version", "steps per second, one run", "three runs at a time, together"], rows)


def turns():
    """Settings of the many seeds' script side by side: medians, and each against the first, turn by turn."""
    data, table = {}, []
    for part, what, variant, value, _ in list(csv.reader((RESULTS / "speed" / "cuda.csv").open()))[1:]:
        if part == "turns":
            data.setdefault(variant, {}).setdefault(what, []).append(float(value))
    scripts = {shlex.split(variant)[0] for variant in data}
    first = next(iter(data.values()))["together"]
    for variant, values in data.items():
        speeds = values["together"]
        ratios = [own / other for own, other in zip(speeds, first, strict=True)]
        slower = f"{sum(ratio < 1 for ratio in ratios)} of {len(ratios)}" if speeds is not first else ""
        table.append(
            [
                f"`{shlex.join(shlex.split(variant)[len(scripts) == 1 :])}`",
                f"{statistics.median(speeds):,.0f} ({min(speeds):,.0f} to {max(speeds):,.0f})",
                f"{statistics.median(ratios):.2f}" if speeds is not first else "",
                slower,
                *(f"{statistics.median(values[what]):.0f}" for what in ("environments", "acting", "update", "host")),
            ]
        )
    header = ["flags", "steps per second, together", "ratio to the first, same turn", "turns slower than it"]
    return markdown([*header, "waiting for environments, us", "acting, us", "update, us", "host, us"], table)


def discrete():
    """What the scripts of Figure 10 cost, its rivals beside each other."""
    rows = []
    for kind in MACHINES:
        data, manifests = speed_data(kind)
        for task in ("finger-spin", "walker-walk", "dog-walk"):
            for script in ("qmle_discrete.py", "dqn_discretized.py"):
                whats = ("training", "peak GPU memory", "peak resident memory")
                cells = [data.get(("discrete", what, f"{script} {task}")) for what in whats]
                if None not in cells:
                    memory = [f"{cell:.2f} GB" if cell else "" for cell in cells[1:]]
                    where = f"{plot_machine(kind)}, {manifests['discrete']['commit']}"
                    rows.append([where, task, f"`{script}`", f"{cells[0]:,.0f}", *memory])
    header = ["machine, commit", "task", "script", "steps per second", "most GPU memory", "most memory of the machine"]
    return markdown(header, rows)


# ---- figures and settings


def expected_runs(name):
    """task/variant of the lines that a figure's shell script launches, one for each."""
    return [f"{task}/{variant}" for task, variant, _ in plot.commands(name)]


def runs_done(name):
    path = RESULTS / name / "manifest.json"
    entries = json.loads(path.read_text()) if path.exists() else {}
    expected = expected_runs(name)
    return sum(key.rpartition("/")[0] in expected for key in entries), len(expected)


OURS = "nothing; tasks and 300,000 steps are ours"
FIGURES = [  # what, name of the command, who produces it, what is missing and why
    ("1, true policy gradient", "figure_1", "`pg_bandit.py`", "nothing; the rewards are ours"),
    ("2, modes of a bandit", "figure_2", "`dpg_bandit.py`, `qmle_bandit.py`", "nothing; the reward is ours"),
    ("3, 18 tasks of DM Control", "figure_3", "`qmle_continuous_multiseed.py`", "nothing; the tasks are ours"),
    ("4, the architecture", None, "`QNetwork` of every script", "a drawing: nothing to measure"),
    ("5, 6, 7, other baselines", None, "nobody", "no such baseline here, and their curves are published as pictures"),
    ("8, amortization", "figure_8", "`qmle_continuous_multiseed.py`", OURS),
    ("9, sample budgets", "figure_9", "`qmle_continuous_multiseed.py`", OURS),
    ("10, discrete actions", "figure_10", "`qmle_discrete.py`, `dqn_discretized.py`", OURS),
    (
        "11, a team without a decomposed Q",
        "figure_11",
        "`qmle_climbing.py`, `vdn_climbing.py`",
        "nothing; the game is ours",
    ),
    ("12, from the grid to continuous", "figure_12", "`qmle_continuous_multiseed.py`", OURS),
]


def figures():
    rows = []
    for what, name, script, missing in FIGURES:
        command = f"`benchmark/{name}.sh`" if name else ""
        done, expected = runs_done(name) if name else (0, 0)
        missing = missing if done == expected else "to be run"
        rows.append([what, script, command, f"{done} of {expected}" if name else "", missing])
    return markdown(["figure", "produced by", "command", "runs with data here", "what is missing, and why"], rows)


ACTION_DIMENSIONS = {
    "cartpole-swingup": 1, "cartpole-swingup_sparse": 1, "pendulum-swingup": 1, "reacher-hard": 2,
    "ball_in_cup-catch": 2, "finger-spin": 2, "finger-turn_easy": 2, "finger-turn_hard": 2, "hopper-stand": 4,
    "hopper-hop": 4, "fish-swim": 5, "cheetah-run": 6, "walker-stand": 6, "walker-walk": 6, "walker-run": 6,
    "quadruped-walk": 12, "humanoid-stand": 21, "dog-walk": 38,
}  # fmt: skip


def with_error(scores):
    """Mean and standard error of one number a seed."""
    error = f" ({np.std(scores, ddof=1) / len(scores) ** 0.5:.0f})" if len(scores) > 1 else ""
    return f"{np.mean(scores):.0f}{error}"


def learning(name, folder=None):
    """A row for each task of a figure, by action dimensions, with the end and the mean of each variant's curve."""
    data = plot.read(folder or RESULTS / name)
    variants = list(dict.fromkeys(run.split("/")[1] for run in expected_runs(name)))
    rows = []
    for task in sorted(data, key=ACTION_DIMENSIONS.get):
        seeds = [data[task].get(variant) for variant in variants]
        cells = ["; ".join(with_error(plot.final_scores(s, share)) for share in (0.1, 1)) if s else "" for s in seeds]
        counts = sorted({len(s) for s in seeds if s})
        rows.append([task, ACTION_DIMENSIONS[task], "; ".join(map(str, counts)), *cells])
    header = "mean return (s.e.) of the last tenth; of the whole run"
    return markdown([header, "action dimensions", "seeds", *variants], rows)


def figure_3(folder=RESULTS / "figure_3"):
    """Figure 3 in numbers, beside published scores after the number of steps in their column, or in their cell.

    Ours at 0.5M and 1M is the return of the exploring policy over the 50,000 steps before.
    """
    published = {"DDPG": 5e5, "DMPO": 5e5, "DDPG (Spinning Up)": 1e6, "SAC": 1e6, "A3C": 1e8, "D4PG": 1e8}
    scores = {(row["task"], row["method"]): row for row in csv.DictReader(plot.REFERENCES.open())}

    def cell(task, method):
        row = scores.get((task, method))
        steps = f" at {float(row['steps']) / 1e6:g}M" if row and float(row["steps"]) != published[method] else ""
        error = f" ({float(row['error']):.0f})" if row and row["error"] else ""
        seeds = f"{row['seeds']} seed{'s' * (row['seeds'] != '1')}" if row else ""
        return f"{float(row['score']):.0f}{error}{steps}, {seeds}" if row else ""

    data, rows = plot.read(folder), []
    for task in sorted(data, key=ACTION_DIMENSIONS.get):
        (by_seed,) = data[task].values()
        cells = []
        for at in (500_000, 1_000_000):
            parts = [r[(r[:, 0] > at - 50_000) & (r[:, 0] <= at), 1] for r in by_seed.values() if r[-1, 0] >= at]
            cells.append(with_error([part.mean() for part in parts]) if parts else "")
        greedy = plot.greedy_returns(folder / task / "qmle")
        cells.append(with_error(greedy) if greedy else "")
        cells += [cell(task, method) for method in published]
        rows.append([task, ACTION_DIMENSIONS[task], len(by_seed), *cells])
    header = ["task", "action dimensions", "seeds", "QMLE, training, 0.5M", "QMLE, training, 1M", "greedy, at the end"]
    header += ["DDPG, 0.5M", "DMPO, 0.5M", "plain DDPG, 1M", "SAC, 1M", "A3C, 10<sup>8</sup>", "D4PG, 10<sup>8</sup>"]
    return markdown(header, rows)


def read_diagnosis(folder):
    """(task, variant, step) -> measure -> a value for each seed that has it, of what diagnose.py wrote."""
    found = {}
    for row in csv.DictReader((folder / "diagnosis.csv").open()):
        measures = found.setdefault((row["task"], row["variant"], int(row["until"])), {})
        measures.setdefault(row["measure"], []).append(float(row["value"]))
    return found


def below_10(folder):
    """Share of the episodes with a return below 10: in the first and the last tenth of the training, and greedy ones.

    folder: of a task and variant. Means over the seeds; the last is None without evaluations.
    """
    shares, greedy = [], []
    for path in folder.glob("seed_*.csv"):
        rows = np.loadtxt(path, delimiter=",", skiprows=1, ndmin=2)
        if path.stem.endswith("_eval"):
            greedy.append((rows[rows[:, 0] == rows[-1, 0], 2] < 10).mean())
        else:
            steps, low = rows[:, 0] / rows[-1, 0], rows[:, 1] < 10
            shares.append((low[steps <= 0.1].mean(), low[steps > 0.9].mean()))
    return *np.mean(shares, axis=0), np.mean(greedy) if greedy else None


def diagnosis(results=RESULTS / "figure_3"):
    """What the runs of Figure 3 show beside their returns: means over the seeds, or a number for each."""
    measures, rows = {}, []
    for (task, variant, _), values in sorted(read_diagnosis(results).items()):
        if variant == "qmle":
            measures[task] = values  # of the last step
    for task in sorted(plot.read(results), key=ACTION_DIMENSIONS.get):
        own = measures.get(task, {})

        def mean(form, *names, own=own):
            return "; ".join(format(np.mean(own[name]), form) for name in names) if names[0] in own else ""

        def q_and_return(end, own=own):
            pairs = zip(own.get(f"greedy/q{end}", ()), own.get(f"greedy/return_to_go{end}", ()), strict=True)
            return "; ".join(f"{q:.0f}, {to_go:.1f}" for q, to_go in pairs)

        shares = [f"{share:.0%}" for share in below_10(results / task / "qmle") if share is not None]
        numbers = ", ".join(f"{number:.0f}" for number in own.get("greedy/num_below_10", ()))
        failed = q_and_return("_below_10")
        gains = zip(own.get("exploring/gain", ()), own.get("exploring/gain_error", ()), strict=True)
        gains = "; ".join(f"{gain:+.0f} ({error:.0f})" for gain, error in gains)
        parts = [f"argmax/share_{part}" for part in ("uniform", "delta", "categorical", "stored")]
        layers = [f"silent/{layer}" for layer in ("observation", "joint", "delta", "categorical")]
        gaps = own.get("charts/initial_q_gap")
        losses = mean(".2f", "losses/delta_loss", "losses/categorical_loss")
        row = [task, "; ".join(shares), with_error(gaps) if gaps else "", q_and_return("")]
        failed = f"{failed} ({numbers} of {own['greedy/num_episodes'][0]:.0f})" if failed else ""
        row += [failed, gains, mean(".0%", *parts), losses]
        rows.append([*row, mean(".0%", *layers)])
    header = ["task", "episodes with a return below 10: first tenth; last tenth; greedy"]
    header += ["training: Q at the start minus return"]
    header += ["greedy: Q, return that followed", "the same of greedy episodes below 10 (their number)"]
    header += ["return with a tenth random minus greedy (s.e.)"]
    header += ["a<sup>max</sup> from: uniform; delta; categorical; stored", "losses: delta; categorical"]
    return markdown([*header, "silent units: observation; joint; delta; categorical"], rows)


def figure_3_why(results=RESULTS):
    """The experiments on tasks of Figure 3, beside the default's runs.

    Windows are the last tenth before each step at which runs of any task end, as far as the task's own runs reach.
    Raises ValueError where the default's runs are shorter. Q at the start minus return is left out where diagnose.py
    was not asked for that step, and of runs with another gamma, whose Q is of another size.
    """
    default, runs = plot.read(results / "figure_3"), plot.read(results / "figure_3_why")
    measures, rows = read_diagnosis(results / "figure_3_why"), []

    def last(seeds):
        return int(min(seed[-1, 0] for seed in seeds.values())) if seeds else 0

    ends = {last(seeds) for variants in runs.values() for seeds in variants.values()}
    for task in sorted(runs, key=lambda task: (ACTION_DIMENSIONS[task], task)):
        own = {"qmle": default.get(task, {}).get("qmle"), **runs[task]}
        for step in sorted(end for end in ends if end <= max(map(last, runs[task].values()))):
            reaching = {name for name, seeds in own.items() if last(seeds) >= step}
            base = "default" if "default" in reaching else "qmle"  # "default": made again, for its event files
            if base not in reaching:
                raise ValueError(f"{task} has an experiment at step {step}, expected a default's run as long")
            names = [base, *sorted(reaching - {"default", "qmle"})]
            late = {k: [s[(s[:, 0] > 0.9 * step) & (s[:, 0] <= step), 1] for s in own[k].values()] for k in names}
            returns = {name: np.array([part.mean() for part in parts]) for name, parts in late.items()}
            for name in names:
                difference, gaps = "", measures.get((task, name, step), {}).get("charts/initial_q_gap")
                if name != base and min(len(returns[name]), len(returns[base])) > 1:
                    difference = "{:+.0f} ({:+.0f} to {:+.0f})".format(*welch([returns[name]], [returns[base]], 0.95))
                row = [task, f"{0.9 * step:,.0f} to {step:,}", "default" if name == base else f"`{name}`"]
                row += [len(returns[name]), with_error(returns[name]), difference]
                row += [f"{np.mean([(part < 10).mean() for part in late[name]]):.0%}"]
                rows.append([*row, with_error(gaps) if gaps and not name.startswith("gamma") else ""])
    header = ["task", "steps", "variant", "seeds", "training return (s.e.)", "difference to the default, 95% interval"]
    return markdown([*header, "episodes below 10", "Q at the start minus return (s.e.)"], rows)


OPEN_TASKS, OPEN_SEEDS, OPEN_STEPS = ("walker-walk", "cheetah-run", "finger-spin"), 16, 200_000


def welch(own, base, level):
    """Mean over tasks of a variant's mean minus the default's, with Welch's t interval: difference, low, high.

    own, base: for each task an array of one number a seed.
    """
    difference = np.mean([a.mean() - b.mean() for a, b in zip(own, base, strict=True)])
    variances = np.array([[sample.var(ddof=1) / len(sample), len(sample) - 1] for sample in [*own, *base]])
    total = variances[:, 0].sum()
    freedom = total**2 / (variances[:, 0] ** 2 / variances[:, 1]).sum()
    half = stats.t.ppf((1 + level) / 2, freedom) * total**0.5 / len(own)
    return difference, difference - half, difference + half


def open_details(folder=RESULTS / "open_details"):
    """One row for each variant, by the criterion at the top of open_details.sh."""
    data, table = plot.read(folder), []

    def complete(task, variant):
        seeds = data.get(task, {}).get(variant, {})
        return len(seeds) == OPEN_SEEDS and all(rows[-1, 0] >= OPEN_STEPS for rows in seeds.values())

    def scores(variant, score):
        return [np.array([score(rows[:, 1]) for rows in data[task][variant].values()]) for task in done]

    for variant in dict.fromkeys(line.split("/")[1] for line in expected_runs("open_details")):
        done = [task for task in OPEN_TASKS if complete(task, variant)]
        missing = [task for task in OPEN_TASKS if task not in done or not complete(task, "default")]
        areas, ends = scores(variant, np.mean), scores(variant, lambda returns: returns[-20:].mean())
        cells = ["; ".join(f"{values.mean():.0f}" for values in group) for group in (ends, areas)]
        row = [variant, "; ".join(done), *cells]
        if missing:
            table.append([*row, "", f"not run yet: {', '.join(missing)}"])
        elif variant == "default":
            table.append([*row, "", ""])
        else:
            difference, low, high = welch(areas, scores("default", np.mean), level=1 - 0.05 / 7)
            tolerable = -0.05 * np.mean([area.mean() for area in scores("default", np.mean)])
            neither = "no difference found, a loss of 5% " + ("excluded" if low > tolerable else "possible")
            verdict = "better" if low > 0 else "worse" if high < 0 else neither
            table.append([*row, f"{difference:+.1f} ({low:+.1f} to {high:+.1f})", verdict])
    header = ["variant", "tasks", "return of the last 20 episodes", "area: mean return of all episodes"]
    return markdown([*header, "difference of area to the default, 99.3% interval", "verdict"], table)


MADE_HERE = (
    first_run,
    cartpole,
    finger_spin,
    loop,
    parts,
    cost,
    seeds,
    waits,
    turns,
    discrete,
    figures,
    figure_3,
    diagnosis,
    figure_3_why,
    open_details,
)
TABLES = {function.__name__: function for function in MADE_HERE}
TABLES |= {name: functools.partial(learning, name) for name in ("figure_8", "figure_9", "figure_10", "figure_12")}


def fill(text):
    """README text with every marked table made anew. Raises ValueError for a marker whose table nothing makes."""

    def table(match):
        if match[1] not in TABLES:
            raise ValueError(f"README.md has <!-- table: {match[1]} -->, expected one of {', '.join(TABLES)}")
        return f"<!-- table: {match[1]} -->\n{TABLES[match[1]]()}<!-- end -->"

    return re.sub(r"<!-- table: (\w+) -->\n.*?<!-- end -->", table, text, flags=re.DOTALL)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", nargs="?", choices=TABLES, help="the one to print; default: all, into README.md")
    args = parser.parse_args()
    if args.table:
        print(TABLES[args.table](), end="")
    else:
        README.write_text(fill(README.read_text()))
