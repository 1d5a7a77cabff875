"""Makes the tables of all pages from the data.

    python benchmark/tables.py               fills <!-- table: NAME --> to <!-- end --> in all pages
    python benchmark/tables.py open_details  prints one

A test fails when a page differs.
"""

import functools
import itertools
import json
import re

import data
import numpy as np
from data import ACTION_DIMENSIONS, RESULTS, ROOT
from scipy import stats

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
MACHINES = {"cpu": "2 CPU cores", "cuda": "one H100"}


def markdown(lines):
    """A table of what a function yields: header, then rows."""
    header, *rows = lines
    lines = [header, ["---"] * len(header), *rows]
    return "".join("| " + " | ".join(map(str, line)) + " |\n" for line in lines)


def cell(value, form=",.0f", unit=""):
    """A formatted number; nothing for None."""
    return "" if value is None else format(value, form) + unit


def with_error(scores):
    """Mean and standard error."""
    error = f" ({np.std(scores, ddof=1) / len(scores) ** 0.5:.0f})" if len(scores) > 1 else ""
    return f"{np.mean(scores):.0f}{error}" if len(scores) else ""


def with_interval(interval, form="+.0f"):
    """A number and its interval."""
    return "{} ({} to {})".format(*(format(value, form) for value in interval))


def greedy(path, at):
    rows = data.read_csv(path)
    return rows["episodic_return"][rows["global_step"] == at].mean()


def greedy_at(folder, at):
    """Greedy return of each seed that was evaluated then."""
    paths = sorted((RESULTS / folder).glob("*_eval.csv"))
    return [greedy(path, at) for path in paths if at in data.read_csv(path)["global_step"]]


def first_run():
    returns = greedy_at("first_run", 200_000)
    yield ["greedy policy, five episodes, 200,000 steps", "mean", "seed 1", "seed 2", "seed 3"]
    yield ["return", *map(cell, (np.mean(returns), *returns))]


def cartpole():
    yield ["script", "seed", "first step at 475 or more", "at 25,000 steps"]
    for script in ("qmle_discrete", "dqn_discretized"):
        for seed in (1, 2, 3):
            path = RESULTS / "first_discrete/CartPole-v1" / script / f"seed_{seed}_eval.csv"
            steps = np.unique(data.read_csv(path)["global_step"])
            solved = [cell(step) for step in steps if greedy(path, step) >= 475] or ["never"]
            yield [f"`{script}.py`", seed, solved[0], cell(greedy(path, 25_000))]


def loop():
    variants = "plain", "fast, float32", "fast"
    yield ["steps per second", *variants, "dm_control alone", "share of it"]
    for kind, machine in MACHINES.items():
        medians = data.read_speed(kind)
        manifest = json.loads((RESULTS / f"speed/{kind}.json").read_text())["loop"]
        version = manifest["torch"].split("+")[0]
        row = [f"{machine}, torch {version}"]
        row += [cell(medians.get(("loop", "training", variant))) for variant in variants]
        alone = medians.get(("loop", "dm_control alone, around fast", ""))
        share = medians.get(("loop", "share of dm_control alone", "fast"))
        yield [*row, cell(alone), cell(share, ".2f")]


def parts():
    variants = ["plain", "CUDA graphs", "compiled, float32", "fast (default)"]
    yield ["milliseconds", *variants]
    for kind, machine in MACHINES.items():
        medians = data.read_speed(kind)
        for what in ("one action", "one update", "target maximisation"):
            cells = [medians.get(("parts", what, variant)) for variant in variants]
            if any(cells):
                yield [f"{machine}: {what}", *(cell(value, ".3g") for value in cells)]


def seeds():
    header = ["seeds", "steps per second, together", "of each seed", "one update alone, ms"]
    yield [*header, "GPU memory, GB"]
    medians = data.read_speed("cuda")
    for count in (1, 2, 4, 8, 16, 32):
        whats = "together", "one update alone", "GPU memory"
        key = f"gymnasium S={count}"
        speed, update, memory = (medians.get(("seeds", what, key)) for what in whats)
        row = [count, cell(speed), cell(speed / count)]
        yield [*row, cell(update, ".2f"), cell(memory, ".1f")]


