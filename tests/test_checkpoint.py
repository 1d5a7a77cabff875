"""A resumed run is the uninterrupted one to the byte; nothing spoils a checkpoint or the logs."""

import os
import pickle
import random
import shutil
import signal
import subprocess
import time

import numpy as np
import pytest
import qmle_continuous
import torch
from conftest import (
    LEARNING,
    ROOT,
    command,
    environment,
    read_scalars,
    rows,
    run_process,
    tiny,
)

CONTINUOUS = ROOT / "qmle_continuous.py"
HARD = f"--no-compile {tiny('qmle_continuous')} --buffer-size 1500 --seed 5 --save-model"
HARD += " --env-id dm_control/reacher-hard-v0 --eval-episodes 1"


def the_run(folder):
    (run_dir,) = (folder / "runs").iterdir()
    return run_dir


def check_equal(one, other):
    """Two run directories say the same: episodes, evaluations, weights, logged numbers."""
    for name in ("episodes.csv", "eval.csv"):
        assert rows(one / name) == rows(other / name)
    a, b = (torch.load(run / "model.pt", weights_only=True)["q_network"] for run in (one, other))
    assert a.keys() == b.keys() and all(a[name].equal(b[name]) for name in a)
    scalars = [read_scalars(run) for run in (one, other)]
    for name in scalars[0].keys() - {"charts/SPS"}:
        assert scalars[0][name] == scalars[1].get(name), name


# ---- exact runs

EXACT = "walker-walk cheetah-run finger-turn_hard reacher-hard fish-swim humanoid-walk dog-walk"
EXACT = [f"dm_control/{task}-v0" for task in EXACT.split()] + ["Pendulum-v1", "Hopper-v5"]


@pytest.mark.parametrize("env_id", EXACT)
def test_an_episode_can_be_played_again_and_goes_on_as_the_first(env_id):
    rng = np.random.default_rng(0)
    env, other = (qmle_continuous.make_env(env_id) for _ in range(2))
    size = int(np.prod(env.action_space.shape))
    actions = rng.uniform(-1, 1, (230, size)).astype(np.float32)
    seed = qmle_continuous.episode_seed(5, 3)
    other.reset(seed=99)  # elsewhere, with another target, in the middle of an episode
    for action in actions[:5]:
        other.step(action)
    starts = [e.reset(seed=seed)[0] for e in (env, other)]
    assert np.array_equal(*starts) and starts[0].dtype == np.float32
    for action in actions:
        one, two = env.step(action), other.step(action)
        assert np.array_equal(one[0], two[0]) and one[1:4] == two[1:4]
        if one[2] or one[3]:
            break


def test_episodes_have_seeds_of_their_own():
    seeds = [qmle_continuous.episode_seed(s, e) for s in (0, 1, 2**31) for e in range(1000)]
    assert len(set(seeds)) == 3000 and 0 <= min(seeds) and max(seeds) < 2**31


RUNS = [
    ("qmle_continuous", "dm_control/reacher-hard-v0"),
    ("qmle_continuous", "Pendulum-v1 --discrete-until 1200"),
    ("qmle_discrete", "dm_control/finger-spin-v0"),
    ("dqn_discretized", "CartPole-v1"),
]


@pytest.mark.parametrize("script, env_id", RUNS)
def test_resumed_run_is_the_uninterrupted_one(script, env_id, run_script, tmp_path, monkeypatch):
    flags = f"{tiny(script)} --env-id {env_id} --seed 5 --save-model --eval-frequency 900"
    flags += " --eval-episodes 1"
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
    monkeypatch.chdir(tmp_path / "one")
    run_script(script, f"{flags} --total-timesteps 2200")
    monkeypatch.chdir(tmp_path / "two")
    run_script(script, f"{flags} --total-timesteps 1337 --checkpoint-frequency 900")
    # from step 900, in the middle of an episode, before the evaluation there; then from 1337
    path = the_run(tmp_path / "two").rename(tmp_path / "two" / "runs" / "renamed: elsewhere")
    monkeypatch.chdir(path)
    run_script(script, "--resume . --total-timesteps 2200 --checkpoint-frequency 0")
    check_equal(the_run(tmp_path / "one"), path)
    saved = torch.load(path / "checkpoint.pt", weights_only=True)
    assert saved["global_step"] == 2200  # so that the next --resume does not go back
    assert (path / "config.json").exists() and (path / "config1337.json").exists()


