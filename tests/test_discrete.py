"""What is particular to qmle_discrete.py and dqn_discretized.py."""

import itertools
import math

import dqn_discretized
import gymnasium as gym
import numpy as np
import pytest
import qmle_discrete
import torch
from conftest import tiny

UNEVEN = (2, 5, 3)
JOINT = list(itertools.product(range(2), range(5), range(3)))
BOTH = pytest.mark.parametrize("script", [qmle_discrete, dqn_discretized])


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def make_update(script, num_choices=UNEVEN, num=60, **flags):
    args = script.Args(buffer_size=64, batch_size=32, **flags)
    last = (num_choices, False) if script is qmle_discrete else (num_choices,)
    network, target = (script.QNetwork(4, *last) for _ in range(2))
    memory = script.ReplayMemory(args, 4, len(num_choices), torch.device("cpu"))
    rng = np.random.default_rng(0)
    for i in range(num):
        obs, next_obs = rng.standard_normal((2, 4)).astype(np.float32)
        memory.add(obs, rng.integers(num_choices), float(i % 7), next_obs, i % 5 == 0)
    memory.store()
    memory.remember(torch.arange(num), memory.a_max[:num].clone(), torch.rand(num) * 5)
    return args, network, target, torch.optim.Adam(network.parameters(), lr=5e-4), memory


def fixed_draw(memory, monkeypatch):
    """A draw that every later call repeats: indices, weights and the fields of its rows."""
    indices, rows, weights = memory.sample(32)
    monkeypatch.setattr(memory, "sample", lambda batch_size: (indices, rows, weights))
    obs, next_obs, actions, _, rewards, terminated = rows.clone().split(memory.sizes, dim=1)
    return indices, weights, obs, next_obs, actions.long(), rewards[:, 0], terminated[:, 0]


# ---- actions


@BOTH
def test_choices_of_each_kind_of_space(script):
    spaces = gym.spaces
    assert script.choices_per_dimension(spaces.Discrete(7, start=-3), 3) == (7,)
    assert script.choices_per_dimension(spaces.MultiDiscrete([2, 5, 3]), 9) == (2, 5, 3)
    assert script.choices_per_dimension(spaces.MultiDiscrete([[2, 5], [3, 4]]), 9) == (2, 5, 3, 4)
    assert script.choices_per_dimension(spaces.Box(-1, 1, (2, 3)), 5) == (5,) * 6


SPACES = [
    (gym.spaces.Discrete(7, start=-3), 3),
    (gym.spaces.MultiDiscrete([2, 5, 3]), 3),
    (gym.spaces.MultiDiscrete([[2, 5], [3, 4]], start=[[1, -1], [0, 10]]), 3),
    (gym.spaces.Box(np.array([-1.0, 0.0]), np.array([1.1, 4.0]), dtype=np.float64), 5),
    (gym.spaces.Box(-2, 3, (2, 2)), 3),
]


@pytest.mark.parametrize("space, num_bins", SPACES)
def test_every_choice_is_another_action_of_the_space(space, num_bins):
    num_choices, seen = qmle_discrete.choices_per_dimension(space, num_bins), set()
    for choices in itertools.product(*(range(n) for n in num_choices)):
        action = qmle_discrete.to_env_action(np.array(choices), space, num_bins)
        assert space.contains(action), action
        seen.add(np.asarray(action).tobytes())
    assert len(seen) == math.prod(num_choices)


def test_actions_by_hand():
    to_env_action = qmle_discrete.to_env_action
    assert to_env_action(np.array([2]), gym.spaces.Discrete(7, start=-3), 3) == -1
    space = gym.spaces.MultiDiscrete([2, 5], start=[10, -1])
    assert to_env_action(np.array([1, 4]), space, 3).tolist() == [11, 3]
    box = gym.spaces.Box(np.array([-1.0, 0.0]), np.array([1.0, 4.0]), dtype=np.float64)
    assert to_env_action(np.array([0, 1]), box, 5).tolist() == [-1.0, 1.0]
    assert to_env_action(np.array([4, 4]), box, 5).tolist() == [1.0, 4.0]  # the upper bounds


def test_enumeration_is_every_joint_action_once_in_the_order_of_the_joint_index():
    num_choices = torch.tensor(UNEVEN)
    actions = qmle_discrete.enumerate_actions(num_choices, 30)
    assert actions.tolist() == [list(choices) for choices in JOINT]
    assert dqn_discretized.joint_index(actions, num_choices).tolist() == list(range(30))
    assert dqn_discretized.joint_choices(torch.arange(30), num_choices).equal(actions)


