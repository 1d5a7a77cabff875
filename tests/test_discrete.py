"""What is particular to qmle_discrete.py and dqn_discretized.py."""

import itertools
import math

import dqn_discretized
import gymnasium as gym
import numpy as np
import pytest
import qmle_discrete
import torch

UNEVEN = (2, 5, 3)


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def make_memory(script, num_choices, args, num=60, obs_size=4):
    memory = script.ReplayMemory(args, obs_size, len(num_choices), torch.device("cpu"))
    rng = np.random.default_rng(0)
    for i in range(num):
        obs, next_obs = rng.standard_normal((2, obs_size)).astype(np.float32)
        memory.add(obs, rng.integers(num_choices), float(i % 7), next_obs, i % 5 == 0)
    memory.remember(torch.arange(num), memory.a_max[:num], torch.rand(num) * 5)
    return memory


# ---- actions


@pytest.mark.parametrize("script", [qmle_discrete, dqn_discretized])
def test_choices_of_each_kind_of_space(script):
    spaces = gym.spaces
    assert script.choices_per_dimension(spaces.Discrete(7, start=-3), 3) == (7,)
    assert script.choices_per_dimension(spaces.MultiDiscrete([2, 5, 3]), 9) == (2, 5, 3)
    assert script.choices_per_dimension(spaces.MultiDiscrete([[2, 5], [3, 4]]), 9) == (2, 5, 3, 4)
    assert script.choices_per_dimension(spaces.Box(-1, 1, (2, 3)), 5) == (5,) * 6


@pytest.mark.parametrize(
    "space, num_bins",
    [
        (gym.spaces.Discrete(7, start=-3), 3),
        (gym.spaces.MultiDiscrete([2, 5, 3]), 3),
        (gym.spaces.MultiDiscrete([[2, 5], [3, 4]], start=[[1, -1], [0, 10]]), 3),
        (gym.spaces.Box(np.array([-1.0, 0.0]), np.array([1.1, 4.0]), dtype=np.float64), 5),
        (gym.spaces.Box(-2, 3, (2, 2)), 3),
    ],
)
def test_every_choice_is_another_action_of_the_space(space, num_bins):
    num_choices = qmle_discrete.choices_per_dimension(space, num_bins)
    seen = set()
    for choices in itertools.product(*(range(n) for n in num_choices)):
        action = qmle_discrete.to_env_action(np.array(choices), space, num_bins)
        assert space.contains(action), action
        seen.add(np.asarray(action).tobytes())
    assert len(seen) == math.prod(num_choices)


def test_actions_by_hand():
    assert qmle_discrete.to_env_action(np.array([2]), gym.spaces.Discrete(7, start=-3), 3) == -1
    space = gym.spaces.MultiDiscrete([2, 5], start=[10, -1])
    assert qmle_discrete.to_env_action(np.array([1, 4]), space, 3).tolist() == [11, 3]
    box = gym.spaces.Box(np.array([-1.0, 0.0]), np.array([1.0, 4.0]), dtype=np.float64)
    assert qmle_discrete.to_env_action(np.array([0, 1]), box, 5).tolist() == [-1.0, 1.0]


def test_enumeration_is_every_joint_action_once_in_the_order_of_the_joint_index():
    num_choices = torch.tensor(UNEVEN)
    actions = qmle_discrete.enumerate_actions(num_choices, 30)
    assert actions.tolist() == [
        list(choices) for choices in itertools.product(range(2), range(5), range(3))
    ]
    assert dqn_discretized.joint_index(actions, num_choices).tolist() == list(range(30))
    assert dqn_discretized.joint_choices(torch.arange(30), num_choices).equal(actions)


@pytest.mark.parametrize("script", [qmle_discrete, dqn_discretized])
def test_uniform_draws_cover_the_joint_space_uniformly(script):
    num_choices = torch.tensor(UNEVEN)
    draws = script.sample_uniform(60, 500, num_choices)
    assert draws.shape == (60, 500, 3)
    counts = dqn_discretized.joint_index(draws, num_choices).flatten().bincount(minlength=30)
    chi_square = ((counts - 1000.0) ** 2 / 1000).sum()
    assert len(counts) == 30 and chi_square < 58.3  # 0.1% of 29 degrees of freedom