@pytest.mark.parametrize("env", ["toy_envs:TwoEndings-v0", "Pendulum-v1 --buffer-size 120"])
def test_an_environment_that_plays_another_episode_starts_a_new_one(env, run_script, capsys):
    flags = f"{tiny('qmle_continuous')} --env-id {env} --total-timesteps 333"
    run_dir = run_script("qmle_continuous", f"{flags} --checkpoint-frequency 333")["run_dir"]
    before = rows(run_dir / "episodes.csv")
    run_script("qmle_continuous", f"--resume {run_dir} --total-timesteps 600")
    output = capsys.readouterr().out
    assert "does not play the same episode again: a new one starts" in output
    assert "from step 333" in output
    after = rows(run_dir / "episodes.csv")
    assert after[: len(before)] == before and len(after) > len(before)
    step, _, length = after[len(before)].split(",")
    assert int(step) == 333 + int(length)  # it started after the checkpoint


# ---- interruptions


def start(folder, flags, script=CONTINUOUS, **settings):
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    settings = pipes | {"cwd": folder, "env": environment()} | settings
    return subprocess.Popen(command(script, flags), **settings)


def wait_for(condition, process, seconds=120):
    end = time.time() + seconds
    while not condition() and process.poll() is None and time.time() < end:
        time.sleep(0.02)
    assert condition(), process.stderr.read() if process.poll() is not None else "too late"


