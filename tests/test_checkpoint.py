"""Checkpoints: a resumed run is the uninterrupted one, byte for byte, and nothing spoils a checkpoint or the logs."""

import concurrent.futures
import contextlib
import importlib
import json
import os
import pathlib
import pickle
import random
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
from conftest import ROOT, read_scalars, run_process

TINY = "--batch-size 16 --num-target-samples 10 --num-greedy-samples 20 --learning-starts 100 --buffer-size 500"
HARD = "--no-compile " + TINY.replace("500", "1500") + " --env-id dm_control/reacher-hard-v0 --seed 5 --save-model"
HARD += " --eval-episodes 1"


def the_run(folder):
    (run_dir,) = (folder / "runs").iterdir()
    return run_dir


def episodes(run_dir, name="episodes.csv"):
    """Lines of a log without the wall time."""
    return [line.rsplit(",", 1)[0] for line in (run_dir / name).read_text().splitlines()]


def check_equal(one, other):
    """Two run directories say the same: episodes, evaluations, weights; losses wherever both logged them."""
    assert episodes(one) == episodes(other) and len(episodes(one)) > 1
    assert episodes(one, "eval.csv") == episodes(other, "eval.csv")
    a, b = (torch.load(run / "model.pt", weights_only=True)["q_network"] for run in (one, other))
    assert a.keys() == b.keys() and all(a[name].equal(b[name]) for name in a)
    losses = [read_scalars(run) for run in (one, other)]
    for name in ("losses/td_loss", "losses/q_values", "charts/initial_q_gap", "eval/episodic_return"):
        assert losses[0].get(name) == losses[1].get(name), name


# ---- episodes, again

EXACT = [f"dm_control/{task}-v0" for task in (
    "walker-walk", "cheetah-run", "finger-spin", "finger-turn_hard", "reacher-hard", "fish-swim", "swimmer-swimmer6",
    "point_mass-hard", "humanoid-walk", "quadruped-run", "hopper-hop", "cartpole-swingup", "ball_in_cup-catch",
    "dog-walk",
)] + ["Pendulum-v1", "Hopper-v5"]  # fmt: skip
IN_CI = (
    "dm_control/walker-walk-v0",
    "dm_control/reacher-hard-v0",
    "dm_control/dog-walk-v0",
    "Pendulum-v1",
    "Hopper-v5",
)


@pytest.mark.parametrize("env_id", [id if id in IN_CI else pytest.param(id, marks=pytest.mark.slow) for id in EXACT])
@pytest.mark.parametrize("num_steps", [0, 1, 357])
def test_an_episode_can_be_played_again(env_id, num_steps):
    script, rng = importlib.import_module("qmle_continuous"), np.random.default_rng(0)  # the same text in all scripts
    env, other = script.make_env(env_id), script.make_env(env_id)
    space = env.action_space

    def draw():
        return script.to_env_action(rng.uniform(-1, 1, space.shape).astype(np.float32).ravel(), space)

    episode, actions, obs = 0, [], env.reset(seed=script.episode_seed(5, 0))[0]
    for _ in range(num_steps):
        actions.append(draw())
        obs, _, terminated, truncated, _ = env.step(actions[-1])
        if terminated or truncated:
            episode, actions = episode + 1, []
            obs, _ = env.reset(seed=script.episode_seed(5, episode))
    other.reset(seed=99)  # elsewhere, with another target, in the middle of an episode
    for _ in range(5):
        other.step(draw())
    again = script.replay_episode(other, script.episode_seed(5, episode), actions)
    assert again.dtype == np.float32 and np.array_equal(again, np.asarray(obs, np.float32))
    num_resets = 0
    for step in range(1100):  # to the end of the episode and into the next
        action = draw()
        one, two = env.step(action), other.step(action)
        assert np.array_equal(one[0], two[0]) and one[1:4] == two[1:4], step
        if one[2] or one[3]:
            num_resets, episode = num_resets + 1, episode + 1
            starts = [e.reset(seed=script.episode_seed(5, episode))[0] for e in (env, other)]
            assert np.array_equal(*starts), step
    assert num_resets > 0


def test_an_episode_that_ends_on_the_way_is_another():
    script = importlib.import_module("qmle_continuous")
    env = script.make_env("Pendulum-v1")
    actions = np.zeros((200, 1), np.float32)
    assert script.replay_episode(env, 1, actions[:199]) is not None and script.replay_episode(env, 1, actions) is None


