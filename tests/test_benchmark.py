"""The benchmark folder: its launcher, its plots, and that the README says what the data say."""

import contextlib
import csv
import importlib
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import time
from types import SimpleNamespace

import numpy as np
import psutil
import pytest
import torch
import tyro
from conftest import ROOT
from scipy import stats

BENCHMARK = ROOT / "benchmark"
sys.path.insert(0, str(BENCHMARK))
diagnose, launch, plot, tables = map(importlib.import_module, ("diagnose", "launch", "plot", "tables"))
FIGURES = sorted(path.stem for path in BENCHMARK.glob("*.sh") if "launch.py" in path.read_text())


def start(name, lines, results, *flags):
    command = [sys.executable, str(BENCHMARK / "launch.py"), name, "--smoke", "--results", str(results), *flags]
    return subprocess.run(command, input="\n".join(lines), capture_output=True, text=True)


# ---- the launcher


@pytest.fixture
def scratch():
    """A name for a launch; what it leaves in runs/ is removed."""
    name = f"test_benchmark_{os.getpid()}"  # of its own in each of pytest's processes
    yield name
    shutil.rmtree(ROOT / "runs" / "smoke" / name, ignore_errors=True)


def test_launcher_keeps_results_does_not_repeat_them_and_reports_failures(tmp_path, scratch):
    lines = [
        "# comments and blank lines do not count",
        "",
        "finger-spin dqn python dqn_discretized.py --env-id dm_control/finger-spin-v0 --seed 3 --eval-frequency 500",
        "bandits pg python pg_bandit.py",
        "broken dqn python dqn_discretized.py --gamma 7",
    ]
    done = start(scratch, lines, tmp_path, "--workers", "3", "--gpus", "0")
    assert done.returncode == 1 and "FAILED: broken/dqn" in done.stderr, done.stderr
    (log,) = re.findall(r"log: (.*)", done.stderr)
    assert "--gamma is 7" in pathlib.Path(log).read_text()

    rows = list(csv.DictReader((tmp_path / "finger-spin" / "dqn" / "seed_3.csv").open()))
    assert [int(row["global_step"]) for row in rows] == [1000, 2000] and "episodic_return" in rows[0]
    evaluation = list(csv.DictReader((tmp_path / "finger-spin" / "dqn" / "seed_3_eval.csv").open()))
    assert [row["global_step"] for row in evaluation] == ["2000"]  # what --smoke makes of --eval-frequency
    assert "end at the local optimum" in (tmp_path / "bandits" / "pg" / "verdict.txt").read_text()
    assert not (tmp_path / "broken").exists()
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    assert manifest.keys() == {"finger-spin/dqn/seeds 3 to 3", "bandits/pg/seeds 1 to 2"}
    entry = manifest["finger-spin/dqn/seeds 3 to 3"]
    assert entry["command"].startswith("python dqn_discretized.py --env-id dm_control/finger-spin-v0 --seed 3")
    git = subprocess.run(["git", "hash-object", "dqn_discretized.py"], cwd=ROOT, capture_output=True, text=True)
    assert entry["script_blob"] == git.stdout.strip() and entry["versions"]["torch"] == torch.__version__

    path = tmp_path / "finger-spin" / "dqn" / "seed_3.csv"
    before = path.stat().st_mtime_ns
    again = start(scratch, lines[:4], tmp_path)
    assert again.returncode == 0 and "2 runs, 2 of them already done" in again.stdout
    assert path.stat().st_mtime_ns == before
    other = start(scratch, [lines[2] + " --gamma 0.9"], tmp_path)
    assert other.returncode == 1 and "were made by command" in other.stderr and "Traceback" not in other.stderr
    manifest["bandits/pg/seeds 1 to 2"]["script_blob"] = "0" * 40  # as if the script had changed since
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    old = start(scratch, lines[:4], tmp_path)
    assert old.returncode == 1 and "were made by script_blob" in old.stderr and "--keep-old" in old.stderr
    assert start(scratch, lines[:4], tmp_path, "--keep-old").returncode == 0