def has_lines(folder, name, number):
    paths = folder.glob(f"runs/*/{name}")
    return any(len(path.read_text().splitlines()) >= number for path in paths)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_leaves_a_checkpoint_and_a_command_to_paste(number, tmp_path):
    for folder in ("one", "two/my scripts"):
        (tmp_path / folder).mkdir(parents=True)
    script = tmp_path / "two" / "my scripts" / "qmle_continuous.py"
    shutil.copy(CONTINUOUS, script)
    flags = f"{HARD} --total-timesteps 2200 --eval-frequency 1050"
    process = subprocess.Popen(
        ["python", "my scripts/qmle_continuous.py", *flags.split()],
        cwd=tmp_path / "two",
        env=environment(PATH=f"{os.path.dirname(command('', '')[0])}:{os.environ['PATH']}"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    wait_for(lambda: has_lines(tmp_path / "two", "episodes.csv", 2), process)
    if number == signal.SIGINT:  # in the evaluation, which then comes again
        time.sleep(0.5)
    process.send_signal(number)
    start_time = time.time()
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 128 + number and time.time() - start_time < 10, errors
    pasted = output.split("to go on: ")[1].splitlines()[0]
    settings = {"cwd": tmp_path / "two", "shell": True, "env": environment()}
    settings["env"]["PATH"] = f"{os.path.dirname(command('', '')[0])}:{os.environ['PATH']}"
    assert subprocess.run(pasted, capture_output=True, **settings).returncode == 0
    assert run_process(CONTINUOUS, flags, tmp_path / "one").returncode == 0
    check_equal(the_run(tmp_path / "one"), the_run(tmp_path / "two"))


def test_a_signal_in_an_evaluation_is_heeded_and_a_second_ends_at_once(tmp_path):
    flags = f"{HARD} --total-timesteps 9000 --eval-frequency 1010 --eval-episodes 5000"
    process = start(tmp_path, flags)
    wait_for(lambda: has_lines(tmp_path, "episodes.csv", 2), process)
    time.sleep(2)  # the evaluation at step 1010 takes an hour
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=20)
    assert process.returncode == 143 and "stopped after step 1010" in output
    assert len(rows(the_run(tmp_path) / "eval.csv")) == 1
    process = start(tmp_path, f"--resume {the_run(tmp_path)}")
    time.sleep(10)
    for _ in range(2):
        process.send_signal(signal.SIGINT)
        time.sleep(0.01)
    output, errors = process.communicate(timeout=20)
    assert process.returncode in (130, -signal.SIGINT) and "Traceback" not in errors


def test_kill_while_a_checkpoint_is_written_leaves_the_one_before(tmp_path):
    code = f"""
import os, pathlib, signal, sys
sys.path.insert(0, {str(ROOT)!r})
import torch, qmle_continuous as script
path = pathlib.Path({str(tmp_path)!r}) / "checkpoint.pt"
script.save({{"number": 1, "rows": torch.ones(1000)}}, path)
os.fsync = lambda _: os.kill(os.getpid(), signal.SIGKILL)
script.save({{"number": 2, "rows": torch.ones(1000)}}, path)
"""
    done = subprocess.run([command("", "")[0], "-c", code], capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert torch.load(tmp_path / "checkpoint.pt", weights_only=True)["number"] == 1


@pytest.mark.slow
def test_twenty_kills_at_random_moments(tmp_path):
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
    flags = f"{HARD} --total-timesteps 12000 --checkpoint-frequency 300 --eval-frequency 1500"
    assert run_process(CONTINUOUS, flags, tmp_path / "one").returncode == 0
    rng, resume = random.Random(0), flags
    for _ in range(20):
        process = start(tmp_path / "two", resume)
        if resume == flags:
            wait_for(lambda: list(tmp_path.glob("two/runs/*/checkpoint.pt")), process)
            resume = f"--resume {the_run(tmp_path / 'two')}"
        time.sleep(rng.uniform(0, 6))
        process.kill()
        process.communicate()
    assert run_process(CONTINUOUS, resume, tmp_path / "two").returncode == 0
    check_equal(the_run(tmp_path / "one"), the_run(tmp_path / "two"))


def test_a_disk_that_is_full_leaves_no_cut_file(run_script, tmp_path, monkeypatch):
    def full(state, file):
        file.write(b"half")
        raise OSError(28, "No space left on device")

    flags = f"{tiny('qmle_continuous')} --env-id Pendulum-v1 --total-timesteps 130 --save-model"
    run_dir = run_script("qmle_continuous", flags)["run_dir"]
    before = (run_dir / "model.pt").read_bytes()
    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(OSError, match="No space left"):
        qmle_continuous.save({}, run_dir / "model.pt")
    assert (run_dir / "model.pt").read_bytes() == before


# ---- refusals


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The directory of a short run of qmle_continuous.py."""
    folder = tmp_path_factory.mktemp("finished")
    flags = f"{HARD} --total-timesteps 300 --checkpoint-frequency 300"
    assert run_process(CONTINUOUS, flags, folder).returncode == 0
    return the_run(folder)


class Payload:
    def __reduce__(self):
        return os.mkdir, ("executed",)


def damage(path, how):
    data = path.read_bytes()
    if how == "truncated":
        path.write_bytes(data[: len(data) // 2])
    elif how == "a payload":
        torch.save({"script": "qmle_continuous", "words": Payload()}, path)
    elif how == "a bare pickle":
        path.write_bytes(pickle.dumps(Payload()))
    elif how == "another script":
        torch.save(torch.load(path, weights_only=True) | {"script": "dqn_discretized"}, path)
    elif how == "missing":
        path.unlink()
    elif how == "empty":
        path.write_bytes(b"")


HOW = ["truncated", "a payload", "a bare pickle", "another script", "missing", "empty"]


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("flag, name", [("resume", "checkpoint"), ("evaluate-only", "model")])
def test_bad_files_are_refused_in_one_line(flag, name, how, finished, tmp_path, run_script):
    run_dir = tmp_path / "run"
    shutil.copytree(finished, run_dir)
    damage(run_dir / f"{name}.pt", how)
    before = {path.name: path.read_bytes() for path in run_dir.iterdir()}
    with pytest.raises(SystemExit) as refusal:
        run_script("qmle_continuous", f"--{flag} {run_dir}")
    message = str(refusal.value)
    assert message.startswith(f"error: {run_dir}/{name}.pt is not a {name}.pt")
    assert "\n" not in message and not (tmp_path / "executed").exists()
    assert {path.name: path.read_bytes() for path in run_dir.iterdir()} == before


@pytest.mark.parametrize("flag", ["resume", "evaluate-only"])
def test_an_environment_of_other_sizes_is_refused(flag, finished, run_script):
    with pytest.raises(SystemExit, match=r"is for sizes .*Pendulum-v1 has \(3, 1, 3, 1500\)"):
        run_script("qmle_continuous", f"--{flag} {finished} --env-id Pendulum-v1")


@pytest.mark.parametrize("script", LEARNING[1:])
def test_a_file_of_another_script_is_refused(script, finished, run_script):
    with pytest.raises(SystemExit, match="it is of qmle_continuous.py"):
        run_script(script, f"--evaluate-only {finished / 'model.pt'}")


def test_flags_given_anew_count(finished, tmp_path, run_script):
    shutil.copytree(finished, tmp_path / "run")
    flags = "--resume run --total-timesteps 340 --gamma 0.5 --learning-rate 0.25"
    end = run_script("qmle_continuous", flags)
    assert end["args"].gamma == 0.5 and end["args"].batch_size == 16  # the latter as before
    assert end["optimizer"].param_groups[0]["lr"] == 0.25 and end["global_step"] == 340