def test_many_episodes_are_played_again_each_to_its_own_step():
    many, plain = (importlib.import_module(f"qmle_continuous{name}") for name in ("_multiseed", ""))
    args = many.Args(env_id="Pendulum-v1", num_seeds=4, num_groups=2, num_workers=2)
    envs, rng = many.GymnasiumEnvs(args, 3, 1), np.random.default_rng(0)
    seeds, numbers = np.arange(4) + 7, np.array([3, 0, 5, 1])
    actions = [rng.uniform(-1, 1, (num, 1)).astype(np.float32) for num in (12, 0, 200, 5)]
    try:
        for _ in range(2):  # from the start, and from somewhere else
            envs.reset(seeds, numbers)
            assert envs.replay(actions).tolist() == [False, False, True, False]
            env = plain.make_env("Pendulum-v1")
            for k in (0, 1, 3):
                own = [plain.to_env_action(action, env.action_space) for action in actions[k]]
                again = plain.replay_episode(env, plain.episode_seed(int(seeds[k]), int(numbers[k])), own)
                assert np.array_equal(envs.obs[k], again)
            assert np.array_equal(envs.obs[2], env.reset(seed=plain.episode_seed(9, 6))[0])  # it went on to the next
            before = envs.obs.copy()
            envs.reset(seeds, [many.REST, 8, many.REST, 9])
            assert (envs.obs == before).all(1).tolist() == [True, False, True, False]
    finally:
        envs.close()


def test_episodes_have_seeds_of_their_own():
    script = importlib.import_module("qmle_continuous")
    found = [script.episode_seed(seed, episode) for seed in (0, 1, 2**31) for episode in range(1000)]
    assert len(set(found)) == 3000 and 0 <= min(found) and max(found) < 2**31
    assert script.episode_seed(1, 5) == script.episode_seed(1, 5)


@pytest.mark.parametrize("script", ["qmle_continuous", "qmle_continuous_multiseed", "qmle_discrete", "dqn_discretized"])
def test_the_memory_knows_the_last_actions(script):
    script, many = importlib.import_module(script), script == "qmle_continuous_multiseed"
    args = script.Args(buffer_size=10, train_frequency=4, batch_size=2, **({"num_seeds": 2} if many else {}))
    memory = script.ReplayMemory(args, 3, 2, torch.device("cpu"))
    for step in range(27):  # two rounds of the memory and more, three steps still staged
        if many:
            actions = np.array([[step, -step], [100 + step, 0]], np.float32)
            memory.add(slice(0, 1), np.zeros((1, 3)), actions[:1], np.zeros(1), np.zeros((1, 3)), np.zeros(1))
            memory.add(slice(1, 2), np.zeros((1, 3)), actions[1:], np.zeros(1), np.zeros((1, 3)), np.zeros(1))
        else:
            memory.add(np.zeros(3), np.array([step, -step], np.float32), 0.0, np.zeros(3), False)
        assert len(memory.last_actions(*[0] * many, 100)) == 10 + memory.num_staged
        for num in range(min(step + 1, 10 + memory.num_staged) + 1):
            last = np.arange(step + 1 - num, step + 1)
            own = memory.last_actions(*[0] * many, num)
            assert own.shape == (num, 2) and np.array_equal(own[:, 0], last) and np.array_equal(own[:, 1], -last)
            if many:
                assert np.array_equal(memory.last_actions(1, num)[:, 0], 100 + last)


# ---- exact runs


RUNS = [
    ("qmle_continuous", "dm_control/walker-walk-v0", TINY),
    ("qmle_continuous", "dm_control/reacher-hard-v0", TINY),
    ("qmle_continuous", "Pendulum-v1", TINY),
    ("qmle_discrete", "dm_control/finger-spin-v0", TINY.replace("10 ", "5 ")),
    ("dqn_discretized", "CartPole-v1", TINY.replace("--num-target-samples 10 --num-greedy-samples 20 ", "")),
]


