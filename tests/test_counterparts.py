"""Updates of scripts that search; equations of DDPG, QT-Opt and AQL by hand."""

import math
from unittest import mock

import aql_continuous as aql
import conftest
import ddpg_continuous as ddpg
import numpy as np
import qmle_continuous
import qmle_discrete
import qtopt_continuous as qtopt
import torch
import torch.nn as nn
import toy_envs
from conftest import COUNTERPARTS
from pytest import approx, mark

M = torch.tensor([[3.0, 2.0], [2.0, 2.0]])  # of a Q that is no sum over dimensions


class Quadratic(nn.Module):
    """Q(s, a) = -w (a - s)^T M (a - s) for features s (B, 2); the best action is s."""

    action_size = 2

    def __init__(self):
        super().__init__()
        self.w, self.seen = nn.Parameter(torch.tensor(0.5)), []

    def forward(self, features, actions):
        self.seen.append(actions)
        d = actions - features.unsqueeze(1)
        return -self.w * (d @ M * d).sum(-1)

    q_values = forward


QMLE = {"num_target_samples": 5}
SETS = {"num_uniform_samples": 12, "num_proposal_samples": 8}
MADE = {  # script, flags, what QNetwork takes after the size of observations
    "ddpg": (ddpg, {}, (3,)),
    "qtopt": (qtopt, {}, (3,)),
    "continuous": (aql, SETS, (3, None, 0.1)),
    "discrete": (aql, SETS | {"proposal": "discrete"}, (3, 3, 0.1)),
    "qmle_continuous": (qmle_continuous, QMLE, (3, 3)),
    "not stored": (qmle_continuous, QMLE | {"stored_action": False}, (3, 3)),
    "qmle_discrete": (qmle_discrete, QMLE, ((4,) * 11, False)),
}


def make_update(kind):
    script, flags, last = MADE[kind]
    args = script.Args(buffer_size=64, batch_size=32, **flags)
    return script, args, *conftest.make_update(script, args, last)


def test_deterministic_policy_gradient():
    q_network, actor = Quadratic(), nn.Linear(2, 2)
    features = torch.randn(7, 2, requires_grad=True)
    mu = actor(features.detach())
    ddpg.policy_loss(q_network, features, mu).backward()
    dq_da = -2 * 0.5 * (mu - features).detach() @ M  # (B, 2)
    assert actor.weight.grad.allclose(-dq_da.T @ features.detach() / 7, atol=1e-6)
    assert actor.bias.grad.allclose(-dq_da.mean(0), atol=1e-6)
    assert q_network.w.grad is None and features.grad is None


@torch.no_grad()
def test_cem(patch):
    q_network, states = Quadratic(), torch.rand(300, 2) * 2 - 1  # states take several chunks
    args = qtopt.Args(cem_iterations=8, cem_samples=256, cem_elites=24)
    assert (qtopt.cem_argmax(q_network, states, args) - states).abs().max() < 0.05
    noise, states = torch.randn(2, 4, 64, 2), states[:4]
    q_network.seen, draws = [], iter(noise)
    patch(torch, "randn", lambda size, device: next(draws))
    action = qtopt.cem_argmax(q_network, states, qtopt.Args())
    first, second = q_network.seen
    for i in range(4):
        best = first[i, q_network(states, first)[i].argsort()[-6:]]
        expected = best.mean(0) + best.std(0) * noise[1, i]
        assert second[i].allclose(expected.clamp(-1, 1), atol=1e-6)
        assert action[i].equal(second[i, q_network(states, second)[i].argmax()])


def proposal_by_hand(kind, biases):
    """A proposal of two dimensions whose outputs are biases."""
    proposal = aql.Proposal(2, 3 if kind == "discrete" else None, 0.1)
    for parameter in proposal.parameters():
        nn.init.zeros_(parameter)
    for layer, bias in zip(proposal.outputs, biases, strict=True):
        layer.bias.data.copy_(torch.tensor(bias))
    return proposal