@BOTH
def test_uniform_draws_cover_the_joint_space_uniformly(script):
    num_choices = torch.tensor(UNEVEN)
    draws = script.sample_uniform((60, 500), num_choices)
    counts = dqn_discretized.joint_index(draws, num_choices).flatten().bincount(minlength=30)
    chi_square = ((counts - 1000.0) ** 2 / 1000).sum()
    assert len(counts) == 30 and chi_square < 58.3  # 0.1% of 29 degrees of freedom
    draws = script.sample_uniform((4, 1000), torch.full((38,), 3))  # an enormous space
    assert draws.unique().tolist() == [0, 1, 2] and len(draws.flatten(0, 1).unique(dim=0)) == 4000


# ---- network and predictor


def test_one_hot_and_value_encodings():
    network = qmle_discrete.QNetwork(4, UNEVEN, by_value=False)
    encoded = network.encode(torch.tensor([[[1, 4, 0]]])).view(3, 5)
    assert encoded.tolist() == [[0, 1, 0, 0, 0], [0, 0, 0, 0, 1], [1, 0, 0, 0, 0]]
    network = qmle_discrete.QNetwork(4, (3, 3), by_value=True)
    assert network.encode(torch.tensor([[[0, 1], [2, 2]]]))[0].tolist() == [[-1, 0], [1, 1]]


def test_predictor_gives_no_probability_to_choices_that_do_not_exist(monkeypatch):
    network = qmle_discrete.QNetwork(4, UNEVEN, by_value=False)
    features = network.obs_stream(torch.randn(50, 4))
    chances = network.categorical_logits(features).softmax(-1)
    assert chances[:, 0, 2:].sum() == 0 and chances[:, 2, 3:].sum() == 0
    args = qmle_discrete.Args(uniform_ratio=0.0, categorical_ratio=1.0, enumerate=False)
    draws = qmle_discrete.sample_actions(network, features, 200, args)
    assert (draws < torch.tensor(UNEVEN)).all() and (draws >= 0).all()
    for dim, n in enumerate(UNEVEN):
        share = torch.stack([(draws[:, :, dim] == k).float().mean(1) for k in range(n)], 1)
        assert (share - chances[:, dim, :n]).abs().mean() < 0.04
    loss = qmle_discrete.argmax_predictor_loss(network.categorical_logits(features), draws[:, 0])
    loss.backward()
    gradients = [parameter.grad for parameter in network.categorical_predictor.parameters()]
    assert torch.isfinite(loss) and all(torch.isfinite(g).all() for g in gradients)
    # a draw at the very end of the c.d.f. is a choice that exists
    monkeypatch.setattr(torch, "rand", lambda *size, **how: torch.full(size, 1 - 2.0**-24))
    assert (qmle_discrete.sample_actions(network, features, 3, args) < torch.tensor(UNEVEN)).all()


def test_predictor_loss_by_hand():
    logits = torch.tensor([[[0.0, 0.0, math.log(2.0)], [math.log(3.0), 0.0, -math.inf]]])
    loss = qmle_discrete.argmax_predictor_loss(logits, torch.tensor([[2, 1]]))
    assert loss.item() == pytest.approx((math.log(4 / 2) + math.log(4 / 1)) / 2)


@pytest.mark.parametrize("m", [1, 2, 7, 29, 30, 100])
def test_search_set_numbers_m_unless_the_joint_space_is_smaller(m):
    network = qmle_discrete.QNetwork(4, UNEVEN, by_value=False)  # 30 joint actions
    features = network.obs_stream(torch.randn(4, 4))
    for enumerates in (True, False):
        args = qmle_discrete.Args(enumerate=enumerates)
        actions = qmle_discrete.sample_actions(network, features, m, args)
        assert actions.shape == (4, 30 if enumerates and m >= 30 else m, 3)


def test_nothing_is_as_large_as_the_joint_space():
    network = qmle_discrete.QNetwork(10, (3,) * 38, by_value=True)
    assert network.joint_size == 1350851717672992089
    assert sum(p.numel() for p in network.parameters()) < 400_000
    assert qmle_discrete.greedy_action(network, qmle_discrete.Args(), torch.randn(10)).numel() == 38


# ---- updates


