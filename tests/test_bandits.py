"""The bandits: equations by hand, and what they find."""

import math

import dpg_bandit
import numpy as np
import pg_bandit
import qmle_bandit
import torch
from pytest import approx, mark


def q_function(weights):
    return lambda actions: (actions * torch.tensor(weights)).sum(-1)


def test_softmax_gradient_by_hand():
    preferences, rewards = np.log([[0.2, 0.3, 0.5]]), np.array([1.0, 0.0, 2.0])  # mean reward 1.2
    gradient = pg_bandit.softmax_gradient(preferences, rewards)
    assert gradient[0].tolist() == approx([0.2 * -0.2, 0.3 * -1.2, 0.5 * 0.8])


@mark.parametrize("std", [0.01, 0.35])
def test_policy_gradients_by_differences(std):
    at, grid = np.linspace(-0.9, 0.9, 7), np.linspace(-9, 9, 18_001)
    difference = (pg_bandit.reward(at + 1e-6) - pg_bandit.reward(at - 1e-6)) / 2e-6
    assert pg_bandit.delta_gradient(at) == approx(difference, abs=1e-6)

    def expectation(mean):
        density = np.exp(-((grid - mean) ** 2) / (2 * std**2)) / (std * math.sqrt(2 * math.pi))
        return (pg_bandit.reward(grid) * density).sum() * (grid[1] - grid[0])

    low, expected, high = (np.array([expectation(x + d) for x in at]) for d in (-1e-4, 0, 1e-4))
    assert pg_bandit.expected_reward(at, std) == approx(expected, abs=1e-6)
    assert pg_bandit.gaussian_gradient(at, std) == approx((high - low) / 2e-4, abs=1e-4)


def test_verdict_of_figure_1(run):
    end = run("pg_bandit", "--num-seeds 20")
    assert end["best"].all() and end["ordered"].sum() == 19
    assert end["delta_ends"].all() and end["mean_ends"].all()


@mark.parametrize("script", [dpg_bandit, qmle_bandit])
def test_reward_and_loss_of_figure_2(script):
    between = 0.6 * math.exp(-2 * 0.9**2 / (2 * 0.35**2))
    rewards = script.reward(torch.tensor([[0.5, 0.5], [-0.4, -0.4], [0.05, 0.05]]))
    assert rewards[:2].tolist() == approx([1 + between, 0.6], abs=1e-5) and rewards[2] < 0.2
    loss = script.q_loss(torch.tensor([[1.0, 2.0], [0.0, 0.0]]), torch.tensor([[0.0, 0], [0, 3]]))
    assert loss.item() == approx(2.5 + 4.5)
    network, alone = script.QNetwork([1, 2, 3]), script.QNetwork([2])
    network(torch.rand(3, 5, 2))[1].sum().backward()
    for p, q in zip(network.parameters(), alone.parameters(), strict=True):
        assert p[1:2].equal(q) and not p[0].equal(p[1])  # the same beside other seeds
        assert [bool(gradient.any()) for gradient in p.grad] == [False, True, False]


def test_equations_of_figure_2_by_hand():
    theta = torch.tensor([[0.1, -0.2]], requires_grad=True)
    dpg_bandit.policy_loss(q_function([2.0, 3.0]), theta.tanh()).backward()
    chain_rule = -torch.tensor([[2.0, 3.0]]) * (1 - theta.detach().tanh() ** 2)  # Eq. 7c
    assert theta.grad.allclose(chain_rule)

    mu = torch.tensor([[0.2, -0.3], [0.9999, -0.5]])
    local = qmle_bandit.sample_actions(mu, qmle_bandit.Args("local", num_delta_samples=500))
    assert local.shape == (2, 500, 2) and local[:, 0].equal(mu) and local.max() <= 1
    assert local[0, 1:].std(0).tolist() == approx([0.001, 0.001], rel=0.1)
    both = qmle_bandit.sample_actions(mu, qmle_bandit.Args("global"))
    assert both.shape == (2, 100, 2) and (both[:, :50] - mu.unsqueeze(1)).abs().max() < 0.006
    assert both[:, 50:].abs().max() > 0.9 and both[:, 50:].mean().abs() < 0.15

    actions = torch.tensor([[[0.0, 0.0], [0.4, 0.4]], [[0.6, 0.5], [-1.0, 1.0]]])
    a_max = qmle_bandit.argmax_action(q_function([1.0, 1.0]), actions)
    assert a_max.equal(torch.tensor([[0.4, 0.4], [0.6, 0.5]]))
    mu = torch.tensor([[0.5, 0.0], [0.0, 0.0]], requires_grad=True)
    loss = qmle_bandit.argmax_predictor_loss(mu, torch.tensor([[0.9, -0.4], [1.0, 0.0]]))
    assert loss.item() == approx((0.16 + 0.16) / 2 + 0.5)
    loss.backward()
    assert mu.grad.allclose(torch.tensor([[-0.4, 0.4], [-1.0, 0.0]]))


QUICK = "--exploration uniform --num-seeds 3 --total-timesteps 1400 --learning-starts 600"
QUICK += " --learning-rate 3e-3"


@mark.parametrize("method, bump", [("dpg", 0), ("qmle --sampling local", 0), ("qmle", 1)])
def test_verdict_of_figure_2(method, bump, run, patch):
    patch("matplotlib.figure.Figure.savefig", lambda *_, **__: None)
    name, *sampling = method.split(maxsplit=1)
    end = run(f"{name}_bandit", " ".join([QUICK, *sampling]))
    assert end["in_basin"].all() and (end["reached"] == bump).all(), end["mu"][-1]
    assert not sampling or end["cosine"] > 0.85
