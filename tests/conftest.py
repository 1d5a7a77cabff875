"""How tests run a script, and what they share."""

import itertools
import os
import pathlib
import runpy
import shlex
import signal
import subprocess
import sys
import time

os.environ.setdefault("MUJOCO_GL", "disabled")
os.environ["WANDB_MODE"] = "offline"
os.environ["WANDB_SILENT"] = "true"
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch
from pytest import approx, fixture, mark, param, raises

ROOT = pathlib.Path(__file__).resolve().parent.parent
MAIN = "qmle_continuous"
LEARNING = [MAIN, "qmle_discrete", "dqn_discretized"]
CUDA = mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
DEVICES = ["cpu", param("cuda", marks=CUDA)]
TINY = "--batch-size 16 --learning-starts 100 --buffer-size 500 --eval-episodes 1"
SEARCH = "--num-target-samples 10 --num-greedy-samples 20"
SETS = "--num-uniform-samples 24 --num-proposal-samples 8"
COUNTERPARTS = {
    "ddpg": ("ddpg_continuous", ""),
    "qtopt": ("qtopt_continuous", "--cem-samples 16 --cem-elites 4"),
    "continuous": ("aql_continuous", SETS),
    "discrete": ("aql_continuous", f"{SETS} --proposal discrete"),
}


def tiny(script, env_id, num_steps):
    """Flags of a run of seconds; one of toy_envs.py goes by its name alone."""
    env_id = env_id if "-" in env_id else f"toy_envs:{env_id}-v0"
    search = SEARCH if script.startswith("qmle") else ""
    return f"{TINY} {search} --env-id {env_id} --total-timesteps {num_steps}"


@fixture(autouse=True)
def seed():
    torch.manual_seed(0)


@fixture
def patch(monkeypatch):
    return monkeypatch.setattr


@fixture
def run(tmp_path, monkeypatch):
    """run("qmle_continuous", "--seed 1 ...") runs it here, in an empty folder, not compiled.

    It returns the script's global variables at its end.
    """
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(ROOT / "tests")
    numbers = itertools.count()  # folders of one process have names by the second
    monkeypatch.setattr(time, "strftime", lambda *_: str(next(numbers)))
    handlers = [(n, signal.getsignal(n)) for n in (signal.SIGINT, signal.SIGTERM)]

    def call(name, flags):
        as_given = "--compile" in flags or name.endswith(("_bandit", "_climbing"))
        plain = [] if as_given else ["--no-compile"]
        monkeypatch.setattr(sys, "argv", [f"{name}.py", *flags.split(), *plain])
        return runpy.run_path(str(ROOT / f"{name}.py"), run_name="__main__")

    yield call
    for number, handler in handlers:
        signal.signal(number, handler)


@fixture
def play(run, capsys):
    """play(script, flags) is the mean return of --evaluate-only."""

    def call(script, flags):
        with raises(SystemExit):
            run(script, f"--evaluate-only {flags}")
        return float(capsys.readouterr().out.split("mean: ")[1])

    return call


def start(folder, script, flags, **env):
    """Starts a script file in a folder, in a process of its own."""
    env, words = os.environ | {"PYTHONPATH": str(ROOT / "tests")} | env, shlex.split(flags)
    how = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen([sys.executable, script, *words], cwd=folder, env=env, **how)


def run_process(script, flags, cwd, **env):
    """Runs a script file to its end; returns its exit status, output and errors."""
    process = start(cwd, script, flags, **env)
    output = process.communicate(timeout=300)
    return process.returncode, *output


def wait_for(condition, process):
    """Waits for condition(); the process must not end before."""
    end = time.time() + 120
    while not condition() and process.poll() is None and time.time() < end:
        time.sleep(0.02)
    assert condition(), process.poll() is None or process.stderr.read()


def refused(run, name, flags):
    """The line of a refusal, which creates nothing."""
    before = sorted(pathlib.Path.cwd().rglob("*"))
    with raises(SystemExit) as refusal:
        run(name, flags)
    line = refusal.value.code
    assert line.startswith("error: ") and "\n" not in line
    assert sorted(pathlib.Path.cwd().rglob("*")) == before
    return line


