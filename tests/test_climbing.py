"""The climbing game of Figure 11."""

import types

import qmle_climbing as qmle
import torch
import vdn_climbing as vdn
from pytest import approx, mark

SMALL = "--num-seeds 2 --total-timesteps 60 --eval-frequency 20 --learning-starts 20"
SMALL += " --batch-size 8 --hidden-size 8"
SIGNS = torch.tensor([[-1.0, -1.0], [-1.0, 1.0], [1.0, -1.0], [1.0, 1.0]])


def generators(*seeds):
    return [torch.Generator().manual_seed(seed) for seed in seeds]


def fill(script):
    """40 random rounds of 2 seeds."""
    memory = script.ReplayMemory(2, 100)
    obs = SIGNS[torch.randint(4, (2, 40), generator=generators(9)[0])]
    actions = script.sample_uniform(generators(5, 6), 40, 1).squeeze(2)
    memory.add(obs, actions, script.climbing_reward(obs, actions))
    return memory


def test_reward_of_the_game():
    centres = torch.cartesian_prod(*[torch.tensor([-2 / 3, 0, 2 / 3])] * 2)
    for signs in SIGNS:  # the effective action is o_i * a_i
        rewards = qmle.climbing_reward(signs, signs * centres)
        assert rewards.tolist() == approx([11, -30, 0, -30, 7, 6, 0, 0, 5])
    for *effective, expected in [
        (-1 / 3 + 0.025, -1.0, 0.25 * 11 - 0.75 * 30),  # three quarters along a ramp
        (-1 / 3, -1 / 3, -10.5),  # two ramps cross: (11 - 30 - 30 + 7) / 4
        (-0.384, -0.384, 11.0),  # just off the ramps
        (-0.282, -0.384, -30.0),
    ]:
        value = qmle.climbing_reward(torch.ones(2), torch.tensor(effective))
        assert value.item() == approx(expected, abs=1e-4)


def test_equations_of_the_game():
    q_network, obs = qmle.QNetwork(generators(1, 2), 8), SIGNS.expand(2, 4, 2)
    args = qmle.Args(num_uniform_samples=5, num_delta_samples=500)
    actions = qmle.sample_actions(generators(3, 4), q_network, obs, args)
    assert actions.shape == (2, 4, 505, 2) and actions.abs().max() <= 1
    assert actions[:, :, :5].equal(qmle.sample_uniform(generators(3, 4), 4, 5))
    noise = actions[:, :, 5:] - qmle.greedy_action(q_network, obs).unsqueeze(2)
    assert not noise[:, :, 0].any()  # the predictors' output itself
    assert (noise[:, :, 1:].std(2) - 0.1).abs().max() < 0.02

    hill = types.SimpleNamespace(q_values=lambda obs, a: -((a - obs.unsqueeze(2)) ** 2).sum(-1))
    actions = torch.tensor([[0.0, 0.0], [0.5, 1.0], [-1.0, 0.0]]).expand(2, 1, 3, 2)
    a_max = qmle.argmax_action(hill, torch.tensor([[[1.0, 1.0]], [[-1.0, 1.0]]]), actions)
    assert a_max.tolist() == [[[0.5, 1.0]], [[-1.0, 0.0]]]
    q, rewards = torch.tensor([[1.0, 2.0], [0.0, -30.0]]), torch.tensor([[11.0, 2.0], [0.0, -30]])
    assert qmle.q_loss(q, rewards).tolist() == vdn.q_loss(q, rewards).tolist() == [50.0, 0.0]
    mode = torch.tensor([[[0.0, 0.5]], [[1.0, -1.0]]])
    loss = qmle.argmax_predictor_loss(mode, torch.tensor([[[1.0, 0.5]], [[1.0, 0.0]]]))
    assert loss.tolist() == [0.5, 0.5]


