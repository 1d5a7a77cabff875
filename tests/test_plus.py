"""qmle_plus.py: equations, search, whole runs."""

import copy
import math
import signal

import numpy as np
import qmle_plus as script
import torch
from conftest import rows, three_steps, tiny
from pytest import approx, mark, raises


@mark.parametrize("max_value", [4.0, 0.5])
def test_n_step_batch_against_brute_force(max_value):
    args = script.Args(buffer_size=7, n_step=3, gamma=0.5, max_value=max_value)
    memory = script.ReplayMemory(args, 2, 1, "cpu", seeds=(2,))
    rewards = np.random.default_rng(0).normal(size=(11, 2))
    ended = np.zeros((11, 2))
    ended[[2, 5, 6, 8], [0, 0, 0, 1]] = 1
    terminated = ended * (np.arange(11) != 5)[:, None]  # the others are truncated
    for t in range(11):  # rows 4 to 10 stay
        obs = np.full((2, 2), t)
        memory.add(obs, obs[:, :1] / 8, rewards[t], obs + 0.5, terminated[t], ended[t])
    batch = memory.n_step_batch(torch.arange(7).expand(2, 7))
    for k in range(2):
        returns = [0.0]
        for t in range(11):
            returns.append(rewards[t, k] + 0.5 * returns[-1] * (1 - (t and terminated[t - 1, k])))
        scale = max(max_value, *np.abs(returns))
        for t in range(4, 11):
            last, total, discount = three_steps(rewards[:, k], terminated[:, k], ended[:, k], t)
            row = torch.cat([x[k, t % 7].flatten() for x in batch]).tolist()
            expected = [t, t, last + 0.5, last + 0.5, t / 8, total / scale, discount]
            assert row == approx(expected, rel=1e-5)


def test_hl_gauss_and_obs_norm():
    args = script.Args(num_atoms=21)
    values = torch.tensor([-3.0, -1.0, -0.512, 0.0, 0.333, 1.0, 7.0])
    chances = script.hl_gauss(values, args)
    assert chances.sum(-1).allclose(torch.ones(7)) and chances[::5].equal(chances[1::5])  # clipped
    assert script.expected_value(chances.log(), args)[2:5].allclose(values[2:5], atol=1e-3)
    # at the atom: its half is 2/3 of a s.d.
    assert chances[3, 10].item() == approx(math.erf(2 / 3 / math.sqrt(2)), abs=1e-6)
    own, x = script.ObsNorm(2), torch.tensor([[0.0, 10.0], [4.0, 20.0]])
    out = own(x)  # averages move 1%
    assert own.mean.tolist() == approx([0.02, 0.15])
    assert own.var.tolist() == approx([1.03, 1.24])
    assert out.allclose((x - own.mean) / (own.var + 1e-5).sqrt())
    with torch.no_grad():
        assert own(x).equal(out) and own.mean[0].item() == approx(0.02)


def test_argmax_predictor_loss_by_hand():
    mean, std, elites = torch.zeros(1, 1), torch.full((1, 1), 0.5), torch.tensor([[[1.0], [-0.6]]])
    loss = script.argmax_predictor_loss(mean, std, elites)
    assert loss.item() == approx((2**2 / 2 + 1.2**2 / 2) / 2 + math.log(0.5))


@mark.parametrize("pessimism, num_few", [(0, 3), (1, 3), (0.5, 8)])
def test_training_loss_against_brute_force(pessimism, num_few, patch):
    args = script.Args(pessimism=pessimism, num_value_samples=num_few, num_elites=2, width=8)
    q_network, target_network = (script.QNetwork(args, 3, 2) for _ in range(2))
    predictor = script.ArgmaxPredictor(args, 3, 2)
    samples, weights = (torch.rand(5, 9, 2) * 2 - 1).requires_grad_(), torch.rand(5)
    patch(script, "sample_actions", lambda *_: samples)
    batch = *torch.randn(2, 5, 3), torch.rand(5, 2), *torch.rand(2, 5)
    obs, next_obs, actions, rewards, discounts = batch
    twins = copy.deepcopy((q_network, predictor))  # a loss moves averages
    q = twins[0](obs, actions.unsqueeze(1))[:, :, 0, 0].detach()  # (H, B)
    td_errors, best = torch.zeros(2, 5), []
    for b in range(5):
        with torch.no_grad():  # running averages stay
            both = [target_network(next_obs[[b]], samples[b, i].view(1, 1, 2)) for i in range(9)]
        values = [(x.mean() + pessimism * (x.min() - x.mean())).item() for x in both]
        td_errors[:, b] = rewards[b] + discounts[b] * max(values[1 : 1 + num_few]) - q[:, b]
        best.append(np.argsort(values)[:-3:-1].tolist())
    networks = q_network, target_network, predictor
    loss, errors, metrics = script.training_loss(*networks, args, batch, weights)
    assert errors.allclose(td_errors.abs().amax(0), rtol=1e-4)
    assert metrics["losses/td_loss"].allclose((weights * td_errors**2).mean(), rtol=1e-4)
    learnt, given = ([p for p in x.parameters() if p.requires_grad] for x in (predictor, twins[1]))
    elites = samples.detach()[torch.arange(5)[:, None], torch.tensor(best)]
    likelihood = script.argmax_predictor_loss(*twins[1](next_obs), elites)
    expected = torch.autograd.grad(likelihood, given)
    loss.backward()  # reaches no action
    assert all(p.grad.allclose(g, atol=1e-6) for p, g in zip(learnt, expected, strict=True))
    assert samples.grad is None and all(p.grad is None for p in target_network.parameters())
    assert all(p.grad is not None for p in q_network.parameters() if p.requires_grad)


