"""Bad input is refused in one line; bad numbers later stop the run."""

import importlib
import re

from conftest import LEARNING, MAIN, ROOT, refused, rows, run_process, tiny
from pytest import mark, raises

ACTIONS = "expected a Box of floats"
DIALS = "--env-id toy_envs:Combination-v0"
MANY = "qmle_continuous_multiseed"
REFUSALS = [  # script, flags, what the line must hold
    (MAIN, "--env-id dm_control/walker-wlak-v0", ["--env-id", "walker-wlak", "walker-walk"]),
    (MAIN, "--env-id no_such_module:Env-v0", ["--env-id", "no_such_module"]),
    (MAIN, "--env-id CartPole-v1", ["Discrete(2)", ACTIONS]),
    (MAIN, "--env-id toy_envs:Unbounded-v0", ["inf", ACTIONS]),
    (MAIN, "--env-id dm_control/lqr-lqr_2_1-v0", ["10000000000.0", ACTIONS]),
    (MAIN, "--gamma nan", ["--gamma is nan, expected a number from 0 to 1"]),
    (MAIN, "--uniform-ratio 0.8", ["ratio", "0.9", "expected 1"]),
    (MAIN, "--buffer-size 100000000000", ["--buffer-size is 100000000000", "room for"]),
    (MAIN, "--evaluate-only=", ["model.pt is not a file of qmle_continuous.py"]),  # nor trains
    ("qmle_discrete", f"{DIALS} --num-greedy-samples 10000000000", ["one-hot"]),
    ("dqn_discretized", "--env-id dm_control/dog-walk-v0", ["1.351e+18 joint actions", "GiB"]),
    ("qtopt_continuous", "--cem-samples 5", ["--cem-elites 6 exceeds --cem-samples 5"]),
    (MANY, "--num-seeds 0", ["--num_seeds is 0, expected a number from 1"]),
    (MANY, "--env-id Pendulum-v1 --num-seeds 9999", ["--buffer-size is 1000000, "]),
    ("qmle_plus", "--num-elites 17", ["_samples is 16, expected 17"]),
    ("qmle_plus", "--min-std 0.7", ["max_std is 0.6, expected 0.7"]),
    ("qmle_plus", "--evaluate-only nowhere", ["is not a file of"]),
    ("qmle_plus", "--env-id CartPole-v1", ["CartPole-v1 has actions"]),
    ("vdn_climbing", "--total-timesteps 700", ["are (700, 500, 10), expected each to be a"]),
    ("qmle_climbing", "--exploration-epsilon 1.5", ["--exploration-epsilon is 1.5, "]),
    ("qmle_bandit", f"--output {__file__}", ["File exists"]),
]
for name in ("pg_bandit", "dpg_bandit", "qmle_bandit", "qmle_climbing", "vdn_climbing"):
    for flag in ("--num-seeds 0", "--seed -1", "--learning-rate nan"):
        REFUSALS += [(name, flag, [flag.replace(" ", " is ") + ", expected a number from "])]


@mark.parametrize("script, flags, parts", REFUSALS)
def test_refused_in_one_line(script, flags, parts, run):
    line = refused(run, script, flags)
    assert all(part in line for part in parts), line


@mark.parametrize("script", LEARNING)
def test_numbers_have_a_range(script):
    module = importlib.import_module(script)
    for name, value in vars(module.Args()).items():
        for wrong in (-1, 10**13) if type(value) in (int, float) else ():
            with raises(SystemExit, match=f"--{name} is {wrong}"):
                module.check_args(module.Args(**{name: wrong}))


def test_refusal_as_a_user_sees_it(tmp_path):
    line = "error: --gamma is 2.0, expected a number from 0 to 1\n"
    assert run_process(ROOT / "qmle_continuous.py", "--gamma 2", tmp_path) == (1, "", line)


HUGE = "HugeReward", r"losses/\w+", 50  # its square is infinite; read at every tenth update
BROKEN = [("OverflowReward", "reward", 30), ("NanObservation", "next_obs", 30), HUGE]


@mark.parametrize("env_id, name, step", BROKEN)
def test_not_finite(env_id, name, step, run, tmp_path):
    flags = tiny(MAIN, env_id, 200)
    with raises(SystemExit) as stop:
        run(MAIN, f"{flags} --train-frequency 1 --learning-starts 20")
    where = re.match(f"error: {name} is not finite at step (\\d+): ", stop.value.code)
    assert int(where[1]) <= step
    (path,) = tmp_path.glob("runs/*/episodes.csv")
    assert rows(path)[1].startswith("20,")
    assert list(tmp_path.glob("runs/*/events.out.tfevents.*"))


def test_not_finite_in_evaluations(run):
    flags = tiny(MAIN, "NanReward", 29) + " --eval-frequency 20 --eval-episodes 2"
    with raises(SystemExit, match="error: reward is not finite at step "):
        run(MAIN, flags)


@mark.parametrize("script", [MAIN, MANY])
def test_evaluation_of_an_endless_environment(script, run, tmp_path):
    flags = tiny(script, "Endless", 60) + " --num-seeds 1" * (script == MANY)
    run(script, f"{flags} --eval-frequency 50 --eval-episodes 2")
    (path,) = tmp_path.glob("runs/*/eval.csv")
    assert len(rows(path)) == 3
