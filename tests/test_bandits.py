"""The bandit illustrations: their pieces by hand, and their verdicts."""

import csv
import math
import shutil

import dpg_bandit
import numpy as np
import pg_bandit
import pytest
import qmle_bandit
import torch
from conftest import ROOT, run_process

BANDITS = ["pg_bandit", "dpg_bandit", "qmle_bandit"]
EXPLORATIONS = ["gaussian", "epsilon-greedy", "uniform"]


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


# ---- Figure 1


def test_softmax_gradient_by_hand_and_by_differences():
    gradient = pg_bandit.softmax_gradient(np.log([[0.2, 0.3, 0.5]]), np.array([1.0, 0.0, 2.0]))  # mean reward 1.2
    assert gradient[0].tolist() == pytest.approx([0.2 * -0.2, 0.3 * -1.2, 0.5 * 0.8])
    preferences, rewards = np.array([[0.3, -1.0, 0.8]]), np.array([1.0, 0.0, 2.0])
    for k in range(3):
        step = np.eye(3)[k] * 1e-6
        up, down = ((pg_bandit.softmax(preferences + sign * step) * rewards).sum() for sign in (1, -1))
        gradient = pg_bandit.softmax_gradient(preferences, rewards)[0, k]
        assert gradient == pytest.approx((up - down) / 2e-6, abs=1e-8)


def test_delta_and_gaussian_gradients_by_differences():
    at = np.linspace(-0.9, 0.9, 7)
    difference = (pg_bandit.reward(at + 1e-6) - pg_bandit.reward(at - 1e-6)) / 2e-6
    assert pg_bandit.delta_gradient(at) == pytest.approx(difference, abs=1e-6)
    grid = np.linspace(-3, 3, 60_001)

    def expectation(mean):  # by a plain sum over a fine grid, in place of the quadrature
        density = np.exp(-((grid - mean) ** 2) / (2 * 0.1**2)) / (0.1 * math.sqrt(2 * math.pi))
        return (pg_bandit.reward(grid) * density).sum() * (grid[1] - grid[0])

    for mean in at:
        assert pg_bandit.expected_reward(mean, 0.1) == pytest.approx(expectation(mean), abs=1e-6)
        difference = (expectation(mean + 1e-4) - expectation(mean - 1e-4)) / 2e-4
        assert pg_bandit.gaussian_gradient(np.array([mean]), 0.1)[0] == pytest.approx(difference, abs=1e-4)


def test_verdict_of_figure_1(run_script, capsys):
    end = run_script("pg_bandit", "--num-seeds 20")
    assert end["best"].all() and end["ordered"].mean() > 0.8
    assert end["delta_ends"].all() and end["mean_ends"].all()
    assert "20 of 20 end on the best arm" in capsys.readouterr().out
    assert {path.name for path in end["folder"].iterdir()} == {"figure.png", "figure.pdf", "progress.csv"}


@pytest.mark.parametrize(
    "heights, widths", [((0.5, 1.1), (0.2, 0.12)), ((0.7, 0.9), (0.23, 0.1)), ((0.6, 1.0), (0.17, 0.14))]
)
def test_verdict_of_figure_1_does_not_hang_on_the_reward(heights, widths, monkeypatch):
    monkeypatch.setattr(pg_bandit, "HEIGHTS", np.array(heights))
    monkeypatch.setattr(pg_bandit, "WIDTHS", np.array(widths))
    start = np.linspace(-0.7, -0.2, 11)
    delta = pg_bandit.ascend(start, pg_bandit.delta_gradient, 0.002, 4000)[-1]
    mean = pg_bandit.ascend(start, lambda m: pg_bandit.gaussian_gradient(m, 0.1), 0.002, 4000)[-1]
    assert delta == pytest.approx(pg_bandit.local_optimum(pg_bandit.reward), abs=0.01)
    assert mean == pytest.approx(pg_bandit.local_optimum(lambda g: pg_bandit.expected_reward(g, 0.1)), abs=0.01)
    assert pg_bandit.reward(delta).max() < 0.75 < pg_bandit.reward(0.5)


# ---- Figure 2: pieces


