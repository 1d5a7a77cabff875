"""Whole runs of each script, on the real environment."""

import csv
import json
import math
import shutil
import subprocess
import sys

import pytest
import torch
from conftest import ROOT, read_scalars, run_process

SCRIPTS = ["qmle_continuous", "qmle_discrete", "dqn_discretized"]
LITTLE = "--batch-size 32 --buffer-size 5000"
SEARCH = "--num-target-samples 10 --num-greedy-samples 50"
SMALL = f"{LITTLE} {SEARCH}"


def small(script):
    """Flags for a quick run of any of the scripts."""
    return LITTLE if script == "dqn_discretized" else SMALL


def count_calls(monkeypatch, cls, name):
    calls, original = [], getattr(cls, name)

    def counted(self, *args, **kwargs):
        calls.append({k: v.clone() for k, v in args[0].items()} if args else None)
        return original(self, *args, **kwargs)

    monkeypatch.setattr(cls, name, counted)
    return calls


@pytest.mark.parametrize("script", SCRIPTS)
@pytest.mark.parametrize(
    "frequency, target_frequency, updates, copies",
    # Learning precedes the step, so it can happen when 100 to 299 steps are done: after 105, ..., 294 of them for 7;
    # target copies likewise, after 120, ..., 270 for 30, and only after 200 for 200.
    [(10, 50, 20, 4), (7, 30, 28, 6), (1, 200, 200, 1)],
)
def test_exact_number_of_updates_and_target_copies(
    script, frequency, target_frequency, updates, copies, run_script, monkeypatch
):
    weights, step = [], torch.optim.Adam.step

    def counted_step(self):
        step(self)
        weights.append([p.detach().clone() for p in self.param_groups[0]["params"]])

    monkeypatch.setattr(torch.optim.Adam, "step", counted_step)
    loads = count_calls(monkeypatch, torch.nn.Module, "load_state_dict")
    flags = f"{small(script)} --env-id dm_control/walker-walk-v0 --total-timesteps 300 --learning-starts 100"
    flags += f" --train-frequency {frequency}"
    end = run_script(script, f"{flags} --target-network-frequency {target_frequency}")
    assert len(weights) == end["num_updates"] == updates
    assert len(loads) == copies + 1  # and the one before the first step
    # A copy holds the weights after all updates up to its step: the last copy's, against those kept after each update.
    last_copy = max(step for step in range(100, 300) if step % target_frequency == 0)
    num_before = sum(step % frequency == 0 for step in range(100, last_copy + 1))
    kept = [torch.cat([p.flatten() for p in state]) for state in weights]
    copied = torch.cat([p.flatten() for p in end["target_network"].parameters()])
    assert [copied.equal(state) for state in kept].index(True) == num_before - 1
    initial = loads[0]  # the weights that the target network got at the start
    online, target = end["q_network"].state_dict(), end["target_network"].state_dict()
    assert all(not online[name].equal(initial[name]) for name in initial)
    assert all(not target[name].equal(initial[name]) for name in initial)
    assert not all(online[name].equal(target[name]) for name in initial)


