"""The replay memory against brute force."""

import numpy as np
import pytest
import qmle_continuous as script
import torch


def make_memory(capacity, num, alpha=0.6, beta=0.2, group=1):
    flags = {"priority_exponent": alpha, "importance_exponent": beta, "buffer_size": capacity}
    memory = script.ReplayMemory(script.Args(**flags), 2, 1, torch.device("cpu"))
    for i in range(num):
        obs = np.full(2, i, np.float32)
        memory.add(obs, np.full(1, i / 1000, np.float32), float(i), obs + 1, i % 3 == 0)
        if (i + 1) % group == 0:
            memory.store()
    return memory


def set_td_errors(memory, indices, td_errors):
    memory.remember(indices, memory.a_max[indices].clone(), td_errors)


@pytest.mark.parametrize("group", [1, 7, 23])
def test_wrap_around_overwrites_the_oldest(group):
    memory = make_memory(10, 23, group=group)
    stored = 23 // group * group  # the others wait for store
    obs, next_obs, actions, a_max, rewards, terminated = memory.rows.split(memory.sizes, dim=1)
    assert sorted(rewards[:, 0].tolist()) == list(range(stored - 10, stored))
    for row in range(10):
        i = int(rewards[row])
        assert obs[row].tolist() == [i, i] and next_obs[row].tolist() == [i + 1, i + 1]
        assert actions[row].item() == a_max[row].item() == pytest.approx(i / 1000)
        assert terminated[row].item() == float(i % 3 == 0)
    memory.store()
    memory.store()  # nothing is left, nothing happens
    assert sorted(memory.rows[:, -2].tolist()) == list(range(13, 23))


@pytest.mark.parametrize("capacity, num", [(1, 1), (7, 7), (10, 4), (1000, 300), (3500, 8000)])
def test_draws_and_weights_against_brute_force(capacity, num):
    memory, stored = make_memory(capacity, num), min(capacity, num)
    td_errors = torch.rand(stored) ** 3 * 10
    for chunk in torch.randperm(stored).split(17):
        set_td_errors(memory, chunk, td_errors[chunk] * (-1) ** chunk)
    expected = (td_errors.double().abs() + 1e-6) ** 0.6
    assert memory.priorities[:stored].double().allclose(expected, rtol=1e-5)
    indices, batch, weights = memory.sample(20_000)
    assert indices.max() < stored and torch.cat(batch, 1).equal(memory.rows[indices])
    chance = expected / expected.sum()
    deviation = (20_000 * chance * (1 - chance)).clamp(min=1).sqrt()
    z = (indices.bincount(minlength=stored) - 20_000 * chance) / deviation
    assert z.abs().max() < 5.5
    brute = (stored * chance) ** -0.2
    assert weights.double().allclose((brute / brute.max())[indices], rtol=1e-4)
    assert weights.max() <= 1 + 1e-6


def test_new_transitions_enter_with_the_largest_priority_seen():
    memory = make_memory(100, 10)
    assert memory.priorities[:11].tolist() == [1.0] * 10 + [0.0]
    set_td_errors(memory, torch.tensor([3, 4]), torch.tensor([-32.0, 0.5]))
    set_td_errors(memory, torch.tensor([3]), torch.tensor([0.0]))  # the largest seen stays
    set_td_errors(memory, torch.tensor([0, 0]), torch.tensor([99.0, 0.1]))  # of all the draws
    memory.add(np.zeros(2), np.zeros(1), 0.0, np.zeros(2), False)
    memory.store()
    assert memory.priorities[10].item() == pytest.approx(99**0.6, rel=1e-5)
    assert memory.priorities[3].item() == pytest.approx(1e-6**0.6, rel=1e-4)


def test_huge_and_tiny_priorities_never_reach_an_empty_row():
    memory = make_memory(3000, 37)
    set_td_errors(memory, torch.arange(37), torch.tensor([1e-12, 1e12] * 18 + [1e-12]))
    indices, _, weights = memory.sample(30_000)
    assert indices.max() < 37 and torch.isfinite(weights).all() and (weights > 0).all()


def test_uniform_extremes_stay_inside(monkeypatch):
    memory = make_memory(3000, 1037)
    for value, expected in ((0.0, 0), (1 - 2.0**-53, 1036)):
        full = lambda *size, value=value, **how: torch.full(size, value, **how)  # noqa: E731
        monkeypatch.setattr(torch, "rand", full)
        assert memory.sample(3)[0].tolist() == [expected] * 3


def test_many_seeds_draw_each_from_their_own_rows():
    args = script.Args(buffer_size=1500)
    memory = script.ReplayMemory(args, 2, 1, torch.device("cpu"), seeds=(3,))
    for i in range(1400):
        obs = np.stack([np.full(2, 1000 * k + i, np.float32) for k in range(3)])
        memory.add(obs, np.zeros((3, 1)), np.arange(3.0) + i, obs + 1, np.array([0, 1, 0]))
    memory.store()
    td_errors = torch.rand(3, 1400) * torch.tensor([[1.0], [10.0], [100.0]])
    memory.remember(torch.arange(1400).expand(3, -1), torch.rand(3, 1400, 1), td_errors)
    indices, batch, weights = memory.sample(10_000)
    assert indices.shape == weights.shape == (3, 10_000)
    for k in range(3):
        assert torch.cat(batch, -1)[k].equal(memory.rows[k, indices[k]])
        chance = (td_errors[k].double() + 1e-6) ** 0.6
        counts = indices[k].bincount(minlength=1400)
        assert torch.corrcoef(torch.stack([counts.double(), chance]))[0, 1] > 0.7
        expected = (chance / chance.min()) ** -0.2
        assert weights[k].double().allclose(expected[indices[k]], rtol=1e-4)
    assert memory.max_priority.shape == (3, 1) and memory.max_priority[2] > memory.max_priority[0]