@pytest.mark.parametrize("script, env_id, tiny", RUNS)
def test_resumed_run_is_the_uninterrupted_one(script, env_id, tiny, run_script, tmp_path, monkeypatch):
    flags = f"{tiny} --env-id {env_id} --seed 5 --save-model --eval-frequency 900 --eval-episodes 1"
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
    monkeypatch.chdir(tmp_path / "one")
    run_script(script, f"{flags} --total-timesteps 2200")
    monkeypatch.chdir(tmp_path / "two")
    run_script(script, f"{flags} --total-timesteps 1337 --checkpoint-frequency 1000")  # in the middle of an episode
    run_script(script, f"--resume {the_run(tmp_path / 'two')} --total-timesteps 2200 --checkpoint-frequency 0")
    check_equal(the_run(tmp_path / "one"), the_run(tmp_path / "two"))
    kept = json.loads(torch.load(the_run(tmp_path / "two") / "checkpoint.pt", weights_only=True)["loop"])
    assert kept["global_step"] == 2200  # so that the next --resume does not go back
    assert json.loads((the_run(tmp_path / "two") / "config_1338.json").read_text())["args"]["total_timesteps"] == 2200


def test_resumed_run_of_many_seeds_is_the_uninterrupted_one(run_script, tmp_path, monkeypatch):
    flags = f"{TINY} --env-id Pendulum-v1 --seed 5 --num-seeds 3 --num-workers 2 --save-model --eval-frequency 300"
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
    monkeypatch.chdir(tmp_path / "one")
    run_script("qmle_continuous_multiseed", f"{flags} --eval-episodes 1 --total-timesteps 820")
    monkeypatch.chdir(tmp_path / "two")
    run_script(
        "qmle_continuous_multiseed", f"{flags} --eval-episodes 1 --total-timesteps 537 --checkpoint-frequency 300"
    )
    (first,) = (tmp_path / "two" / "runs").glob("*__5__*")
    first = first.rename(first.with_name("renamed__5__"))  # as users do
    run_script("qmle_continuous_multiseed", f"--resume {first} --total-timesteps 820")
    for seed in (5, 6, 7):
        one, two = (list((tmp_path / folder / "runs").glob(f"*__{seed}__*")) for folder in ("one", "two"))
        assert len(one) == len(two) == 1
        check_equal(one[0], two[0])


@pytest.mark.slow
def test_signal_stops_many_seeds_with_a_checkpoint(tmp_path):
    flags = f"--no-compile {TINY} --env-id Pendulum-v1 --seed 5 --num-seeds 3 --num-workers 2 --total-timesteps 2200"
    process = start(tmp_path, flags, "qmle_continuous_multiseed")
    wait_for(lambda: has_episodes(tmp_path), process)
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=240)
    (first,) = (tmp_path / "runs").glob("*__5__*")
    assert process.returncode == 143 and f"--resume {first.relative_to(tmp_path)}" in output
    again = run_process(ROOT / "qmle_continuous_multiseed.py", f"--resume {first}", tmp_path)
    assert again.returncode == 0, again.stderr
    for run_dir in (tmp_path / "runs").iterdir():
        assert [int(line.split(",")[0]) for line in episodes(run_dir)[1:]] == list(range(200, 2201, 200))


@pytest.mark.parametrize("script", ["qmle_continuous", "qmle_continuous_multiseed"])
@pytest.mark.parametrize("env", ["toy_envs:TwoEndings-v0", "Pendulum-v1 --buffer-size 120"])  # 133 steps, in the second
def test_an_environment_that_plays_another_episode_starts_a_new_one(
    script, env, run_script, tmp_path, capsys, monkeypatch
):
    monkeypatch.syspath_prepend(ROOT / "tests")
    flags = f"{TINY} --env-id {env} --total-timesteps 333 --checkpoint-frequency 333"
    run_script(script, flags + " --num-seeds 2 --num-workers 1" * (script == "qmle_continuous_multiseed"))
    run_dir = next((tmp_path / "runs").glob("*__1__*"))
    before = episodes(run_dir)
    end = run_script(script, f"--resume {run_dir} --total-timesteps 600")
    assert "does not play the same episode again: a new one starts" in capsys.readouterr().err
    after = episodes(run_dir)
    assert after[: len(before)] == before and len(after) > len(before)
    steps, lengths = ([float(line.split(",")[i]) for line in after[len(before) :]] for i in (0, 2))
    assert steps[0] == 333 + lengths[0]  # it started after the checkpoint
    assert end["num_updates"] == 50  # at 100, 110, ... 590: none is lost


# ---- interruptions