@pytest.mark.parametrize("script", SCRIPTS)
def test_default_settings_on_walker_walk_leave_the_documented_outputs(script, tmp_path):
    flags = "--env-id dm_control/walker-walk-v0 --total-timesteps 1200 --eval-frequency 600 --eval-episodes 1"
    process = run_process(ROOT / f"{script}.py", f"{flags} --save-model", tmp_path)  # compiled, as a user runs it
    assert process.returncode == 0 and "--compile" not in process.stderr, process.stderr
    (run_dir,) = tmp_path.glob("runs/*")
    assert run_dir.parent.name == "runs" and run_dir.name.startswith(f"dm_control_walker-walk-v0__{script}__1__")
    (episode,) = csv.DictReader((run_dir / "episodes.csv").open())
    assert list(episode) == ["global_step", "episodic_return", "episodic_length", "wall_time"]
    assert (episode["global_step"], episode["episodic_length"]) == ("1000", "1000")
    assert 0 < float(episode["episodic_return"]) < 1000
    evaluations = list(csv.DictReader((run_dir / "eval.csv").open()))
    assert [row["global_step"] for row in evaluations] == ["600", "1200"]
    config = json.loads((run_dir / "config.json").read_text())
    assert config["args"]["seed"] == 1 and config["args"]["batch_size"] == 256
    assert config["versions"]["torch"].startswith("2.") and config["versions"]["mujoco"].startswith("3.")
    scalars = read_scalars(run_dir)
    documented = {
        "charts/episodic_return", "charts/episodic_length", "charts/SPS", "charts/initial_q_gap",
        "losses/td_loss", "losses/q_values", "eval/episodic_return",
    }  # fmt: skip
    if script.startswith("qmle"):
        names = ("share_uniform", "share_categorical", "share_stored", "refresh_gain")
        documented |= {"losses/categorical_loss"} | {f"argmax/{name}" for name in names}
    if script == "qmle_continuous":
        documented |= {"losses/delta_loss", "argmax/share_delta"}
    assert set(scalars) == documented
    assert len(scalars["losses/td_loss"]) == 2  # updates 1 and 11 of 20
    compiles = script != "dqn_discretized" or torch.cuda.is_available()
    assert config["args"]["compile"] == compiles and config["args"]["cudagraphs"]
    assert all(math.isfinite(value) for series in scalars.values() for _, value in series)
    readme = (ROOT / "README.md").read_text()
    assert all(f"`{tag}`" in readme for tag in documented)

    # the saved model plays; the same seed gives the same returns, whatever the flags of the training were
    played = [
        run_process(ROOT / f"{script}.py", f"--evaluate-only {run_dir / 'model.pt'} --eval-episodes 1", tmp_path)
        for _ in range(2)
    ]
    assert all(process.returncode == 0 for process in played), played[0].stderr
    assert "mean return of 1 greedy episodes" in played[0].stdout and played[0].stdout == played[1].stdout


@pytest.mark.parametrize("script", SCRIPTS)
def test_same_seed_same_run_evaluated_or_not(script, run_script):
    flags = f"{small(script)} --env-id Pendulum-v1 --total-timesteps 650 --learning-starts 100"
    runs = []
    for extra in ("--seed 3", "--seed 3", "--seed 3 --eval-frequency 150 --eval-episodes 2", "--seed 4"):
        run_dir = run_script(script, f"{flags} {extra}")["run_dir"]
        scalars = read_scalars(run_dir)
        del scalars["charts/SPS"]
        scalars.pop("eval/episodic_return", None)
        episodes = [row[:3] for row in csv.reader((run_dir / "episodes.csv").open())]
        runs.append((scalars, episodes))
    assert len(runs[0][1]) == 4 and len(runs[0][0]["losses/td_loss"]) == 6
    assert runs[0] == runs[1] == runs[2]
    assert runs[0] != runs[3]


def test_actions_stay_on_the_grid_until_the_given_step(run_script):
    flags = f"{SMALL} --env-id Pendulum-v1 --total-timesteps 400 --learning-starts 50 --delta-ratio 0.1"
    end = run_script("qmle_continuous", f"{flags} --uniform-ratio 0.8 --categorical-ratio 0.1 --discrete-until 250")
    actions = end["memory"].actions[:400]
    on_grid = (actions == actions.round()).all(1)
    assert on_grid[:250].all() and not on_grid[250:].all()
    end = run_script("qmle_continuous", f"{flags} --uniform-ratio 0.8 --categorical-ratio 0.1 --discrete-until 400")
    assert end["memory"].a_max.equal(end["memory"].a_max.round())
    assert not (end["memory"].a_max == end["memory"].actions).all()  # and yet it was rewritten


