"""Every equation of the algorithm against numbers worked out by hand, or against a plain and slow computation."""

import math
import types

import gymnasium as gym
import numpy as np
import pytest
import qmle_continuous as script
import torch
import torch.nn.functional as F

RATIOS = [
    (0.9, 0.01, 0.09), (0.5, 0.5, 0.0), (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0),
    (0.9, 0.0, 0.1), (0.29, 0.3, 0.41), (1 / 3, 1 / 3, 1 / 3), (0.15, 0.15, 0.7),
]  # fmt: skip


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def make_networks(obs_size=5, action_size=3, num_bins=3):
    return script.QNetwork(obs_size, action_size, num_bins), script.QNetwork(obs_size, action_size, num_bins)


def fill_memory(memory, num, obs_size=5, action_size=3):
    rng = np.random.default_rng(0)
    for i in range(num):
        obs, next_obs = rng.standard_normal((2, obs_size)).astype(np.float32)
        memory.add(obs, rng.uniform(-1, 1, action_size).astype(np.float32), float(i % 7), next_obs, i % 5 == 0)


# ---- the split of m over the ratios


@pytest.mark.parametrize("ratios", RATIOS)
def test_budget_adds_up_and_is_nearest_to_the_ratios(ratios):
    for m in range(1, 201):
        counts = script.split_budget(m, ratios)
        assert sum(counts) == m and min(counts) >= 0
        assert all(abs(count - m * ratio) < 1 + 1e-9 for count, ratio in zip(counts, ratios, strict=True))
        assert all(count == 0 for count, ratio in zip(counts, ratios, strict=True) if ratio == 0)


@pytest.mark.parametrize(
    "m, ratios, expected",
    [
        (100, RATIOS[0], (90, 1, 9)),
        (1000, RATIOS[0], (900, 10, 90)),
        (2, RATIOS[0], (2, 0, 0)),
        (2, (0.5, 0.5, 0.0), (1, 1, 0)),
        (1, (0.5, 0.5, 0.0), (1, 0, 0)),  # a tie goes to the earlier one
        (10, (0.15, 0.15, 0.7), (2, 1, 7)),
        (100, (0.29, 0.3, 0.41), (29, 30, 41)),  # 0.29 * 100 is 28.999999999999996 in floats
        (2, (1 / 3, 1 / 3, 1 / 3), (1, 1, 0)),
    ],
)
def test_budget_by_hand(m, ratios, expected):
    assert script.split_budget(m, ratios) == expected


# ---- the components of the search set


def test_grid_points():
    assert script.bin_value(torch.arange(3), 3).tolist() == [-1, 0, 1]
    assert script.bin_value(torch.arange(5), 5).tolist() == [-1, -0.5, 0, 0.5, 1]
    assert script.nearest_bin(torch.tensor([-1.0, -0.51, -0.49, 0.0, 0.49, 0.51, 1.0]), 3).tolist() == [
        0,
        0,
        1,
        1,
        1,
        2,
        2,
    ]
    for num_bins in (2, 3, 7, 11):
        bins = torch.arange(num_bins)
        assert script.nearest_bin(script.bin_value(bins, num_bins), num_bins).equal(bins)


def test_uniform_samples_fill_the_box_evenly_and_independently():
    samples = script.sample_uniform(50, 200, 3, "cpu")  # (B, N, A)
    assert samples.shape == (50, 200, 3) and samples.min() >= -1 and samples.max() <= 1
    counts = torch.histc(samples.flatten(), 10, -1, 1)
    assert (counts / samples.numel() - 0.1).abs().max() < 0.01  # 5 s.d. are 0.0087
    correlation = torch.corrcoef(samples.reshape(-1, 3).T)
    assert (correlation - torch.eye(3)).abs().max() < 0.05
    assert len({tuple(row.tolist()) for row in samples.reshape(-1, 3)}) == 50 * 200  # by state and by sample