def test_runs_end_with_the_launcher(tmp_path, scratch):
    line = "CartPole-v1 dqn python dqn_discretized.py --env-id CartPole-v1"
    command = [sys.executable, str(BENCHMARK / "launch.py"), scratch, "--smoke", "--results", str(tmp_path)]
    pipes = dict(stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    launcher, started = subprocess.Popen(command, **pipes), []
    launcher.stdin.write(line)
    launcher.stdin.close()
    while not started and launcher.poll() is None:
        time.sleep(0.05)
        with contextlib.suppress(psutil.Error):  # of processes that have ended meanwhile
            processes = psutil.Process(launcher.pid).children(recursive=True)
            started = [process for process in processes if str(ROOT / "dqn_discretized.py") in process.cmdline()]
    launcher.terminate()
    assert launcher.wait(90) == 130 and "goes on with the runs that have not ended" in launcher.stderr.read()
    assert started and not (tmp_path / "CartPole-v1").exists()
    assert not started[0].is_running() or started[0].status() == psutil.STATUS_ZOMBIE


def test_launcher_runs_some_tasks_of_a_figure(tmp_path, scratch):
    lines = ["bandits pg python pg_bandit.py", "broken dqn python dqn_discretized.py --gamma 7"]
    done = start(scratch, lines, tmp_path, "--tasks", "bandits")
    assert done.returncode == 0 and "1 runs, 0 of them already done" in done.stdout, done.stderr
    refused = start(scratch, lines, tmp_path, "--tasks", "bandits", "walker-walk")
    assert refused.returncode == 1 and "--tasks has walker-walk, expected some of bandits, broken" in refused.stderr


def test_tables_names_them():
    command = [sys.executable, str(BENCHMARK / "tables.py"), "nonsense"]
    refused = subprocess.run(command, capture_output=True, text=True)
    assert refused.returncode == 2 and "figure_3_why" in refused.stderr and "Traceback" not in refused.stderr


def test_launcher_refuses_lines_with_the_same_results(tmp_path, scratch):
    line = "walker-walk qmle python qmle_continuous_multiseed.py --num-seeds 2 --seed {}"
    refused = start(scratch, [line.format(1), line.format(2)], tmp_path)
    assert refused.returncode == 1 and "line 2 is" in refused.stderr and "seed_2.csv" in refused.stderr
    manifest = {"t/v/seeds 1 to 5": {"command": "python dqn_discretized.py", "script_blob": ""}}
    (tmp_path / "t" / "v").mkdir(parents=True)
    (tmp_path / "t" / "v" / "seed_1.csv").touch()
    run = launch.Run("t", "v", ["python", "dqn_discretized.py"], tmp_path, tmp_path)
    with pytest.raises(ValueError, match="is a result of t/v/seeds 1 to 5"):
        run.is_done(manifest)


def test_results_of_the_same_command_for_another_figure_are_taken(tmp_path):
    words = "python qmle_continuous_multiseed.py --num-seeds 2 --eval-frequency 9".split()
    first = launch.Run("t", "amortized", words, tmp_path / "figure_8", tmp_path)
    second = launch.Run("t", "two", words, tmp_path / "figure_9", tmp_path)
    for seed in (1, 2, 11):  # 11 is of another run
        first.csv_path(seed).parent.mkdir(parents=True, exist_ok=True)
        first.csv_path(seed).write_text(f"seed {seed}")
    first.csv_path(2).with_name("seed_2_eval.csv").write_text("evaluation of 2")
    entry = first.identity() | {"device": "cpu"}
    first.enter(entry)
    other = launch.Run("t", "three", [*words, "--gamma", "0.9"], tmp_path / "figure_9", tmp_path)
    first.csv_path(1).rename(tmp_path / "aside")  # results that are not whole
    assert not second.take_from_other_figures() and not second.results.exists()
    (tmp_path / "aside").rename(first.csv_path(1))
    assert second.take_from_other_figures() and not other.take_from_other_figures()
    texts = {path.name: path.read_text() for path in (second.results / "t" / "two").iterdir()}
    assert texts == {"seed_1.csv": "seed 1", "seed_2.csv": "seed 2", "seed_2_eval.csv": "evaluation of 2"}
    manifest = launch.read_manifest(second.results)
    assert manifest == {"t/two/seeds 1 to 2": entry | {"taken_from": "figure_8/t/amortized/seeds 1 to 2"}}
    assert second.is_done(manifest)

    # Of another version of the script only where that is asked for, and only where there is none of this version.
    other.keep_old = True
    assert not other.take_from_other_figures()  # another command
    for figure, blob in (("figure_10", "0"), ("figure_8", entry["script_blob"])):
        older = launch.Run("u", f"before-{figure}", words, tmp_path / "figure_9", tmp_path)
        for seed in (1, 2):
            path = tmp_path / figure / "u" / "amortized" / f"seed_{seed}.csv"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"of {blob}")
        launch.Run("u", "amortized", words, tmp_path / figure, tmp_path).enter(entry | {"script_blob": blob})
        assert older.take_from_other_figures() == (figure == "figure_8")
        older.keep_old = True
        assert older.is_done(launch.read_manifest(older.results)) or older.take_from_other_figures()
        assert older.csv_path(1).read_text() == f"of {blob}"
    either = launch.Run("u", "either", words, tmp_path / "figure_9", tmp_path, keep_old=True)
    assert either.take_from_other_figures() and either.csv_path(1).read_text() == f"of {entry['script_blob']}"


LINES = ["walker-walk qmle", "walker-walk qmle python nothing.py", "a b bash x.sh", "a b python pg_bandit.py --seed=3"]


@pytest.mark.parametrize("line", LINES)
def test_launcher_refuses_a_line_that_makes_no_sense(line, tmp_path, scratch):
    refused = start(scratch, [line], tmp_path)
    assert refused.returncode == 1 and f"line 1 is {line!r}" in refused.stderr and "Traceback" not in refused.stderr


def test_runs_at_the_same_time_have_cores_of_their_own(monkeypatch, tmp_path):
    at_a_time = []

    class Executor:
        parameters = {}

        def submit(self, run):
            at_a_time.append(run.cores)
            return SimpleNamespace(done=lambda: len(at_a_time) % 3 == 0, exception=lambda: None)

    monkeypatch.setattr(launch, "make_executor", lambda *_: Executor())
    monkeypatch.setattr(launch.os, "sched_getaffinity", lambda _: set(range(16)))
    runs = [launch.Run("t", f"v{i}", ["python", "pg_bandit.py"], tmp_path, tmp_path) for i in range(6)]
    launch.launch(SimpleNamespace(workers=3, cluster="local", gpus=["0"]), runs, tmp_path)
    assert at_a_time == 2 * [set(range(5)), set(range(5, 10)), set(range(10, 15))]


def test_seeds_of_a_command():
    def seeds(text):
        return list(launch.Run("task", "variant", text.split(), ROOT, ROOT).seeds())

    assert seeds("python qmle_continuous.py --seed 4") == [4]
    assert seeds("python qmle_continuous_multiseed.py --num-seeds 3 --seed 2") == [2, 3, 4]
    assert len(seeds("python qmle_continuous_multiseed.py")) == 16
    assert seeds("python qmle_continuous_multiseed.py --num-seeds 5 --num-seeds 2") == [1, 2]  # the last one counts