@pytest.mark.parametrize("script", SCRIPTS)
def test_transitions_are_stored_as_they_happened(script, run_script):
    flags = f"{small(script)} --env-id toy_envs:TwoEndings-v0 --total-timesteps 300 --learning-starts 200"
    end = run_script(script, flags)
    memory, rows = end["memory"], 300
    count, episode = memory.obs[:rows, 0], memory.obs[:rows, 1]  # the toy observes its step and its episode
    assert memory.next_obs[:rows, 0].equal(count + 1) and memory.next_obs[:rows, 1].equal(episode)
    last = memory.next_obs[:rows, 0] == torch.where(
        episode % 2 == 0, 7, 10
    )  # even ones terminate at 7, others run to 10
    assert memory.terminated[:rows].equal((last & (episode % 2 == 0)).float())
    assert 30 < last.sum() < 40 and last[:-1].equal(count[1:] == 0)
    assert memory.rewards[:rows].equal(count + 100 * episode)
    lengths = [int(row["episodic_length"]) for row in csv.DictReader((end["run_dir"] / "episodes.csv").open())]
    assert lengths == [7, 10] * (len(lengths) // 2) + [7] * (len(lengths) % 2)


@pytest.mark.parametrize("script", SCRIPTS)
def test_q_at_the_start_is_held_against_the_return(script, run_script):
    flags = f"{small(script)} --env-id toy_envs:TwoEndings-v0 --total-timesteps 17 --learning-starts 16 --gamma 0.5"
    scalars = read_scalars(run_script(script, flags)["run_dir"])
    gaps = [value for _, value in scalars["charts/initial_q_gap"]]
    first = sum(0.5**i * i for i in range(7))  # the reward is the step, plus 100 times the episode
    second = sum(0.5**i * (i + 100) for i in range(10))
    assert abs(gaps[0] + first) < 1 and abs(gaps[1] + second) < 1  # Q of an untrained network is near 0


def test_share_of_random_actions_while_training(run_script):
    flags = f"{SMALL} --env-id Pendulum-v1 --total-timesteps 2000 --learning-starts 1999"
    # a categorical predictor alone only ever acts on the grid, so what is off the grid was exploration
    end = run_script("qmle_continuous", f"{flags} --uniform-ratio 0 --delta-ratio 0 --categorical-ratio 1")
    explored = end["memory"].actions[:2000] != end["memory"].actions[:2000].round()
    assert 150 < explored.sum() < 250  # 4 s.d. are 54


@pytest.mark.parametrize("script", SCRIPTS[1:])
def test_exploration_of_discrete_actions(script, run_script):
    flags = f"{small(script)} --env-id toy_envs:Start-v0 --total-timesteps 1000 --learning-starts 999"
    actions = run_script(script, f"{flags} --exploration-epsilon 1")["memory"].actions[:1000, 0]
    assert ((actions.long().bincount(minlength=4) - 250).abs() < 60).all()  # 4 s.d. are 55
    end = run_script(script, f"{flags} --exploration-epsilon 0")
    torch.manual_seed(1)
    network = type(end["q_network"])(3, (4,), *([False] if script == "qmle_discrete" else []))
    obs, actions = end["memory"].obs[:1000], end["memory"].actions[:1000, 0]
    with torch.no_grad():
        if script == "dqn_discretized":
            q = network(obs)
        else:
            q = network.q_values(network.obs_stream(obs), torch.arange(4).view(1, 4, 1).expand(1000, -1, -1))
    assert (q.argmax(1) == actions).float().mean() > 0.99  # but for rounding: batches of other sizes


def test_evaluation_is_on_the_grid_as_long_as_training_is(run_script, monkeypatch):
    flags = f"{SMALL} --env-id toy_envs:Recorder-v0 --total-timesteps 120 --learning-starts 100 --eval-frequency 60"
    import toy_envs

    toy_envs.Recorder.actions.clear()
    run_script("qmle_continuous", f"{flags} --eval-episodes 1 --discrete-until 60 --exploration-epsilon 0")
    actions = [set(a.tolist()) <= {-1.0, 0.0, 1.0} for a in toy_envs.Recorder.actions]
    assert len(actions) == 60 + 20 + 60 + 20  # training, evaluation (one episode of 20 steps), and again
    assert all(actions[:80]) and sum(actions[80:]) < 40  # the categorical predictor's samples may still win


@pytest.mark.parametrize("script", SCRIPTS)
def test_script_copied_alone_runs(script, tmp_path):
    shutil.copy(ROOT / f"{script}.py", tmp_path)
    flags = f"{small(script)} --env-id dm_control/cartpole-swingup-v0 --total-timesteps 200 --learning-starts 100"
    flags += " --no-compile"
    process = run_process(tmp_path / f"{script}.py", flags, tmp_path, PYTHONPATH="")
    assert process.returncode == 0, process.stderr
    assert "run: runs" in process.stdout.splitlines()[-1] and "Warning" not in process.stderr
    assert {path.name for path in tmp_path.iterdir()} == {f"{script}.py", "runs"}


@pytest.mark.parametrize(
    "env_id",
    ["toy_envs:MatrixAction-v0", "toy_envs:DiscreteObservation-v0", "dm_control/quadruped-walk-v0", "Pendulum-v1"],
)
def test_other_shapes_and_bounds(env_id, run_script):
    end = run_script("qmle_continuous", f"{SMALL} --env-id {env_id} --total-timesteps 130 --learning-starts 100")
    assert end["num_updates"] == 3 and end["memory"].actions.abs().max() <= 1


@pytest.mark.parametrize("script", SCRIPTS[1:])
@pytest.mark.parametrize(
    "env_id", ["CartPole-v1", "toy_envs:Start-v0", "toy_envs:MultiStart-v0", "toy_envs:MatrixAction-v0"]
)
def test_kinds_of_discrete_actions(script, env_id, run_script):
    flags = f"{small(script)} --env-id {env_id} --total-timesteps 130 --learning-starts 100 --exploration-epsilon 0.5"
    end = run_script(script, flags)
    assert end["num_updates"] == 3
    actions, num_choices = end["memory"].actions[:100], end["q_network"].num_choices
    assert all(set(actions[:, dim].tolist()) == set(range(n)) for dim, n in enumerate(num_choices.tolist()))


@pytest.mark.parametrize("script", SCRIPTS[:1])
def test_track_works_offline(script, tmp_path):
    flags = f"{SMALL} --env-id Pendulum-v1 --total-timesteps 250 --learning-starts 100 --track --no-compile"
    process = run_process(ROOT / f"{script}.py", flags, tmp_path)
    assert process.returncode == 0, process.stderr
    assert len(list(tmp_path.glob("runs/*/wandb/offline-run-*"))) == 1


def egl_renders():
    code = "from dm_control import suite; suite.load('walker', 'walk').physics.render(8, 8)"
    return not subprocess.run([sys.executable, "-c", code], env={"MUJOCO_GL": "egl"}, capture_output=True).returncode


@pytest.mark.slow
@pytest.mark.parametrize("script", SCRIPTS[:1])
def test_video_of_the_evaluation(script, tmp_path):
    if not egl_renders():
        pytest.skip("no EGL on this machine")
    flags = (
        f"{SMALL} --total-timesteps 110 --learning-starts 100 --eval-frequency 110 --eval-episodes 1 --capture-video"
        " --no-compile"
    )
    process = run_process(ROOT / f"{script}.py", flags, tmp_path, MUJOCO_GL="egl")
    assert process.returncode == 0, process.stderr
    (video,) = tmp_path.glob("runs/*/videos/110/*.mp4")
    assert video.stat().st_size > 10_000
