"""The replay memory against brute force."""

import numpy as np
import qmle_continuous as script
import torch
from pytest import approx, mark


def make_memory(capacity, num, group=1, seeds=()):
    args = script.Args(buffer_size=capacity, priority_exponent=0.6, importance_exponent=0.2)
    memory = script.ReplayMemory(args, 2, 1, torch.device("cpu"), seeds=seeds)
    for i in range(num):
        first = i + 10_000 * np.arange(seeds[0]) if seeds else np.array(i)
        obs, one = np.stack([first, first], axis=-1), np.ones(seeds)
        memory.add(obs, first[..., None] / 1000, i * one, obs + 1, (i % 3 == 0) * one)
        if (i + 1) % group == 0:
            memory.store()
    return memory


def set_td_errors(memory, indices, td_errors):
    a_max = torch.take_along_dim(memory.a_max, indices.unsqueeze(-1), dim=-2)
    memory.remember(indices, a_max, td_errors)


@mark.parametrize("group", [1, 7, 23])
def test_wrap_around(group):
    memory = make_memory(10, 23, group=group)
    stored = 23 // group * group  # the others wait for store
    assert sorted(memory.rows[:, -2].tolist()) == list(range(stored - 10, stored))
    for row in memory.rows.tolist():
        i = row[-2]
        assert row == approx([i, i, i + 1, i + 1, i / 1000, i / 1000, i, float(i % 3 == 0)])
    memory.store()
    memory.store()  # nothing is left
    assert sorted(memory.rows[:, -2].tolist()) == list(range(13, 23))


SIZES = [(1, 1, ()), (10, 4, ()), (1000, 300, ()), (3500, 8000, ()), (1500, 1400, (3,))]


@mark.parametrize("capacity, num, seeds", SIZES)
def test_draws_and_weights(capacity, num, seeds):
    memory, stored = make_memory(capacity, num, seeds=seeds), min(capacity, num)
    td_errors = torch.rand(*seeds, stored) ** 3 * 10
    for chunk in torch.randperm(stored).split(17):
        set_td_errors(memory, chunk.expand(*seeds, -1), td_errors[..., chunk] * (-1) ** chunk)
    expected = (td_errors.double().abs() + 1e-6) ** 0.6
    assert memory.priorities[..., :stored].double().allclose(expected, rtol=1e-5)
    largest = expected.amax(-1, keepdim=True).clamp(min=1)
    assert memory.max_priority.double().allclose(largest)
    all_indices, batch, all_weights = memory.sample(20_000)
    assert all_indices.shape == all_weights.shape == (*seeds, 20_000)
    for k in range(3) if seeds else [...]:
        indices, rows, weights = all_indices[k], torch.cat(batch, -1)[k], all_weights[k]
        assert indices.max() < stored and rows.equal(memory.rows[k][indices])
        mean = 20_000 * expected[k] / expected[k].sum()
        deviation = (mean * (1 - mean / 20_000)).clamp(min=1).sqrt()
        assert ((indices.bincount(minlength=stored) - mean) / deviation).abs().max() < 5.5
        brute = mean**-0.2  # any factor cancels
        assert weights.double().allclose((brute / brute.max())[indices], rtol=1e-4)


def test_new_ones_have_the_largest_priority():
    memory = make_memory(100, 10)
    assert memory.priorities[:11].tolist() == [1.0] * 10 + [0.0]
    set_td_errors(memory, torch.tensor([3, 4]), torch.tensor([-32.0, 0.5]))
    set_td_errors(memory, torch.tensor([3]), torch.tensor([0.0]))  # the largest seen stays
    set_td_errors(memory, torch.tensor([0, 0]), torch.tensor([99.0, 0.1]))  # of all the draws
    memory.add(np.zeros(2), np.zeros(1), 0.0, np.zeros(2), False)
    memory.store()
    assert memory.priorities[10].item() == approx(99**0.6, rel=1e-5)
    assert memory.priorities[3].item() == approx(1e-6**0.6, rel=1e-4)


def test_huge_and_tiny_priorities():
    memory = make_memory(3000, 37)
    set_td_errors(memory, torch.arange(37), torch.tensor([1e-12, 1e12] * 18 + [1e-12]))
    indices, _, weights = memory.sample(30_000)
    assert indices.max() < 37 and torch.isfinite(weights).all() and (weights > 0).all()


def test_uniform_extremes_stay_inside(patch):
    memory = make_memory(3000, 1037)
    for value, expected in ((0.0, 0), (1 - 2.0**-53, 1036)):
        full = lambda *size, value=value, **how: torch.full(size, value, **how)
        patch(torch, "rand", full)
        assert memory.sample(3)[0].tolist() == [expected] * 3
