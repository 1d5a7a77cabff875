"""A resumed run is the uninterrupted one to the byte."""

import os
import shlex
import shutil
import signal
import time

import qmle_continuous
import torch
from conftest import COUNTERPARTS, MAIN, ROOT, read_scalars, refused, rows, start, tiny, wait_for
from pytest import fixture, mark, raises

SCRIPT = ROOT / "qmle_continuous.py"
HARD = tiny(MAIN, "dm_control/reacher-hard-v0", 1600)
HARD += " --no-compile --buffer-size 1500 --seed 5"


def the_run(folder):
    (run_dir,) = folder.glob("runs/*")
    return run_dir


def said(run):
    weights = torch.load(run / "model.pt", weights_only=True)["q_network"]
    numbers = {name: value.tolist() for name, value in weights.items()}
    # After a kill -9 a step may be logged twice, with the same value.
    numbers |= {name: dict(values) for name, values in read_scalars(run).items()}
    del numbers["charts/SPS"]
    return rows(run / "episodes.csv"), rows(run / "eval.csv"), numbers


RUNS = [(MAIN, "--discrete-until 300"), ("qmle_discrete", "")]
RUNS += [("dqn_discretized", "--env-id CartPole-v1"), *COUNTERPARTS.values()]


@mark.parametrize("script, own", RUNS)
def test_same_run_resumed_evaluated_or_neither(script, own, run, tmp_path):
    flags = f"{tiny(script, 'Pendulum-v1', 430)} --seed 5 {own}"
    first = "--eval-frequency 150 --total-timesteps 267 --checkpoint-frequency 267"
    extras = first[:20], first, "", "--seed 6 --total-timesteps 220"
    one, two, plain, other = (run(script, f"{flags} {x}")["run_dir"] for x in extras)
    # in the middle of an episode, in a directory of another name
    path = two.rename(tmp_path / "renamed: elsewhere")
    os.chdir(path)
    run(script, "--resume . --total-timesteps 430 --checkpoint-frequency 0")
    os.chdir(tmp_path)
    episodes, evaluations, numbers = said(one)
    assert len(episodes) > 2 and len(evaluations) == 3 and len(numbers["losses/td_loss"]) == 4
    assert said(path) == (episodes, evaluations, numbers)
    assert len(numbers.pop("eval/episodic_return")) == 2
    assert said(plain) == (episodes, evaluations[:1], numbers)
    assert rows(other / "episodes.csv")[1] != episodes[1]
    saved = torch.load(path / "checkpoint.pt", weights_only=True)
    assert saved["global_step"] == 430
    assert (path / "config267.json").exists()


@mark.parametrize("env, extra", [("Echo", ""), ("Pendulum-v1", " --buffer-size 120")])
def test_an_episode_that_cannot_go_on(env, extra, run, capsys):
    flags = tiny(MAIN, env, 333) + extra
    run_dir = run(MAIN, f"{flags} --checkpoint-frequency 333")["run_dir"]
    before = rows(run_dir / "episodes.csv")
    env = run(MAIN, f"--resume {run_dir} --total-timesteps 600")["env"]
    assert "the episode cannot go on" in capsys.readouterr().out
    after = rows(run_dir / "episodes.csv")
    step, _, length = after[len(before)].split(",")
    assert after[: len(before)] == before and int(step) == 333 + int(length)
    assert env.episode_count == len(after)  # one was given up


def has_lines(folder, name, number):
    return any(len(rows(path)) >= number for path in folder.glob(f"runs/*/{name}"))


