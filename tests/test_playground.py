"""qmle_playground.py."""

import sys

import numpy as np
import pytest
import torch
from conftest import refused, three_steps

jax = pytest.importorskip("jax")
suite = pytest.importorskip("mujoco_playground").dm_control_suite
import jax.numpy as jnp
import qmle_playground as script
from ml_collections import config_dict
from mujoco_playground import State

NAME = "qmle_playground"
TINY = "--num-envs 4 --updates-per-step 8 --width 8 --batch-size 16 --learning-starts 40"
TINY += " --eval-episodes 3 --total-timesteps 400"


class Toy:
    """obs: own number, time, last action; reward time. 1 terminates, -1 diverges."""

    observation_size, action_size = 3, 1

    def __init__(self, config, config_overrides):
        assert config_overrides == {"impl": "jax"}

    def reset(self, key):
        obs, zero = jnp.array([jax.random.uniform(key), 0, 0]), jnp.zeros(())
        return State({}, obs, zero, zero, {}, {})

    def step(self, state, action):
        (own, time, _), last = state.obs, jnp.where(action[0] == -1, jnp.nan, action[0])
        obs, done = jnp.stack([own, time + 1, last]), (abs(action[0]) == 1).astype(float)
        return state.replace(obs=obs, reward=time + 1, done=done)


suite.register_environment("Toy", Toy, lambda: config_dict.create(episode_length=10))


def play(seed, spread=False, num_envs=4):
    envs = script.Envs(*script.load_env("Toy"), num_envs)
    seen, rows, stats = [envs.reset(seed, spread)], [], []
    actions = torch.zeros(25, num_envs, 1)
    actions[[3, 5], [1, 2]] = torch.tensor([[1.0], [-1.0]])  # terminates, diverges
    for action in actions:
        made = envs.step(jax.dlpack.from_dlpack(action))
        for own, new in zip((seen, rows, stats), made, strict=True):
            own.append(torch.tensor(np.array(new)))
    assert envs.step_envs._cache_size() == envs.reset_envs._cache_size() == 1  # compiled once
    return map(torch.stack, (seen, rows, stats))


def test_ends_and_next_observations():
    seen, rows, stats = play(0)
    obs, reached, _, rewards, terminated, ended = rows.split([3, 3, 1, 1, 1, 1], -1)
    ended, time = ended[..., 0] > 0, obs[..., 1] + 1
    ends = [31, 52, 90, 93, 131, 152, 190, 193, 231]  # step, environment
    assert obs.equal(seen[:-1]) and ended.nonzero().tolist() == [[*divmod(x, 10)] for x in ends]
    assert terminated[..., 0].nonzero().tolist() == [[3, 1]] and rewards.isfinite().all()
    assert reached[5, 2].equal(obs[5, 2]) and rewards[5, 2] == 0  # leads nowhere
    time[5, 2] -= 1
    assert reached[..., 1].equal(time) and reached[..., 0].equal(obs[..., 0])
    assert not seen[1:][ended][:, 1:].any() and seen[1:][~ended].equal(reached[~ended])
    assert len({*seen[..., 0].flatten().tolist()}) == 4 + 9
    assert stats[[3, 5, 9]].tolist() == [[1, 10, 0, 1], [1, 15, 1, 1], [2, 110, 0, 2]]
    assert [*play(0)][1].equal(rows) and not [*play(1)][1].equal(rows)


def test_first_episodes_differ():
    _, rows, stats = play(0, spread=True, num_envs=64)
    lengths = (rows[..., -1] > 0).int().argmax(0) + 1
    assert {*lengths.tolist()} == {*range(1, 11)} and stats[:9, 0].sum() <= 2


def test_n_step_batch_against_brute_force():
    args = script.Args(buffer_size=23, num_envs=3, n_step=3, gamma=0.5, max_value=8.0)
    memory, made = script.ReplayMemory(args, 1, 1, "cpu"), torch.randn(11, 3, 6)
    made[..., 4:] = 0  # terminated, ended
    made[[2, 5, 6, 8], [0, 0, 0, 1], 5] = 1
    made[[2, 6, 8], [0, 0, 1], 4] = 1
    for row in made:  # the last 7 stay
        memory.add(row)
    batch = torch.stack([x.view(21) for x in memory.n_step_batch(torch.arange(21))], 1)
    for k in range(3):
        for t in range(4, 11):
            last, total, discount = three_steps(*made[:, k, 3:].T, t)
            expected = [made[t, k, 0], made[last, k, 1], made[t, k, 2], total / 8, discount]
            assert batch[t % 7 * 3 + k].allclose(torch.tensor(expected))


def test_refusals(run, monkeypatch):
    assert "CheetahRun" in refused(run, NAME, "--env-id Go1Handstand")
    for flags in ("--buffer_size 9", "--num_envs 9", f"--buffer_size {10**12}"):
        assert flags.replace(" ", " is ") in refused(run, NAME, f"--env-id WalkerRun {flags}")
    monkeypatch.setitem(sys.modules, "mujoco_playground", None)
    assert "pip install playground" in refused(run, NAME, "")


@pytest.mark.parametrize("env_id, num", [("Toy", 2), ("CartpoleBalance", 1)])
def test_runs_repeat_and_evaluate(env_id, num, run, play):
    flags = f"{TINY} --env-id {env_id}" + " --eval-frequency 200" * (num - 1)
    runs = [run(NAME, flags) for _ in range(num)]
    for end in runs:
        assert end["optimizer"].state[end["learnt"][0]]["step"] == 8 * 90
        assert end["memory"].num_stored == 100 and end["memory"].rows[:100].isfinite().all()
        assert all(map(torch.equal, end["learnt"], runs[0]["learnt"]))
    if num == 1:
        return
    for name, length in (("episodes.csv", 11), ("eval.csv", 3)):
        one, two = ([x.split(",")[::2] for x in (e["run_dir"] / name).open()] for e in runs)
        assert one == two and len(one) >= length
    assert play(NAME, run_dir := runs[0]["run_dir"]) == pytest.approx(float(one[2][1]))
    assert "network" in refused(run, NAME, f"--evaluate-only {run_dir} --width 9")
