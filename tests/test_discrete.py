"""qmle_discrete.py and dqn_discretized.py."""

import itertools
import math

import conftest
import dqn_discretized
import gymnasium as gym
import numpy as np
import pytest
import qmle_discrete
import torch

UNEVEN = (2, 5, 3)
JOINT = list(itertools.product(range(2), range(5), range(3)))


def test_choices_and_actions_by_hand():
    matrix = gym.spaces.MultiDiscrete([[2, 5], [3, 4]], start=[[10, -1], [0, 1]])
    box = gym.spaces.Box(np.array([-1.0, 0.0]), np.array([1.1, 4.0]), dtype=np.float64)
    for space, choices, action, expected in [
        (gym.spaces.Discrete(7, start=-3), (7,), [2], -1),
        (matrix, (2, 5, 3, 4), [1, 4, 2, 0], [[11, 3], [2, 1]]),
        (box, (5, 5), [0, 1], [-1.0, 1.0]),
        (box, (5, 5), [4, 4], [1.1, 4.0]),  # the upper bounds
    ]:
        assert qmle_discrete.choices_per_dimension(space, 5) == choices
        assert qmle_discrete.to_env_action(np.array(action), space, 5).tolist() == expected


def test_enumeration_is_in_order():
    num_choices = torch.tensor(UNEVEN)
    actions = qmle_discrete.enumerate_actions(num_choices, 30)
    assert actions.tolist() == [list(choices) for choices in JOINT]
    assert dqn_discretized.joint_index(actions, num_choices).tolist() == list(range(30))
    assert dqn_discretized.joint_choices(torch.arange(30), num_choices).equal(actions)


def test_uniform_draws_of_joint_actions():
    num_choices = torch.tensor(UNEVEN)
    draws = qmle_discrete.sample_uniform((60, 500), num_choices)
    counts = dqn_discretized.joint_index(draws, num_choices).flatten().bincount(minlength=30)
    chi_square = ((counts - 1000.0) ** 2 / 1000).sum()
    assert len(counts) == 30 and chi_square < 58.3  # 0.1% of 29 degrees of freedom


def test_one_hot_and_value_encodings():
    network = qmle_discrete.QNetwork(4, UNEVEN, by_value=False)
    encoded = network.encode(torch.tensor([[[1, 4, 0]]])).view(3, 5)
    assert encoded.tolist() == [[0, 1, 0, 0, 0], [0, 0, 0, 0, 1], [1, 0, 0, 0, 0]]
    network = qmle_discrete.QNetwork(4, (3, 3), by_value=True)
    assert network.encode(torch.tensor([[[0, 1], [2, 2]]]))[0].tolist() == [[-1, 0], [1, 1]]


def test_draws_exist(patch):
    network = qmle_discrete.QNetwork(4, UNEVEN, by_value=False)
    features = torch.randn(50, 128)
    chances = (network.categorical_predictor(features) + network.log_exists).softmax(-1)
    assert chances[:, 0, 2:].sum() == 0 and chances[:, 2, 3:].sum() == 0
    args = qmle_discrete.Args(uniform_ratio=0.0, categorical_ratio=1.0, enumerate=False)
    draws = qmle_discrete.sample_actions(network, features, 200, args)
    assert draws.amax((0, 1)).tolist() == [1, 4, 2] and draws.min() == 0
    # a draw at the very end of the c.d.f. is a choice that exists
    patch(torch, "rand", lambda *size, **how: torch.full(size, 1 - 2.0**-24))
    assert (qmle_discrete.sample_actions(network, features, 3, args) < torch.tensor(UNEVEN)).all()


def test_predictor_loss_by_hand():
    logits = torch.tensor([[[0.0, 0.0, math.log(2.0)], [math.log(3.0), 0.0, -math.inf]]])
    loss = qmle_discrete.argmax_predictor_loss(logits, torch.tensor([[2, 1]]))
    assert loss.item() == pytest.approx((math.log(4 / 2) + math.log(4 / 1)) / 2)


@pytest.mark.parametrize("m, enumerate, num", [(29, True, 29), (31, True, 30), (31, False, 31)])
def test_search_set_numbers_m_or_all(m, enumerate, num):
    network = qmle_discrete.QNetwork(4, UNEVEN, by_value=False)  # 30 joint actions
    args, features = qmle_discrete.Args(enumerate=enumerate), torch.randn(4, 128)
    assert qmle_discrete.sample_actions(network, features, m, args).shape == (4, num, 3)


def test_enumerated_argmax():
    network = qmle_discrete.QNetwork(4, UNEVEN, by_value=False)
    dqn = dqn_discretized.QNetwork(4, UNEVEN)
    for obs in torch.randn(20, 4):
        features = network.obs_stream(obs.unsqueeze(0))
        values = [network.q_values(features, torch.tensor([[a]])).item() for a in JOINT]
        greedy = qmle_discrete.greedy_action(network, qmle_discrete.Args(), obs)
        assert tuple(greedy.tolist()) == JOINT[int(np.argmax(values))]
        greedy = dqn_discretized.greedy_action(dqn, dqn_discretized.Args(), obs)
        assert tuple(greedy.tolist()) == JOINT[int(dqn(obs.unsqueeze(0)).argmax())]


def test_update_of_dqn(patch):
    args = dqn_discretized.Args(buffer_size=64, batch_size=32)
    made = network, target, *_ = conftest.make_update(dqn_discretized, args, (UNEVEN,))

    def values(obs, next_obs, actions, *_):
        taken = actions.long() @ torch.tensor([15, 3, 1])
        return network(obs)[torch.arange(32), taken], target(next_obs).amax(1)

    conftest.check_update(dqn_discretized, args, made, values, patch)
