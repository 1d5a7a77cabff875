"""Bad input is refused before training with one clear line; bad numbers later stop the run."""

import importlib
import os
import signal
import subprocess
import time

import pytest
from conftest import LEARNING, ROOT, command, environment, rows, run_process, tiny

CONTINUOUS = ROOT / "qmle_continuous.py"
ACTIONS = "expected a Box of floats"
REFUSALS = [  # flags, what the line must hold: the flag, the value, what was expected
    ("--env-id dm_control/walker-wlak-v0", ["--env-id", "walker-wlak", "walker-walk"]),
    ("--env-id walker-walk", ["--env-id", "walker-walk"]),
    ("--env-id no_such_module:Env-v0", ["--env-id", "no_such_module"]),
    ("--env-id CartPole-v1", ["Discrete(2)", ACTIONS]),
    ("--env-id toy_envs:MultiDiscrete-v0", ["MultiDiscrete([3 4])", ACTIONS]),
    ("--env-id toy_envs:TupleAction-v0", ["Tuple", ACTIONS]),
    ("--env-id toy_envs:IntegerBox-v0", ["int64", ACTIONS]),
    ("--env-id toy_envs:Unbounded-v0", ["inf", ACTIONS]),
    ("--env-id dm_control/lqr-lqr_2_1-v0", ["10000000000.0", ACTIONS]),
    ("--uniform-ratio 0.8", ["ratio", "0.9", "expected 1"]),
    ("--buffer-size 100000000000", ["--buffer-size is 100000000000", "room for"]),
    ("--evaluate-only nothing.pt", ["nothing.pt", "No such file"]),
    (f"--evaluate-only {ROOT}/README.md", ["README.md", "is not a model.pt"]),
    ("--resume nowhere", ["nowhere", "is not a checkpoint.pt", "No such file"]),
]
NUMBERS = [  # flag, a value below or above its range, the nearest that is allowed
    ("seed", -1, 0),
    ("gamma", 1.01, 1),
    ("gamma", "nan", 0),
    ("learning-rate", 0, 1e-12),
    ("learning-rate", "inf", 1),
    ("total-timesteps", 0, 1),
    ("buffer-size", 0, 1),
    ("batch-size", 0, 1),
    ("learning-starts", 0, 1),
    ("train-frequency", 0, 1),
    ("target-network-frequency", 0, 1),
    ("exploration-epsilon", 1.5, 1),
    ("num-target-samples", 0, 1),
    ("num-greedy-samples", 0, 1),
    ("uniform-grid-fraction", 2, 1),
    ("num-bins", 1, 2),
    ("delta-noise-std", -0.1, 0),
    ("priority-exponent", -1, 0),
    ("importance-exponent", "nan", 1),
    ("discrete-until", -5, 0),
    ("eval-frequency", -1, 0),
    ("eval-episodes", 0, 1),
    ("eval-max-steps", 0, 1),
    ("checkpoint-frequency", -1, 0),
]
OTHERS = [
    ("qmle_discrete", "--uniform-ratio 0.8", ["ratio", "0.9", "expected 1"]),
    ("qmle_discrete", "--env-id toy_envs:TupleAction-v0", ["Tuple"]),
    ("qmle_discrete", "--env-id dm_control/lqr-lqr_2_1-v0", ["10000000000.0"]),
    (
        "dqn_discretized",
        "--env-id dm_control/dog-walk-v0",
        ["1.351e+18 joint actions", "GiB", "qmle_discrete.py"],
    ),
]


def cases():
    for flag, value, nearest in NUMBERS:
        parts = [f"--{flag} is {float(value) if value == 'nan' else value}", f"{nearest:g}"]
        for script in LEARNING:
            flags = vars(importlib.import_module(script).Args())
            if flag.replace("-", "_") in flags:
                yield script, f"--{flag} {value}", parts
    for flags, parts in REFUSALS:
        yield "qmle_continuous", flags, parts
    yield from OTHERS


@pytest.mark.parametrize("script, flags, parts", cases())
def test_refused_in_one_line_before_anything_is_created(script, flags, parts, run_script, tmp_path):
    with pytest.raises(SystemExit) as refusal:
        run_script(script, flags)
    line = refusal.value.code
    assert line.startswith("error: ") and "\n" not in line
    assert all(part in line for part in parts), line
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("script", LEARNING)
def test_every_number_among_the_flags_has_a_range(script, capsys):
    module = importlib.import_module(script)
    for name, value in vars(module.Args()).items():
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            with pytest.raises(SystemExit, match="--" + name.replace("_", "-")):
                module.parse_args([f"--{name.replace('_', '-')}", "-1"])


def test_refusal_and_help_as_a_user_sees_them(tmp_path):
    process = run_process(CONTINUOUS, "--gamma 2", tmp_path)
    assert process.returncode == 1 and process.stdout == ""
    assert process.stderr == "error: --gamma is 2.0, expected a number from 0 to 1\n"
    words = " ".join(run_process(CONTINUOUS, "--help", tmp_path).stdout.split())
    assert "QMLE for continuous action spaces" in words[:150] and "{fresh,stored}" in words


