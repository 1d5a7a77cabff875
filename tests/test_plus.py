"""qmle_plus.py: its equations by hand or brute force, its search, and whole runs of two seeds."""

import math
import signal

import numpy as np
import pytest
import qmle_plus as script
import torch
from conftest import rows, tiny

NAME = "qmle_plus"


@pytest.mark.parametrize("max_value", [4.0, 0.0])
def test_n_step_batch_against_brute_force(max_value):
    args = script.Args(buffer_size=7, n_step=3, gamma=0.5, max_value=max_value)
    memory = script.ReplayMemory(args, 2, 1, "cpu", seeds=(2,))
    rewards = np.random.default_rng(0).normal(size=(11, 2))
    ended = np.zeros((11, 2), bool)
    ended[[2, 5, 8], [0, 0, 1]], ended[6] = True, True
    terminated = ended & (np.arange(11) != 5)[:, None]  # the others are truncated
    for t in range(11):  # rows 4 to 10 stay
        state = np.full((2, 2), t)
        memory.add(state, state[:, :1] / 9, rewards[t], state + 0.5, terminated[t], ended[t])
        if t % 3 == 0 or t == 10:
            memory.store()
    obs, next_obs, actions, sums, discounts = memory.n_step_batch(torch.arange(7).expand(2, 7))
    for k in range(2):
        returns, past = [1e-6], 0.0
        for t in range(11):
            past = rewards[t, k] + 0.5 * past
            returns.append(abs(past))
            past *= not ended[t, k]
        scale = max_value or max(returns)
        assert memory.scale[k].item() == pytest.approx(scale)
        for t in range(4, 11):
            last = t
            while last < min(t + 2, 10) and not ended[last, k]:
                last += 1
            total = sum(0.5 ** (i - t) * rewards[i, k] for i in range(t, last + 1))
            row = t % 7
            assert sums[k, row].item() == pytest.approx(total / scale, rel=1e-5)
            discount = 0.5 ** (last + 1 - t) * (not terminated[last, k])
            assert discounts[k, row].item() == discount
            assert obs[k, row].tolist() == [t, t] and next_obs[k, row, 0] == last + 0.5
            assert actions[k, row].item() == pytest.approx(t / 9)


def test_hl_gauss_and_norms():
    args = script.Args(num_atoms=21)
    values = torch.tensor([-3.0, -1.0, -0.512, 0.0, 0.333, 1.0, 7.0])
    chances = script.hl_gauss(values, args)
    assert chances.shape == (7, 21) and chances.sum(-1).allclose(torch.ones(7))
    means = script.expected_value(chances.log(), args)
    assert means[2:5].allclose(values[2:5], atol=1e-3)
    assert chances[0].equal(chances[1]) and chances[5].equal(chances[6])  # kept in bounds
    # An atom's share of a Gaussian of 0.75 distances: half a distance is two thirds of an s.d.
    assert chances[3, 10].item() == pytest.approx(math.erf(2 / 3 / math.sqrt(2)), abs=1e-6)
    own, batch = script.Norm(args, 4), torch.nn.BatchNorm1d(4, momentum=0.01)
    x = torch.randn(3, 6, 4) * 5 + 2
    for _ in range(3):
        assert own(x).allclose(batch(x.flatten(0, 1)).view_as(x), atol=1e-5)
    biased = (batch.running_var - 0.99**3) * 17 / 18 + 0.99**3
    assert own.mean.allclose(batch.running_mean) and own.var.allclose(biased)
    batch.running_var.copy_(biased)
    with torch.no_grad():  # not in a loss: running statistics, which stay
        assert own(x[0]).allclose(batch.eval()(x[0]), atol=1e-5)
    assert own.var.allclose(biased)
    args.batch_norm = False
    assert script.Norm(args, 4)(x).allclose(torch.nn.LayerNorm(4)(x), atol=1e-5)


def test_predictor_loss_by_hand():
    mean, std, elites = torch.zeros(1, 1), torch.full((1, 1), 0.5), torch.tensor([[[1.0], [-0.5]]])
    logits = torch.tensor([[[math.log(2.0), 0.0, 0.0]]])  # bins of the elites: 2, 0
    gaussian, categorical = script.predictor_loss(mean, std, logits, elites)
    assert gaussian.item() == pytest.approx((2**2 / 2 + 1**2 / 2) / 2 + math.log(0.5))
    assert categorical.item() == pytest.approx((math.log(4) + math.log(4 / 2)) / 2)