def test_signals_leave_a_checkpoint(tmp_path, run):
    flags = f"{HARD} --eval-frequency 1050"
    folder = tmp_path / "two"
    (folder / "my scripts").mkdir(parents=True)
    shutil.copy(SCRIPT, folder / "my scripts")
    process = start(folder, "my scripts/qmle_continuous.py", flags)
    wait_for(lambda: has_lines(folder, "episodes.csv", 2), process)
    process.send_signal(signal.SIGTERM)
    output, errors = process.communicate(timeout=10)
    assert process.returncode == 143, errors
    python, script, *words = shlex.split(output.split("to go on: ")[1])
    checkpoint = the_run(folder) / "checkpoint.pt"
    before = checkpoint.stat().st_mtime
    process = start(folder, script, f"{shlex.join(words)} --checkpoint-frequency 330")
    wait_for(lambda: checkpoint.stat().st_mtime > before, process)
    process.kill()
    process.communicate()
    run(MAIN, f"--resume {the_run(folder)}")
    run(MAIN, flags)
    assert said(the_run(tmp_path)) == said(the_run(folder))


def test_signals_in_an_evaluation(tmp_path):
    flags = f"{HARD} --eval-frequency 110 --eval-episodes 5000"
    process = start(tmp_path, SCRIPT, flags)
    wait_for(lambda: has_lines(tmp_path, "eval.csv", 1), process)
    time.sleep(2)
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=20)
    assert process.returncode == 130 and "stopped; to go on" in output
    assert len(rows(the_run(tmp_path) / "eval.csv")) == 1
    assert (the_run(tmp_path) / "model.pt").exists()


@mark.parametrize("module, function", [(torch, "save"), (os, "fsync")])
def test_files_are_whole_at_any_instant(module, function, tmp_path, patch):
    def end(*arguments):
        if module is torch:
            arguments[1].write(b"half")
        raise KeyboardInterrupt

    qmle_continuous.save(1, path := tmp_path / "checkpoint.pt")
    patch(module, function, end)
    with raises(KeyboardInterrupt):
        qmle_continuous.save(2, path)
    assert torch.load(path, weights_only=True) == 1


@fixture(scope="module")
def finished(tmp_path_factory):
    """The directory of a short run of qmle_continuous.py."""
    folder = tmp_path_factory.mktemp("finished")
    flags = f"{HARD} --total-timesteps 300 --checkpoint-frequency 300 --uniform-ratio 0.8"
    start(folder, SCRIPT, f"{flags} --delta-ratio 0.1 --categorical-ratio 0.1").communicate()
    return the_run(folder)


class Payload:
    def __reduce__(self):
        return os.mkdir, ("executed",)


DAMAGES = {
    "truncated": lambda path: os.truncate(path, path.stat().st_size // 2),
    "a payload": lambda path: torch.save({"script": MAIN, "words": Payload()}, path),
    "another script": lambda path: torch.save(torch.load(path) | {"script": "x"}, path),
    "missing": os.remove,
}


@mark.parametrize("how", DAMAGES)
@mark.parametrize("flag, name", [("resume", "checkpoint"), ("evaluate-only", "model")])
def test_bad_files_are_refused(flag, name, how, finished, tmp_path, run):
    shutil.copytree(finished, tmp_path / "run")
    DAMAGES[how](tmp_path / f"run/{name}.pt")
    line = refused(run, MAIN, f"--{flag} run")
    assert line.startswith(f"error: run/{name}.pt is not a file of")


def test_flags_given_anew_count(finished, tmp_path, run):
    shutil.copytree(finished, tmp_path / "run")
    line = refused(run, MAIN, "--resume run --env-id Pendulum-v1")
    assert "these flags give (3, 1, 3, 1500)" in line
    line = refused(run, MAIN, "--resume run --uniform-ratio 0.9")
    assert "ratios sum to 1.1, expected 1" in line  # the run's own flags count
    flags = "--resume run --total-timesteps 340 --gamma 0.5 --learning-rate 0.25"
    end = run(MAIN, f"{flags} --uniform-ratio 0.7 --delta-ratio 0.2")
    assert end["args"].gamma == 0.5 and end["args"].batch_size == 16
    assert end["optimizer"].param_groups[0]["lr"] == 0.25 and end["global_step"] == 340