def test_gaussian_proposal_by_hand():
    """Means 0.6 and -0.8, standard deviations 0.1 + 0.9 / 2 and 0.1 + 0.9 / 10."""
    biases = [[math.atanh(0.6), 0.0], [math.atanh(-0.8), -math.log(9)]]
    proposal = proposal_by_hand("continuous", biases)
    action = torch.tensor([[[0.05, -0.8]]])  # one s.d. below and at the mean
    _, log_prob, entropy = proposal(torch.zeros(1, 128), actions=action)
    scale = math.log(0.55 * 0.19 * 2 * math.pi)
    assert log_prob.item() == approx(-0.5 - scale, rel=1e-5)
    assert entropy.item() == approx(1 + scale, rel=1e-5)
    samples, *_ = proposal(torch.zeros(2, 128), 20_000)
    below = (samples < torch.tensor([0.05, -0.99])).float().mean((0, 1))  # one s.d. below
    assert (below - 0.1587).abs().max() < 0.01 and samples.abs().max() == 1  # clipped


def test_discrete_proposal_by_hand():
    """P(a_1) = (1, 1, 2) / 4; a_2 is uniform, but P(a_2) = (1, 1, 3) / 5 after a_1 = 1."""
    proposal = proposal_by_hand("discrete", [[0.0, 0.0, math.log(2)], [0.0, 0.0, 0.0]])
    proposal.earlier.weight.data[7, 0] = 1  # hidden unit 7 is relu(a_1)
    proposal.outputs[1].weight.data[2, 7] = math.log(3)
    chances = [1 / 12] * 6 + [0.1, 0.1, 0.3]
    actions = torch.cartesian_prod(*[torch.arange(-1.0, 2)] * 2)
    _, log_prob, entropy = proposal(torch.zeros(1, 128), actions=actions.unsqueeze(0))
    assert log_prob.exp().tolist()[0] == approx(chances)
    first = 2 * math.log(4) / 4 + math.log(2) / 2
    second = 2 * math.log(5) / 5 + 3 / 5 * math.log(5 / 3)  # after a_1 = 1
    expected = [first + math.log(3)] * 6 + [first + second] * 3
    assert entropy.tolist()[0] == approx(expected, rel=1e-5)
    samples, *_ = proposal(torch.zeros(2, 128), 20_000)
    shares = [(samples == action).all(-1).float().mean().item() for action in actions]
    assert shares == approx(chances, abs=0.01)


@mark.parametrize("kind", ["continuous", "discrete"])
def test_search_set_of_aql(kind):
    script, args, network, *_ = make_update(kind)
    samples = script.sample_actions(network, torch.randn(50, 128), args)
    assert samples.shape == (50, 20, 3) and samples.abs().max() <= 1
    assert bool((samples == samples.round()).all()) == (kind == "discrete")