def test_grid_samples_are_uniform_over_the_bins():
    samples = script.sample_uniform(50, 200, 2, "cpu", num_bins=5)
    values, counts = samples.unique(return_counts=True)
    assert values.tolist() == [-1, -0.5, 0, 0.5, 1]
    assert (counts / samples.numel() - 0.2).abs().max() < 0.015


def test_delta_samples():
    mode = torch.tensor([[0.2, -0.3], [0.99, -1.0]])
    samples = script.sample_delta(mode, 4001, 0.1)
    assert samples.shape == (2, 4001, 2)
    assert samples[:, 0].equal(mode)  # the predictor's output itself comes first
    noise = samples[0, 1:] - mode[0]
    assert noise.mean(0).abs().max() < 0.01 and (noise.std(0) - 0.1).abs().max() < 0.006
    assert abs(torch.corrcoef(noise.T)[0, 1]) < 0.08  # independent per dimension
    assert samples.min() >= -1 and samples.max() <= 1
    assert 0.45 < (samples[1, 1:, 1] == -1).float().mean() < 0.55  # half of the noise around a bound is clipped to it
    other = script.sample_delta(torch.zeros(2, 1), 1000, 0.1)[..., 1:, 0]
    assert abs(torch.corrcoef(other.reshape(2, -1))[0, 1]) < 0.15  # independent per state
    assert script.sample_delta(mode, 0, 0.1).shape == (2, 0, 2)


def test_categorical_samples_follow_the_softmax_of_each_dimension():
    probabilities = torch.tensor([[[0.7, 0.2, 0.1], [0.0, 0.5, 0.5]], [[0.1, 0.1, 0.8], [1.0, 0.0, 0.0]]])  # (B, A, K)
    samples = script.sample_categorical(probabilities.log(), 20_000)
    assert samples.shape == (2, 20_000, 2)
    for state in range(2):
        for dim in range(2):
            for k, value in enumerate((-1.0, 0.0, 1.0)):
                share = (samples[state, :, dim] == value).float().mean()
                assert abs(share - probabilities[state, dim, k]) < 0.02
    both = ((samples[0, :, 0] == -1) & (samples[0, :, 1] == 0)).float().mean()
    assert abs(both - 0.35) < 0.02  # independent per dimension: 0.7 * 0.5
    other = script.sample_categorical(torch.zeros(2, 1, 3), 2000)[..., 0]
    assert abs(torch.corrcoef(other)[0, 1]) < 0.1  # independent per state: 4.5 s.d.


@pytest.mark.parametrize("m", [1, 2, 7, 100])
@pytest.mark.parametrize("ratios", RATIOS[:6])
def test_search_set_is_ordered_and_always_numbers_m(m, ratios):
    network, _ = make_networks()
    args = script.Args(uniform_ratio=ratios[0], delta_ratio=ratios[1], categorical_ratio=ratios[2])
    features = network.obs_stream(torch.randn(4, 5))
    samples = script.sample_actions(network, features, m, args)
    assert samples.shape == (4, m, 3) and samples.abs().max() <= 1
    num_uniform, num_delta, num_categorical = script.split_budget(m, ratios)
    if num_delta:
        assert samples[:, num_uniform].allclose(network.delta_predictor(features))
    on_grid = script.nearest_bin(samples[:, m - num_categorical :], 3) - 1
    assert samples[:, m - num_categorical :].equal(on_grid.float())
    grid = script.sample_actions(network, features, m, args, on_grid=True)
    assert grid.shape == (4, m, 3) and set(grid.unique().tolist()) <= {-1.0, 0.0, 1.0}


@pytest.mark.parametrize("fraction, expected", [(0.0, 0), (0.5, 45), (1.0, 90)])
def test_share_of_the_uniform_samples_on_the_grid(fraction, expected):
    network, _ = make_networks()
    args = script.Args(uniform_grid_fraction=fraction)
    samples = script.sample_actions(network, network.obs_stream(torch.randn(4, 5)), 100, args)[:, :90]
    assert (samples == samples.round()).all(-1).sum(1).tolist() == [expected] * 4