def test_uniform_draws_of_an_enormous_space():
    draws = qmle_discrete.sample_uniform(4, 1000, torch.full((38,), 3))
    assert (
        sorted(draws.unique().tolist()) == [0, 1, 2]
        and len(draws.flatten(0, 1).unique(dim=0)) == 4000
    )


# ---- network and predictor


def test_one_hot_and_value_encodings():
    network = qmle_discrete.QNetwork(4, UNEVEN, by_value=False)
    encoded = network.encode(torch.tensor([[[1, 4, 0]]]))
    assert encoded[0, 0].view(3, 5).tolist() == [[0, 1, 0, 0, 0], [0, 0, 0, 0, 1], [1, 0, 0, 0, 0]]
    network = qmle_discrete.QNetwork(4, (3, 3), by_value=True)
    assert network.encode(torch.tensor([[[0, 1], [2, 2]]]))[0].tolist() == [[-1, 0], [1, 1]]
    assert network.q_values(torch.zeros(2, 128), torch.zeros(2, 6, 2, dtype=torch.long)).shape == (
        2,
        6,
    )


def test_predictor_gives_no_probability_to_choices_that_do_not_exist():
    network = qmle_discrete.QNetwork(4, UNEVEN, by_value=False)
    features = network.obs_stream(torch.randn(50, 4))
    probabilities = network.categorical_logits(features).softmax(-1)
    assert probabilities[:, 0, 2:].sum() == 0 and probabilities[:, 2, 3:].sum() == 0
    assert probabilities.sum(-1).allclose(torch.ones(50, 3))
    args = qmle_discrete.Args(uniform_ratio=0.0, categorical_ratio=1.0, enumerate=False)
    draws = qmle_discrete.sample_actions(network, features, 200, args)
    assert (draws < torch.tensor(UNEVEN)).all() and (draws >= 0).all()
    for dim, n in enumerate(UNEVEN):
        share = torch.stack(
            [(draws[:, :, dim] == k).float().mean(1) for k in range(n)], 1
        )  # (50, n)
        assert (share - probabilities[:, dim, :n]).abs().mean() < 0.04
    loss = qmle_discrete.argmax_predictor_loss(network.categorical_logits(features), draws[:, 0])
    loss.backward()
    assert torch.isfinite(loss)
    assert all(torch.isfinite(p.grad).all() for p in network.categorical_predictor.parameters())


def test_a_draw_at_the_very_end_of_the_cdf_is_a_choice_that_exists(monkeypatch):
    network = qmle_discrete.QNetwork(4, UNEVEN, by_value=False)
    features = network.obs_stream(torch.randn(200, 4))
    monkeypatch.setattr(torch, "rand", lambda *size, **kwargs: torch.full(size, 1 - 2.0**-24))
    args = qmle_discrete.Args(uniform_ratio=0.0, categorical_ratio=1.0, enumerate=False)
    draws = qmle_discrete.sample_actions(network, features, 3, args)
    assert (draws < torch.tensor(UNEVEN)).all()


def test_predictor_loss_by_hand():
    logits = torch.tensor([[[0.0, 0.0, math.log(2.0)], [math.log(3.0), 0.0, -math.inf]]])
    loss = qmle_discrete.argmax_predictor_loss(logits, torch.tensor([[2, 1]]))
    assert loss.item() == pytest.approx((math.log(4 / 2) + math.log(4 / 1)) / 2)


@pytest.mark.parametrize("m", [1, 2, 7, 29, 30, 100])
def test_search_set_numbers_m_unless_the_joint_space_is_smaller(m):
    network = qmle_discrete.QNetwork(4, UNEVEN, by_value=False)  # 30 joint actions
    features = network.obs_stream(torch.randn(4, 4))
    for enumerate_small in (True, False):
        args = qmle_discrete.Args(enumerate=enumerate_small)
        actions = qmle_discrete.sample_actions(network, features, m, args)
        assert actions.shape == (4, 30 if enumerate_small and m >= 30 else m, 3)
        assert sum(qmle_discrete.search_parts(network, m, args).values()) == actions.shape[1]


