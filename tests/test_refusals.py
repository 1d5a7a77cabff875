"""Bad input is refused before training with one clear line; bad numbers during training stop the run."""

import csv

import dqn_discretized
import gymnasium as gym
import pytest
import qmle_continuous
import qmle_discrete
from conftest import ROOT, run_process

MODULES = {"qmle_continuous": qmle_continuous, "qmle_discrete": qmle_discrete, "dqn_discretized": dqn_discretized}
SMALL = "--batch-size 32 --num-target-samples 10 --num-greedy-samples 50 --buffer-size 5000 --learning-starts 20"
REFUSALS = [
    # flags, what the line must hold: the flag, the value, what was expected
    ("--env-id dm_control/walker-wlak-v0", ["--env-id", "walker-wlak", "dm_control/walker-walk-v0"]),
    ("--env-id walker-walk", ["--env-id", "'walker-walk'", "dm_control/walker-walk-v0"]),
    ("--env-id no_such_module:Env-v0", ["--env-id", "no_such_module"]),
    ("--env-id a:b:c", ["--env-id", "'a:b:c'"]),
    ("--env-id dm_control/compatibility-env-v0", ["--env-id", "compatibility-env"]),
    ("--env-id dm_control/CmuHumanoidRunGaps-v0", ["--env-id", "CmuHumanoidRunGaps"]),
    ("--env-id toy_envs:Reach-v0 --eval-frequency 100 --capture-video", ["--env-id", "render_mode"]),
    ("--env-id CartPole-v1", ["Discrete(2)", "expected a Box", "qmle_discrete.py"]),
    ("--env-id toy_envs:MultiDiscrete-v0", ["MultiDiscrete([3 4])", "qmle_discrete.py"]),
    ("--env-id toy_envs:TupleAction-v0", ["Tuple", "expected a Box"]),
    ("--env-id toy_envs:IntegerBox-v0", ["int64", "expected a Box of floats"]),
    ("--env-id toy_envs:Unbounded-v0", ["unbounded", "TransformAction"]),
    ("--env-id dm_control/lqr-lqr_2_1-v0", ["unbounded", "10000000000.0"]),
    ("--env-id toy_envs:Image-v0", ["(8, 8, 3)", "images"]),
    ("--env-id toy_envs:ImageInDict-v0", ["(8, 8, 3)", "images"]),
    ("--env-id toy_envs:Nested-v0", ["Dict", "nested"]),
    ("--env-id toy_envs:TextObservation-v0", ["Text", "expected numbers"]),
    ("--uniform-ratio 0.8", ["--uniform-ratio", "(0.8, 0.01, 0.09)", "0.9", "sum of 1"]),
    ("--uniform-ratio nan", ["--uniform-ratio is nan"]),
    ("--delta-ratio -0.1 --uniform-ratio 1.0", ["--delta-ratio is -0.1", "from 0 to 1"]),
    ("--seed -1", ["--seed is -1", "from 0"]),
    ("--gamma 1.01", ["--gamma is 1.01", "from 0 to 1"]),
    ("--gamma nan", ["--gamma is nan"]),
    ("--learning-rate 0", ["--learning-rate is 0"]),
    ("--learning-rate inf", ["--learning-rate is inf"]),
    ("--total-timesteps 0", ["--total-timesteps is 0", "from 1"]),
    ("--buffer-size 0", ["--buffer-size is 0"]),
    ("--batch-size 0", ["--batch-size is 0"]),
    ("--learning-starts 0", ["--learning-starts is 0"]),
    ("--train-frequency 0", ["--train-frequency is 0"]),
    ("--target-network-frequency 0", ["--target-network-frequency is 0"]),
    ("--exploration-epsilon 1.5", ["--exploration-epsilon is 1.5"]),
    ("--num-target-samples 0", ["--num-target-samples is 0"]),
    ("--num-greedy-samples 0", ["--num-greedy-samples is 0"]),
    ("--uniform-grid-fraction 2", ["--uniform-grid-fraction is 2"]),
    ("--num-bins 1", ["--num-bins is 1", "from 2"]),
    ("--delta-noise-std -0.1", ["--delta-noise-std is -0.1"]),
    ("--priority-exponent -1", ["--priority-exponent is -1"]),
    ("--importance-exponent nan", ["--importance-exponent is nan"]),
    ("--discrete-until -5", ["--discrete-until is -5"]),
    ("--eval-frequency -1", ["--eval-frequency is -1"]),
    ("--eval-episodes 0", ["--eval-episodes is 0"]),
    ("--predictor-target old", ["--predictor-target is 'old'", "'fresh' or 'stored'"]),
    ("--learning-starts 2000 --total-timesteps 1500", ["--learning-starts is 2000", "--total-timesteps", "1500"]),
    ("--learning-starts 2000 --buffer-size 1500", ["--learning-starts is 2000", "--buffer-size", "1500"]),
    ("--buffer-size 100000000000", ["--buffer-size is 100000000000", "GiB", "free", "at most"]),
    ("--capture-video", ["--capture-video", "--eval-frequency"]),
    ("--evaluate-only nothing.pt", ["--evaluate-only", "nothing.pt"]),
    (f"--evaluate-only {ROOT}/README.md", ["--evaluate-only", "README.md", "is not a model.pt"]),
]


SCRIPTS = ["qmle_continuous", "qmle_discrete", "dqn_discretized"]
NOT_CONTINUOUS = [
    ("--env-id toy_envs:TupleAction-v0", ["Tuple", "expected Discrete, MultiDiscrete or Box"]),
    ("--env-id toy_envs:IntegerBox-v0", ["int64", "expected a Box of floats"]),
    ("--env-id dm_control/lqr-lqr_2_1-v0", ["unbounded", "10000000000.0"]),
]
OTHERS = [
    ("qmle_discrete", "--uniform-ratio 0.8", ["--uniform-ratio", "(0.8, 0.1)", "0.9", "sum of 1"]),
    (
        "dqn_discretized",
        "--env-id dm_control/dog-walk-v0",
        ["1350851717672992089 joint actions", "38 dimensions", "GiB", "free", "qmle_discrete.py"],
    ),
]


