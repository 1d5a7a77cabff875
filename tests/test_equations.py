"""Every equation against numbers by hand or a slow computation."""

import itertools
import math
import types

import numpy as np
import qmle_continuous as script
import torch
from pytest import approx, mark

RATIOS = [(0.9, 0.01, 0.09), (0.0, 0.0, 1.0), (0.29, 0.3, 0.41), (1 / 3, 1 / 3, 1 / 3)]


def make_args(uniform, delta, categorical):
    return script.Args(uniform_ratio=uniform, delta_ratio=delta, categorical_ratio=categorical)


def test_budget():
    for m, ratios in itertools.product(range(1, 201), RATIOS):
        counts, exact = script.split_budget(m, ratios), m * np.array(ratios)
        assert sum(counts) == m and (abs(counts - exact) < np.where(exact, 1 + 1e-9, 1e-9)).all()
    for m, ratios, expected in [
        (1000, RATIOS[0], (900, 10, 90)),
        (1, (0.5, 0.5, 0.0), (1, 0, 0)),  # the earlier of a tie
        (10, (0.15, 0.15, 0.7), (2, 1, 7)),
        (100, (0.29, 0.3, 0.41), (29, 30, 41)),  # 0.29 * 100 is less in floats
    ]:
        assert script.split_budget(m, ratios) == expected


def test_grid_points():
    assert script.bin_value(torch.arange(5), 5).tolist() == [-1, -0.5, 0, 0.5, 1]
    coordinates = torch.tensor([-1.0, -0.51, -0.49, 0.0, 0.49, 0.51, 1.0])
    assert script.nearest_bin(coordinates, 3).tolist() == [0, 0, 1, 1, 1, 2, 2]
    assert script.nearest_bin(script.bin_value(torch.arange(11), 11), 11).equal(torch.arange(11))


def test_uniform_samples_fill_the_box():
    samples = script.sample_uniform((10_000, 3))
    counts = torch.histc(samples, 10, -1, 1)
    assert (counts - 3000).abs().max() < 300 and counts.sum() == 30_000  # 5 s.d. are 260
    assert (torch.corrcoef(samples.T) - torch.eye(3)).abs().max() < 0.05
    values, counts = script.sample_uniform((50, 200, 2), 5).unique(return_counts=True)
    assert values.tolist() == [-1, -0.5, 0, 0.5, 1] and (counts - 4000).abs().max() < 300


def draw(mode, logits, num, args):
    """Samples of predictors that say mode (B, A) and logits (B, A, K), whatever the features."""
    predictors = {"delta_predictor": lambda _: mode, "categorical_predictor": lambda _: logits}
    return script.sample_actions(types.SimpleNamespace(**predictors), None, num, args)


def test_delta_samples():
    mode, args = torch.tensor([[0.2, -0.3], [0.99, -1.0]]), make_args(0, 1, 0)
    samples = draw(mode, torch.zeros(2, 2, 3), 4001, args)
    assert samples.shape == (2, 4001, 2) and samples[:, 0].equal(mode)  # itself first
    noise = samples[0, 1:] - mode[0]
    assert noise.mean(0).abs().max() < 0.01 and (noise.std(0) - 0.1).abs().max() < 0.006
    assert abs(torch.corrcoef(noise.T)[0, 1]) < 0.08  # independent per dimension
    assert samples.abs().max() == 1
    assert 0.45 < (samples[1, 1:, 1] == -1).float().mean() < 0.55  # half is clipped at a bound
    args.delta_noise_std, args.on_grid = 0.2, True
    grid = draw(mode, torch.zeros(2, 2, 3), 4001, args)
    assert set(grid.unique().tolist()) == {-1.0, 0.0, 1.0} and grid[0, 0].tolist() == [0, 0]


def test_categorical_samples():
    chances = torch.tensor([[[0.7, 0.2, 0.1], [0.0, 0.5, 0.5]]])  # (B, A, K)
    samples = draw(torch.zeros(1, 2), chances.log(), 20_000, make_args(0, 0, 1))
    shares = torch.stack([(samples == value).float().mean(1) for value in (-1, 0, 1)], dim=-1)
    assert (shares - chances).abs().max() < 0.02
    both = ((samples[0, :, 0] == -1) & (samples[0, :, 1] == 0)).float().mean()
    assert abs(both - 0.35) < 0.02  # 0.7 * 0.5


