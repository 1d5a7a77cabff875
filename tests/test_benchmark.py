"""The benchmark's launcher and statistics, and pages that say what the data say."""

import contextlib
import json
import os
import pathlib
import re
import runpy
import shutil
import signal
import subprocess
import sys

import numpy as np
import psutil
import torch
import tyro
from conftest import ROOT, tiny, wait_for
from pytest import approx, fixture, mark, raises
from scipy import stats

BENCHMARK = ROOT / "benchmark"
sys.path.insert(0, str(BENCHMARK))
import data
import diagnose
import launch
import patch
import tables

FIGURES = sorted(path.stem for path in BENCHMARK.glob("*.sh") if "launch.py" in path.read_text())
# Leaves what a learning script leaves; with --wait only when it goes on from a checkpoint.
LEARNER = """
import json, pathlib, signal, sys, time
"--fail" in sys.argv and sys.exit("no task")
folder = pathlib.Path(sys.argv[2] if sys.argv[1] == "--resume" else "runs/some")
folder.mkdir(parents=True, exist_ok=True)
if "--wait" in sys.argv:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit((folder / "checkpoint.pt").touch() or 143))
    (folder / "waits").touch()
    time.sleep(60)
config = dict(args=dict(seed=3), device="cpu")
(folder / "config.json").write_text(json.dumps(config))
head = "global_step,episodic_return,episodic_length,wall_time"
(folder / "episodes.csv").write_text(head + "\\n10,1.5,10,1.0\\n20,3,10,2.0\\n40,4,20,3.0\\n")
(folder / "eval.csv").write_text("global_step,episodic_return\\n20,7\\n")
"""


@fixture
def launcher(tmp_path):
    """launcher(lines) starts one with a scratch name; what it leaves in runs/ goes."""
    name, path, started = f"test_{os.getpid()}_{tmp_path.name}", tmp_path / "learner.py", []
    path.write_text(LEARNER)

    def start(lines):
        (tmp_path / "lines").write_text(lines.replace("learner.py", str(path)))
        flags = [name, "--smoke", "--workers", "2", "--results", tmp_path]
        pipes = {"stdin": (tmp_path / "lines").open(), "stderr": subprocess.PIPE, "text": True}
        started.append(subprocess.Popen([sys.executable, BENCHMARK / "launch.py", *flags], **pipes))
        return started[-1]

    yield start
    started[0].kill()
    shutil.rmtree(ROOT / "runs" / "smoke" / name, ignore_errors=True)


def waiting_learners(launcher):
    for process in psutil.Process(launcher.pid).children(recursive=True):
        with contextlib.suppress(psutil.Error):
            if pathlib.Path(process.cwd(), "runs/some/waits").exists():
                yield process


def test_launcher(tmp_path, launcher):
    lines = "# comment\n\nt learner python learner.py --seed 3\nbandits pg python pg_bandit.py\n"
    process = launcher(f"{lines}t fails python learner.py --fail")
    assert process.wait(60) == 1 and "FAILED: t/fails" in (said := process.stderr.read())
    assert "no task" in open(re.search("log: (.*)", said)[1]).read()
    kept = (tmp_path / "t/learner/seed_3.csv").read_text()
    assert kept == "global_step,episodic_return\n10,1.5\n20,3\n40,4\n"
    assert "20,7" in (tmp_path / "t/learner/seed_3_eval.csv").read_text()
    assert "local optimum" in (tmp_path / "bandits/pg/verdict.txt").read_text()
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    assert manifest["bandits/pg/seeds 1 to 2"]["versions"]["torch"]
    assert len(manifest) == 2 and "t/learner/seeds 3 to 3" in manifest


def test_no_command_is_repeated(tmp_path):
    (path := tmp_path / "learner.py").write_text(LEARNER)
    line = f"t v python {path} --seed 3"
    run = launch.read_runs([line], tmp_path, tmp_path / "runs")[0]
    run()
    manifest = launch.read_manifest(tmp_path)
    assert run.is_done(manifest) and not run.is_done({})
    before = run.paths()[0].stat()
    run()
    assert run.paths()[0].stat() == before
    with raises(ValueError, match="made by command"):
        launch.read_runs([line + " --x 9"], tmp_path, tmp_path)[0].is_done(manifest)
    manifest[run.key()]["script_blob"] = ""
    with raises(ValueError, match="made by script_blob"):
        run.is_done(manifest)
    run.keep_old = True
    assert run.is_done(manifest)
    with raises(ValueError, match="a result of t/v/x"):
        run.is_done({"t/v/x": manifest[run.key()]})
    run.paths()[0].unlink()
    assert not run.is_done(manifest)
    with raises(ValueError, match="line 2 is .*seed_3.csv"):
        launch.read_runs([line, f"{line[:-1]}2 --num-seeds 2"], tmp_path, tmp_path)