def test_reward_by_hand():
    between = 0.6 * math.exp(-2 * 0.9**2 / (2 * 0.35**2))
    assert qmle_bandit.reward(torch.tensor([0.5, 0.5])).item() == pytest.approx(1 + between, abs=1e-6)
    assert qmle_bandit.reward(torch.tensor([[-0.4, -0.4]])).item() == pytest.approx(0.6, abs=1e-5)
    assert qmle_bandit.reward(torch.tensor([0.05, 0.05])).item() < 0.2  # the valley


def test_basins():
    starts = torch.tensor([[-0.4, -0.4], [-0.6, -0.2], [0.4, 0.6], [-0.2, -0.2]])
    assert qmle_bandit.modes_reached(qmle_bandit.climb(starts)).tolist() == [0, 0, 1, 0]
    assert qmle_bandit.modes_reached(torch.tensor([[0.0, 0.0], [0.45, 0.5]])).tolist() == [-1, 1]
    assert (qmle_bandit.modes_reached(qmle_bandit.climb(qmle_bandit.initial_delta(range(100)).tanh(), 500)) == 0).all()


def test_delta_samples_and_search_set():
    mode = torch.tensor([[0.2, -0.3], [0.9999, -0.5]])
    samples = qmle_bandit.sample_delta(mode, 500, 0.001)
    assert samples.shape == (2, 500, 2) and samples[:, 0].equal(mode) and samples.max() <= 1
    assert abs(samples[0, 1:].std(0).mean() - 0.001) < 1e-4
    local = qmle_bandit.sample_actions(mode, qmle_bandit.Args(sampling="local"))
    assert local.shape == (2, 50, 2) and (local - mode.unsqueeze(1)).abs().max() < 0.006
    both = qmle_bandit.sample_actions(mode, qmle_bandit.Args(sampling="global"))
    assert both.shape == (2, 100, 2) and (both[:, :50] - mode.unsqueeze(1)).abs().max() < 0.006
    assert both[:, 50:].abs().max() > 0.9 and both[:, 50:].mean().abs() < 0.15


def test_argmax_and_losses_by_hand():
    network = lambda actions: -((actions - 0.5) ** 2).sum(-1)  # noqa: E731
    actions = torch.tensor([[[0.0, 0.0], [0.4, 0.4]], [[0.6, 0.5], [1.0, 1.0]]])
    assert torch.equal(qmle_bandit.argmax_action(network, actions), torch.tensor([[0.4, 0.4], [0.6, 0.5]]))
    loss = qmle_bandit.argmax_predictor_loss(
        torch.tensor([[0.5, 0.0], [0.0, 0.0]]), torch.tensor([[0.9, -0.4], [1.0, 0.0]])
    )
    assert loss.item() == pytest.approx((0.16 + 0.16) / 2 + 0.5)
    for script in (qmle_bandit, dpg_bandit):
        loss = script.q_loss(torch.tensor([[1.0, 2.0], [0.0, 0.0]]), torch.tensor([[0.0, 0.0], [0.0, 3.0]]))
        assert loss.item() == pytest.approx(2.5 + 4.5)


def test_policy_loss_has_the_deterministic_policy_gradient():
    theta = torch.tensor([[0.1, -0.2]], requires_grad=True)
    network = lambda actions: (actions * torch.tensor([2.0, 3.0])).sum(-1)  # noqa: E731
    dpg_bandit.policy_loss(network, theta.tanh()).backward()
    expected = -torch.tensor([[2.0, 3.0]]) * (1 - theta.detach().tanh() ** 2)  # chain rule of Eq. 7c
    assert theta.grad.allclose(expected)


def test_cosine_with_the_policy_gradient():
    network = lambda actions: (actions * torch.tensor([1.0, 0.0])).sum(-1)  # noqa: E731
    mode = torch.zeros(3, 2)
    cosine = qmle_bandit.gradient_cosine(network, mode, torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]]))
    assert cosine.tolist() == pytest.approx([1.0, 0.0, -1.0])


def test_both_scripts_start_from_the_same_networks_and_deltas():
    one, two = qmle_bandit.QNetwork([4, 5]), dpg_bandit.QNetwork([4, 5])
    assert all(p.equal(q) for p, q in zip(one.parameters(), two.parameters(), strict=True))
    assert qmle_bandit.initial_delta([4, 5]).equal(dpg_bandit.initial_delta([4, 5]))
    alone = qmle_bandit.QNetwork([5])  # and a seed starts the same whatever runs beside it
    assert all(p[1:].equal(q) for p, q in zip(one.parameters(), alone.parameters(), strict=True))
    assert vars(dpg_bandit.Args()).items() <= vars(qmle_bandit.Args()).items()