@mark.parametrize("ratios", RATIOS)
def test_search_set_numbers_m(ratios):
    network = script.QNetwork(5, 3, 3)
    features = network.obs_stream(torch.randn(4, 5))
    for m in (1, 2, 7, 100):
        samples = script.sample_actions(network, features, m, make_args(*ratios))
        assert samples.shape == (4, m, 3) and samples.abs().max() <= 1
        num_uniform, num_delta, num_categorical = script.split_budget(m, ratios)
        if num_delta:
            assert samples[:, num_uniform].allclose(network.delta_predictor(features))
        last = samples[:, m - num_categorical :]
        assert last.equal(last.round())


@mark.parametrize("num_states", [6, 300])  # 300 states of 40 actions take several parts
def test_argmax_against_brute_force(num_states):
    network = script.QNetwork(5, 3, 3)
    features = network.obs_stream(torch.randn(num_states, 5))
    actions = script.sample_uniform((num_states, 40, 3))
    a_max, values, index = script.argmax_action(network, features, actions)
    for i in range(0, num_states, 5):
        q = [network.q_values(features[[i]], a.view(1, 1, 3)).item() for a in actions[i]]
        assert index[i] == np.argmax(q) and a_max[i].equal(actions[i, index[i]])
        assert values[i].item() == approx(max(q), abs=1e-6)


def test_number_of_parameters():
    blocks = 2 * 129 * 128 + 2 * 257 * 256  # of two layers
    streams = 25 * 128 + 7 * 128 + blocks + 257
    norms, predictors = 2 * (128 + 128 + 256), 2 * 129 * 128 + 129 * 6 + 129 * 18
    counted = sum(p.numel() for p in script.QNetwork(24, 6, 3).parameters())
    assert counted == streams + norms + predictors


def test_sharing_the_observation_half():
    network = script.QNetwork(5, 3, 3)
    features, actions = network.obs_stream(torch.randn(7, 5)), script.sample_uniform((7, 11, 3))
    # every pair concatenated, as in the paper
    expanded = features.unsqueeze(1).expand(-1, 11, -1)
    pair = torch.cat([expanded, network.action_stream(actions)], -1)
    first, relu, last = network.joint_block
    assert network.joint_block(pair).equal(pair + last(relu(first(pair))))
    plain = network.joint_output(network.joint_norm(network.joint_block(pair))).squeeze(-1)
    assert network.q_values(features, actions).allclose(plain, atol=1e-6)


def test_actions_are_scaled():
    env = script.make_env("toy_envs:UnevenAction-v0")
    env.reset(seed=0)
    for action, expected in [
        ([-1, 1, 0, 0.5], [-1.0, 4.0, 0.0, 5.75]),
        ([1, 1, 1, 1], [1.1, 4.0, 0.8, 6.0]),  # to the last bit
        ([-1, -1, -1, -1], [-1.0, 0.0, -0.8, 5.0]),
    ]:
        env.step(np.array(action, np.float32))  # it refuses others
        taken = env.unwrapped.action
        assert taken.dtype == np.float64 and taken.shape == (2, 2)
        assert taken.ravel().tolist() == approx(expected, abs=1e-12)


def test_td_target():
    rewards, values = torch.tensor([1.0, 1.0, -2.0]), torch.tensor([10.0, 10.0, 0.5])
    terminated = torch.tensor([0.0, 1.0, 0.0])  # the last was truncated
    target = script.td_target(rewards, terminated, values, 0.9)
    assert target.tolist() == approx([10.0, 1.0, -1.55])


def test_argmax_predictor_losses():
    mode, a_max = torch.tensor([[0.5, 0.0]]), torch.tensor([[0.9, -0.4]])  # nearest bins: 2, 1
    logits = torch.tensor([[[0.0, 0.0, math.log(2.0)], [math.log(3.0), 0.0, 0.0]]])
    delta_loss, categorical_loss = script.argmax_predictor_loss(mode, logits, a_max)
    assert delta_loss.item() == approx((0.16 + 0.16) / 2)
    assert categorical_loss.item() == approx((math.log(4 / 2) + math.log(5 / 1)) / 2)