def discrete():
    header = ["machine", "task", "script", "steps per second", "most GPU memory"]
    yield [*header, "most memory of the machine"]
    for kind, machine in MACHINES.items():
        medians = data.read_speed(kind)
        for task in ("finger-spin", "walker-walk", "dog-walk"):
            for script in ("qmle_discrete.py", "dqn_discretized.py"):
                whats = "training", "peak GPU memory", "peak resident memory"
                cells = [medians.get(("discrete", what, f"{script} {task}")) for what in whats]
                if None not in cells:
                    memory = [cell(value or None, ".2f", " GB") for value in cells[1:]]
                    yield [machine, task, f"`{script}`", cell(cells[0]), *memory]


def learning(name):
    """For each task the end and the mean of each variant's curve."""
    variants = dict.fromkeys(variant for _, variant, _ in data.commands(name))
    yield ["task", "action dimensions", "seeds", "return of the", *variants]
    for task, by_variant in data.read_curves(RESULTS / name).items():
        counts = sorted({len(seeds) for seeds in by_variant.values()})
        own = [by_variant.get(variant) for variant in variants]
        for part, share in (("last tenth", 0.1), ("whole run", 1)):
            scores = [data.final_scores(by_seed, share) if by_seed else [] for by_seed in own]
            row = [task, ACTION_DIMENSIONS[task], " or ".join(map(str, counts)), part]
            yield [*row, *map(with_error, scores)]


def counterparts(figure):
    """Variants beside QMLE, each in its last tenth."""
    yield ["task", "variant", "steps", "seeds", "QMLE", "variant", "difference"]
    qmle, found = (data.read_curves(RESULTS / name) for name in ("figure_3", figure))
    for task in found:
        for variant, seeds in found[task].items():
            end = data.last_step(seeds)
            runs = [data.until(own, end) for own in (qmle[task]["qmle"], seeds)]
            base, own = map(data.final_scores, runs)
            row = [task, f"`{variant}`", f"{end:,.0f}", len(own)]
            row += [with_interval(data.middle_and_interval(x), ".0f") for x in (base, own)]
            yield [*row, with_interval(welch([own], [base], 0.95))]


def published(task, method):  # by steps
    rows = [row for row in data.references() if (row["task"], row["method"]) == (task, method)]
    return {float(row["steps"]): row for row in rows}


def sac(task):
    _, row = max(published(task, "SAC").items())
    error = f" ({float(row['error']):.0f})" if row["error"] else ""
    at = "" if row["steps"] == "1000000" else f" at {float(row['steps']) / 1e6:g}M"
    return f"{float(row['score']):.0f}{error}{at}"


def before(seeds, at):
    """Training return in the 50,000 steps before, of seeds that went so far."""
    late = [data.within(rows, at - 50_000, at) for rows in seeds.values() if rows[-1, 0] >= at]
    return with_error([returns.mean() for returns in late])


def plus_narrow():
    """Greedy returns at the end."""
    yield ["task", "narrow", "MR.Q", "QMLE", "difference"]
    both = []
    for task in data.read_curves(RESULTS / "plus"):
        folders = f"plus/{task}/narrow", f"figure_3/{task}/qmle"
        own, base = (np.array(data.greedy_returns(RESULTS / folder)[1]) for folder in folders)
        other = float(published(task, "MR.Q")[1e6]["score"])
        row = [task, with_error(own), cell(other), with_error(base)]
        yield [*row, with_interval(welch([own], [base], 0.95)) if len(base) else ""]
        if greedy_at(folders[0], 1_000_000):
            both.append([own.mean(), other])
    yield [f"mean of {len(both)}", *map(cell, np.mean(both, axis=0)), "", ""]