def start(folder, flags, script="qmle_continuous", **settings):
    settings |= dict(cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    settings |= dict(env=os.environ | {"PYTHONPATH": str(ROOT / "tests")})  # as in run_process
    return subprocess.Popen([sys.executable, str(ROOT / f"{script}.py"), *flags.split()], **settings)


def wait_for(condition, process, seconds=240):
    end = time.time() + seconds
    while not condition() and process.poll() is None and time.time() < end:
        time.sleep(0.02)
    assert condition() or process.poll() is not None


def has_episodes(folder, number=1):
    return any(len(path.read_text().splitlines()) > number for path in folder.glob("runs/*/episodes.csv"))


@pytest.mark.parametrize("name, code", [("SIGTERM", 143), pytest.param("SIGINT", 130, marks=pytest.mark.slow)])
def test_signal_leaves_a_checkpoint_and_says_how_to_go_on(name, code, tmp_path):
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
    flags = f"{HARD} --total-timesteps 2200"
    process = start(tmp_path / "two", flags)
    wait_for(lambda: has_episodes(tmp_path / "two"), process)
    process.send_signal(getattr(signal, name))
    output, _ = process.communicate(timeout=240)
    assert (
        process.returncode == code and f"--resume {the_run(tmp_path / 'two').relative_to(tmp_path / 'two')}" in output
    )
    again = run_process(ROOT / "qmle_continuous.py", f"--resume {the_run(tmp_path / 'two')}", tmp_path / "two")
    assert again.returncode == 0, again.stderr
    assert run_process(ROOT / "qmle_continuous.py", flags, tmp_path / "one").returncode == 0
    check_equal(the_run(tmp_path / "one"), the_run(tmp_path / "two"))


@pytest.mark.slow
def test_sigusr1_writes_a_checkpoint_and_goes_on(tmp_path):
    process = start(tmp_path, f"{HARD} --total-timesteps 4200")
    wait_for(lambda: has_episodes(tmp_path), process)
    process.send_signal(signal.SIGUSR1)
    path = the_run(tmp_path) / "checkpoint.pt"
    wait_for(path.exists, process, 20)

    def step():
        return json.loads(torch.load(path, weights_only=True)["loop"])["global_step"]

    assert process.poll() is None and 1000 <= step() < 4200
    process.communicate(timeout=100)
    assert process.returncode == 0 and step() == 4200 and len(episodes(the_run(tmp_path))) == 5


@pytest.mark.slow
def test_second_ctrl_c_ends_at_once(tmp_path):
    process = start(tmp_path, f"{HARD} --total-timesteps 9000 --eval-frequency 1200 --eval-episodes 500")
    wait_for(lambda: has_episodes(tmp_path), process)
    time.sleep(3)  # the evaluation at step 1200 takes minutes
    process.send_signal(signal.SIGINT)
    time.sleep(1)
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=10)
    assert process.returncode not in (0, None)


def out_of_reach():
    """Whether no signal that a terminal or a cluster may send to a whole run would end a process that starts here."""
    status = subprocess.run(["cat", "/proc/self/status"], capture_output=True, text=True, check=True).stdout
    blocked = int(next(line for line in status.splitlines() if line.startswith("SigBlk")).split()[1], 16)
    return all(blocked >> (number - 1) & 1 for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1))


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("script", ["qmle_continuous", "qmle_continuous_multiseed", "qmle_discrete", "dqn_discretized"])
def test_ctrl_c_reaches_no_compiler(script):
    script = importlib.import_module(script)
    with concurrent.futures.ThreadPoolExecutor(1) as pool:  # torch.compile starts compilers from threads as well
        both = script.fast(
            script.Args(), torch.device("cpu"), lambda: (out_of_reach(), pool.submit(out_of_reach).result())
        )
        assert both() == (True, True)
    assert not out_of_reach()


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_ctrl_c_while_the_script_compiles_leaves_a_checkpoint(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(tmp_path / "cache"))
    flags = "--env-id Pendulum-v1 --learning-starts 200 --total-timesteps 2000"
    process = start(tmp_path, flags, start_new_session=True)

    def compiles():
        """Whether it trains, and a compiler that it has started is at work."""
        for path in pathlib.Path("/proc").glob("[0-9]*/stat"):
            with contextlib.suppress(OSError):  # processes come and go
                name, _, _, _, session = path.read_text().split()[1:6]
                if name == "(cc1plus)" and session == str(process.pid):
                    return any(tmp_path.glob("runs/*/episodes.csv"))
        return False

    try:
        wait_for(compiles, process)
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does
        output, errors = process.communicate(timeout=240)
    finally:
        process.kill()
    assert process.returncode == 130 and "to go on: " in output, errors[-2000:]
    assert (the_run(tmp_path) / "checkpoint.pt").exists()


