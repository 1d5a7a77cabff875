"""Whole runs of each script, most of them on the real environment."""

import csv
import json
import math
import pathlib
import shutil
import subprocess
import sys

import pytest
import torch
from conftest import LEARNING, ROOT, read_scalars, rows, run_process, tiny

scripts = pytest.mark.parametrize("script", LEARNING)


def last_transitions(memory, num):
    """obs, next_obs, actions, a_max, rewards (num,) and terminated (num,) of a whole memory."""
    memory.store()
    *fields, rewards, terminated = memory.rows[:num].split(memory.sizes, dim=1)
    return *fields, rewards.squeeze(1), terminated.squeeze(1)


@scripts
@pytest.mark.parametrize(
    "frequency, target_frequency, updates, copies",
    # Learning precedes the step, so it happens when 100 to 299 steps are done: after 105, ..., 294
    # of them for 7; target copies likewise, after 120, ..., 270 for 30, only after 200 for 200.
    [(10, 50, 20, 4), (7, 30, 28, 6), (1, 200, 200, 1)],
)
def test_exact_number_of_updates_and_target_copies(
    script, frequency, target_frequency, updates, copies, run_script, monkeypatch
):
    weights, loads, adam_step = [], [], torch.optim.Adam.step
    load_state_dict = torch.nn.Module.load_state_dict

    def step(self):
        adam_step(self)
        weights.append(torch.cat([p.detach().flatten() for p in self.param_groups[0]["params"]]))

    def load(self, state, *args):
        loads.append({name: value.clone() for name, value in state.items()})
        return load_state_dict(self, state, *args)

    monkeypatch.setattr(torch.optim.Adam, "step", step)
    monkeypatch.setattr(torch.nn.Module, "load_state_dict", load)
    flags = f"{tiny(script)} --env-id dm_control/walker-walk-v0 --total-timesteps 300"
    flags += f" --train-frequency {frequency} --target-network-frequency {target_frequency}"
    end = run_script(script, flags)
    assert len(weights) == updates and len(loads) == copies + 1  # and the one at the start
    # The last copy holds the weights after all updates up to its step.
    last_copy = max(step for step in range(100, 300) if step % target_frequency == 0)
    before = sum(step % frequency == 0 for step in range(100, last_copy + 1))
    copied = torch.cat([p.flatten() for p in end["target_network"].parameters()])
    assert [copied.equal(state) for state in weights].index(True) == before - 1
    online = end["q_network"].state_dict()
    assert all(not online[name].equal(value) for name, value in loads[0].items())


@scripts
def test_default_settings_on_walker_walk_leave_the_documented_outputs(script, tmp_path):
    flags = "--env-id dm_control/walker-walk-v0 --total-timesteps 1110 --eval-frequency 600"
    flags += " --eval-episodes 1 --save-model"
    if script != "qmle_continuous":  # which runs compiled, as a user runs it
        flags += " --no-compile"
    process = run_process(ROOT / f"{script}.py", flags, tmp_path)
    assert process.returncode == 0 and "not compiled" not in process.stderr, process.stderr
    assert "Warning" not in process.stderr
    (run_dir,) = tmp_path.glob("runs/*")
    assert run_dir.name.startswith(f"dm_control_walker-walk-v0__{script}__1__")
    (episode,) = csv.DictReader((run_dir / "episodes.csv").open())
    assert list(episode) == ["global_step", "episodic_return", "episodic_length", "wall_time"]
    assert (episode["global_step"], episode["episodic_length"]) == ("1000", "1000")
    assert 0 < float(episode["episodic_return"]) < 1000
    (evaluation,) = csv.DictReader((run_dir / "eval.csv").open())
    assert (evaluation["global_step"], evaluation["episode"]) == ("600", "0")
    config = json.loads((run_dir / "config.json").read_text())
    assert config["args"]["seed"] == 1 and config["args"]["batch_size"] == 256
    assert config["torch"].startswith("2.") and config["device"]
    scalars = read_scalars(run_dir)
    names = {"charts/episodic_return", "charts/episodic_length", "charts/SPS"}
    names |= {"losses/td_loss", "losses/q_values", "eval/episodic_return"}
    if script != "dqn_discretized":
        names |= {"losses/categorical_loss", "argmax/share_stored"}
    if script == "qmle_continuous":
        names.add("losses/delta_loss")
    assert set(scalars) == names and len(scalars["losses/td_loss"]) == 2  # updates 1 and 11
    assert all(math.isfinite(value) for series in scalars.values() for _, value in series)
    # the saved model plays, from its directory or by itself; the same seed gives the same returns
    for path in (run_dir, run_dir / "model.pt"):
        flags = f"--evaluate-only {path} --eval-episodes 1"
        played = run_process(ROOT / f"{script}.py", flags, tmp_path)
        assert played.returncode == 0 and "mean return of 1 greedy episodes" in played.stdout
        assert played.stdout == run_process(ROOT / f"{script}.py", flags, tmp_path).stdout
        assert "evaluation" in played.stderr  # progress