def cases():
    for flags, parts in REFUSALS:
        yield "qmle_continuous", flags, parts
        for script in SCRIPTS[1:]:  # the same flags are refused in the same way, but for the kinds of action spaces
            known = flags.split()[0][2:].replace("-", "_") in vars(MODULES[script].Args())
            if known and not any(word in str(parts) for word in ("expected a Box", "Discrete", "unbounded", "ratio")):
                yield script, flags, parts
    for script in SCRIPTS[1:]:
        yield from ((script, *case) for case in NOT_CONTINUOUS)
    yield from OTHERS


CASES = list(cases())


@pytest.mark.parametrize("script, flags, parts", CASES, ids=[f"{script} {flags}" for script, flags, _ in CASES])
def test_refused_in_one_line_before_anything_is_created(script, flags, parts, run_script, tmp_path):
    with pytest.raises(SystemExit) as refusal:
        run_script(script, flags)
    line = refusal.value.code
    assert line.startswith("error: ") and "\n" not in line
    assert all(part in line for part in parts), line
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("script", SCRIPTS)
def test_every_number_among_the_flags_has_a_range(script):
    module = MODULES[script]
    for name, value in vars(module.Args()).items():
        if isinstance(value, (int, float)) and not isinstance(value, bool):
            with pytest.raises(ValueError, match="--" + name.replace("_", "-")):
                module.check_args(module.Args(**{name: -1}))
            with pytest.raises(ValueError, match="--" + name.replace("_", "-")):
                module.check_args(module.Args(**{name: float("nan")}))


@pytest.mark.parametrize("script", SCRIPTS)
def test_defaults_pass(script):
    MODULES[script].check_args(MODULES[script].Args())


def test_refusal_as_a_user_sees_it(tmp_path):
    process = run_process(ROOT / "qmle_continuous.py", "--gamma 2", tmp_path)
    assert process.returncode == 1 and process.stdout == ""
    assert process.stderr == "error: --gamma is 2.0, expected a number from 0 to 1\n"


@pytest.mark.parametrize(
    "env_id, name, step",
    [
        ("NanReward", "reward", 30),
        ("NanObservation", "observation", 30),
        ("InfObservation", "observation", 30),
        ("OverflowReward", "reward", 30),
        ("NanReset", "observation", 17),
        ("HugeReward", "losses/", 50),  # the square of 1e30 is infinite; losses are read at every tenth update
        ("HugerReward", "", 50),  # by then the actions are not finite either
    ],
)
def test_a_number_that_is_not_finite_stops_the_run_and_keeps_the_logs(env_id, name, step, run_script, tmp_path):
    with pytest.raises(SystemExit) as stop:
        run_script(
            "qmle_continuous", f"--env-id toy_envs:{env_id}-v0 --total-timesteps 200 {SMALL} --train-frequency 1"
        )
    assert stop.value.code.startswith(f"error: {name}") and "not finite at step" in stop.value.code
    assert int(stop.value.code.split("at step ")[1].split(":")[0]) <= step
    (path,) = tmp_path.glob("runs/*/episodes.csv")
    assert [row["global_step"] for row in csv.DictReader(path.open())][:1] == ["7" if env_id == "NanReset" else "20"]
    assert list(tmp_path.glob("runs/*/events.out.tfevents.*"))


def test_saved_model_of_other_sizes_is_refused(run_script, tmp_path):
    import torch

    args = {"env_id": "Pendulum-v1"}
    torch.save({"q_network": {}, "obs_size": 3, "action_size": 1, "args": args}, tmp_path / "model.pt")
    with pytest.raises(SystemExit, match="is not a model.pt"):
        run_script("qmle_continuous", "--evaluate-only model.pt")


def test_a_model_plays_only_its_own_environment(run_script, tmp_path):
    flags = f"--env-id toy_envs:Reach-v0 --total-timesteps 30 {SMALL} --save-model"
    path = run_script("qmle_continuous", flags)["run_dir"] / "model.pt"
    with pytest.raises(SystemExit, match="Pendulum-v1.*toy_envs:Reach-v0"):
        run_script("qmle_continuous", f"--evaluate-only {path} --env-id Pendulum-v1")
    with pytest.raises(SystemExit) as end:  # training flags come from the file: this one says nothing about playing it
        run_script("qmle_continuous", f"--evaluate-only {path} --buffer-size 5 --eval-episodes 2")
    assert end.value.code is None


def test_empty_path_does_not_start_a_training_run(tmp_path):
    import subprocess
    import sys

    command = [sys.executable, str(ROOT / "qmle_continuous.py"), "--evaluate-only", ""]
    process = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert process.returncode == 1 and "is not a model.pt" in process.stderr and not list(tmp_path.iterdir())


def test_tracking_without_a_login_is_one_line(tmp_path):
    flags = f"--env-id Pendulum-v1 --total-timesteps 250 {SMALL} --track"
    process = run_process(ROOT / "qmle_continuous.py", flags, tmp_path, WANDB_MODE="online", HOME=str(tmp_path))
    assert process.returncode == 1 and "Traceback" not in process.stderr
    assert process.stderr.splitlines()[-1].startswith("error: --track: ")


def test_toy_spaces_are_registered():
    import toy_envs  # noqa: F401

    assert "Unbounded-v0" in gym.registry