def test_an_empty_path_does_not_start_a_training_run(tmp_path):
    done = subprocess.run(
        [*command(CONTINUOUS, "--evaluate-only"), ""], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 1 and "is not a model.pt" in done.stderr
    assert not list(tmp_path.iterdir())


def test_a_run_shorter_than_learning_starts_runs_and_says_so(run_script, capsys):
    run_script("qmle_continuous", "--env-id Pendulum-v1 --total-timesteps 50")
    assert "before --learning-starts, 1000" in capsys.readouterr().out


def test_two_runs_never_share_a_folder(tmp_path):
    flags = f"--env-id Pendulum-v1 --total-timesteps 30 --no-compile {tiny('qmle_continuous')}"
    settings = {"cwd": tmp_path, "env": environment(), "stderr": subprocess.DEVNULL}
    runs = [subprocess.Popen(command(CONTINUOUS, flags), **settings) for _ in range(2)]
    assert [run.wait() for run in runs] == [0, 0]
    assert len(list(tmp_path.glob("runs/*"))) == 2


# ---- environments


BROKEN = [
    ("NanReward", "reward", 30),
    ("NanObservation", "observation", 30),
    ("InfObservation", "observation", 30),
    ("OverflowReward", "reward", 30),
    ("NanReset", "observation", 18),
    ("HugeReward", "losses/", 50),  # its square is infinite; losses are read at every tenth update
]


@pytest.mark.parametrize("env_id, name, step", BROKEN)
def test_a_number_that_is_not_finite_stops_the_run_and_keeps_the_logs(
    env_id, name, step, run_script, tmp_path
):
    flags = f"--env-id toy_envs:{env_id}-v0 --total-timesteps 200 {tiny('qmle_continuous')}"
    with pytest.raises(SystemExit) as stop:
        run_script("qmle_continuous", f"{flags} --train-frequency 1 --learning-starts 20")
    message = stop.value.code
    assert message.startswith("error: not finite at step ") and name in message
    assert int(message.split("at step ")[1].split(":")[0]) <= step
    (path,) = tmp_path.glob("runs/*/episodes.csv")
    assert rows(path)[1].split(",")[0] == ("7" if env_id == "NanReset" else "20")
    assert list(tmp_path.glob("runs/*/events.out.tfevents.*"))


def test_numbers_are_checked_in_evaluations_too(run_script):
    flags = f"{tiny('qmle_continuous')} --env-id toy_envs:NanReward-v0 --total-timesteps 29"
    run_dir = run_script("qmle_continuous", f"{flags} --save-model")["run_dir"]
    with pytest.raises(SystemExit, match="error: not finite at step .*reward"):
        run_script("qmle_continuous", f"--evaluate-only {run_dir}")


def test_an_evaluation_ends_where_the_environment_does_not(run_script, capfd):
    flags = f"{tiny('qmle_continuous')} --env-id toy_envs:Endless-v0 --total-timesteps 60"
    run_dir = run_script("qmle_continuous", f"{flags} --eval-frequency 50 --eval-episodes 2")
    assert capfd.readouterr().err.count("cut off after 1000 steps") == 2
    assert len(rows(run_dir["run_dir"] / "eval.csv")) == 3


@pytest.mark.parametrize("kind", ["OSError", "ModuleNotFoundError", "ValueError"])
def test_an_error_of_the_environment_is_its_own(kind, tmp_path):
    (tmp_path / "faulty.py").write_text(
        "import gymnasium as gym\nfrom toy_envs import Reach\n"
        "class Faulty(Reach):\n    def step(self, action):\n"
        f"        raise {kind}('gripper.yaml')\n"
        "gym.register('Faulty-v0', Faulty)\n"
    )
    flags = f"{tiny('qmle_continuous')} --env-id faulty:Faulty-v0 --total-timesteps 60 --no-compile"
    path = os.pathsep.join([str(ROOT / "tests"), str(tmp_path)])
    process = run_process(CONTINUOUS, flags, tmp_path, PYTHONPATH=path)
    assert process.returncode == 1 and "Traceback" in process.stderr
    assert f"{kind}: gripper.yaml" in process.stderr and "faulty.py" in process.stderr


def test_what_is_missing_on_one_machine_is_not_kept(run_script, capsys):
    """Flags are stored as given, so a run may go on where there is a compiler or a screen."""
    flags = f"{tiny('qmle_continuous')} --env-id Pendulum-v1 --total-timesteps 130"
    run_dir = run_script("qmle_continuous", f"{flags} --checkpoint-frequency 130")["run_dir"]
    import torch

    words = torch.load(run_dir / "checkpoint.pt", weights_only=True)["words"]
    assert words == [*flags.split(), "--checkpoint-frequency", "130", "--no-compile"]


def test_a_second_ctrl_c_while_compiling_ends_at_once_and_quietly(tmp_path):
    flags = "--env-id Pendulum-v1 --learning-starts 200 --total-timesteps 2000"
    settings = {"env": environment(TORCHINDUCTOR_CACHE_DIR=str(tmp_path / "cache"))}
    settings |= {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    run = subprocess.Popen(command(CONTINUOUS, flags), cwd=tmp_path, **settings)
    while "compiling" not in (line := run.stderr.readline()):
        assert line
    time.sleep(3)
    for _ in range(2):
        run.send_signal(signal.SIGINT)
        time.sleep(1)
    output, errors = run.communicate(timeout=10)
    assert run.returncode == -signal.SIGINT and "Traceback" not in errors, errors