# ---- the argmax


def test_argmax_is_the_best_of_exactly_the_evaluated_actions():
    network, _ = make_networks()
    features, actions = network.obs_stream(torch.randn(6, 5)), torch.rand(6, 40, 3) * 2 - 1
    a_max, index = script.argmax_action(network, features, actions)
    q = network.q_values(features, actions)
    for state in range(6):
        single = [network.q_values(features[state : state + 1], a.view(1, 1, 3)).item() for a in actions[state]]
        best = int(np.argmax(single))
        assert index[state] == best and a_max[state].equal(actions[state, best])
        assert q[state].tolist() == pytest.approx(single, abs=1e-5)


@pytest.mark.parametrize(
    "low, high", [([-1.0, -1.0], [1.0, 1.0]), ([-0.5, 1.0], [2.0, 1.5]), ([0.0, -8.0], [10.0, -2.0])]
)
def test_sampled_argmax_converges_to_the_true_one_of_a_non_separable_q(low, high):
    space = gym.spaces.Box(np.array(low), np.array(high), dtype=np.float64)
    best = torch.tensor([0.3, -0.6])  # in [-1, 1]; the best action of the environment follows by scaling

    def q_values(
        features, actions, bfloat16=False
    ):  # a narrow valley along the diagonal: no dimension can be maximised on its own
        d0, d1 = (actions - best).unbind(-1)
        return -(d0**2 + d1**2 + 1.8 * d0 * d1)

    network = types.SimpleNamespace(q_values=q_values)
    target = np.array(low) + (best.numpy() + 1) / 2 * (np.array(high) - np.array(low))
    gaps, distances = [], []
    for m in (10, 100, 1000, 100_000):
        actions = script.sample_uniform(16, m, 2, "cpu")
        a_max, _ = script.argmax_action(network, torch.zeros(16, 1), actions)
        gaps.append(-q_values(None, a_max).mean().item())
        scaled = np.stack([script.to_env_action(a, space) for a in a_max.numpy()])
        distances.append(np.abs((scaled - target) / (np.array(high) - np.array(low))).mean())
    assert gaps == sorted(gaps, reverse=True) and gaps[-1] < 1e-4
    assert distances[-1] < 0.01 < distances[0]


# ---- the networks


def test_layer_sizes_of_the_paper():
    network = script.QNetwork(24, 6, 3)
    shapes = {name: tuple(p.shape) for name, p in network.named_parameters() if name.endswith("weight")}
    assert shapes["obs_stream.0.weight"] == (128, 24)
    assert shapes["obs_stream.1.linear1.weight"] == shapes["obs_stream.1.linear2.weight"] == (128, 128)
    assert shapes["action_stream.0.weight"] == (128, 6)
    assert shapes["joint_block.linear1.weight"] == shapes["joint_block.linear2.weight"] == (256, 256)
    assert shapes["joint_output.weight"] == (1, 256)
    assert shapes["delta_predictor.0.weight"] == shapes["categorical_predictor.0.weight"] == (128, 128)
    assert shapes["delta_predictor.2.weight"] == (6, 128)
    assert shapes["categorical_predictor.2.weight"] == (18, 128)


def test_sharing_the_observation_half_changes_nothing():
    network, _ = make_networks()
    obs, actions = torch.randn(7, 5), torch.rand(7, 11, 3) * 2 - 1
    features = network.obs_stream(obs)
    # the same, written as the paper does: every pair of state and action concatenated, then the joint block
    pair = torch.cat([features.unsqueeze(1).expand(-1, 11, -1), network.action_stream(actions)], -1)
    plain = network.joint_output(network.joint_norm(network.joint_block(pair))).squeeze(-1)
    assert network.q_values(features, actions).allclose(plain, atol=1e-6)