@mark.parametrize("warned", [False, True])
def test_slurm_warning_and_termination(warned, tmp_path, launcher):
    process = launcher("t v python learner.py --wait --seed 3")
    wait_for(lambda: any(waiting_learners(process)), process)
    (run,) = waiting_learners(process)
    checkpoint = pathlib.Path(run.cwd(), "runs/some/checkpoint.pt")
    if warned:  # SLURM warns every process of the job
        run.send_signal(signal.SIGUSR1)
        run.parent().send_signal(signal.SIGUSR1)
    else:
        process.terminate()
    assert process.wait(60) == (0 if warned else 130)
    assert (tmp_path / "t/v/seed_3.csv").exists() == warned
    assert warned or checkpoint.exists() and "goes on with the runs" in process.stderr.read()
    assert not run.is_running() or run.status() == psutil.STATUS_ZOMBIE


@mark.parametrize("name", FIGURES)
def test_commands_and_results(name, tmp_path):
    text = (BENCHMARK / f"{name}.sh").read_text()
    made = re.findall("^python (benchmark/(?:patch|many_seeds).py .*)$", text, re.M)
    codes = re.findall("<<'PATCH'\n(.*?)PATCH", text, re.S)
    for words in [*map(str.split, made), *(["-c", code] for code in codes)]:
        subprocess.run([sys.executable, *words], cwd=ROOT, check=True)
    lines = [" ".join(line) for line in data.commands(name)]
    folder = data.RESULTS / name
    runs = launch.read_runs(lines, folder, tmp_path, keep_old=True)
    for run in [*runs, *launch.read_runs(lines, folder, tmp_path, smoke=True)]:
        args = runpy.run_path(str(ROOT / run.words[1]))["Args"]
        tyro.cli(args, args=run.words[2:])
    manifest = launch.read_manifest(folder)
    if name == "plus_ingredients":
        runs = [run for run in runs if run.key() in manifest]
    assert manifest.keys() == {run.key() for run in runs}
    for run in runs:
        assert run.is_done(manifest) and "/" not in manifest[run.key()]["device"]
        for path in [] if run.is_illustration else run.paths():
            rows = np.loadtxt(path, delimiter=",", skiprows=1, ndmin=2)
            assert (np.diff(rows[:, 0]) > 0).all() and np.isfinite(rows).all(), path
            steps = manifest[run.key()].get("steps")  # if cut off
            assert rows[-1, 0] > 0.9 * (steps or run.flag("--total-timesteps", 1_000_000)), path
    assert set(folder.glob("*/*/seed_*[0-9].csv")) <= {p for run in runs for p in run.paths()}


@mark.parametrize("name", patch.PATCHES)
def test_patched_copies(name, tmp_path, run):
    subprocess.run([sys.executable, BENCHMARK / "patch.py", name, tmp_path], check=True)
    flags = tiny("qmle", "Reach", 130) + " --num-seeds 1"
    end = run(str(tmp_path / "qmle_continuous_multiseed"), flags)
    features = (network := end["QNetwork"](4, 2, 3)).obs_stream(torch.randn(32, 4))
    uniform = end["sample_actions"](network, features, 100, end["args"])[:, :90]
    on_grid = (uniform == uniform.round()).all(-1).float().mean()
    assert on_grid == {"grid-half": 0.5, "grid-all": 1}.get(name, 0) and "metrics" in end


def test_tables_are_those_of_the_data():
    pages = [page.read_text() for page in tables.PAGES]
    assert [tables.fill(page) for page in pages] == pages, "python benchmark/tables.py"
    assert set(tables.TABLES) <= set(re.findall(r"<!-- table: (\w+) -->", "".join(pages)))


def test_curves_and_statistics_by_hand(tmp_path):
    for seed, end in (1, ""), (2, "9,8\n"):
        text = "global_step,episodic_return\n5,2\n5,4\n" + end
        (tmp_path / f"seed_{seed}_eval.csv").write_text(text)
    assert data.greedy_returns(tmp_path) == (5, [3, 3])
    seeds = {1: [[10, 1], [20, 3], [30, 5], [40, 7]], 2: [[10, 0], [20, 2], [40, 4]]}
    seeds = {seed: np.array(rows) for seed, rows in seeds.items()}
    steps, means = data.mean_curves(seeds, num_bins=2)
    assert steps.tolist() == [20, 40] and means.tolist() == [[2, 6], [1, 4]]
    assert data.final_scores(seeds, share=0.5).tolist() == [6, 4]
    half = 4.3027 / 3**0.5
    middle = data.middle_and_interval
    assert middle(np.array([1, 2, 3])) == approx((2, 2 - half, 2 + half), 1e-4)
    assert middle(np.array([0, 4, 4, 4, 4, 4, 4, 100]))[0] == 4
    one, other = np.array([1, 2, 3, 6]), np.array([2, 4, 9, 9])
    both = stats.ttest_ind(one, other, equal_var=False).confidence_interval(0.9)
    assert tables.welch([one], [other], 0.9) == approx((-3, *both))
    np.testing.assert_allclose(diagnose.returns_to_go([[1], [0], [2]], 0.5), [[1.5], [1], [2]])