def plus():
    """Greedy returns on the way."""
    names = "plus, 200,000", "MR.Q", "plus, 400,000", "plus, a million", "MR.Q", "SAC", "QMLE"
    yield ["task", *names]
    runs, others = [], (("MR.Q", 2e5), ("MR.Q", 1e6), ("SAC", 1e6))
    for task in data.read_curves(RESULTS / "plus"):
        early, late = (greedy_at(f"plus/{task}/qmle_plus", at) for at in (200_000, 400_000))
        ends = f"plus_million/{task}/qmle_plus", f"figure_3/{task}/qmle"
        end, qmle = (data.greedy_returns(RESULTS / folder)[1] for folder in ends)
        found = [published(task, method).get(at) for method, at in others]
        first, *last = [[float(row["score"])] if row else [] for row in found]
        runs.append([early, first, late, end, *last, qmle])
        yield [task, *map(with_error, runs[-1])]
    for rows in (runs, [row for row in runs if row[3]]):
        parts = zip(*rows, strict=True)
        means = [np.mean([*map(np.mean, own)]) if all(own) else None for own in parts]
        yield [f"mean of {len(rows)}", *map(cell, means)]


def figure_3():
    """Training returns before 0.5M and 1M; greedy ones beside SAC's."""
    header = ["task", "action dimensions", "seeds", "training, 0.5M", "training, 1M"]
    yield [*header, "greedy, at the end", "SAC, 1M", "greedy over SAC"]
    for task, by_variant in data.read_curves(RESULTS / "figure_3").items():
        (by_seed,) = by_variant.values()
        row = [task, ACTION_DIMENSIONS[task], len(by_seed)]
        row += [before(by_seed, at) for at in (500_000, 1_000_000)]
        greedy = data.greedy_returns(RESULTS / f"figure_3/{task}/qmle")[1]
        row += [with_error(greedy), other := sac(task)]
        share = np.mean(greedy) / float(other.split()[0]) if "at" not in other else None
        yield [*row, cell(share, ".0%")]


def read_diagnosis(figure):
    """(task, variant, step) -> measure -> values of seeds, by diagnose.py."""
    found = {}
    for row in data.read_rows(RESULTS / figure / "diagnosis.csv"):
        measures = found.setdefault((row["task"], row["variant"], int(row["until"])), {})
        measures.setdefault(row["measure"], []).append(float(row["value"]))
    return found


def below_10(task):
    """Shares of episodes below 10: first tenth, last tenth, last evaluation."""
    shares, greedy = [], []
    for path in RESULTS.glob(f"figure_3/{task}/qmle/seed_*.csv"):
        rows = data.read_csv(path)
        steps, low = rows["global_step"] / rows["global_step"][-1], rows["episodic_return"] < 10
        if path.stem.endswith("_eval"):
            greedy.append(low[steps == 1].mean())
        else:
            shares.append((low[steps <= 0.1].mean(), low[steps > 0.9].mean()))
    return [*np.mean(shares, axis=0), np.mean(greedy)]


def diagnosis():
    """What runs say of themselves, and models that were kept."""
    header = ["task", "below 10: first tenth", "last tenth", "greedy"]
    header += ["training: Q at the start minus return", "greedy: Q minus return"]
    yield [*header, "return with a tenth random minus greedy"]
    found = sorted(read_diagnosis("figure_3").items())  # the last step of a task counts
    measures = {task: values for (task, variant, _), values in found if variant == "qmle"}
    for task in data.read_curves(RESULTS / "figure_3"):
        own = measures.get(task, {})
        row = [task, *(cell(share, ".0%") for share in below_10(task))]
        row.append(with_error(own.get("charts/initial_q_gap", [])))
        q, followed = (own.get(f"greedy/{name}", []) for name in ("q", "return_to_go"))
        row.append(cell(np.mean(q) - np.mean(followed) if q else None))
        gains, errors = (own.get(f"exploring/gain{name}", []) for name in ("", "_error"))
        error = np.linalg.norm(errors) / len(errors) if errors else 0
        yield [*row, f"{np.mean(gains):+.0f} ({error:.0f})" if gains else ""]