def test_many_episodes_are_averaged_in_bins_of_steps(tmp_path):
    path = tmp_path / "episodes.csv"
    lines = [f"{10 * i},{i},10,0.0" for i in range(1, 101)]
    path.write_text("global_step,episodic_return,episodic_length,wall_time\n" + "\n".join(lines) + "\n")
    assert launch.thinned(path).splitlines()[1] == "10,1" and len(launch.thinned(path).splitlines()) == 101
    thin = launch.thinned(path, most=50, num_bins=4).splitlines()  # bins end before 250, 500, 750 and with 1000
    assert thin[1:] == ["240,12.5", "490,37", "740,62", "1000,87.5"]


@pytest.mark.parametrize("name", FIGURES)
def test_commands_of_the_figures_are_valid(name, tmp_path):
    text = (BENCHMARK / f"{name}.sh").read_text()
    lines = text.split("<<'END'\n")[1].split("\nEND\n")[0].splitlines()
    for command in re.findall(r"^python (benchmark/.* runs/patched/.*)$", text, re.MULTILINE):
        subprocess.run([sys.executable, *command.split()], cwd=ROOT, check=True)
    runs = launch.read_runs(lines, tmp_path, tmp_path, smoke=False)
    assert len({run.key() for run in runs}) == len(runs)
    for run in [*runs, *launch.read_runs(lines, tmp_path, tmp_path, smoke=True)]:
        script = importlib.import_module(pathlib.Path(run.words[1]).stem)
        args = tyro.cli(script.Args, args=run.words[2:])  # exits where a flag is unknown
        script.check_args(args)
        assert args.seed == run.seeds()[0] and getattr(args, "num_seeds", 1) == len(run.seeds())


def test_shell_scripts_have_no_syntax_error():
    for path in BENCHMARK.glob("*.sh"):
        subprocess.run(["bash", "-n", path], check=True)


def patched(name, folder):
    """qmle_continuous_multiseed.py as a script of the benchmark folder patches it."""
    path = folder / f"{name}.py"
    command = [sys.executable, BENCHMARK / path.name, ROOT / "qmle_continuous_multiseed.py", path]
    subprocess.run(command, check=True)
    spec = importlib.util.spec_from_file_location(f"patched_{name}", path)
    script = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    return script


def test_double_softmax_patch_does_what_it_says(tmp_path):
    script = patched("double_softmax", tmp_path)
    logits = torch.tensor([[[1.0, 2.0, 0.5]]])
    probabilities = np.exp([1.0, 2.0, 0.5]) / np.exp([1.0, 2.0, 0.5]).sum()
    expected = -np.log(np.exp(probabilities[1]) / np.exp(probabilities).sum())
    loss = script.argmax_predictor_loss(torch.zeros(1, 1), logits, torch.zeros(1, 1))[1]
    assert loss.item() == pytest.approx(expected, rel=1e-6)


def test_clipped_double_q_patch_does_what_it_says(tmp_path):
    script, plain = patched("clipped_double_q", tmp_path), importlib.import_module("qmle_continuous_multiseed")
    args = plain.Args(mixed_precision=False)

    def networks(module):  # online and target, which differ
        made = []
        for seed in (0, 1):
            torch.manual_seed(seed)
            made.append(module.QNetwork(3, 2, 3))
        return made

    (before, before_target), (online, target) = networks(plain), networks(script)
    assert all(torch.equal(value, online.state_dict()[name]) for name, value in before.state_dict().items())
    torch.manual_seed(2)
    obs, next_obs = torch.randn(64, 3), torch.randn(64, 3)
    batch = [obs, next_obs, torch.rand(64, 2), torch.rand(64, 2), torch.rand(64, 1), (torch.rand(64, 1) < 0.3).float()]
    torch.manual_seed(3)
    _, expected_a_max, before_errors, _ = plain.training_loss(before, before_target, batch, torch.ones(64), args)
    torch.manual_seed(3)
    loss, a_max, td_errors, metrics = script.training_loss(online, target, batch, torch.ones(64), args)
    torch.testing.assert_close(a_max, expected_a_max)  # the search is as before

    def first(network, obs, actions):
        return network.q_values(network.obs_stream(obs), actions.unsqueeze(1)).squeeze(1)

    def second(network, obs, actions):  # Fujimoto et al. 2018, Eq. 10, written once more
        joined = torch.cat([network.obs_stream(obs), network.second_action_stream(actions)], dim=1)
        return network.second_joint(joined).squeeze(1)

    values = [q(target, next_obs, a_max) for q in (first, second)]
    assert 0 < (values[1] < values[0]).sum() < 64
    aim = (batch[4].squeeze(1) + 0.99 * (1 - batch[5].squeeze(1)) * torch.minimum(*values)).detach()
    torch.testing.assert_close(td_errors, (aim - first(online, obs, batch[2])).detach())
    assert (td_errors <= before_errors + 1e-5).all()
    errors = [aim - q(online, obs, batch[2]) for q in (first, second)]
    torch.testing.assert_close(metrics["losses/td_loss"], sum((e**2).mean() for e in errors).detach())
    loss.backward()
    assert online.second_joint[-1].weight.grad.abs().sum() > 0


# ---- plots and statistics