def test_nothing_is_as_large_as_the_joint_space():
    network = qmle_discrete.QNetwork(10, (3,) * 38, by_value=True)
    assert network.joint_size == 1350851717672992089
    assert sum(p.numel() for p in network.parameters()) < 400_000
    args = qmle_discrete.Args()
    assert qmle_discrete.greedy_action(network, torch.randn(10), args).shape == (38,)


# ---- enumeration is exact Q-learning


def test_enumerated_argmax_is_brute_force():
    network = qmle_discrete.QNetwork(4, UNEVEN, by_value=False)
    args = qmle_discrete.Args(mixed_precision=False)
    for _ in range(20):
        obs = torch.randn(4)
        features = network.obs_stream(obs.unsqueeze(0))
        values = {
            choices: network.q_values(features, torch.tensor(choices).view(1, 1, 3)).item()
            for choices in itertools.product(range(2), range(5), range(3))
        }
        assert tuple(qmle_discrete.greedy_action(network, obs, args).tolist()) == max(
            values, key=values.get
        )


def test_update_with_enumeration_has_the_exact_max_in_its_target(monkeypatch):
    args = qmle_discrete.Args(mixed_precision=False, buffer_size=64, batch_size=32)
    network, target = (qmle_discrete.QNetwork(4, UNEVEN, by_value=False) for _ in range(2))
    memory = make_memory(qmle_discrete, UNEVEN, args)
    indices, weights = memory.sample(32)
    monkeypatch.setattr(memory, "sample", lambda batch_size: (indices, weights))
    joint = torch.tensor(list(itertools.product(range(2), range(5), range(3))))
    with torch.no_grad():
        q_next = torch.stack(
            [
                target.q_values(target.obs_stream(memory.next_obs[i : i + 1]), joint.unsqueeze(0))[
                    0
                ]
                for i in indices
            ]
        )  # (B, J)
        expected = memory.rewards[indices] + 0.99 * (1 - memory.terminated[indices]) * q_next.amax(
            1
        )
        actions = memory.actions[indices].long().unsqueeze(1)
        q = network.q_values(network.obs_stream(memory.obs[indices]), actions).squeeze(1)
    best = joint[q_next.argmax(1)].float()
    optimizer = torch.optim.Adam(network.parameters(), lr=args.learning_rate)
    metrics = qmle_discrete.train_step(network, target, optimizer, memory, args)
    assert metrics["losses/td_loss"].item() == pytest.approx(
        (weights * (expected - q) ** 2).mean().item(), rel=1e-4
    )
    assert memory.a_max[indices].equal(
        best
    )  # written back; the search set is the same for every copy of a row
    assert metrics["argmax/share_enumerated"].item() + metrics["argmax/share_stored"].item() == 1


def test_sampled_update_moves_every_weight_and_writes_back():
    args = qmle_discrete.Args(
        mixed_precision=False, buffer_size=64, batch_size=32, num_target_samples=20
    )
    network, target = (
        qmle_discrete.QNetwork(4, (4,) * 11, by_value=False) for _ in range(2)
    )  # 4 million
    memory = make_memory(qmle_discrete, (4,) * 11, args)
    before, stored = {k: v.clone() for k, v in network.state_dict().items()}, memory.a_max.clone()
    optimizer = torch.optim.Adam(network.parameters(), lr=args.learning_rate)
    metrics = qmle_discrete.train_step(network, target, optimizer, memory, args)
    assert all(not v.equal(before[k]) for k, v in network.state_dict().items())
    assert not memory.a_max.equal(stored) and memory.a_max.equal(memory.a_max.round())
    shares = [
        metrics[f"argmax/share_{part}"].item() for part in ("uniform", "categorical", "stored")
    ]
    assert sum(shares) == pytest.approx(1) and metrics["argmax/refresh_gain"] >= 0


def test_gradients_stay_apart(monkeypatch):
    args = qmle_discrete.Args(mixed_precision=False, buffer_size=64, batch_size=32)
    network, target = (qmle_discrete.QNetwork(4, UNEVEN, by_value=False) for _ in range(2))
    memory = make_memory(qmle_discrete, UNEVEN, args)
    optimizer = torch.optim.Adam(network.parameters(), lr=args.learning_rate)
    monkeypatch.setattr(qmle_discrete, "q_loss", lambda weights, td_errors: (td_errors * 0).sum())
    qmle_discrete.train_step(network, target, optimizer, memory, args)
    for name, parameter in network.named_parameters():
        assert bool(parameter.grad.abs().sum()) == ("predictor" in name), name