# ---- Figure 2: runs


def test_same_seed_same_run_and_seeds_do_not_touch(run_script):
    flags = "--num-seeds 2 --total-timesteps 120 --learning-starts 40 --batch-size 8"
    for name in ("qmle_bandit", "dpg_bandit"):
        ends = [run_script(name, f"{flags} --output {i}")["theta"].detach() for i in (1, 2)]
        assert ends[0].equal(ends[1]) and not ends[0].equal(qmle_bandit.initial_delta([1, 2]))
    with open("1/delta.csv") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2 * 7 and list(rows[0]) == ["global_step", "seed", "mu_1", "mu_2", "reward"]


def test_a_gradient_of_one_seed_does_not_reach_another():
    network = qmle_bandit.QNetwork([1, 2, 3])
    qmle_bandit.q_loss(network(torch.rand(3, 5, 2)), torch.rand(3, 5))
    network(torch.rand(3, 5, 2))[1].sum().backward()
    assert all(
        p.grad[0].abs().sum() == p.grad[2].abs().sum() == 0 < p.grad[1].abs().sum() for p in network.parameters()
    )


def check_verdict(run_script, exploration, num_seeds=10):
    for name, flags, mode in (
        ("dpg_bandit", "", 0),
        ("qmle_bandit", "--sampling local", 0),
        ("qmle_bandit", "--sampling global", 1),
    ):
        end = run_script(name, f"{flags} --exploration {exploration} --num-seeds {num_seeds}")
        assert end["in_basin"].all(), name
        assert (end["reached"] == mode).all(), (name, flags, end["mu"][-1])
        if "local" in flags:
            assert torch.stack(end["cosines"]).mean() > 0.85  # the local argmax follows the gradient


def test_verdict_of_figure_2_under_uniform_exploration(run_script):
    check_verdict(run_script, "uniform", num_seeds=3)


@pytest.mark.slow
@pytest.mark.parametrize("exploration", EXPLORATIONS)
def test_verdict_of_figure_2(exploration, run_script):
    check_verdict(run_script, exploration)


@pytest.mark.slow
@pytest.mark.parametrize("constants", ["(0.5, 1.0), (0.35, 0.25)", "(0.7, 1.0), (0.3, 0.25)", "(0.6, 1.0), (0.4, 0.2)"])
def test_verdict_of_figure_2_does_not_hang_on_the_reward(constants, run_script, tmp_path, monkeypatch):
    for name in ("dpg_bandit", "qmle_bandit"):  # the same scripts with other heights and widths
        source = (ROOT / f"{name}.py").read_text()
        assert "HEIGHTS, WIDTHS, TOPS = (0.6, 1.0), (0.35, 0.25)," in source
        (tmp_path / f"{name}.py").write_text(source.replace("= (0.6, 1.0), (0.35, 0.25),", f"= {constants},"))
    monkeypatch.setattr("conftest.ROOT", tmp_path)
    check_verdict(run_script, "uniform")


# ---- all three


@pytest.mark.parametrize("script", BANDITS)
def test_refusals(script, run_script, tmp_path):
    cases = {
        "--num-seeds 0": "--num-seeds is 0",
        "--seed -1": "--seed is -1",
        "--learning-rate nan": "--learning-rate is nan",
    }
    if script != "pg_bandit":
        cases |= {"--exploration curious": "'curious', expected one of gaussian, epsilon-greedy, uniform"}
    if script == "qmle_bandit":
        cases |= {"--sampling both": "--sampling is 'both', expected one of local, global"}
    for flags, part in cases.items():
        with pytest.raises(SystemExit) as refusal:
            run_script(script, flags)
        assert refusal.value.code.startswith("error: ") and part in refusal.value.code
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("script", BANDITS)
def test_bandit_copied_alone_runs(script, tmp_path):
    shutil.copy(ROOT / f"{script}.py", tmp_path)
    flags = "--num-seeds 2" + ("" if script == "pg_bandit" else " --total-timesteps 60 --learning-starts 40")
    process = run_process(tmp_path / f"{script}.py", flags, tmp_path, PYTHONPATH="")
    assert process.returncode == 0, process.stderr
    assert "results: runs" in process.stdout and len(list(tmp_path.glob("runs/*/figure.png"))) == 1
