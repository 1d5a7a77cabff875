"""Shared by all tests: how a script is run, in this process or in one of its own."""

import os
import pathlib
import runpy
import signal
import subprocess
import sys
import threading

os.environ.setdefault("MUJOCO_GL", "disabled")
os.environ["WANDB_MODE"] = "offline"
os.environ.setdefault("OMP_NUM_THREADS", "1")  # of two processes with two threads each on two cores, each is slow

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent


@pytest.fixture
def run_script(tmp_path, monkeypatch):
    """run_script("qmle_continuous", "--seed 1 ...") runs the script as __main__ in this process, in an empty folder.

    Compiling takes longer than the runs here, so it is off unless the flags say --compile. Returns the script's global
    variables at its end. A refusal raises SystemExit, whose code is the printed line.
    """
    monkeypatch.chdir(tmp_path)

    def run(name, flags):
        compiles = [] if "--compile" in flags or "bandit" in name or "climbing" in name else ["--no-compile"]
        monkeypatch.setattr(sys, "argv", [f"{name}.py", *flags.split(), *compiles])
        return runpy.run_path(str(ROOT / f"{name}.py"), run_name="__main__")

    numbers = [signal.SIGINT, signal.SIGTERM, signal.SIGUSR1]
    handlers, hooks = [signal.getsignal(n) for n in numbers], (sys.excepthook, sys.unraisablehook, threading.excepthook)
    yield run
    for number, handler in zip(numbers, handlers, strict=True):  # what a script does with them is for its own process
        signal.signal(number, handler)
    sys.excepthook, sys.unraisablehook, threading.excepthook = hooks


def run_process(script, flags, cwd, **env):
    """Runs a script file in a process of its own and returns the CompletedProcess with its texts."""
    environment = os.environ | {"PYTHONPATH": str(ROOT / "tests")} | env
    command = [sys.executable, str(script), *flags.split()]
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=300)


def read_scalars(run_dir):
    """All TensorBoard scalars of a run: {tag: [(step, value), ...]}."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(run_dir), size_guidance={"scalars": 0})
    events.Reload()
    return {tag: [(e.step, e.value) for e in events.Scalars(tag)] for tag in events.Tags()["scalars"]}