def test_enumerated_argmax_is_brute_force():
    network = qmle_discrete.QNetwork(4, UNEVEN, by_value=False)
    for _ in range(20):
        obs = torch.randn(4)
        features = network.obs_stream(obs.unsqueeze(0))
        singles = [torch.tensor(choices).view(1, 1, 3) for choices in JOINT]
        values = [network.q_values(features, action).item() for action in singles]
        greedy = qmle_discrete.greedy_action(network, qmle_discrete.Args(), obs)
        assert tuple(greedy.tolist()) == JOINT[int(np.argmax(values))]


def test_update_with_enumeration_has_the_exact_max_in_its_target(monkeypatch):
    args, network, target, optimizer, memory = make_update(qmle_discrete)
    draw = fixed_draw(memory, monkeypatch)
    indices, weights, obs, next_obs, actions, rewards, terminated = draw
    joint = torch.tensor(JOINT)
    with torch.no_grad():
        features = target.obs_stream(next_obs)
        q_next = target.q_values(features, joint.expand(32, -1, -1))  # (B, J)
        expected = rewards + 0.99 * (1 - terminated) * q_next.amax(1)
        q = network.q_values(network.obs_stream(obs), actions.unsqueeze(1)).squeeze(1)
    metrics = qmle_discrete.train_step(network, target, optimizer, memory, args)
    loss = (weights * (expected - q) ** 2).mean().item()
    assert metrics["losses/td_loss"].item() == pytest.approx(loss, rel=1e-4)
    assert memory.a_max[indices].equal(joint[q_next.argmax(1)].float())  # written back


def test_sampled_update_moves_every_weight_and_writes_back():
    flags = {"num_choices": (4,) * 11, "num_target_samples": 20}  # 4 million joint actions
    args, network, target, optimizer, memory = make_update(qmle_discrete, **flags)
    before = {name: p.clone() for name, p in network.named_parameters()}
    stored = memory.a_max.clone()
    qmle_discrete.train_step(network, target, optimizer, memory, args)
    assert all(not p.equal(before[name]) for name, p in network.named_parameters())
    assert not memory.a_max.equal(stored) and memory.a_max.equal(memory.a_max.round())


def test_no_gradient_from_the_predictor_reaches_the_observation_stream():
    args, network, target, _, memory = make_update(qmle_discrete)
    batch = memory.rows[:32].split(memory.sizes, dim=1)
    qmle_discrete.training_loss(network, target, args, batch, torch.zeros(32))[0].backward()
    for name, parameter in network.named_parameters():
        assert bool(parameter.grad.abs().sum()) == ("predictor" in name), name


def test_dqn_update_by_hand(monkeypatch):
    args, network, target, optimizer, memory = make_update(dqn_discretized)
    draw = fixed_draw(memory, monkeypatch)
    _, weights, obs, next_obs, actions, rewards, terminated = draw
    with torch.no_grad():
        bootstrap = 0.99 * (1 - terminated) * target(next_obs).amax(1)
        taken = (actions[:, 0] * 5 + actions[:, 1]) * 3 + actions[:, 2]
        td_errors = rewards + bootstrap - network(obs)[torch.arange(32), taken]
    metrics = dqn_discretized.train_step(network, target, optimizer, memory, args)
    expected = (weights * td_errors**2).mean().item()
    assert metrics["losses/td_loss"].item() == pytest.approx(expected, rel=1e-4)


def test_dqn_acts_by_the_exact_max():
    network, args = dqn_discretized.QNetwork(4, UNEVEN), dqn_discretized.Args()
    for _ in range(20):
        obs = torch.randn(4)
        best = JOINT[int(network(obs.unsqueeze(0)).argmax())]
        assert tuple(dqn_discretized.greedy_action(network, args, obs).tolist()) == best


@pytest.mark.parametrize(
    "script, flags, message",
    [
        (
            "dqn_discretized",
            "--num-bins 10000",
            "1.000e.152 joint actions need .* GiB, .* qmle_discrete",
        ),
        ("qmle_discrete", "--num-greedy-samples 10000000000", "one-hot"),
    ],
)
def test_what_does_not_fit_is_refused(script, flags, message, run_script):
    env_id = "dm_control/dog-walk-v0" if "dqn" in script else "toy_envs:Combination-v0"
    with pytest.raises(SystemExit, match=message):
        run_script(script, f"{tiny(script)} {flags} --env-id {env_id} --buffer-size 1000000")