def test_residual_block_by_hand():
    block = script.ResidualBlock(2)
    with torch.no_grad():
        block.linear1.weight.copy_(torch.tensor([[1.0, 0.0], [0.0, -1.0]]))
        block.linear1.bias.copy_(torch.tensor([0.0, 1.0]))
        block.linear2.weight.copy_(torch.tensor([[2.0, 1.0], [0.0, 1.0]]))
        block.linear2.bias.copy_(torch.tensor([0.5, 0.0]))
    # linear1: (3, -4 + 1) -> relu (3, 0) -> linear2 (6.5, 0) -> plus x
    assert block(torch.tensor([3.0, 4.0])).tolist() == [9.5, 4.0]


def test_actions_are_scaled_to_the_bounds_shape_and_dtype():
    space = gym.spaces.Box(np.array([[-1.0, 0.0], [-0.8, 5.0]]), np.array([[1.1, 4.0], [0.8, 6.0]]), dtype=np.float64)
    action = script.to_env_action(np.array([-1, 1, 0, 0.5], np.float32), space)
    assert action.shape == (2, 2) and action.dtype == np.float64 and space.contains(action)
    assert action.ravel().tolist() == pytest.approx([-1.0, 4.0, 0.0, 5.75])
    assert space.contains(script.to_env_action(np.full(4, 1.0000001, np.float32), space))


# ---- targets and losses


def test_td_target_terminated_and_truncated():
    rewards, values = torch.tensor([1.0, 1.0, -2.0]), torch.tensor([10.0, 10.0, 0.5])
    terminated = torch.tensor([0.0, 1.0, 0.0])  # a truncated episode is not a terminated one: it bootstraps
    target = script.td_target(rewards, terminated, values, 0.9)
    assert target.tolist() == pytest.approx([10.0, 1.0, -1.55])


def test_q_loss_weights_each_squared_error():
    assert script.q_loss(torch.tensor([1.0, 0.5]), torch.tensor([2.0, -4.0])).item() == pytest.approx((4 + 8) / 2)


def test_argmax_predictor_losses_by_hand():
    mode, a_max = torch.tensor([[0.5, 0.0]]), torch.tensor([[0.9, -0.4]])  # nearest bins: 2 and 1
    logits = torch.tensor([[[0.0, 0.0, math.log(2.0)], [math.log(3.0), 0.0, 0.0]]])
    delta_loss, categorical_loss = script.argmax_predictor_loss(mode, logits, a_max)
    assert delta_loss.item() == pytest.approx((0.16 + 0.16) / 2)
    assert categorical_loss.item() == pytest.approx((math.log(4 / 2) + math.log(5 / 1)) / 2)  # -log 2/4, -log 1/5


# ---- one update


def make_update(monkeypatch=None, **flags):
    sizes = dict(buffer_size=64, batch_size=32, num_target_samples=20)
    args = script.Args(**sizes, **(dict(mixed_precision=False) | flags))
    network, target = make_networks()
    memory = script.ReplayMemory(args, 5, 3, torch.device("cpu"))
    fill_memory(memory, 50)
    memory.remember(torch.arange(50), memory.a_max[:50], torch.rand(50) * 5)  # so that the importance weights differ
    return args, network, target, torch.optim.Adam(network.parameters(), lr=args.learning_rate), memory


def test_update_moves_every_weight_and_leaves_the_target_alone():
    args, network, target, optimizer, memory = make_update()
    before, target_before = ({k: v.clone() for k, v in n.state_dict().items()} for n in (network, target))
    metrics = script.train_step(network, target, optimizer, memory, args)
    assert all(not v.equal(before[k]) for k, v in network.state_dict().items())
    assert all(v.equal(target_before[k]) for k, v in target.state_dict().items())
    assert all(math.isfinite(value) for value in metrics.values())
    shares = [metrics[f"argmax/share_{part}"].item() for part in ("uniform", "delta", "categorical", "stored")]
    assert sum(shares) == pytest.approx(1) and metrics["argmax/refresh_gain"] >= 0


