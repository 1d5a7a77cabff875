"""What lies in benchmark/results, and statistics of learning curves."""

import argparse
import csv
import datetime
import itertools
import pathlib
import platform
import re
import statistics
import subprocess
from importlib import metadata

import numpy as np

ROOT = pathlib.Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmark" / "results"
TASKS = {  # by action dimensions
    1: ("CartPole-v1", "cartpole-swingup", "cartpole-swingup_sparse", "pendulum-swingup"),
    2: ("ball_in_cup-catch", "finger-spin", "finger-turn_easy", "finger-turn_hard", "reacher-hard"),
    4: ("hopper-hop", "hopper-stand"),
    5: ("fish-swim",),
    6: ("cheetah-run", "walker-run", "walker-stand", "walker-walk"),
    12: ("quadruped-run", "quadruped-walk"),
    21: ("humanoid-stand", "humanoid-walk"),
    38: ("dog-run", "dog-walk"),
}
ACTION_DIMENSIONS = {task: number for number, tasks in TASKS.items() for task in tasks}


def parser(text):  # which --help shows as it is
    form = argparse.RawDescriptionHelpFormatter
    return argparse.ArgumentParser(description=text, formatter_class=form)


def figure_parser(text):
    form = parser(text)
    form.add_argument("name", help="of the figure")
    form.add_argument("--smoke", action="store_true", help="tiny runs, in runs/smoke")
    form.add_argument("--results", help="folder; default benchmark/results/<name>")
    return form


def results_of(args):
    """The folder that the flags of figure_parser ask for."""
    default = ROOT / f"runs/smoke/{args.name}/results" if args.smoke else RESULTS / args.name
    return pathlib.Path(args.results or default).resolve()


def describe(*packages):
    """What a manifest says of a measurement: date, commit and versions."""
    git = "git rev-parse --short HEAD".split()
    commit = subprocess.run(git, cwd=ROOT, capture_output=True, text=True).stdout.strip() or None
    versions = {"python": platform.python_version()}
    versions |= {name: metadata.version(name) for name in packages}
    return {"date": f"{datetime.date.today()}", "commit": commit, "versions": versions}


def write_whole(path, text):
    """Writes a file, and its folder, that is complete whenever it exists."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.tmp")
    temporary.write_text(text)
    temporary.replace(path)


def read_csv(path):
    """The columns of a CSV of numbers: an array with their names."""
    return np.atleast_1d(np.genfromtxt(path, delimiter=",", names=True))


def commands(name):
    """Task, variant and command of each run of a figure's shell script."""
    path = ROOT / "benchmark" / f"{name}.sh"
    text = path.read_text() if path.exists() else ""
    lines = "".join(re.findall("<<'END'\n(.*?)\nEND\n", text, re.DOTALL)).splitlines()
    return [line.split(maxsplit=2) for line in lines]


def read_curves(results):
    """task, as above -> variant -> seed -> (episodes, 2): global_step, episodic_return."""
    curves, order = {}, list(ACTION_DIMENSIONS).index
    paths = results.glob("*/*/seed_*[0-9].csv")
    for path in sorted(paths, key=lambda path: (order(path.parts[-3]), path)):
        task, variant, name = path.parts[-3:]
        rows = np.loadtxt(path, delimiter=",", skiprows=1, ndmin=2)
        curves.setdefault(task, {}).setdefault(variant, {})[int(name[5:-4])] = rows
    return curves


def last_step(seeds):
    """The last step that all seeds reach."""
    return min(rows[-1, 0] for rows in seeds.values())


def until(seeds, end):
    """The curves of seeds up to a step."""
    return {seed: rows[rows[:, 0] <= end] for seed, rows in seeds.items()}


def mean_curves(seeds, num_bins=50):
    """Ends of equal parts of a run (bins,), and their mean returns or NaN (seeds, bins)."""
    num_bins = min(num_bins, *(len(rows) for rows in seeds.values()))
    ends = np.linspace(0, last_step(seeds), num_bins + 1)[1:]
    bins = list(itertools.pairwise([-1, *ends]))
    returns = [[within(rows, low, high) for low, high in bins] for rows in seeds.values()]
    means = [[part.mean() if len(part) else np.nan for part in own] for own in returns]
    return ends, np.array(means)


def within(rows, low, high):
    """Returns of episodes that ended after step low, by step high."""
    return rows[(rows[:, 0] > low) & (rows[:, 0] <= high), 1]


def final_scores(seeds, share=0.1):
    """Mean return of each seed over the last share: (seeds,)."""
    last = last_step(seeds)
    return np.array([within(rows, (1 - share) * last, last).mean() for rows in seeds.values()])


def greedy_returns(folder):
    """The last step at which all seeds were evaluated, and each one's mean greedy return."""
    tables = [read_csv(path) for path in folder.glob("seed_*_eval.csv")]
    last = min((table["global_step"][-1] for table in tables), default=0)
    return last, [table["episodic_return"][table["global_step"] == last].mean() for table in tables]


def middle_and_interval(scores):
    """Interquartile mean of one number a seed, and the ends of its 95% bootstrap interval.

    Below eight seeds, where that covers too little, the mean and its t interval.
    """
    from scipy import stats  # here, since it takes a second that launch.py saves

    if len(scores) >= 8:
        rows = np.random.default_rng(0).integers(len(scores), size=(5000, len(scores)))
        draws = stats.trim_mean(scores[rows], 0.25, axis=1)
        return stats.trim_mean(scores, 0.25), *np.quantile(draws, [0.025, 0.975])
    half = stats.t.ppf(0.975, len(scores) - 1) * stats.sem(scores) if len(scores) > 1 else 0.0
    return scores.mean(), scores.mean() - half, scores.mean() + half


def read_rows(path):
    """Rows of a CSV: dictionaries of text."""
    with path.open() as file:
        return list(csv.DictReader(file))


def write_rows(path, *rows):
    with path.open("w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)


def references():
    """Published scores."""
    return read_rows(ROOT / "benchmark/references.csv")


def medians(rows):
    """(part, what, variant) -> median of rows of speed.py."""
    values = {}
    for *key, value, _ in rows:
        values.setdefault(tuple(key), []).append(float(value))
    return {key: statistics.median(found) for key, found in values.items()}


def read_speed(kind):
    return medians(row.values() for row in read_rows(RESULTS / f"speed/{kind}.csv"))
