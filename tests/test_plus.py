"""qmle_plus.py: its equations by hand or brute force, its search, and whole runs of two seeds."""

import copy
import math
import signal

import numpy as np
import pytest
import qmle_plus as script
import torch
from conftest import rows, tiny


@pytest.mark.parametrize("max_value", [4.0, 0.0])
def test_n_step_batch_against_brute_force(max_value):
    args = script.Args(buffer_size=7, n_step=3, gamma=0.5, max_value=max_value)
    memory = script.ReplayMemory(args, 2, 1, "cpu", seeds=(2,))
    rewards = np.random.default_rng(0).normal(size=(11, 2))
    ended = np.zeros((11, 2), bool)
    ended[[2, 5, 6, 8], [0, 0, 0, 1]] = True
    terminated = ended & (np.arange(11) != 5)[:, None]  # the others are truncated
    for t in range(11):  # rows 4 to 10 stay
        obs = np.full((2, 2), t)
        memory.add(obs, obs[:, :1] / 8, rewards[t], obs + 0.5, terminated[t], ended[t])
        if t in (3, 10):
            memory.store()
    batch = memory.n_step_batch(torch.arange(7).expand(2, 7))
    for k in range(2):
        returns = [0.0]
        for t in range(11):
            returns.append(rewards[t, k] + 0.5 * returns[-1] * (t == 0 or not ended[t - 1, k]))
        scale = max_value or np.abs(returns).max()
        for t in range(4, 11):
            last = t
            while last < min(t + 2, 10) and not ended[last, k]:
                last += 1
            total = sum(0.5 ** (i - t) * rewards[i, k] for i in range(t, last + 1)) / scale
            discount = 0.5 ** (last + 1 - t) * (not terminated[last, k])
            row = torch.cat([x[k, t % 7].flatten() for x in batch]).tolist()
            expected = [t, t, last + 0.5, last + 0.5, t / 8, total, discount]
            assert row == pytest.approx(expected, rel=1e-5)


def test_hl_gauss_and_norms():
    args = script.Args(num_atoms=21)
    values = torch.tensor([-3.0, -1.0, -0.512, 0.0, 0.333, 1.0, 7.0])
    chances = script.hl_gauss(values, args)
    assert chances.sum(-1).allclose(torch.ones(7)) and chances[::5].equal(chances[1::5])  # clipped
    assert script.expected_value(chances.log(), args)[2:5].allclose(values[2:5], atol=1e-3)
    # the atom at the value: half a distance is two thirds of a standard deviation
    assert chances[3, 10].item() == pytest.approx(math.erf(2 / 3 / math.sqrt(2)), abs=1e-6)
    args.batch_norm = True
    own, batch, x = script.Norm(args, 4), torch.nn.BatchNorm1d(4, momentum=0.01), torch.randn(18, 4)
    for _ in range(3):
        assert own(x.view(3, 6, 4)).flatten(0, 1).allclose(batch(x), atol=1e-5)
    batch.running_var -= (batch.running_var - 0.99**3) / 18  # PyTorch's are unbiased
    with torch.no_grad():  # not in a loss: running statistics, which stay
        assert own(x).allclose(batch.eval()(x), atol=1e-5)
        assert own.mean.allclose(batch.running_mean) and own.var.allclose(batch.running_var)
    args.batch_norm = False
    assert script.Norm(args, 4)(x).allclose(torch.nn.LayerNorm(4)(x), atol=1e-5)
    own = script.Norm(args, 4, affine=False)  # of observations: running averages, in training too
    assert own(x).allclose((x - own.mean) / (own.var + 1e-5).sqrt(), atol=1e-6) and own.mean.any()


def test_predictor_loss_by_hand():
    mean, std, elites = torch.zeros(1, 1), torch.full((1, 1), 0.5), torch.tensor([[[1.0], [-0.6]]])
    logits = torch.tensor([[[math.log(2.0), 0.0, 0.0]]])  # nearest bins: 2, 0
    gaussian, categorical = script.predictor_loss(mean, std, logits, elites)
    assert gaussian.item() == pytest.approx((2**2 / 2 + 1.2**2 / 2) / 2 + math.log(0.5))
    assert categorical.item() == pytest.approx((math.log(4) + math.log(4 / 2)) / 2)