@pytest.mark.parametrize("stored_action", [True, False])
def test_update_computes_the_equations(stored_action, monkeypatch):
    args, network, target, optimizer, memory = make_update(stored_action=stored_action)
    indices, weights = memory.sample(32)
    monkeypatch.setattr(memory, "sample", lambda batch_size: (indices, weights))
    search_set = torch.rand(32, 20, 3) * 2 - 1
    stored, seen = memory.a_max.clone(), {}
    assert weights.std() > 0.02

    def sample_actions(proposer, features, num_samples, *_):
        seen.update(proposer=proposer, features=features, num_samples=num_samples)
        return search_set

    monkeypatch.setattr(script, "sample_actions", sample_actions)
    original = script.argmax_predictor_loss
    monkeypatch.setattr(
        script, "argmax_predictor_loss", lambda *inputs: seen.update(inputs=inputs) or original(*inputs)
    )
    expected_targets, expected_a_max = [], []
    with torch.no_grad():
        for i, actions in zip(indices, search_set, strict=True):  # one transition at a time
            candidates = torch.cat([actions, stored[i].unsqueeze(0)]) if stored_action else actions
            q = target.q_values(target.obs_stream(memory.next_obs[i : i + 1]), candidates.unsqueeze(0))[0]
            expected_a_max.append(candidates[q.argmax()])
            expected_targets.append(memory.rewards[i] + 0.99 * (1 - memory.terminated[i]) * q.max())
        features = network.obs_stream(memory.obs[indices])
        q = network.q_values(features, memory.actions[indices].unsqueeze(1)).squeeze(1)
        predictions = network.delta_predictor(network.obs_stream(memory.next_obs[indices]))
    td_errors, a_max = torch.stack(expected_targets) - q, torch.stack(expected_a_max)
    metrics = script.train_step(network, target, optimizer, memory, args)
    assert bool(metrics["argmax/share_stored"]) == stored_action
    assert metrics["losses/td_loss"].item() == pytest.approx((weights * td_errors**2).mean().item(), rel=1e-4)
    with torch.no_grad():  # the *target* predictors propose, at s'
        assert seen["proposer"] is target and seen["num_samples"] == 20
        assert seen["features"].equal(target.obs_stream(memory.next_obs[indices]))
    assert seen["inputs"][2].equal(a_max)  # the predictors learn the fresh a_max, at s'
    assert seen["inputs"][0].allclose(predictions, atol=1e-6)
    for row in set(indices.tolist()):
        options = [expected_a_max[j] for j in range(32) if indices[j] == row]
        assert any(memory.a_max[row].equal(option) for option in options)  # written back
        errors = [(td_errors[j].abs() + 1e-6).item() ** 0.6 for j in range(32) if indices[j] == row]
        assert any(memory.priorities.view(-1)[row].item() == pytest.approx(error, rel=1e-3) for error in errors)
    untouched = [row for row in range(50) if row not in indices]
    assert untouched and memory.a_max[untouched].equal(stored[untouched])


def test_diagnostics_by_hand(monkeypatch):
    args, network, target, optimizer, memory = make_update(uniform_ratio=0.8, delta_ratio=0.1, categorical_ratio=0.1)
    # 20 samples are 16 uniform, 2 delta, 2 categorical; the stored one is last, at 20
    best = torch.tensor([0, 15] * 4 + [16, 17] * 2 + [18, 19] * 6 + [20] * 8)
    monkeypatch.setattr(script, "argmax_action", lambda n, f, actions, _: (actions[torch.arange(32), best], best))
    values = torch.stack(
        [torch.where(best < 20, 5.0, 3.0), torch.full((32,), 3.0)], dim=1
    )  # of a_max and of the stored
    monkeypatch.setattr(target, "q_values", lambda features, actions: values)
    metrics = {
        name: value.item() for name, value in script.train_step(network, target, optimizer, memory, args).items()
    }
    assert metrics["argmax/share_uniform"] == 8 / 32 and metrics["argmax/share_delta"] == 4 / 32
    assert metrics["argmax/share_categorical"] == 12 / 32 and metrics["argmax/share_stored"] == 8 / 32
    assert metrics["argmax/refresh_gain"] == 2 * 24 / 32