def fake_results(folder, task, variant, values, num_episodes=40, rise=0):
    """values: one return for each seed, constant or, with rise, lower by it in all but the last tenth."""
    path = folder / task / variant
    path.mkdir(parents=True)
    for seed, value in enumerate(values, 1):
        late = 0.9 * num_episodes
        lines = [f"{1000 * i},{value - rise * (i <= late)}" for i in range(1, num_episodes + 1)]
        (path / f"seed_{seed}.csv").write_text("global_step,episodic_return\n" + "\n".join(lines) + "\n")


def test_curves_and_statistics_by_hand(tmp_path):
    seeds = {1: np.array([[10, 1.0], [20, 3.0], [30, 5.0], [40, 7.0]]), 2: np.array([[10, 0.0], [20, 2.0], [40, 4.0]])}
    steps, means = plot.curve(seeds, num_bins=2)
    assert steps.tolist() == [20, 40] and means.tolist() == [[2, 6], [1, 4]]
    assert plot.final_scores(seeds, share=0.5).tolist() == [6, 4]
    assert plot.interquartile_mean(np.array([0, 4, 6, 100.0])) == 5
    low, high = plot.bootstrap_interval(lambda a: a.mean(-1), np.random.default_rng(1).normal(3, 1, 400))
    assert low < 3 < high and high - low == pytest.approx(2 * 1.96 / 20, rel=0.15)


def test_verdicts_of_the_open_details(tmp_path):
    rng = np.random.default_rng(0)
    for task in ("walker-walk", "cheetah-run", "finger-spin"):
        for variant, mean in (("default", 300), ("copy-2000", 250), ("stored", 301), ("grid-half", 340)):
            fake_results(tmp_path, task, variant, rng.normal(mean, 20, 16), 200)
    fake_results(tmp_path, "walker-walk", "grid-all", rng.normal(900, 20, 15), 200)  # a seed is missing
    fake_results(tmp_path, "walker-walk", "noise-0.01", rng.normal(900, 20, 16), 199)  # too short
    rows = {line.split(" | ")[0].strip("| "): line for line in tables.open_details(tmp_path).splitlines()}
    assert rows["copy-2000"].endswith("| worse |") and rows["grid-half"].endswith("| better |")
    assert rows["stored"].endswith("| no difference found, a loss of 5% excluded |")
    for name in ("grid-all", "noise-0.01", "noise-0.3"):
        assert rows[name].endswith("| not run yet: walker-walk, cheetah-run, finger-spin |")
    difference = float(re.search(r"\| ([+-][\d.]+) \(", rows["copy-2000"])[1])
    assert difference == pytest.approx(-50, abs=15)
    one, other = np.array([1.0, 2.0, 3.0, 6.0]), np.array([2.0, 4.0, 9.0, 9.0])
    expected = stats.ttest_ind(one, other, equal_var=False).confidence_interval(0.9)
    assert tables.welch([one], [other], 0.9) == pytest.approx((-3, *expected))


def test_tables_of_the_figures(tmp_path):
    for task, end in (("walker-walk", 1000), ("dog-walk", 500), ("cartpole-swingup", 500)):
        fake_results(tmp_path, task, "qmle", [100, 200, 300], end)
    for seed in (1, 2, 3):
        lines = ["500000,0,1.0,9", "1000000,0,40.0,9", f"1000000,1,{seed}0.0,9"]  # the last evaluation counts
        path = tmp_path / "walker-walk" / "qmle" / f"seed_{seed}_eval.csv"
        path.write_text("global_step,episode,episodic_return,wall_time\n" + "\n".join(lines) + "\n")
    _, _, short, whole, longest = tables.figure_3(tmp_path).splitlines()
    published = ["864 (2), 10 seeds", "859 (4), 10 seeds", "727 (19), 8 seeds", "880, 1 seed"]
    assert short.startswith(" | ".join(["| cartpole-swingup", "1", "3", "200 (58)", "", "", *published]))
    assert longest.split(" | ")[9] == "13 (2) at 0.5M, 3 seeds"  # where there is no score at a million
    assert whole.startswith("| walker-walk | 6 | 3 | 200 (58) | 200 (58) | 30 (3) |")
    fake_results(tmp_path / "10", "walker-walk", "dqn", [7], 100)  # one seed has no error
    fake_results(tmp_path / "10", "walker-walk", "qmle", [18, 22], 100, rise=10)
    (line,) = tables.learning("figure_10", tmp_path / "10").splitlines()[2:]
    assert line == "| walker-walk | 6 | 1; 2 | 20 (2); 11 (2) | 7; 7 |  |  |"


def test_labels_of_references_do_not_overlap():
    assert plot.spread([1.0, 1.2, 5.0], 1) == [0.5, 1.5, 5.0] and plot.spread([], 1) == []
    assert plot.spread([3.0, 9.0, 9.5], 1) == [3.0, 8.5, 9.5]


def test_plot_draws_a_panel_for_each_task(tmp_path, monkeypatch):
    for task in ("walker-walk", "finger-spin"):
        fake_results(tmp_path, task, "qmle", [100, 200])
    titles = []
    legend = plot.plt.Figure.legend
    monkeypatch.setattr(plot.plt.Figure, "legend", lambda *a, **k: titles.append(k["title"]) or legend(*a, **k))
    plot.draw_curves(tmp_path, "figure_3")
    (tmp_path / "walker-walk" / "qmle" / "seed_1_eval.csv").write_text(
        "global_step,episode,episodic_return\n40000,0,1\n"
    )
    plot.draw_curves(tmp_path, "figure_3")
    assert (tmp_path / "figure_3.png").stat().st_size > 10_000
    assert ["hollow" in title for title in titles] == [False, True]
    methods = {row["method"] for row in plot.read_references("walker-walk", "figure_3")}
    assert {"A3C", "D4PG", "DMPO", "SAC"} == methods
    few, many = np.array([1.0, 2.0, 3.0]), np.array([0.0, 4, 4, 4, 4, 4, 4, 100])
    assert plot.last_tenth(few) == pytest.approx((2, 2 - 4.3027 / 3**0.5, 2 + 4.3027 / 3**0.5), rel=1e-4)
    assert plot.last_tenth(many)[0] == 4