def test_kill_while_a_checkpoint_is_written_leaves_the_one_before(tmp_path):
    code = f"""
import os, pathlib, signal, sys
sys.path.insert(0, {str(ROOT)!r})
import torch, qmle_continuous as script
path = pathlib.Path({str(tmp_path)!r}) / "checkpoint.pt"
script.write_checkpoint(path, {{"number": 1, "rows": torch.ones(1000)}})
os.fsync = lambda _: os.kill(os.getpid(), signal.SIGKILL)
script.write_checkpoint(path, {{"number": 2, "rows": torch.ones(1000)}})
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert torch.load(tmp_path / "checkpoint.pt", weights_only=True)["number"] == 1


@pytest.mark.slow
def test_twenty_kills_at_random_moments(tmp_path):
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
    flags = f"{HARD} --total-timesteps 12000 --checkpoint-frequency 300 --eval-frequency 1500"
    assert run_process(ROOT / "qmle_continuous.py", flags, tmp_path / "one").returncode == 0
    rng, resume, num_kills = random.Random(0), flags, 0
    while num_kills < 20:
        process = start(tmp_path / "two", resume)
        if resume == flags:
            wait_for(lambda: list(tmp_path.glob("two/runs/*/checkpoint.pt")), process)
            resume = f"--resume {the_run(tmp_path / 'two')}"
        time.sleep(rng.uniform(0, 6))
        process.kill()
        process.communicate()
        num_kills += 1
    assert run_process(ROOT / "qmle_continuous.py", resume, tmp_path / "two").returncode == 0
    check_equal(the_run(tmp_path / "one"), the_run(tmp_path / "two"))


@pytest.mark.slow
def test_full_disk_stops_the_run_with_a_line_and_the_last_checkpoint_intact(tmp_path):
    flags = f"{HARD} --total-timesteps 4000 --checkpoint-frequency 500"
    assert run_process(ROOT / "qmle_continuous.py", flags.replace("4000", "1200"), tmp_path).returncode == 0
    run_dir = the_run(tmp_path)
    before = (run_dir / "checkpoint.pt").read_bytes()
    command = (
        f"ulimit -f 512; exec {sys.executable} {ROOT}/qmle_continuous.py --resume {run_dir} --total-timesteps 4000"
    )
    done = subprocess.run(["bash", "-c", command], cwd=tmp_path, capture_output=True, text=True)  # 512 KB a file
    assert done.returncode == 1 and "checkpoint.pt cannot be written" in done.stderr and "Traceback" not in done.stderr
    assert (run_dir / "checkpoint.pt").read_bytes() == before
    assert (
        run_process(ROOT / "qmle_continuous.py", f"--resume {run_dir} --total-timesteps 4000", tmp_path).returncode == 0
    )


# ---- refusals


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("finished")
    flags = f"{HARD} --total-timesteps 300 --checkpoint-frequency 300"
    assert run_process(ROOT / "qmle_continuous.py", flags, folder).returncode == 0
    return the_run(folder)


class Payload:
    def __reduce__(self):
        return os.mkdir, ("executed",)


def damage(path, how):
    data = bytearray(path.read_bytes())
    if how == "truncated":
        path.write_bytes(data[: len(data) // 2])
    elif how == "a flipped byte":
        data[len(data) // 3] ^= 1
        path.write_bytes(data)
    elif how == "a payload":
        torch.save({"script": "qmle_continuous", "args": Payload()}, path)
    elif how == "a bare pickle":
        path.write_bytes(pickle.dumps(Payload()))
    elif how == "another script":
        torch.save(torch.load(path, weights_only=True) | {"script": "dqn_discretized"}, path)
    elif how == "another version":
        torch.save(torch.load(path, weights_only=True) | {"format": 1}, path)
    elif how == "missing":
        path.unlink()
    elif how == "empty":
        path.write_bytes(b"")


HOW = ["truncated", "a flipped byte", "a payload", "a bare pickle", "another script", "another version"]
HOW += ["missing", "empty"]


@pytest.mark.parametrize("how", HOW)
def test_bad_checkpoints_are_refused_in_one_line(how, finished, tmp_path, run_script):
    run_dir = tmp_path / "run"
    shutil.copytree(finished, run_dir)
    damage(run_dir / "checkpoint.pt", how)
    before = {path.name: path.read_bytes() for path in run_dir.iterdir()}
    with pytest.raises(SystemExit) as refusal:
        run_script("qmle_continuous", f"--resume {run_dir} --total-timesteps 400")
    message = str(refusal.value)
    assert ("there is no " in message) == (how == "missing")
    assert message.startswith("error: --resume ") and "\n" not in message and not (tmp_path / "executed").exists()
    assert {path.name: path.read_bytes() for path in run_dir.iterdir()} == before


@pytest.mark.parametrize("flag", ["--gamma 0.9", "--env-id dm_control/walker-walk-v0", "--batch-size 17", "--seed 8"])
def test_flags_that_would_change_the_run_are_refused_by_name(flag, finished, run_script):
    with pytest.raises(SystemExit, match=f"error: {flag.split()[0]} is .*--resume cannot change it"):
        run_script("qmle_continuous", f"--resume {finished} --total-timesteps 400 {flag}")


def test_a_run_does_not_end_before_its_checkpoint(finished, run_script):
    with pytest.raises(SystemExit, match="error: --total-timesteps is 299, expected at least 300, the step of .*.pt"):
        run_script("qmle_continuous", f"--resume {finished} --total-timesteps 299")


@pytest.mark.parametrize("how", ["missing", "shorter"])
def test_a_run_whose_logs_are_not_whole_does_not_go_on(how, finished, tmp_path, run_script):
    run_dir = tmp_path / "run"
    shutil.copytree(finished, run_dir)
    log = run_dir / "episodes.csv"
    log.unlink() if how == "missing" else log.write_text("global")
    with pytest.raises(SystemExit, match="episodes.csv lacks what was logged before the checkpoint"):
        run_script("qmle_continuous", f"--resume {run_dir} --total-timesteps 400")
    assert not log.exists() if how == "missing" else log.read_text() == "global"


def test_a_flag_that_came_after_the_checkpoint_has_its_default(finished, tmp_path, run_script):
    path = tmp_path / "checkpoint.pt"
    state = torch.load(finished / "checkpoint.pt", weights_only=True)
    del state["args"]["stored_action"]
    torch.save(state, path)
    with pytest.raises(SystemExit, match="error: --stored-action is False, expected True, since --resume"):
        run_script("qmle_continuous", f"--resume {tmp_path} --total-timesteps 400 --no-stored-action")


@pytest.mark.slow
def test_two_hundred_random_mutations(finished, tmp_path, monkeypatch):
    script = importlib.import_module("qmle_continuous")
    path = tmp_path / "checkpoint.pt"
    original, rng = (finished / "checkpoint.pt").read_bytes(), random.Random(0)
    shutil.copytree(finished, tmp_path, dirs_exist_ok=True)
    monkeypatch.setattr(sys, "argv", ["qmle_continuous.py"])
    expected, num_refused = torch.load(path, weights_only=True), 0
    for _ in range(200):
        data = bytearray(original)
        for _ in range(rng.choice([1, 1, 4, 32])):
            data[rng.randrange(len(data))] = rng.randrange(256)
        if rng.random() < 0.2:
            del data[rng.randrange(len(data)) :]
        path.write_bytes(data)
        try:
            state, _ = script.read_checkpoint(tmp_path)
        except ValueError as error:
            assert str(error).startswith("--resume ") and "\n" not in str(error)
            num_refused += 1
            continue
        for name, value in expected.items():
            if torch.is_tensor(value):
                assert state[name].equal(value), name
            elif name in ("q_network", "target_network"):
                assert all(state[name][key].equal(value[key]) for key in value)
            elif name != "optimizer":
                assert state[name] == value, name
    print(f"{num_refused} of 200 refused, the others were identical")
    assert num_refused > 100


# ---- model.pt


def test_saved_model_acts_by_the_readme_alone(finished):
    code = (ROOT / "README.md").read_text().split("<!-- model.pt -->\n```python\n")[1].split("```")[0]
    names = {}
    exec(code.replace("runs/<run>/model.pt", str(finished / "model.pt")), names)
    script, saved = importlib.import_module("qmle_continuous"), names["saved"]
    network = script.QNetwork(saved["obs_size"], saved["action_size"], saved["args"]["num_bins"])
    network.load_state_dict(saved["q_network"])
    with torch.no_grad():
        features = network.obs_stream(names["obs"].unsqueeze(0))
        q = network.q_values(features, names["actions"].unsqueeze(0))[0]
    assert q.allclose(names["q"], atol=1e-5)
    assert network.delta_predictor(features)[0].allclose(names["mode"], atol=1e-6)
    assert names["action"].equal(names["actions"][q.argmax()])
