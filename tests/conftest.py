"""Shared by all tests: how a script is run, in this process or in one of its own."""

import os
import pathlib
import runpy
import signal
import subprocess
import sys

os.environ.setdefault("MUJOCO_GL", "disabled")
os.environ["WANDB_MODE"] = "offline"
os.environ["WANDB_SILENT"] = "true"
os.environ.setdefault("OMP_NUM_THREADS", "1")  # two processes with two threads each are slow here

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent
LEARNING = ["qmle_continuous", "qmle_discrete", "dqn_discretized"]  # scripts of the same shape
TINY = "--batch-size 16 --learning-starts 100 --buffer-size 500"
SEARCH = "--num-target-samples 10 --num-greedy-samples 20"


def tiny(script):
    """Flags that make a run of a learning script take seconds."""
    return TINY if script == "dqn_discretized" else f"{TINY} {SEARCH}"


@pytest.fixture
def run_script(tmp_path, monkeypatch):
    """run_script("qmle_continuous", "--seed 1 ...") runs it as __main__ here, in an empty folder.

    Compiling takes longer than the runs here, so it is off unless the flags say --compile. Returns
    the script's global variables at its end. A refusal raises SystemExit with the printed line.
    """
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(ROOT / "tests")
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def run(name, flags):
        plain = ["--no-compile"] if name.startswith(("qmle_c", "qmle_d", "dqn")) else []
        plain = [] if "--compile" in flags or "climbing" in name else plain
        monkeypatch.setattr(sys, "argv", [f"{name}.py", *flags.split(), *plain])
        return runpy.run_path(str(ROOT / f"{name}.py"), run_name="__main__")

    yield run
    for number, handler in handlers.items():  # what a script does with them is for its own process
        signal.signal(number, handler)


def command(script, flags):
    return [sys.executable, str(script), *flags.split()]


def environment(**env):
    return os.environ | {"PYTHONPATH": str(ROOT / "tests")} | env


def run_process(script, flags, cwd, **env):
    """Runs a script file in a process of its own; returns the CompletedProcess with its texts."""
    settings = {"cwd": cwd, "env": environment(**env), "capture_output": True, "text": True}
    return subprocess.run(command(script, flags), timeout=300, **settings)


def rows(path):
    """Lines of a log without the wall time."""
    return [line.rsplit(",", 1)[0] for line in path.read_text().splitlines()]


def read_scalars(run_dir):
    """All TensorBoard scalars of a run: {tag: [(step, value), ...]}."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(run_dir), size_guidance={"scalars": 0})
    events.Reload()
    tags = events.Tags()["scalars"]
    return {tag: [(event.step, event.value) for event in events.Scalars(tag)] for tag in tags}