# ---- what is committed


def test_tables_of_the_readme_are_those_of_the_data():
    text = (ROOT / "README.md").read_text()
    assert tables.fill(text) == text, "the data have changed: python benchmark/tables.py"
    without_data = {name for name in tables.TABLES if name in FIGURES and not tables.runs_done(name)[0]}
    assert set(re.findall(r"<!-- table: (\w+) -->", text)) == set(tables.TABLES) - without_data
    with pytest.raises(ValueError, match="nothing"):
        tables.fill("<!-- table: nothing -->\n<!-- end -->")


@pytest.mark.parametrize("name", FIGURES)
def test_committed_results_are_whole(name):
    folder = ROOT / "benchmark" / "results" / name
    manifest = launch.read_manifest(folder)
    lines = (BENCHMARK / f"{name}.sh").read_text().split("<<'END'\n")[1].split("\nEND\n")[0].splitlines()
    runs, files = {}, set()
    for run in launch.read_runs(lines, folder, folder, smoke=False):
        run.keep_old, runs[run.key()] = True, run
        if run.is_done(manifest):  # which compares the commands
            files |= set(run.paths())
    assert manifest.keys() <= runs.keys()
    for key, entry in manifest.items():
        assert runs[key].is_done(manifest) and entry["device"] and entry["date"] and "/" not in entry["device"], key
        if not runs[key].is_illustration():
            for path in runs[key].paths():
                rows = np.loadtxt(path, delimiter=",", skiprows=1, ndmin=2)
                assert (np.diff(rows[:, 0]) > 0).all() and np.isfinite(rows).all(), path
                assert rows[-1, 0] > 0.9 * runs[key].flag("--total-timesteps", 1_000_000), path
    found = {path for path in folder.glob("*/*/seed_*.csv") if not path.stem.endswith("_eval")}
    assert found <= files, "results that no run of the script claims"


def test_table_of_deviations_repeats_the_table_of_open_details():
    readme = (ROOT / "README.md").read_text()
    (deviations,) = re.findall(r"^\| point \| paper \|.*?\n\n", readme, re.M | re.S)
    number = r"[+-]\d+\.\d"
    found = re.findall(rf"\| ({number} \({number} to {number}\)) \|", tables.open_details())
    assert len(found) == 7 and all(difference in deviations for difference in found)


def test_committed_results_are_small():
    sizes = [path.stat().st_size for path in (ROOT / "benchmark" / "results").rglob("*") if path.is_file()]
    assert sum(sizes) < 20e6 and max(sizes) < 5e6


def test_references_name_their_sources():
    rows = list(csv.DictReader((BENCHMARK / "references.csv").open()))
    assert len(rows) > 50 and all(
        row["source"] and float(row["steps"]) > 0 and float(row["score"]) >= 0 for row in rows
    )


# ---- speed


def test_plot_of_seeds_leaves_out_what_is_no_number_of_seeds():
    rows = list(csv.reader((BENCHMARK / "results" / "speed" / "cuda.csv").open()))[1:]
    plot_seeds = importlib.import_module("plot_speed").plot_seeds
    figures = [
        plot_seeds(rows),
        plot_seeds([*rows, ["seeds", "dm_control alone, a process on each core", "", "1", ""]]),
    ]
    (numbers, speeds), others = (figure.axes[0].lines[0].get_data() for figure in figures)
    assert (list(numbers), list(speeds)) == tuple(map(list, others)) and len(numbers) == 6 and min(speeds) > 1000


