"""Whole runs of each script."""

import json
import pathlib
import re
import shutil

import conftest
import torch
import toy_envs
from conftest import LEARNING, MAIN, ROOT, SEARCH, rows, run_process, tiny
from pytest import mark

scripts = mark.parametrize("script", LEARNING)


def stored_actions(end, num):
    end["memory"].store()
    return end["memory"].actions[:num]


def flat(parameters):
    return torch.cat([p.detach().flatten() for p in parameters])


NUMBERS = [(7, 30, 28, 6), (1, 200, 200, 1)]  # after 105, ..., 294 and 120, ..., 270 steps


@scripts
@mark.parametrize("every, copy_every, updates, num_copies", NUMBERS)
def test_numbers_of_updates_and_copies(script, every, copy_every, updates, num_copies, run, patch):
    weights, copies = [], []
    adam_step, load_state_dict = torch.optim.Adam.step, torch.nn.Module.load_state_dict

    def step(self):
        adam_step(self)
        weights.append(flat(self.param_groups[0]["params"]))

    def load(self, state):
        copies.append((len(weights), {name: value.clone() for name, value in state.items()}))
        return load_state_dict(self, state)

    patch(torch.optim.Adam, "step", step)
    patch(torch.nn.Module, "load_state_dict", load)
    flags = f"--train-frequency {every} --target-network-frequency {copy_every} "
    end = run(script, flags + tiny(script, "dm_control/walker-walk-v0", 300))
    assert len(weights) == updates and len(copies) == 1 + num_copies
    # A copy holds the weights after all updates up to its step.
    steps = [step for step in range(100, 300) if step % copy_every == 0]
    before = [sum(step % every == 0 for step in range(100, last + 1)) for last in steps]
    assert [number for number, _ in copies] == [0, *before]
    assert flat(end["target_network"].parameters()).equal(weights[before[-1] - 1])
    online = end["q_network"].named_parameters()
    assert all(not value.equal(copies[0][1][name]) for name, value in online)


@scripts
def test_outputs_of_default_settings(script, tmp_path, play):
    """Copied alone into an empty folder; qmle_continuous.py is compiled and tracked."""
    flags = "--env-id Pendulum-v1 --total-timesteps 1110 --eval-frequency 600 --eval-episodes 1"
    flags += " --track" if script == MAIN else " --no-compile"
    flags += f" {SEARCH}" * (script != LEARNING[2])
    path = tmp_path / f"{script}.py"
    shutil.copy(ROOT / path.name, path)
    status, output, errors = run_process(path, flags, tmp_path, PYTHONPATH="")
    assert status == 0 and "not compiled" not in errors and "Warning" not in errors, errors
    assert "run: runs" in output.splitlines()[-1]
    assert {path.name for path in tmp_path.iterdir()} - {"wandb"} == {path.name, "runs"}
    (run_dir,) = tmp_path.glob("runs/*")
    assert re.fullmatch(rf"Pendulum-v1__{script}__1__\d{{8}}-\d{{6}}-\d+", run_dir.name)
    head, first, *episodes = rows(run_dir / "episodes.csv")
    assert head == "global_step,episodic_return,episodic_length" and len(episodes) == 4
    assert re.fullmatch(r"200,-1?\d{1,3}\.\d+,200", first)
    head, evaluation = rows(run_dir / "eval.csv")
    assert head == "global_step,episode,episodic_return" and evaluation.startswith("600,0,-")
    config = json.loads((run_dir / "config.json").read_text())
    assert config["args"]["batch_size"] == 256 and config["torch"] and config["device"]
    scalars = conftest.read_scalars(run_dir)
    assert {"charts/episodic_return", "charts/SPS", "eval/episodic_return"} < scalars.keys()
    assert len(scalars["losses/td_loss"]) == 2
    assert play(script, f"{run_dir} --eval-episodes 1") < 0
    if script == MAIN:
        (log,) = tmp_path.glob(f"wandb/offline-run-*{run_dir.name}/*.wandb")
        assert log.read_bytes().count(b"charts/episodic_return") >= 5


@scripts
def test_transitions_are_stored(script, run):
    end = run(script, tiny(script, "Echo", 300))
    actions = stored_actions(end, 300) - float(script != LEARNING[0])  # choices 0 to 2
    conftest.check_echoes(end["run_dir"], 1, end["memory"], end["memory"].rows[:300], actions)


def test_share_of_random_actions(run):
    # what is off the grid was exploration
    flags = tiny(MAIN, "Pendulum-v1", 500) + " --learning-starts 499"
    flags += " --uniform-ratio 0 --delta-ratio 0 --categorical-ratio 1 --exploration-epsilon 0.2"
    actions = stored_actions(run(MAIN, flags), 500)
    assert 60 < (actions != actions.round()).sum() < 140  # 4 s.d. are 36


def test_actions_stay_on_the_grid(run):
    toy_envs.Recorder.actions.clear()
    flags = tiny(MAIN, "Recorder", 220) + " --eval-frequency 110 --discrete-until 110"
    flags += " --uniform-ratio 0.8 --delta-ratio 0.1 --categorical-ratio 0.1"
    end = run(MAIN, flags)
    on_grid = [set(a.tolist()) <= {-1.0, 0.0, 1.0} for a in toy_envs.Recorder.actions]
    assert len(on_grid) == 110 + 20 + 110 + 20  # and evaluations
    assert all(on_grid[:130]) and sum(on_grid[130:]) < 65
    actions = stored_actions(end, 220)
    assert actions[:110].equal(actions[:110].round()) and not actions.equal(actions.round())


@mark.parametrize("name", ["MatrixAction", "MixedObservation"])
def test_other_shapes_and_bounds(name, run):
    end = run(MAIN, tiny(MAIN, name, 130))
    assert stored_actions(end, 130).abs().max() <= 1 and "metrics" in end


@mark.parametrize("script", LEARNING[1:])
@mark.parametrize("name", ["Start", "MultiStart", "MatrixAction"])
def test_kinds_of_discrete_actions(script, name, run):
    flags = tiny(script, name, 500) + " --exploration-epsilon 1 --eval-frequency 250"
    end = run(script, flags)
    actions = stored_actions(end, 500).long()
    for dimension, num in enumerate(end["q_network"].num_choices.tolist()):
        counts = actions[:, dimension].bincount(minlength=num)
        assert len(counts) == num and (counts - 500 / num).abs().max() < 50  # 4.5 s.d.


@mark.parametrize("script", [*LEARNING, "qmle_continuous_multiseed"])
def test_physics_error(script, run, capfd):
    flags = tiny(script, "Diverging", 210)
    end = run(script, flags + " --num-seeds 2" * ("multiseed" in script))
    run_dir = min(pathlib.Path("runs").iterdir())
    steps = [int(row.split(",")[0]) for row in rows(run_dir / "episodes.csv")[1:]]
    assert steps[:3] == [20, 27, 47]
    assert "mjWARN_BADQACC: a new episode" in capfd.readouterr().err
    end["memory"].store()
    assert end["memory"].priorities.view(-1, 500)[0].count_nonzero() == 210 - 7