def test_update_of_the_game():
    q_network, memory = qmle.QNetwork(generators(1, 2), 16), fill(qmle)
    old = memory.a_max.clone()
    assert old.equal(memory.actions)
    optimizer = torch.optim.Adam(q_network.parameters(), lr=0.0)
    qmle.train_step(generators(7, 8), q_network, optimizer, memory, qmle.Args(batch_size=30))
    values = [q_network.q_values(memory.obs, a.unsqueeze(2)) for a in (old, memory.a_max)]
    assert (values[1] >= values[0]).all() and (values[1] > values[0]).any()


def test_agents_act_on_their_own():
    q_network, obs = qmle.QNetwork(generators(1, 2), 16), SIGNS.expand(2, 4, 2)
    others = obs * torch.tensor([1.0, -1.0])  # agent 2 observes the opposite
    del q_network.joint
    actions, changed = (qmle.greedy_action(q_network, o) for o in (obs, others))
    assert actions[..., 0].equal(changed[..., 0]) and (actions[..., 1] != changed[..., 1]).all()


def test_additive_decomposition():
    q_network, args = vdn.QNetwork(generators(1, 2), 16), vdn.Args(num_greedy_samples=20)
    obs, samples = SIGNS.expand(2, 4, 2), vdn.sample_uniform(generators(3, 4), 4, 20)
    joint = torch.cartesian_prod(torch.arange(20), torch.arange(20))
    pairs = torch.stack([samples[:, :, joint[:, i], i] for i in range(2)], dim=-1)
    q = q_network.q_values(obs, pairs)
    own = [q_network.utility(i, obs[..., i], pairs[..., i]) for i in range(2)]
    assert q.allclose(own[0] + own[1])
    best = pairs.take_along_dim(q.argmax(2)[..., None, None], dim=2).squeeze(2)
    assert vdn.greedy_action(generators(3, 4), q_network, obs, args).equal(best)


@mark.parametrize("name", ["qmle_climbing", "vdn_climbing"])
def test_same_run_beside_others(name, run, patch):
    ends = [run(name, f"{SMALL} --output one")]
    patch("matplotlib.figure.Figure.savefig", lambda *_, **__: None)
    ends += [run(name, f"{SMALL} {flags}") for flags in ("--output two", "--seed 2")]
    for one, two, other in zip(*(end["q_network"].parameters() for end in ends), strict=True):
        assert one.equal(two) and not one[0].equal(one[1])
        torch.testing.assert_close(one[1], other[0], rtol=1e-3, atol=1e-5)
    states = ends[0]["optimizer"].state.values()
    assert {state["step"].item() for state in states} == {5}  # at 20, ..., 60
    assert (ends[0]["folder"] / f"{name}.csv").exists()


def test_each_agent_explores(run):
    flags = "--num-seeds 1 --total-timesteps 4000 --eval-frequency 4000 --train-frequency 500"
    end = run("qmle_climbing", f"{flags} --learning-starts 9000 --exploration-epsilon 0.25")
    memory = end["memory"]
    assert not end["optimizer"].state and abs(memory.obs[0].prod(1).mean()) < 0.06
    greedy = qmle.greedy_action(end["q_network"], memory.obs)
    explored = (memory.actions[0] - greedy[0]).abs() > 1e-5
    assert explored.float().mean(0).tolist() == approx([0.25, 0.25], abs=0.03)
    assert explored.all(1).float().mean().item() == approx(0.0625, abs=0.02)


QUICK = "--num-seeds 3 --eval-frequency 2000 --train-frequency 20 --learning-rate 6e-3"


@mark.parametrize("script, best, steps", [("qmle", 11, 12_000), ("vdn", 5, 6000)])
def test_verdict_of_figure_11(script, best, steps, run):
    end = run(f"{script}_climbing", f"{QUICK} --total-timesteps {steps}")
    assert end["curve"].shape[1] >= 3 and abs(end["curve"][-1] - best).max() <= 0.1