@pytest.mark.slow
def test_speed_measures_seeds_and_waits_and_its_plot_takes_what_it_writes(tmp_path):
    flags = " --no-compile --num-target-samples 2 --num-greedy-samples 2 --learning-starts 1400"
    command = [sys.executable, str(BENCHMARK / "speed.py"), "seeds", "waits", "--num-seeds", "2", "--repetitions", "1"]
    (tmp_path / "other.py").write_text((ROOT / "qmle_continuous_multiseed.py").read_text())
    command += ["--flags", flags, "--out", str(tmp_path / "speed.csv"), "--against", str(tmp_path / "other.py")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    rows = list(csv.reader((tmp_path / "speed.csv").open()))[1:]
    found = {(part, what, variant): float(value) for part, what, variant, value, _ in rows}
    names = ("together", "environments", "acting", "update", "host", "one update alone", "one acting group alone")
    expected = {("seeds", name, "gymnasium S=2") for name in names}
    expected |= {("seeds", "dm_control alone, a process on each core", "")}
    expected |= {("waits", f"{n} at a time", name) for n in (1, 3) for name in ("now", "other")}
    assert expected <= set(found) and min(found.values()) > 0
    assert json.loads((tmp_path / "speed.json").read_text())["seeds"]["command"][1] == "seeds"
    figure = importlib.import_module("plot_speed").plot_seeds(rows)
    assert figure.axes[0].lines[0].get_ydata() == [found["seeds", "together", "gymnasium S=2"]]


STUB = """
import sys, time
from tqdm import tqdm
def on_host(*inputs): pass
def fast(*inputs): pass
def train_step(): pass
class GymnasiumEnvs:
    def wait(self, group): time.sleep(0.0002)
class EnvPoolEnvs(GymnasiumEnvs): pass
class args:
    num_seeds = 3
if __name__ == "__main__":
    stamps = open(sys.argv[-3], "w", buffering=1)
    progress = tqdm(total=1)
    while True:
        GymnasiumEnvs().wait(0)
        print(time.perf_counter(), file=stamps)
        progress.update(3)
"""


def test_turns_are_taken_one_at_a_time_and_pauses_do_not_count(tmp_path):
    stub = tmp_path / "a stub.py"
    stub.write_text(STUB)
    lines = [f"'{stub}' {tmp_path / name}" for name in "abc"]
    command = [sys.executable, str(BENCHMARK / "speed.py"), "turns", "--repetitions", "2", "--compare", *lines]
    done = subprocess.run([*command, "--out", str(tmp_path / "speed.csv")], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    rows = list(csv.reader((tmp_path / "speed.csv").open()))[1:]
    first_step, turn, found = 1500, 2000 if torch.cuda.is_available() else 1000, []
    for line, name in zip(lines, "abc", strict=True):
        stamps = [float(stamp) for stamp in (tmp_path / name).read_text().split()][first_step:]
        assert len(stamps) == 2 * turn
        own = {
            what: [float(row[3]) for row in rows if row[1:3] == [what, line]] for what in ("together", "environments")
        }
        for i in range(2):
            start, end = stamps[i * turn], stamps[(i + 1) * turn - 1]
            found.append((start, end))
            assert own["together"][i] == pytest.approx(3 * (turn - 1) / (end - start), rel=0.3)  # a pause: a third
            assert 200 < own["environments"][i] <= 3e6 / own["together"][i]
    found.sort()
    assert all(before[1] < after[0] for before, after in zip(found, found[1:], strict=False))
    twice = subprocess.run([*command, lines[0], "--out", str(tmp_path / "twice.csv")], capture_output=True, text=True)
    assert twice.returncode == 1 and "expected each command once" in twice.stderr


@pytest.mark.slow
def test_turns_of_the_script_itself(tmp_path):
    script = f"{ROOT / 'qmle_continuous_multiseed.py'} --num-seeds 2 --no-compile --batch-size 8 --num-target-samples 2"
    command = [sys.executable, str(BENCHMARK / "speed.py"), "turns", "--repetitions", "1"]
    command += ["--out", str(tmp_path / "speed.csv"), "--compare", script, f"{script} --num-groups 1"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    rows = list(csv.reader((tmp_path / "speed.csv").open()))[1:]
    whats = ("together", "environments", "acting", "update", "host")
    assert [row[1:3] for row in rows] == [[what, line] for line in command[-2:] for what in whats]
    assert min(float(row[3]) for row in rows) > 0
    bad = subprocess.run([*command[:-2], f"{script} --gamma 2"], capture_output=True, text=True)
    assert bad.returncode == 1 and "--gamma is 2.0" in bad.stderr


def test_speed_says_which_of_its_processes_failed(tmp_path):
    command = [sys.executable, str(BENCHMARK / "speed.py"), "waits", "--env-id", "dm_control/walker-fly-v0"]
    done = subprocess.run([*command, "--out", str(tmp_path / "speed.csv")], capture_output=True, text=True)
    assert done.returncode == 1 and "error: envs_alone(" in done.stderr and "ended with 1" in done.stderr


# ---- the diagnosis of runs


def test_returns_to_go_and_silent_units_by_hand():
    np.testing.assert_allclose(diagnose.returns_to_go([[1, 3], [0, 0], [2, 0]], 0.5), [[1.5, 3], [1, 0], [2, 0]])
    torch.manual_seed(0)
    network = diagnose.script.QNetwork(3, 2, 3)
    with torch.no_grad():  # biases that no input outweighs switch units on or off
        for bias in (network.obs_stream[1].linear1.bias, network.joint_block.linear1.bias):
            bias[:], bias[: len(bias) // 4] = 1e3, -1e3
        network.delta_predictor[0].bias[:] = -1e3
    silent = diagnose.silent_units(network, torch.randn(500, 3), torch.rand(500, 2))
    assert silent["silent/observation"] == silent["silent/joint"] == 0.25 and silent["silent/delta"] == 1
    assert silent["silent/categorical"] < 1


class ShortEnv:
    """Ends after two or three steps, by its seed; the reward is the action, the observation the number of the step."""

    action_space = SimpleNamespace(low=np.array([-1.0]), high=np.array([1.0]), shape=(1,), dtype=np.float64)

    def reset(self, seed):
        self.step_number, self.length = 0, 2 + seed
        return np.zeros(1, np.float32), {}

    def step(self, action):
        self.step_number += 1
        over = self.step_number == self.length
        return np.float32([self.step_number]), action.item(), over and self.length == 2, over and self.length == 3, {}


def test_greedy_episodes_side_by_side(monkeypatch):
    candidates = torch.tensor([-0.5, 0.25, 1.0]).view(1, 3, 1)
    network = SimpleNamespace(obs_stream=lambda obs: obs, q_values=lambda _, a, *__: -((a - 0.3) ** 2).squeeze(2))
    monkeypatch.setattr(diagnose.script, "make_env", lambda _: ShortEnv())
    monkeypatch.setattr(diagnose.script, "sample_actions", lambda _, obs, *__: candidates.expand(len(obs), 3, 1))
    monkeypatch.setattr(diagnose.script, "episode_seed", lambda _, episode: episode)
    obs, actions, rewards, terminated = diagnose.play(network, diagnose.script.Args(), 2)
    assert obs[:, 1, 0].tolist() == [0, 1, 2] and (actions == 0.25).all() and terminated.tolist() == [True, False]
    np.testing.assert_array_equal(rewards, [[0.25, 0.25], [0.25, 0.25], [np.nan, 0.25]])

    random = diagnose.play(network, diagnose.script.Args(), 2, epsilon=1.0)[1]
    assert (random != 0.25).all() and len(np.unique(random)) == random.size and (np.abs(random) < 1).all()
    some = diagnose.play(network, diagnose.script.Args(seed=2), 2, epsilon=0.5)[1]
    assert 0 < (some == 0.25).sum() < some.size


def test_of_model_by_hand(monkeypatch):
    """Two episodes: one of 4 steps that is cut off, one that terminates at step 3. Q is ten times the observation."""
    network = SimpleNamespace(obs_stream=lambda obs: obs, q_values=lambda obs, actions: 10 * obs)
    rewards = np.array([[20.0, 1], [0, 2], [0, 4], [8, np.nan]])
    obs = np.float32([[0, 4], [1, 5], [2, 6], [3, np.nan]])[:, :, None]
    played = obs, np.zeros((4, 2, 1), np.float32), rewards, np.array([False, True])
    shaken = *played[:2], rewards + np.array([1, -3]), played[3]
    monkeypatch.setattr(diagnose, "play", lambda *args: shaken if args[3:] == (0.1,) else played)
    monkeypatch.setattr(diagnose, "silent_units", lambda network, obs, actions: {"states": len(obs)})
    monkeypatch.setattr(diagnose.script, "load_model", lambda *_: (network, diagnose.script.Args(gamma=0.5)))
    monkeypatch.setattr(diagnose, "NUM_TO_COME", 2)
    found = diagnose.of_model("model.pt", seed=5, num_episodes=2)
    assert found["greedy/num_episodes"] == 2 and found["exploring/gain"] == (4 - 9) / 2
    assert found["exploring/gain_error"] == pytest.approx(13 / 2)  # of 4 and -9
    assert found["greedy/return"] == (28 + 7) / 2 and found["greedy/num_below_10"] == 1
    to_go = [21, 2], [3, 4, 4]  # of the episode that is cut off without the last two steps
    assert found["greedy/return_to_go"] == pytest.approx(np.mean([*to_go[0], *to_go[1]]))
    assert found["greedy/q"] == pytest.approx(np.mean([0, 10, 40, 50, 60]))
    assert found["greedy/return_to_go_below_10"] == pytest.approx(np.mean(to_go[1]))
    assert found["greedy/q_below_10"] == pytest.approx(50) and found["states"] == 2 * 7


def test_diagnosis_of_a_run(tmp_path, monkeypatch):
    flags = "--env-id dm_control/finger-spin-v0 --seed 4 --total-timesteps 1200 --eval-frequency 1100 --eval-episodes 1"
    flags += " --no-compile --num-greedy-samples 20 --save-model"
    command = [sys.executable, str(ROOT / "qmle_continuous.py"), *flags.split()]
    attempt = tmp_path / "finger-spin__some-variant__4" / "attempt"
    attempt.mkdir(parents=True)
    subprocess.run(command, cwd=attempt, check=True, capture_output=True)
    (run_dir,) = (attempt / "runs").iterdir()
    monkeypatch.setattr(diagnose, "ROOT", tmp_path)
    folder = tmp_path / "benchmark" / "results" / "figure"
    folder.mkdir(parents=True)
    before = "other,qmle,1,7,losses/delta_loss,0.5\nfinger-spin,some-variant,4,1101,of-before,1\n"
    (folder / "diagnosis.csv").write_text("task,variant,seed,until,measure,value\n" + before)
    (folder / "diagnosis.json").write_text(json.dumps({"other/qmle/1/7": {"commit": "abc"}}))

    def read(step):
        rows = [row for row in csv.reader((folder / "diagnosis.csv").open()) if row[0] == "finger-spin"]
        return {row[4]: float(row[5]) for row in rows if row[1:4] == ["some-variant", "4", step]}

    diagnose.main("figure", [run_dir], num_episodes=2)
    assert "other,qmle,1,7,losses/delta_loss,0.5\n" in (folder / "diagnosis.csv").read_text()
    values = read("1101")
    assert "of-before" not in values and values["greedy/num_below_10"] <= 2 and 0 < values["argmax/share_uniform"] < 1
    events = diagnose.EventAccumulator(str(run_dir)).Reload()
    assert values["eval/episodic_return"] == pytest.approx(events.Scalars("eval/episodic_return")[0].value, rel=1e-4)
    losses = [event.value for event in events.Scalars("losses/td_loss") if event.step > 0.9 * 1101]  # the last event
    assert len(losses) == 2 and values["losses/td_loss"] == pytest.approx(np.mean(losses), rel=1e-4)

    diagnose.main("figure", [run_dir], until=1100)
    assert read("1100")["losses/td_loss"] == pytest.approx(losses[0], rel=1e-4) and "greedy/q" not in read("1100")
    assert read("1101") == values
    entries = json.loads((folder / "diagnosis.json").read_text())
    runs = [f"finger-spin/some-variant/4/{step}" for step in (1100, 1101)]
    assert set(entries) == {*runs, "other/qmle/1/7"} and entries[runs[0]]["commit"] != "abc"
    with pytest.raises(ValueError, match="--until is 5000, expected at most"):
        diagnose.main("figure", [run_dir], until=5000)
    with pytest.raises(ValueError, match="--episodes is 1, expected at least 2"):
        diagnose.main("figure", [run_dir], num_episodes=1)


def write_diagnosis(folder, *lines):
    folder.mkdir(exist_ok=True)
    (folder / "diagnosis.csv").write_text("\n".join(["task,variant,seed,until,measure,value", *lines]) + "\n")


def test_table_of_the_experiments(tmp_path):
    fake_results(tmp_path / "figure_3", "cheetah-run", "qmle", [30, 50], rise=25)  # 40 episodes, the last four higher
    fake_results(tmp_path / "figure_3", "finger-spin", "qmle", [7])
    why = tmp_path / "figure_3_why"
    fake_results(why, "cheetah-run", "half", [50], num_episodes=20)
    fake_results(why, "cheetah-run", "whole", [60, 64], rise=10)
    fake_results(why, "finger-spin", "default", [9])
    fake_results(why, "finger-spin", "gamma-0.5", [5])
    lines = [
        "cheetah-run,half,1,20000,charts/initial_q_gap,3",
        "cheetah-run,qmle,1,40000,charts/initial_q_gap,8",
        "cheetah-run,qmle,1,10000,charts/initial_q_gap,1",
        "finger-spin,gamma-0.5,1,40000,charts/initial_q_gap,5",
    ]
    write_diagnosis(why, *lines)
    assert tables.figure_3_why(tmp_path).splitlines()[2:] == [
        "| finger-spin | 18,000 to 20,000 | default | 1 | 9 |  | 100% |  |",  # made again
        "| finger-spin | 18,000 to 20,000 | `gamma-0.5` | 1 | 5 |  | 100% |  |",
        "| finger-spin | 36,000 to 40,000 | default | 1 | 9 |  | 100% |  |",
        "| finger-spin | 36,000 to 40,000 | `gamma-0.5` | 1 | 5 |  | 100% |  |",
        "| cheetah-run | 18,000 to 20,000 | default | 2 | 15 (10) |  | 50% |  |",
        "| cheetah-run | 18,000 to 20,000 | `half` | 1 | 50 |  | 0% | 3 |",
        "| cheetah-run | 18,000 to 20,000 | `whole` | 2 | 52 (2) | +37 (-72 to +146) | 0% |  |",
        "| cheetah-run | 36,000 to 40,000 | default | 2 | 40 (10) |  | 0% | 8 |",
        "| cheetah-run | 36,000 to 40,000 | `whole` | 2 | 62 (2) | +22 (-87 to +131) | 0% |  |",
    ]
    fake_results(why, "cheetah-run", "long", [50], num_episodes=50)
    with pytest.raises(ValueError, match="at step 50000, expected a default's run as long"):
        tables.figure_3_why(tmp_path)


def test_table_of_the_diagnosis(tmp_path):
    fake_results(tmp_path, "finger-spin", "qmle", [11, 30], rise=5)  # in all but the last tenth 6 and 25
    fake_results(tmp_path, "dog-walk", "qmle", [5])
    for seed in (1, 2):
        path = tmp_path / "finger-spin" / "qmle" / f"seed_{seed}_eval.csv"  # the last evaluation counts
        path.write_text(f"global_step,episode,episodic_return,wall_time\n5,0,0,1\n9,0,{seed},1\n9,1,90,1\n")
    values = {"charts/initial_q_gap": (3, 5), "greedy/q": (8, 9), "greedy/return_to_go": (7, 6.5)}
    values |= {"greedy/num_below_10": (2, 0), "greedy/q_below_10": (4,), "greedy/return_to_go_below_10": (0,)}
    values |= {"greedy/num_episodes": (20, 20), "exploring/gain": (7, -12.4), "exploring/gain_error": (1.6, 3)}
    values |= {"argmax/share_uniform": (0.2, 0.4), "argmax/share_delta": (0, 0), "argmax/share_categorical": (1, 0)}
    values |= {"argmax/share_stored": (0.1, 0.1), "losses/delta_loss": (1, 2), "losses/categorical_loss": (3, 3)}
    lines = [f"finger-spin,qmle,{k},9,{name},{value}" for name, pair in values.items() for k, value in enumerate(pair)]
    write_diagnosis(tmp_path, "finger-spin,qmle,1,5,greedy/q,1", *lines)  # an earlier step does not count
    first, second = tables.diagnosis(tmp_path).splitlines()[2:]
    assert first.split(" | ")[1:4] == ["50%; 0%; 50%", "4 (1)", "8, 7.0; 9, 6.5"]
    assert first.split(" | ")[4:] == ["4, 0.0 (2, 0 of 20)", "+7 (2); -12 (3)", "30%; 0%; 50%; 10%", "1.50; 3.00", " |"]
    assert second == "| dog-walk | 100%; 100% |  |  |  |  |  |  |  |"


@pytest.mark.parametrize("figure, num_runs", [("figure_3", 65), ("figure_3_why", 80)])
def test_diagnosis_agrees_with_the_returns(figure, num_runs):
    """Of each run the event file says of the last tenth what the committed returns say."""
    results, checked = ROOT / "benchmark" / "results", 0
    for row in csv.DictReader((results / figure / "diagnosis.csv").open()):
        if row["measure"] == "charts/episodic_return":
            folder = results / ("figure_3" if row["variant"] == "qmle" else figure) / row["task"] / row["variant"]
            steps, returns = np.loadtxt(folder / f"seed_{row['seed']}.csv", delimiter=",", skiprows=1).T
            late = returns[(steps > 0.9 * int(row["until"])) & (steps <= int(row["until"]))].mean()
            assert float(row["value"]) == pytest.approx(late, rel=1e-3), row
            checked += 1
    assert checked >= num_runs
