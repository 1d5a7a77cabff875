"""The replay memory against brute force."""

import math

import numpy as np
import pytest
import qmle_continuous as script
import torch


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def make_memory(capacity, num, alpha=0.6, beta=0.2, group=1):
    exponents = dict(priority_exponent=alpha, importance_exponent=beta)
    args = script.Args(buffer_size=capacity, train_frequency=group, **exponents)
    memory = script.ReplayMemory(args, 2, 1, torch.device("cpu"))
    for i in range(num):
        obs = np.full(2, i, np.float32)
        memory.add(obs, np.full(1, i / 1000, np.float32), float(i), obs + 1, i % 3 == 0)
    return memory


def update_priorities(memory, indices, td_errors):
    memory.remember(indices, memory.a_max[indices], td_errors)


@pytest.mark.parametrize("group", [1, 2, 3, 7, 10])
def test_wrap_around_overwrites_the_oldest(group):
    memory = make_memory(10, 23, group=group)
    stored = 23 // group * group  # the others wait for their group to be complete
    assert sorted(memory.rewards.tolist()) == list(range(stored - 10, stored)) and memory.position == stored % 10
    assert memory.num_staged == 23 - stored
    assert memory.block_sums.tolist() == pytest.approx(memory.priorities.sum(1).tolist())
    for row in range(10):
        i = int(memory.rewards[row])
        assert memory.obs[row].tolist() == [i, i] and memory.next_obs[row].tolist() == [i + 1, i + 1]
        assert memory.actions[row].item() == memory.a_max[row].item() == pytest.approx(i / 1000)
        assert memory.terminated[row].item() == float(i % 3 == 0)


@pytest.mark.parametrize("capacity, num", [(1, 1), (2, 1), (7, 7), (10, 4), (1000, 300), (1000, 2500), (1024, 1024)])
def test_draws_and_weights_against_brute_force(capacity, num):
    memory = make_memory(capacity, num)
    stored = min(capacity, num)
    td_errors = torch.rand(stored) ** 3 * 10
    for chunk in torch.randperm(stored).split(17):
        update_priorities(memory, chunk, td_errors[chunk] * (-1) ** chunk)
    expected = (td_errors.double().abs() + 1e-6) ** 0.6
    assert memory.priorities.view(-1)[:stored].double().allclose(expected, rtol=1e-5)
    assert memory.block_sums.sum().item() == pytest.approx(expected.sum().item(), rel=1e-6)
    indices, weights = memory.sample(200_000)
    assert indices.max() < stored
    probability = expected / expected.sum()
    counts = indices.bincount(minlength=stored)
    z = (counts - 200_000 * probability) / (200_000 * probability * (1 - probability)).clamp(min=1).sqrt()
    assert z.abs().max() < 5.5
    brute = (stored * probability) ** -0.2
    assert weights.double().allclose((brute / brute.max())[indices], rtol=1e-4)
    assert weights.max() <= 1 + 1e-6


def test_new_transitions_enter_with_the_largest_priority_seen():
    memory = make_memory(100, 10)
    assert memory.priorities.view(-1)[:11].tolist() == [1.0] * 10 + [0.0]
    update_priorities(memory, torch.tensor([3, 4]), torch.tensor([-32.0, 0.5]))
    update_priorities(memory, torch.tensor([3]), torch.tensor([0.0]))  # the largest seen stays, though it is gone now
    memory.add(np.zeros(2, np.float32), np.zeros(1, np.float32), 0.0, np.zeros(2, np.float32), False)
    assert memory.priorities.view(-1)[10].item() == pytest.approx(32**0.6, rel=1e-5)
    assert memory.priorities.view(-1)[3].item() == pytest.approx(1e-6**0.6, rel=1e-4)


def test_of_a_row_drawn_twice_the_later_draw_counts():
    memory = make_memory(1000, 50)
    for _ in range(5):  # what an earlier call left behind must not matter
        indices = torch.randint(50, (200,))
        a_max, td_errors = torch.rand(200, 1), torch.rand(200) * 9
        memory.remember(indices, a_max, td_errors)
        for row in indices.unique():
            last = (indices == row).nonzero().max()
            assert memory.a_max[row] == a_max[last]
            assert memory.priorities.view(-1)[row].item() == pytest.approx((td_errors[last].item() + 1e-6) ** 0.6)


def test_exponent_zero_draws_uniformly_with_equal_weights():
    memory = make_memory(50, 50, alpha=0.0)
    update_priorities(memory, torch.arange(50), torch.rand(50) * 100)
    indices, weights = memory.sample(100_000)
    assert weights.tolist() == [1.0] * 100_000
    assert (indices.bincount(minlength=50) / 100_000 - 0.02).abs().max() < 0.0025


def test_huge_and_tiny_priorities_never_reach_an_empty_row():
    memory = make_memory(1000, 37)
    update_priorities(memory, torch.arange(37), torch.tensor([1e-12, 1e12] * 18 + [1e-12]))
    for _ in range(20):
        indices, weights = memory.sample(10_000)
        assert indices.max() < 37 and torch.isfinite(weights).all() and (weights > 0).all()


def test_uniform_extremes_stay_inside(monkeypatch):
    memory = make_memory(1000, 37)
    for value, expected in ((0.0, 0), (1 - 2.0**-53, 36)):
        monkeypatch.setattr(torch, "rand", lambda *size, value=value, **kwargs: torch.full(size, value, **kwargs))
        assert memory.sample(3)[0].tolist() == [expected] * 3


def test_a_draw_reads_about_the_square_root_of_the_memory():
    for capacity in (10_000, 1_000_000):
        memory = make_memory(capacity, 1)
        assert memory.block_sums.numel() + memory.block_size <= 2 * math.isqrt(capacity) + 2


def test_a_million_walker_transitions_take_at_most_280_megabytes():
    memory = script.ReplayMemory(script.Args(), 24, 6, torch.device("cpu"))
    storages = {
        v.untyped_storage().data_ptr(): v.untyped_storage().nbytes()
        for v in vars(memory).values()
        if torch.is_tensor(v)
    }
    assert 240e6 < sum(storages.values()) <= 280e6