def figure_3_why():
    """Experiments on tasks of Figure 3, before each end."""
    header = ["task", "steps", "variant", "seeds", "training return (s.e.)"]
    header += ["difference to the default, 95% interval", "episodes below 10"]
    yield [*header, "Q at the start minus return (s.e.)"]
    default, runs = (data.read_curves(RESULTS / name) for name in ("figure_3", "figure_3_why"))
    measures = read_diagnosis("figure_3_why")
    ends = sorted({int(data.last_step(seeds)) for own in runs.values() for seeds in own.values()})
    for task, step in itertools.product(runs, ends):
        own = {"qmle": default[task]["qmle"]} | runs[task]
        own = {name: seeds for name, seeds in own.items() if data.last_step(seeds) >= step}
        base, returns = "default" if "default" in own else "qmle", {}
        variants = sorted(own.keys() - {"default", "qmle"})
        for name in [base, *variants] if variants else []:
            late = [data.within(curve, 0.9 * step, step) for curve in own[name].values()]
            returns[name] = np.array([part.mean() for part in late])
            difference = ""
            if name != base and min(len(returns[name]), len(returns[base])) > 1:
                difference = with_interval(welch([returns[name]], [returns[base]], 0.95))
            label = "default" if name == base else f"`{name}`"
            row = [task, f"{0.9 * step:,.0f} to {step:,}", label, len(late)]
            low = np.mean([(part < 10).mean() for part in late])
            gaps = measures.get((task, name, step), {}).get("charts/initial_q_gap", [])
            gaps = [] if name.startswith("gamma") else gaps  # where Q is of another size
            yield [*row, with_error(returns[name]), difference, f"{low:.0%}", with_error(gaps)]


OPEN_TASKS = ("walker-walk", "cheetah-run", "finger-spin")


def welch(own, base, level):
    """Mean over tasks of a variant's mean minus the default's, with Welch's interval around it.

    own, base: for each task an array of one number a seed.
    """
    difference = np.mean([a.mean() - b.mean() for a, b in zip(own, base, strict=True)])
    samples = [*own, *base]
    variances = np.array([sample.var(ddof=1) / len(sample) for sample in samples])
    degrees = np.array([len(sample) - 1 for sample in samples])
    total = variances.sum()
    freedom = total**2 / (variances**2 / degrees).sum()
    half = stats.t.ppf((1 + level) / 2, freedom) * total**0.5 / len(own)
    return difference, difference - half, difference + half


def verdict(low, high):
    return "better" if low > 0 else "worse" if high < 0 else ""


def open_details():
    """By the criterion in open_details.sh."""
    header = ["mean return of all episodes", *OPEN_TASKS]
    yield [*header, "mean difference to the default, 99.3% interval", "verdict"]
    curves, areas = data.read_curves(RESULTS / "open_details"), {}
    for variant in dict.fromkeys(variant for _, variant, _ in data.commands("open_details")):
        runs = [curves[task][variant].values() for task in OPEN_TASKS]
        areas[variant] = [np.array([curve[:, 1].mean() for curve in seeds]) for seeds in runs]
        row = [variant, *(cell(area.mean()) for area in areas[variant])]
        if variant == "default":  # the first
            yield [*row, "", ""]
            continue
        interval = _, low, high = welch(areas[variant], areas["default"], level=1 - 0.05 / 7)
        tolerable = -0.05 * np.mean([area.mean() for area in areas["default"]])
        loss = "excluded" if low > tolerable else "possible"
        said = verdict(low, high) or f"no difference found, a loss of 5% {loss}"
        yield [*row, with_interval(interval, "+.1f"), said]


# MR.Q's returns, as in plus_ingredients.sh.
AT_300K = {"cheetah-run": 862, "fish-swim": 467, "hopper-hop": 108}
AT_300K |= {"humanoid-stand": 279, "dog-walk": 419}
BESIDE = {"walker-run": 703, "finger-spin": 846, "finger-turn_hard": 726}