@mark.parametrize("uniform, mode", [(0.13, 0.6), (0, -0.5)])
def test_uniform_samples_find_the_global_mode(uniform, mode):
    args = script.Args(width=8, min_std=0.05, max_std=0.2, explore_std=0.3, uniform_ratio=uniform)
    predictor = script.ArgmaxPredictor(args, 1, 1)
    with torch.no_grad():  # narrow, at the lower mode
        predictor[-1].weight.zero_()
        predictor[-1].bias.copy_(torch.tensor([math.atanh(-0.5), -2.0]))
    optimizer = torch.optim.Adam([p for p in predictor.parameters() if p.requires_grad], 0.02)
    low, high = lambda a: 0.7 - 4 * (a + 0.5) ** 2, lambda a: 1 - 4 * (a - 0.6) ** 2
    q = lambda obs, a, *_: torch.maximum(low(a), high(a))[None]
    batch = *torch.zeros(3, 32, 1), *torch.zeros(2, 32)
    for _ in range(150):
        optimizer.zero_grad()
        script.training_loss(q, q, predictor, args, batch, torch.ones(32))[0].backward()
        optimizer.step()
    act, inputs = script.best_action, (predictor, args, torch.zeros(1))
    assert abs(act(q, *inputs).item() - mode) < 0.15
    args.num_explore_samples, args.uniform_ratio = 64, 0
    sharp, wide = (act(lambda _, a: a[None], *inputs, x) - mode for x in (0, 1))
    assert 0 < sharp < 0.25 < wide


def test_search_set():
    mean, std = torch.full((3, 2), 0.9), torch.full((3, 2), 0.01)
    samples = script.sample_actions(mean, std, 8, script.Args(uniform_ratio=0.25))
    assert samples.shape == (3, 8, 2) and samples[:, 0].equal(mean)
    assert ((samples - 0.9).abs() < 0.06)[:, 1:6].all() and (samples[:, 6:] < 0.8).any()


def test_runs_repeat_resume_and_evaluate(run, patch, capsys, play):
    name, num_updates, adam_step = "qmle_plus", 0, torch.optim.AdamW.step
    flags = f"{tiny(name, 'Reach', 300)} --num-seeds 2 --width 8 --num-atoms 9 --train-frequency 7"

    def step(self):
        nonlocal num_updates
        adam_step(self)
        num_updates += 1
        if num_updates == 2 * 14 + 5:
            signal.raise_signal(signal.SIGINT)

    patch(torch.optim.AdamW, "step", step)
    folders = [run(name, flags)["run_dir"] for _ in range(2)]
    assert num_updates == 2 * 14  # after 112, ..., 294 steps
    files = [f"seed_{seed}/episodes.csv" for seed in (1, 2)]
    before, again = ([rows(folder / file) for file in files] for folder in folders)
    assert before == again and before[0] != before[1]
    with raises(SystemExit, match="130"):
        run(name, flags)
    folder = capsys.readouterr().out.split("--resume ")[1].strip().strip("'")
    end = run(name, f"--resume {folder} --max-value 99")
    assert num_updates == 3 * 14 and end["memory"].scale.sum() == 198
    for k, file in enumerate(files):
        after = rows(end["run_dir"] / file)
        assert after[:9] == before[k][:9] and after[9].startswith("190,")  # a new one at 170
        ended = end["memory"].rows[k, :100, -1].nonzero().flatten()
        assert ended[-3:].tolist() == [79, 84, 94]  # actions; cut at the 84th
    assert -20 < play(name, f"{folder} --eval-episodes 2 --seed 9") < 20


@mark.parametrize("env_id", ["Endless", "dm_control/pendulum-swingup-v0"])
def test_episodes_without_a_limit(env_id, run):
    flags = tiny("qmle_plus", env_id, 1001) + " --learning-starts 1001"
    lines = rows(run("qmle_plus", flags)["run_dir"] / "seed_1/episodes.csv")
    assert lines[-1].startswith("1000,") and lines[-1].endswith(",1000")