@pytest.mark.parametrize("pessimism, num_few", [(0.0, 3), (1.0, 3), (1.0, 0)])
def test_training_loss_against_brute_force(pessimism, num_few, monkeypatch):
    flags = {"num_value_samples": num_few, "num_elites": 2, "num_atoms": 0, "width": 8}
    args = script.Args(pessimism=pessimism, batch_norm=True, **flags)
    q_network, target_network = (script.QNetworks(args, 3, 2) for _ in range(2))
    predictors = script.ArgmaxPredictors(args, 3, 2)
    samples, weights = (torch.rand(5, 9, 2) * 2 - 1).requires_grad_(), torch.rand(5)
    monkeypatch.setattr(script, "sample_actions", lambda *_: samples)
    batch = *torch.randn(2, 5, 3), torch.rand(5, 2), *torch.rand(2, 5)
    obs, next_obs, actions, rewards, discounts = batch
    twins = copy.deepcopy((q_network, predictors))  # a loss moves the running statistics
    q = twins[0](obs, actions.unsqueeze(1))[:, :, 0, 0].detach()  # (H, B), batch statistics
    td_errors, best = torch.zeros(2, 5), []
    for b in range(5):
        with torch.no_grad():  # running statistics
            both = [target_network(next_obs[[b]], samples[b, i].view(1, 1, 2)) for i in range(9)]
        values = [x.min().item() if pessimism else x.mean().item() for x in both]
        few = values[1:4] if num_few else values
        td_errors[:, b] = rewards[b] + discounts[b] * max(few) - q[:, b]
        best.append(np.argsort(values)[:-3:-1].tolist())
    loss, errors, metrics = script.training_loss(
        q_network, target_network, predictors, args, batch, weights
    )
    assert errors.allclose(td_errors.abs().amax(0), rtol=1e-4)
    assert metrics["losses/td_loss"].allclose((weights * td_errors**2).mean(), rtol=1e-4)
    learnt, given = ([p for p in x.parameters() if p.requires_grad] for x in (predictors, twins[1]))
    elites = samples.detach()[torch.arange(5)[:, None], torch.tensor(best)]
    likelihood = sum(script.predictor_loss(*twins[1](next_obs), elites))
    expected = torch.autograd.grad(likelihood, given)
    loss.backward()  # reaches no action: the predictors learn the likelihood of elites alone
    assert all(p.grad.allclose(g, atol=1e-6) for p, g in zip(learnt, expected, strict=True))
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
    lower, higher = lambda a: 0.7 - 4 * (a + 0.5) ** 2, lambda a: 1 - 4 * (a - 0.6) ** 2
    q = lambda obs, a: torch.maximum(lower(a), higher(a)).unsqueeze(0)  # noqa: E731
    batch = *torch.zeros(3, 32, 1), *torch.zeros(2, 32)
    for _ in range(100):
        optimizer.zero_grad()
        script.training_loss(q, q, predictors, args, batch, torch.ones(32))[0].backward()
        optimizer.step()
    for act in (script.greedy_action, script.exploring_action):
        assert abs(act(q, predictors, args, torch.zeros(1)).item() - mode) < 0.15


def test_runs_repeat_resume_and_evaluate(run_script, monkeypatch, capsys):
    name, num_updates, adam_step = "qmle_plus", 0, torch.optim.Adam.step
    flags = f"{tiny(name, 'Reach', 300)} --num-seeds 2 --width 8 --train-frequency 7 --save-model"

    def step(self):
        nonlocal num_updates
        adam_step(self)
        num_updates += 1
        if num_updates == 2 * 28 + 10:  # in the step after 168
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(torch.optim.Adam, "step", step)
    runs = [run_script(name, flags)["run_dirs"] for _ in range(2)]
    assert num_updates == 2 * 28  # after 105, 112, ..., 294 steps
    before, again = ([rows(path / "episodes.csv") for path in run_dirs] for run_dirs in runs)
    assert before == again and before[0] != before[1]
    with pytest.raises(SystemExit, match="130"):
        run_script(name, flags)
    folder = capsys.readouterr().out.split("stopped after step 169; ")[1].split()[-1]
    end = run_script(name, f"--resume {folder}")
    assert num_updates == 3 * 28
    for k, run_dir in enumerate(end["run_dirs"]):
        after = rows(run_dir / "episodes.csv")
        assert after[:9] == before[k][:9] and after[9].startswith("189,")  # a new one at 169
        ended = end["memory"].rows[k, :200, -1].nonzero().flatten()
        assert ended[-3:].tolist() == [159, 168, 188]  # what comes after 168 does not follow it
        with pytest.raises(SystemExit, match="0"):
            run_script(name, f"--evaluate-only {run_dir} --eval-episodes 2")
        assert "mean: " in capsys.readouterr().out