def plus_ingredients(second=False):
    """By plus_ingredients.sh's criterion."""
    base, tasks = ("squared", AT_300K | BESIDE) if second else ("base", AT_300K)
    yield ["variant", "ms an update", *tasks, f"difference to `{base}`, 95% interval", "verdict"]
    areas, costs = {}, data.read_speed("plus")
    commands = {variant: command for _, variant, command in data.commands("plus_ingredients")}
    for variant, command in commands.items():
        if variant.startswith("squared" if second else "squared-") != second:
            continue
        areas[variant] = own = {}
        for task, other in tasks.items():
            for path in (RESULTS / f"plus_ingredients/{task}/{variant}").glob("*_eval.csv"):
                rows = data.read_csv(path)
                returns = rows["episodic_return"][rows["global_step"] <= 300_000 - 50_000 * second]
                own[task] = np.append(own.get(task, []), returns.mean() / other)
        row = [f"`{variant}` {command.partition(' 50000 ')[2]}".strip()]
        row.append(cell(costs.get(("parts", "one update", variant)), ".2f"))
        row += [cell(own[task].mean(), ".2f") if task in own else "" for task in tasks]
        if variant == base:  # the first
            yield [*row, "", ""]
        elif own := {task: own[task] for task in AT_300K if task in own}:
            interval = _, low, high = welch(own.values(), [areas[base][task] for task in own], 0.95)
            said = verdict(low, high) or "no difference found"
            yield [*row, with_interval(interval, "+.2f"), said if len(own) == len(AT_300K) else ""]


def playground():
    """Last training returns before so many seconds."""
    times = 63, 126, 316  # as published
    header = ["task", "run", "steps a second", "start, s"]
    yield [*header, *(f"{t} s" for t in times), "at the end"]
    kinds = "envs-2048", "brax-sac"
    folders = [path for kind in kinds for path in (RESULTS / "playground").glob(f"*/{kind}")]
    for folder in sorted(folders):
        speeds, starts, found, ends = [], [], [], []
        for path in sorted(folder.glob("seed_?.csv")):
            config = json.loads(path.with_suffix(".json").read_text())
            steps, seconds, returns = data.read_csv(path).view((float, 3)).T
            speed = np.median(np.diff(steps) / np.diff(seconds))
            speeds.append(config.get("steps_per_second", speed))  # SAC's own count
            starts.append(config["start_seconds"])
            seconds -= starts[-1]
            found.append([returns[seconds < t][-1:] if t < seconds[-1] else [] for t in times])
            end = data.read_csv(max(folder.glob(f"{path.stem}*.csv")))[-1]  # greedy, if any
            ends.append(end["episodic_return"])
        row = [folder.parent.name, f"`{folder.name}`"]
        row += map(cell, np.mean([speeds, starts], axis=1))
        for own in zip(*found, strict=True):
            row.append(with_error(np.concatenate(own)) if all(map(len, own)) else "")
        yield [*row, f"{with_error(ends)} at {end['global_step'] / 1e6:.3g}M"]


MADE_HERE = first_run, cartpole, loop, parts, seeds, discrete, playground, plus, plus_narrow
MADE_HERE += plus_ingredients, figure_3, diagnosis, figure_3_why, open_details
TABLES = {function.__name__: function for function in MADE_HERE}
TABLES["plus_second"] = functools.partial(plus_ingredients, True)
for name in ("figure_5", "figure_7"):
    TABLES[name] = functools.partial(counterparts, name)
for name in ("figure_8", "figure_9", "figure_10", "figure_12"):
    TABLES[name] = functools.partial(learning, name)


def fill(text):
    """A page with every table that is made here made anew."""

    def table(match):
        made = TABLES.get(match[1])
        return f"<!-- table: {match[1]} -->\n{markdown(made())}<!-- end -->" if made else match[0]

    return re.sub(r"<!-- table: (\w+) -->\n.*?<!-- end -->", table, text, flags=re.DOTALL)


if __name__ == "__main__":
    parser = data.parser(__doc__)
    parser.add_argument("table", nargs="?", choices=TABLES, help="to print; default: all, in pages")
    args = parser.parse_args()
    if args.table:
        print(markdown(TABLES[args.table]()), end="")
    else:
        for page in PAGES:
            page.write_text(fill(page.read_text()))