@scripts
def test_same_seed_same_run_evaluated_or_not(script, run_script):
    flags = f"{tiny(script)} --env-id Pendulum-v1 --total-timesteps 650"
    runs = []
    for extra in ("--seed 3", "--seed 3 --eval-frequency 150 --eval-episodes 2", "--seed 4"):
        run_dir = run_script(script, f"{flags} {extra}")["run_dir"]
        scalars = read_scalars(run_dir)
        del scalars["charts/SPS"]
        scalars.pop("eval/episodic_return", None)
        runs.append((scalars, rows(run_dir / "episodes.csv")))
    assert len(runs[0][1]) == 4 and len(runs[0][0]["losses/td_loss"]) == 6
    assert runs[0] == runs[1] != runs[2]


@scripts
def test_transitions_are_stored_as_they_happened(script, run_script):
    flags = f"{tiny(script)} --env-id toy_envs:TwoEndings-v0 --total-timesteps 300"
    end = run_script(script, flags)
    obs, next_obs, _, _, rewards, terminated = last_transitions(end["memory"], 300)
    count, episode = obs.T  # the toy observes its step and its episode
    assert next_obs[:, 0].equal(count + 1) and next_obs[:, 1].equal(episode)
    even = episode % 2 == 0  # these terminate at 7, the others run to 10
    last = next_obs[:, 0] == torch.where(even, 7, 10)
    assert terminated.equal((last & even).float())
    assert 30 < last.sum() < 40 and last[:-1].equal(count[1:] == 0)
    assert rewards.equal(count + 100 * episode)
    lengths = [int(row.split(",")[2]) for row in rows(end["run_dir"] / "episodes.csv")[1:]]
    assert lengths == [7, 10] * (len(lengths) // 2) + [7] * (len(lengths) % 2)


def test_share_of_random_actions_while_training(run_script):
    flags = f"{tiny('qmle_continuous')} --env-id Pendulum-v1 --total-timesteps 2000"
    flags += " --learning-starts 1999 --buffer-size 2000"
    # a categorical predictor alone only ever acts on the grid: what is off it was exploration
    end = run_script(
        "qmle_continuous", f"{flags} --uniform-ratio 0 --delta-ratio 0 --categorical-ratio 1"
    )
    actions = last_transitions(end["memory"], 2000)[2]
    assert 150 < (actions != actions.round()).sum() < 250  # 4 s.d. are 54


@pytest.mark.parametrize("script", LEARNING[1:])
def test_exploration_of_discrete_actions(script, run_script):
    flags = f"{tiny(script)} --env-id toy_envs:Start-v0 --total-timesteps 1000 --buffer-size 1000"
    flags += " --learning-starts 999"
    end = run_script(script, f"{flags} --exploration-epsilon 1")
    actions = last_transitions(end["memory"], 1000)[2].long().flatten()
    assert ((actions.bincount(minlength=4) - 250).abs() < 60).all()  # 4 s.d. are 55
    end = run_script(script, f"{flags} --exploration-epsilon 0")
    obs, _, actions, *_ = last_transitions(end["memory"], 1000)
    network = end["target_network"]  # as at the start: nothing has been learnt
    with torch.no_grad():
        if script == "dqn_discretized":
            q = network(obs)
        else:
            choices = torch.arange(4).view(1, 4, 1).expand(1000, -1, -1)
            q = network.q_values(network.obs_stream(obs), choices)
    assert (q.argmax(1) == actions.flatten()).float().mean() > 0.99  # but for rounding


def test_actions_stay_on_the_grid_until_the_given_step_in_evaluations_too(run_script):
    import toy_envs

    toy_envs.Recorder.actions.clear()
    flags = f"{tiny('qmle_continuous')} --env-id toy_envs:Recorder-v0 --total-timesteps 220"
    flags += " --eval-frequency 110 --eval-episodes 1 --discrete-until 110"
    flags += " --uniform-ratio 0.8 --delta-ratio 0.1 --categorical-ratio 0.1"
    end = run_script("qmle_continuous", flags)
    on_grid = [set(a.tolist()) <= {-1.0, 0.0, 1.0} for a in toy_envs.Recorder.actions]
    assert len(on_grid) == 110 + 20 + 110 + 20  # training, an evaluation of 20 steps, and again
    assert all(on_grid[:130]) and sum(on_grid[130:]) < 65
    actions = last_transitions(end["memory"], 220)[2]
    assert actions[:110].equal(actions[:110].round()) and not actions.equal(actions.round())


@scripts
def test_script_copied_alone_runs(script, tmp_path):
    shutil.copy(ROOT / f"{script}.py", tmp_path)
    flags = f"{tiny(script)} --env-id dm_control/cartpole-swingup-v0 --total-timesteps 200"
    process = run_process(
        tmp_path / f"{script}.py", f"{flags} --no-compile", tmp_path, PYTHONPATH=""
    )
    assert process.returncode == 0, process.stderr
    assert "run: runs" in process.stdout.splitlines()[-1] and "Warning" not in process.stderr
    assert {path.name for path in tmp_path.iterdir()} == {f"{script}.py", "runs"}


SHAPES = ["MatrixAction-v0", "DiscreteObservation-v0", "Nested-v0", "Bytes-v0", "Bodies-v0"]


@pytest.mark.parametrize(
    "env_id", [f"toy_envs:{name}" for name in SHAPES] + ["dm_control/quadruped-walk-v0"]
)
def test_other_shapes_and_bounds(env_id, run_script):
    flags = f"{tiny('qmle_continuous')} --env-id {env_id} --total-timesteps 130"
    end = run_script("qmle_continuous", flags)
    actions = last_transitions(end["memory"], 130)[2]
    assert (actions.abs() <= 1).all() and actions.std() > 0.1 and "metrics" in end


@pytest.mark.parametrize("script", LEARNING[1:])
@pytest.mark.parametrize(
    "env_id",
    ["CartPole-v1", "toy_envs:Start-v0", "toy_envs:MultiStart-v0", "toy_envs:MatrixAction-v0"],
)
def test_kinds_of_discrete_actions(script, env_id, run_script):
    flags = f"{tiny(script)} --env-id {env_id} --total-timesteps 130 --exploration-epsilon 0.5"
    end = run_script(script, flags)
    actions = last_transitions(end["memory"], 130)[2]
    for dimension, num_choices in enumerate(end["q_network"].num_choices.tolist()):
        assert set(actions[:, dimension].tolist()) == set(range(num_choices))


@pytest.mark.parametrize("script", [*LEARNING, "qmle_continuous_multiseed"])
@pytest.mark.parametrize("kind", ["RewardArray", "EndingArray"])
def test_numbers_that_are_arrays_of_one(script, kind, run_script):
    flags = f"{tiny(script)} --env-id toy_envs:{kind}-v0 --total-timesteps 130"
    run_script(script, flags + " --num-seeds 2" * ("multiseed" in script))
    assert len(rows(min(pathlib.Path("runs").iterdir()) / "episodes.csv")) == 1 + 130 // 20


@pytest.mark.parametrize("script", [*LEARNING, "qmle_continuous_multiseed"])
def test_a_physics_error_ends_the_episode_and_nothing_else(script, run_script, capfd):
    flags = f"{tiny(script)} --env-id toy_envs:Diverging-v0 --total-timesteps 210"
    run_script(script, flags + " --num-seeds 2" * ("multiseed" in script))
    run_dir = min(pathlib.Path("runs").iterdir())
    steps = [int(row.split(",")[0]) for row in rows(run_dir / "episodes.csv")[1:]]
    assert steps[:3] == [20, 27, 47]  # in the second episode the simulation diverges at step 7
    output = capfd.readouterr()
    assert "step 27" in output.out + output.err and "BADQACC" in output.out + output.err
    assert len(read_scalars(run_dir)["charts/physics_error"]) >= 1


def test_tracking_logs_each_episode_once_and_goes_on_as_the_same_run(tmp_path):
    script = ROOT / "qmle_continuous.py"
    flags = f"{tiny('qmle_continuous')} --env-id Pendulum-v1 --total-timesteps 650 --track"
    flags += " --no-compile --checkpoint-frequency 600"
    process = run_process(script, flags, tmp_path)
    assert process.returncode == 0, process.stderr
    (run_dir,) = tmp_path.glob("runs/*")
    assert not list(run_dir.glob("wandb*")) and len(list(run_dir.rglob("*"))) < 10
    renamed = run_dir.rename(run_dir.with_name("renamed"))
    process = run_process(script, "--resume . --total-timesteps 700", renamed)
    assert process.returncode == 0, process.stderr
    folders = [*tmp_path.glob("wandb/offline-run-*"), *renamed.glob("wandb/offline-run-*")]
    assert len(folders) == 2 and len({path.name.split("-")[-1] for path in folders}) == 1
    assert count_history(next(folders[0].glob("*.wandb"))) == 3  # one for each episode


def count_history(path):
    """Rows with a return in a W&B file: blocks of 32 KB, 7 bytes before each record."""
    from wandb.proto import wandb_internal_pb2

    data, at, text, count = path.read_bytes(), 7, b"", 0
    while at + 7 <= len(data):
        if 32768 - at % 32768 < 7:  # padding at the end of a block
            at += 32768 - at % 32768
            continue
        size, kind = int.from_bytes(data[at + 4 : at + 6], "little"), data[at + 6]
        text, at = text + data[at + 7 : at + 7 + size], at + 7 + size
        if kind in (1, 4):  # whole, or the last part
            record, text = wandb_internal_pb2.Record.FromString(text), b""
            keys = [item.key or item.nested_key[0] for item in record.history.item]
            count += "charts/episodic_return" in keys
    return count


@pytest.mark.slow
def test_video_of_the_evaluation(tmp_path):
    code = "from dm_control import suite; suite.load('walker', 'walk').physics.render(8, 8)"
    probe = [sys.executable, "-c", code]
    if subprocess.run(probe, env={"MUJOCO_GL": "egl"}, capture_output=True).returncode:
        pytest.skip("no EGL on this machine")
    flags = f"{tiny('qmle_continuous')} --total-timesteps 110 --eval-frequency 110"
    flags += " --eval-episodes 1"
    script = ROOT / "qmle_continuous.py"
    process = run_process(script, f"{flags} --no-compile --capture-video", tmp_path, MUJOCO_GL="")
    assert process.returncode == 0, process.stderr
    (video,) = tmp_path.glob("runs/*/videos/110/*.mp4")
    assert video.stat().st_size > 10_000