@pytest.mark.parametrize("pessimism, num_value_samples", [(0.0, 3), (1.0, 3), (1.0, 0)])
def test_training_loss_against_brute_force(pessimism, num_value_samples, monkeypatch):
    flags = {"num_value_samples": num_value_samples, "num_elites": 2, "num_target_samples": 9}
    args = script.Args(pessimism=pessimism, num_atoms=0, num_heads=2, width=8, **flags)
    q_network, target_network = (script.QNetworks(args, 3, 2) for _ in range(2))
    predictors = script.ArgmaxPredictors(args, 3, 2)
    samples = (torch.rand(5, 9, 2) * 2 - 1).requires_grad_()
    monkeypatch.setattr(script, "sample_actions", lambda *_: samples)
    obs, next_obs, actions = torch.randn(5, 3), torch.randn(5, 3), torch.rand(5, 2)
    batch = obs, next_obs, actions, torch.randn(5), torch.rand(5)
    weights, td_losses, td_errors, elites = torch.rand(5), [], [], []
    with torch.no_grad():
        heads = [[h(next_obs, samples[:, [i]])[:, 0, 0] for i in range(9)] for h in target_network]
    q = q_network(obs, actions.unsqueeze(1))[
        ..., 0, 0
    ].tolist()  # (H, B), of the batch's statistics
    for b in range(5):
        both = [[heads[h][i][b].item() for h in range(2)] for i in range(9)]
        values = [min(pair) if pessimism else sum(pair) / 2 for pair in both]
        few = values[1:4] if num_value_samples else values
        target = batch[3][b].item() + batch[4][b].item() * max(few)
        errors = [target - q[h][b] for h in range(2)]
        td_errors.append(max(map(abs, errors)))
        td_losses += [weights[b].item() * error**2 for error in errors]
        elites.append(samples[b, sorted(range(9), key=lambda i: -values[i])[:2]].detach())  # noqa: B023
    loss, errors, metrics = script.training_loss(
        q_network, target_network, predictors, args, batch, weights
    )
    assert errors.tolist() == pytest.approx(td_errors, rel=1e-4)
    assert metrics["losses/td_loss"].item() == pytest.approx(np.mean(td_losses), rel=1e-4)
    own = sum(script.predictor_loss(*predictors(next_obs), torch.stack(elites)))
    learnt = [p for p in predictors.parameters() if p.requires_grad]
    expected = torch.autograd.grad(own, learnt)
    loss.backward()
    # What the predictors learn is the likelihood of the elites: Q is not differentiated by actions.
    for parameter, grad in zip(learnt, expected, strict=True):
        assert parameter.grad.allclose(grad, atol=1e-6)
    assert samples.grad is None and all(p.grad is None for p in target_network.parameters())
    assert all(p.grad is not None for p in q_network.parameters() if p.requires_grad)


@pytest.mark.parametrize("uniform_ratio, mode", [(0.1, 0.6), (0.0, -0.5)])
def test_uniform_samples_find_the_global_mode(uniform_ratio, mode):
    shares = {"uniform_ratio": uniform_ratio, "gaussian_ratio": 1 - uniform_ratio}
    args = script.Args(width=8, categorical_ratio=0.0, num_atoms=0, max_std=0.2, **shares)
    predictors = script.ArgmaxPredictors(args, 1, 1)
    with torch.no_grad():  # at first a narrow Gaussian at the lower mode
        predictors[-2].weight.zero_()
        predictors[-2].bias.copy_(torch.tensor([math.atanh(-0.5), -2.0, 0, 0, 0]))
    optimizer = torch.optim.Adam([p for p in predictors.parameters() if p.requires_grad], lr=0.02)

    def q(obs, actions):  # modes at -0.5 and, higher, at 0.6
        lower, higher = 0.7 - 4 * (actions + 0.5) ** 2, 1 - 4 * (actions - 0.6) ** 2
        return torch.maximum(lower, higher).unsqueeze(0)

    batch = (
        torch.zeros(32, 1),
        torch.zeros(32, 1),
        torch.zeros(32, 1),
        torch.zeros(32),
        torch.zeros(32),
    )
    for _ in range(150):
        optimizer.zero_grad()
        script.training_loss(q, q, predictors, args, batch, torch.ones(32))[0].backward()
        optimizer.step()
    for act in (script.greedy_action, script.exploring_action):
        assert abs(act(q, predictors, args, torch.zeros(1)).item() - mode) < 0.15


def test_runs_repeat_resume_and_evaluate(run_script, monkeypatch, capsys):
    flags = f"{tiny(NAME, 'Reach', 300)} --num-seeds 2 --width 8 --train-frequency 7 --save-model"
    updates, adam_step, stop_at = [], torch.optim.Adam.step, [0]

    def step(self):
        adam_step(self)
        updates.append(1)
        if len(updates) == stop_at[0]:
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(torch.optim.Adam, "step", step)
    runs = [run_script(NAME, flags) for _ in range(2)]
    assert len(updates) == 2 * 28  # after 105, 112, ..., 294 steps
    episodes = [[rows(path / "episodes.csv") for path in run["run_dirs"]] for run in runs]
    assert episodes[0] == episodes[1] and episodes[0][0] != episodes[0][1]
    stop_at[0] = len(updates) + 10  # in the step after 168
    with pytest.raises(SystemExit) as end:
        run_script(NAME, flags)
    output = capsys.readouterr().out
    folder = output.split("--resume ")[1].split()[0]
    assert end.value.code == 130 and "stopped after step 169" in output
    end = run_script(NAME, f"--resume {folder}")
    assert len(updates) == 3 * 28 and end["global_step"] == 300
    for before, run_dir in zip(episodes[0], end["run_dirs"], strict=True):
        after = rows(run_dir / "episodes.csv")
        assert after[:9] == before[:9] and after[9].startswith("189,")  # a new one began at 169
    end["memory"].store()
    ended = end["memory"].rows[0, :200, -1].nonzero().flatten()
    assert ended[-3:].tolist() == [159, 168, 188]  # what comes after 168 does not follow it
    for run_dir in end["run_dirs"]:
        with pytest.raises(SystemExit):
            run_script(NAME, f"--evaluate-only {run_dir} --eval-episodes 2")
        assert "mean: " in capsys.readouterr().out