@mark.parametrize("kind", MADE)
def test_update_computes_the_equations(kind, patch):
    script, args, *made = make_update(kind)
    network, target, _, memory = made
    is_qmle, before = "num_target_samples" in MADE[kind][1], memory.a_max.clone()
    search_set, given = torch.rand(32, 5, memory.sizes[2]) * 2 - 1, []
    if kind.endswith("discrete"):
        search_set = search_set.round()
    if is_choice := kind == "qmle_discrete":
        search_set = search_set.long() + 1
    sampling = mock.Mock(return_value=search_set)
    loss = mock.Mock(wraps=getattr(script, "argmax_predictor_loss", None))
    patch(script, "sample_actions", sampling, raising=False)
    patch(script, "argmax_predictor_loss", loss, raising=False)
    patch(script, "cem_argmax", lambda *_: search_set[:, 0], raising=False)

    def values(obs, next_obs, actions, stored):
        if is_choice:
            actions, stored = actions.long(), stored.long()
        features, candidates = target.obs_stream(next_obs), search_set
        # AQL: the *online* network chooses, the target network values
        chooser = network if script is aql else target
        if kind == "ddpg":
            candidates = target.actor(features).unsqueeze(1)
        elif kind == "qtopt":
            candidates = search_set[:, :1]
        elif is_qmle and args.stored_action:
            candidates = torch.cat([search_set, stored.unsqueeze(1)], dim=1)
        best = chooser.q_values(chooser.obs_stream(next_obs), candidates).argmax(1)
        best = candidates[torch.arange(32), best]
        learner = getattr(network, "categorical_predictor", len)
        given[:] = features, best, learner(network.obs_stream(next_obs))
        q = network.q_values(network.obs_stream(obs), actions.unsqueeze(1)).squeeze(1)
        return q, target.q_values(features, best.unsqueeze(1)).squeeze(1)

    indices, metrics = conftest.check_update(script, args, made, values, patch)
    if not is_qmle:
        assert memory.a_max.equal(before)
        return
    features, best, expected = given
    assert bool(metrics["argmax/share_stored"]) == args.stored_action
    proposer, at, num, _ = sampling.call_args.args  # *target* predictors propose, at s'
    assert proposer is target and num == 5 and at.equal(features)
    *_, logits, learnt = loss.call_args.args  # and the predictors learn at s'
    exists = logits > -math.inf
    assert logits[exists].allclose(expected[exists], atol=1e-6) and learnt.equal(best)
    for row in indices:  # written back; of a row drawn twice some draw counts
        assert any(memory.a_max[row].equal(learnt[j]) for j in range(32) if indices[j] == row)
    others = [row for row in range(50) if row not in indices]
    assert others and memory.a_max[others].equal(before[others])


OWN = {
    "ddpg": "actor",
    "continuous": "proposal",
    "qmle_continuous": "pred",
    "qmle_discrete": "pred",
}


@mark.parametrize("kind, own", OWN.items())
def test_gradients_stay_apart(kind, own):
    """The loss of what proposes reaches only that, the TD loss only the rest."""
    script, args, network, target, _, memory = make_update(kind)
    batch, gradients = memory.rows[:32].split(memory.sizes, dim=1), []
    for weights in (torch.zeros(32), torch.ones(32)):
        torch.manual_seed(0)  # the same search sets
        network.zero_grad()
        script.training_loss(network, target, args, batch, weights)[0].backward()
        gradients.append([p.grad.clone() for p in network.parameters()])
    for (name, _), *pair in zip(network.named_parameters(), *gradients, strict=True):
        assert bool(pair[0].any()) == pair[0].equal(pair[1]) == (own in name), name
    assert all(parameter.grad is None for parameter in target.parameters())


def test_exploration_noise(run, patch):
    patch(nn.Tanh, "forward", lambda self, x: 0 * x + 0.5)  # mu(s) is 0.5
    toy_envs.Recorder.actions.clear()
    flags = "--exploration-epsilon 0 --exploration-noise-std 0.3 --eval-frequency 1000 "
    flags += conftest.tiny("ddpg_continuous", "Recorder", 1001) + " --learning-starts 1001"
    run("ddpg_continuous", flags)
    actions = np.array(toy_envs.Recorder.actions)
    training = np.delete(actions, slice(1000, 1020), axis=0)
    assert (actions[1000:1020] == 0.5).all() and abs(training).max() == 1
    # quartiles, which clipping leaves
    assert np.percentile(training, [25, 50, 75]) == approx([0.298, 0.5, 0.702], abs=0.03)


@mark.parametrize("kind", ["ddpg", "discrete"])
def test_many_seeds_of_it_run(kind, tmp_path, run, play):
    script, own = COUNTERPARTS[kind]
    generator = conftest.ROOT / "benchmark/many_seeds.py"
    assert not conftest.run_process(generator, f"{script} .", tmp_path)[0]
    flags = f"{conftest.tiny(script, 'Pendulum-v1', 210)} --num-seeds 3 {own}"
    end = run(str(tmp_path / f"{script}_multiseed"), flags)
    assert len(list(tmp_path.glob("runs/*/model.pt"))) == 3 and "metrics" in end
    assert play(script, end["run_dirs"][0]) < 0