def make_update(script, args, last, num=50, device="cpu"):
    """What train_step takes, with num rows; last: what QNetwork takes after 5."""
    network, target = (script.QNetwork(5, *last).to(device) for _ in range(2))
    size = last[0] if isinstance(last[0], int) else len(last[0])
    memory = script.ReplayMemory(args, 5, size, device)
    memory.rows[:num] = torch.randn(num, memory.rows.shape[1])
    actions = torch.rand(num, size) * 2 - 1
    if size != last[0]:  # choices
        actions = (torch.rand(num, size) * torch.tensor(last[0])).floor()
    memory.rows[:num, 10:-2] = actions.repeat(1, 2)
    memory.rows[:num, -1] = torch.arange(num) % 5 == 0  # terminated
    td_errors = torch.rand(num, device=device) * 5
    memory.remember(torch.arange(num, device=device), memory.a_max[:num].clone(), td_errors)
    adam = {"lr": 5e-4, "fused": True, "capturable": device == "cuda"}
    return network, target, torch.optim.Adam(network.parameters(), **adam), memory


def check_update(script, args, made, values, patch):
    """One update against values(obs, next_obs, actions, a_max): Q(s, a) and the value at s', (B,).

    Returns the rows that it drew and its metrics.
    """
    network, target, _, memory = made
    indices, batch, weights = memory.sample(32)
    assert weights.std() > 0.02
    patch(memory, "sample", lambda batch_size: (indices, batch, weights))
    *inputs, rewards, terminated = batch
    with torch.no_grad():
        q, next_values = values(*inputs)
    td_errors = rewards[:, 0] + 0.99 * (1 - terminated[:, 0]) * next_values - q
    old, old_target = ({k: v.clone() for k, v in x.state_dict().items()} for x in made[:2])
    metrics = script.train_step(*made, args)
    assert not any(v.equal(old[k]) for k, v in network.named_parameters())
    assert all(v.equal(old_target[k]) for k, v in target.state_dict().items())
    expected = (weights * td_errors**2).mean().item()
    assert metrics["losses/td_loss"].item() == approx(expected, rel=1e-4)
    priorities = (td_errors.abs() + 1e-6) ** 0.6
    for row in indices:  # of a row drawn twice some draw counts
        assert (memory.priorities[row] / priorities[indices == row] - 1).abs().min() < 1e-3
    return indices, metrics


def three_steps(rewards, terminated, ended, t):
    """The last of three steps from t, up to step 10; their return and discount for gamma 0.5."""
    last = t
    while last < min(t + 2, 10) and not ended[last]:
        last += 1
    total = sum(0.5 ** (i - t) * rewards[i] for i in range(t, last + 1))
    return last, total, 0.5 ** (last + 1 - t) * (1 - terminated[last])


def rows(path):
    """Lines of a log without the wall time."""
    return [line.rsplit(",", 1)[0] for line in path.read_text().splitlines()]


def check_echoes(run_dir, seed, memory, transitions, actions):
    """The first transitions (N, ...) of a run on Echo-v0 and its episodes.csv."""
    own = np.random.SeedSequence([seed, 0]).generate_state(1)[0] // 2 % 1000
    expected, episodes, before, total = [], [], [own, 0, 0, 0, 0], 0
    for i, action in enumerate(actions.tolist()):
        now = [*before[:2], before[2] + 1, *action]
        last = now[2] == (10 if now[1] % 2 else 5 + own % 5)
        expected.append([*before, *now, sum(now), last and now[1] % 2 == 0])
        before, total = now, total + sum(now)
        if last:
            episodes.append([i + 1, total, now[2]])
            before, total = [own, len(episodes), 0, 0, 0], 0
    obs, next_obs, _, _, rewards, terminated = transitions.split(memory.sizes, dim=1)
    happened = torch.cat([obs, next_obs, rewards, terminated], dim=1)
    np.testing.assert_allclose(happened, expected, atol=1e-3)
    logged = np.loadtxt(run_dir / "episodes.csv", delimiter=",", skiprows=1)[:, :3]
    np.testing.assert_allclose(logged, episodes, atol=0.1)


def read_scalars(run_dir):
    """TensorBoard scalars of a run: {tag: [(step, value), ...]}."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(run_dir), size_guidance={"scalars": 0})
    events.Reload()
    tags = events.Tags()["scalars"]
    return {tag: [(e.step, e.value) for e in events.Scalars(tag)] for tag in tags}