def test_predictors_learn_the_stored_action_on_request(monkeypatch):
    args, network, target, optimizer, memory = make_update(predictor_target="stored")
    stored, seen = memory.a_max.clone(), {}
    indices, weights = memory.sample(32)
    monkeypatch.setattr(memory, "sample", lambda batch_size: (indices, weights))
    original = script.argmax_predictor_loss
    monkeypatch.setattr(script, "argmax_predictor_loss", lambda *inputs: seen.update(a=inputs[2]) or original(*inputs))
    script.train_step(network, target, optimizer, memory, args)
    assert seen["a"].equal(stored[indices]) and not seen["a"].equal(memory.a_max[indices])


def test_stored_action_only_ever_improves_under_the_target():
    args, network, target, optimizer, memory = make_update()
    with torch.no_grad():
        features = target.obs_stream(memory.next_obs)

        def value():
            return target.q_values(features, memory.a_max.unsqueeze(1)).squeeze(1)[:50]

        before = value()
        for _ in range(20):
            with torch.enable_grad():
                script.train_step(network, target, optimizer, memory, args)
            after = value()
            assert (after >= before - 1e-6).all()
            before = after


def test_no_gradient_from_the_predictors_reaches_the_observation_stream(monkeypatch):
    args, network, target, optimizer, memory = make_update()
    monkeypatch.setattr(script, "q_loss", lambda weights, td_errors: (td_errors * 0).sum())
    script.train_step(network, target, optimizer, memory, args)
    for name, parameter in network.named_parameters():
        moved = bool(parameter.grad.abs().sum())
        assert moved == ("predictor" in name), name


def test_gradient_of_the_td_loss_does_not_reach_the_predictors(monkeypatch):
    args, network, target, optimizer, memory = make_update()
    zero = lambda mode, logits, a_max: ((mode * 0).sum(), (logits * 0).sum())  # noqa: E731
    monkeypatch.setattr(script, "argmax_predictor_loss", zero)
    script.train_step(network, target, optimizer, memory, args)
    for name, parameter in network.named_parameters():
        assert bool(parameter.grad.abs().sum()) == ("predictor" not in name), name


def test_on_grid_keeps_every_stored_action_on_the_grid():
    args, network, target, optimizer, memory = make_update()
    memory.a_max.copy_(memory.a_max.round())
    for _ in range(10):
        script.train_step(network, target, optimizer, memory, args, on_grid=True)
    assert memory.a_max.equal(memory.a_max.round())


# ---- acting


def test_greedy_action_is_the_argmax_of_the_online_network():
    network, _ = make_networks()
    obs = torch.randn(5)
    features = network.obs_stream(obs.unsqueeze(0))
    args = script.Args(num_greedy_samples=200)
    greedy = torch.stack([script.greedy_action(network, obs, args) for _ in range(50)])
    uniform = script.sample_uniform(1, 2000, 3, "cpu")
    with torch.no_grad():
        q_greedy = network.q_values(features, greedy.unsqueeze(0))
        q_uniform = network.q_values(features, uniform)
    assert greedy.shape == (50, 3)
    assert (q_greedy > q_uniform.quantile(0.9)).all()  # the best of 200 beats nearly all random ones
    grid = torch.stack([script.greedy_action(network, obs, args, on_grid=True) for _ in range(50)])
    assert grid.equal(grid.round())


def test_cross_entropy_is_taken_of_logits_not_of_probabilities():
    logits, a_max = torch.tensor([[[0.0, 0.0, 5.0]]]), torch.tensor([[1.0]])
    _, loss = script.argmax_predictor_loss(torch.zeros(1, 1), logits, a_max)
    assert loss.item() == pytest.approx(-F.log_softmax(logits, -1)[0, 0, 2].item())