# ---- DQN


def test_dqn_update_by_hand(monkeypatch):
    args = dqn_discretized.Args(mixed_precision=False, buffer_size=64, batch_size=32)
    network, target = (dqn_discretized.QNetwork(4, UNEVEN) for _ in range(2))
    memory = make_memory(dqn_discretized, UNEVEN, args)
    indices, weights = memory.sample(32)
    monkeypatch.setattr(memory, "sample", lambda batch_size: (indices, weights))
    td_errors = []
    with torch.no_grad():
        for i in indices:
            a0, a1, a2 = (int(choice) for choice in memory.actions[i])
            bootstrap = (
                0.0
                if memory.terminated[i]
                else 0.99 * target(memory.next_obs[i].unsqueeze(0)).max()
            )
            q = network(memory.obs[i].unsqueeze(0))[0, (a0 * 5 + a1) * 3 + a2]
            td_errors.append(memory.rewards[i] + bootstrap - q)
    optimizer = torch.optim.Adam(network.parameters(), lr=args.learning_rate)
    metrics = dqn_discretized.train_step(network, target, optimizer, memory, args)
    expected = (weights * torch.stack(td_errors) ** 2).mean().item()
    assert metrics["losses/td_loss"].item() == pytest.approx(expected, rel=1e-4)


def test_dqn_acts_by_the_exact_max():
    network = dqn_discretized.QNetwork(4, UNEVEN)
    for _ in range(20):
        obs = torch.randn(4)
        with torch.no_grad():
            best = int(network(obs.unsqueeze(0)).argmax())
        a0, a1, a2 = dqn_discretized.greedy_action(network, obs, None).tolist()
        assert (a0 * 5 + a1) * 3 + a2 == best


def free_memory(monkeypatch, num_bytes):
    memory = type("memory", (), {"available": num_bytes})
    monkeypatch.setattr(dqn_discretized.psutil, "virtual_memory", lambda: memory)


def test_dqn_limit_is_what_the_last_layer_takes_of_what_is_free(monkeypatch):
    args = dqn_discretized.Args(batch_size=256, buffer_size=1000)
    network = dqn_discretized.QNetwork(4, (3,) * 5)
    last_layer = sum(parameter.numel() for parameter in network.head[-1].parameters())
    needed = (
        5 * last_layer + 3 * 256 * 3**5
    ) * 4  # also gradient, moments, target copy; three outputs
    replay = 1000 * (2 * 4 + 2 * 5 + 5) * 4
    free_memory(monkeypatch, needed + replay)
    dqn_discretized.check_memory(args, 4, (3,) * 5, torch.device("cpu"))
    free_memory(monkeypatch, needed + replay - 1)
    with pytest.raises(ValueError, match="--buffer-size is 1000: .* at most 999 transitions"):
        dqn_discretized.check_memory(args, 4, (3,) * 5, torch.device("cpu"))
    free_memory(monkeypatch, needed - 1)
    with pytest.raises(ValueError, match="243 joint actions .*5 dimensions.*qmle_discrete.py"):
        dqn_discretized.check_memory(args, 4, (3,) * 5, torch.device("cpu"))


@pytest.mark.parametrize(
    "num_choices, count", [((2,) * 1100, "1.36e[+]331"), ((10,) * 5000, "1.00e[+]5000")]
)
def test_dqn_refuses_what_no_float_can_count(num_choices, count):
    with pytest.raises(ValueError, match=f"{count} joint actions .*GiB"):
        dqn_discretized.check_memory(dqn_discretized.Args(), 4, num_choices, torch.device("cpu"))


def test_one_hot_choices_count_as_memory(monkeypatch):
    args = qmle_discrete.Args(buffer_size=1000)
    free_memory(monkeypatch, 2**30)  # psutil is one module for both scripts
    qmle_discrete.check_memory(args, 4, (3,) * 38, True, torch.device("cpu"))
    with pytest.raises(ValueError, match="50 dimensions of at most 1000 choices need 14.45 GiB"):
        qmle_discrete.check_memory(args, 4, (1000,) + (2,) * 49, False, torch.device("cpu"))
