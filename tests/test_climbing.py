"""The climbing game of Figure 11: reward, equations, decentralisation, independence of the seeds, and both verdicts."""

import ast
import csv
import shutil

import numpy as np
import pytest
import qmle_climbing as qmle
import torch
import vdn_climbing as vdn
from conftest import ROOT, run_process

SCRIPTS = {"qmle_climbing": qmle, "vdn_climbing": vdn}
SMALL = "--num-seeds 2 --total-timesteps 60 --eval-frequency 20 --learning-starts 20 --batch-size 8 --hidden-size 8"
PAYOFFS = [[11, -30, 0], [-30, 7, 6], [0, 0, 5]]
SIGNS = torch.tensor([[-1.0, -1.0], [-1.0, 1.0], [1.0, -1.0], [1.0, 1.0]])


def generators(*seeds):
    return [torch.Generator().manual_seed(seed) for seed in seeds]


def reward(obs, actions, script=qmle):
    return script.climbing_reward(torch.tensor(obs), torch.tensor(actions)).item()


def fill(script, args, num_rounds=40):
    """A memory of random rounds of two seeds, and their observations."""
    memory = script.ReplayMemory(2, 100)
    obs = SIGNS[torch.randint(4, (2, num_rounds), generator=generators(9)[0])]
    actions = script.sample_uniform(generators(5, 6), num_rounds, 1).squeeze(2)
    memory.add(obs, actions, script.climbing_reward(obs, actions))
    return memory


# ---- the game


@pytest.mark.parametrize("script", SCRIPTS.values(), ids=SCRIPTS)
@pytest.mark.parametrize("obs", SIGNS.tolist())
def test_reward_at_the_nine_cell_centres(script, obs):
    for i, row in enumerate(PAYOFFS):
        for j, payoff in enumerate(row):
            effective = (2 * i / 3 - 2 / 3, 2 * j / 3 - 2 / 3)
            assert reward(obs, [o * a for o, a in zip(obs, effective, strict=True)], script) == pytest.approx(payoff)


@pytest.mark.parametrize(
    "effective, expected",
    [
        ((-1 / 3, -1.0), -9.5),  # the middle of a ramp: (11 - 30) / 2
        ((-1 / 3 + 0.025, -1.0), 0.25 * 11 - 0.75 * 30),  # three quarters along it
        ((1.0, 1 / 3), 2.5),  # (0 + 5) / 2
        ((-1 / 3, -1 / 3), -10.5),  # two ramps cross: (11 - 30 - 30 + 7) / 4
        ((-1 / 3 + 0.025, 1 / 3), 0.25 * (-30 + 0) / 2 + 0.75 * (7 + 6) / 2),
        ((-0.384, -0.384), 11.0),  # just off the ramps
        ((-0.282, -0.384), -30.0),
    ],
)
def test_reward_on_the_ramps(effective, expected):
    assert reward([1.0, 1.0], list(effective)) == pytest.approx(expected, abs=1e-4)
    assert reward([-1.0, 1.0], [-effective[0], effective[1]]) == pytest.approx(expected, abs=1e-4)


def test_eleven_is_the_optimum_and_surrounded():
    line = torch.linspace(-1, 1, 401)
    rewards = qmle.climbing_reward(torch.ones(2), torch.cartesian_prod(line, line)).view(401, 401)
    assert rewards.max() == 11 and rewards.min() == -30
    first, second = line < -1 / 3 - 0.05, (line > -1 / 3 + 0.05) & (line < 1 / 3 - 0.05)
    beyond = line > -1 / 3 + 0.05
    assert (rewards[first][:, first] == 11).all() and rewards[beyond][:, beyond].max() == 7
    assert (rewards[second][:, first] == -30).all() and (rewards[first][:, second] == -30).all()  # one leaves alone
    assert rewards.diagonal().min() < -10  # even together, step by step, they pass a deep valley on the way to 7


def test_best_action_against_a_uniform_partner_is_the_third():
    for payoffs in (qmle.PAYOFFS, vdn.PAYOFFS):
        assert payoffs.tolist() == PAYOFFS
        assert payoffs.mean(1).tolist() == pytest.approx([-19 / 3, -17 / 3, 5 / 3])
        assert payoffs.mean(0).tolist() == pytest.approx([-19 / 3, -23 / 3, 11 / 3])


# ---- the equations


def test_uniform_samples():
    samples = qmle.sample_uniform(generators(1, 2, 3), 50, 400)
    assert samples.shape == (3, 50, 400, 2) and samples.min() >= -1 and samples.max() <= 1
    assert samples.mean((0, 1, 2)).abs().max() < 0.02 and (samples.std((0, 1, 2)) - 3**-0.5).abs().max() < 0.01
    assert np.corrcoef(samples.flatten(0, 2).T)[0, 1] == pytest.approx(0, abs=0.02)


def test_delta_samples_are_the_output_itself_then_clipped_noise():
    mode = torch.tensor([[[0.0, -0.5], [0.95, -1.0]], [[0.2, 0.3], [-0.4, 1.0]]])  # (S, B, A)
    samples = qmle.sample_delta(generators(1, 2), mode, 2000, 0.1)
    assert samples.shape == (2, 2, 2000, 2) and samples[:, :, 0].equal(mode) and samples.abs().max() == 1
    noise = samples[0, 0, 1:] - mode[0, 0]  # far from the bounds
    assert noise.std(0).tolist() == pytest.approx([0.1, 0.1], abs=0.01) and noise.mean(0).abs().max() < 0.01
    assert abs(np.corrcoef(noise.T)[0, 1]) < 0.1 and not samples[0, 0, 1:].equal(samples[0, 1, 1:])
    assert qmle.sample_delta(generators(1, 2), mode, 1, 0.1).squeeze(2).equal(mode)
    assert qmle.sample_delta(generators(1, 2), mode, 0, 0.1).shape == (2, 2, 0, 2)


@pytest.mark.parametrize("num_uniform, num_delta", [(5, 3), (0, 2), (4, 0), (0, 0)])
def test_search_set_is_uniform_then_delta(num_uniform, num_delta):
    q_network = qmle.QNetwork(generators(1, 2), 8)
    obs = SIGNS.expand(2, 4, 2)
    args = qmle.Args(num_uniform_samples=num_uniform, num_delta_samples=num_delta)
    actions = qmle.sample_actions(generators(3, 4), q_network, obs, args)
    assert actions.shape == (2, 4, num_uniform + num_delta, 2)
    assert actions[:, :, :num_uniform].equal(qmle.sample_uniform(generators(3, 4), 4, num_uniform))
    if num_delta:
        assert actions[:, :, num_uniform].equal(q_network.mode(obs))
        assert (actions[:, :, num_uniform:] - q_network.mode(obs).unsqueeze(2)).abs().max() < 0.5


class Hill:
    """Q with its top at the observations: minus the squared distance to them."""

    def q_values(self, obs, actions):
        return -((actions - obs.unsqueeze(2)) ** 2).sum(-1)


def test_argmax_action_by_hand():
    obs = torch.tensor([[[1.0, 1.0]], [[-1.0, 1.0]]])  # (S, B, A)
    actions = torch.tensor([[0.0, 0.0], [0.5, 1.0], [-1.0, 0.0]]).expand(2, 1, 3, 2)
    a_max, index, q = qmle.argmax_action(Hill(), obs, actions)
    assert a_max.tolist() == [[[0.5, 1.0]], [[-1.0, 0.0]]] and index.tolist() == [[1], [2]]
    assert q.tolist() == [[[-2, -0.25, -5]], [[-2, -2.25, -1]]]


def test_losses_by_hand():
    for script in SCRIPTS.values():
        loss = script.q_loss(torch.tensor([[1.0, 2.0], [0.0, -30.0]]), torch.tensor([[11.0, 2.0], [0.0, -30.0]]))
        assert loss.tolist() == [50.0, 0.0]
    mode = torch.tensor([[[0.0, 0.5]], [[1.0, -1.0]]], requires_grad=True)
    loss = qmle.argmax_predictor_loss(mode, torch.tensor([[[1.0, 0.5]], [[1.0, 0.0]]]))
    assert loss.tolist() == [0.5, 0.5]
    loss.sum().backward()
    assert mode.grad.tolist() == [[[-1.0, 0.0]], [[0.0, -1.0]]]  # each agent towards its own part of a_max


def test_update_writes_the_best_of_search_set_and_stored_action_back():
    args = qmle.Args(num_uniform_samples=3, num_delta_samples=2, batch_size=30)
    q_network, memory = qmle.QNetwork(generators(1, 2), 16), fill(qmle, qmle.Args())
    assert memory.a_max[:, :40].equal(memory.actions[:, :40])  # what a_max starts as
    before = {name: value.clone() for name, value in q_network.state_dict().items()}
    old_a_max = memory.a_max.clone()
    _, rows = memory.sample(generators(7, 8), 30)
    optimizer = torch.optim.Adam(q_network.parameters(), lr=0.0)
    losses = qmle.train_step(generators(7, 8), q_network, optimizer, memory, args)
    assert [tuple(loss.shape) for loss in losses] == [(2,), (2,)]
    values = [q_network.q_values(memory.obs, a.unsqueeze(2)).squeeze(2) for a in (old_a_max, memory.a_max)]
    assert (values[1] >= values[0]).all() and (values[1] > values[0]).any()
    changed = (memory.a_max != old_a_max).any(2)
    for seed in range(2):
        assert set(changed[seed].nonzero().flatten().tolist()) <= set(rows[seed].tolist())
    optimizer = torch.optim.Adam(q_network.parameters(), lr=1e-3)
    qmle.train_step(generators(7, 8), q_network, optimizer, memory, args)
    assert all(not value.equal(before[name]) for name, value in q_network.state_dict().items())


def test_memory_samples_only_what_is_stored_and_all_of_it():
    memory = fill(qmle, qmle.Args())
    seeds, rows = memory.sample(generators(1, 2), 1000)
    assert seeds.tolist() == [[0], [1]] and rows.shape == (2, 1000) and not rows[0].equal(rows[1])
    assert set(rows.flatten().tolist()) == set(range(40)) and memory.rewards[seeds, rows].shape == (2, 1000)


# ---- decentralisation


def test_an_agent_acts_on_its_own_observation_alone():
    q_network = qmle.QNetwork(generators(1, 2, 3), 16)
    actions = qmle.greedy_action(q_network, SIGNS.expand(3, 4, 2))
    for i, one in enumerate(SIGNS):
        for j, other in enumerate(SIGNS):
            same = (actions[:, i] == actions[:, j]).all(0)
            assert same.tolist() == (one == other).tolist()  # it differs if and only if the own observation does
    q_network.joint.requires_grad_(False)
    for parameter in q_network.joint.parameters():
        parameter.fill_(torch.nan)
    assert qmle.greedy_action(q_network, SIGNS.expand(3, 4, 2)).equal(actions)  # no Q takes part


def test_a_utility_agent_acts_on_its_own_observation_alone():
    q_network = vdn.QNetwork(generators(1, 2, 3), 16)
    actions = vdn.greedy_action(generators(4, 5, 6), q_network, SIGNS.expand(3, 4, 2), 50)
    swapped = SIGNS * torch.tensor([1.0, -1.0])  # agent 2 observes the opposite
    others = vdn.greedy_action(generators(4, 5, 6), q_network, swapped.expand(3, 4, 2), 50)
    assert others[..., 0].equal(actions[..., 0]) and not others[..., 1].equal(actions[..., 1])


def test_linear_decomposition_is_additive_and_its_joint_argmax_is_each_agents_own():
    q_network, obs = vdn.QNetwork(generators(1, 2), 16), SIGNS.expand(2, 4, 2)
    samples = vdn.sample_uniform(generators(3, 4), 4, 20)
    joint = torch.cartesian_prod(torch.arange(20), torch.arange(20))
    pairs = torch.stack([samples[:, :, joint[:, 0], 0], samples[:, :, joint[:, 1], 1]], dim=-1)  # (S, B, 400, A)
    with torch.no_grad():
        q = q_network.q_values(obs, pairs).view(2, 4, 20, 20)
    mixed = q[:, :, 1:, 1:] - q[:, :, :1, 1:] - q[:, :, 1:, :1] + q[:, :, :1, :1]  # 0 for a sum of two functions
    assert mixed.abs().max() < 1e-5 < q.std()
    best = pairs.take_along_dim(q.flatten(2).argmax(2)[..., None, None], dim=2).squeeze(2)
    assert vdn.greedy_action(generators(3, 4), q_network, obs, 20).equal(best)
    free = qmle.QNetwork(generators(1, 2), 16)
    with torch.no_grad():
        q = free.q_values(obs, pairs).view(2, 4, 20, 20)
    assert (q[:, :, 1:, 1:] - q[:, :, :1, 1:] - q[:, :, 1:, :1] + q[:, :, :1, :1]).abs().max() > 1e-3


# ---- seeds and runs


@pytest.mark.parametrize("name", SCRIPTS)
def test_data_of_one_seed_never_reach_another(name):
    script, args = SCRIPTS[name], SCRIPTS[name].Args(batch_size=16)
    ends = []
    for corrupt in (False, True):
        q_network, memory, draws = script.QNetwork(generators(1, 2), 8), fill(script, args), generators(3, 4)
        if corrupt:
            memory.rewards[0] *= -3
            memory.actions[0] = 1
        optimizer = torch.optim.Adam(q_network.parameters(), lr=1e-2, fused=True)
        for _ in range(20):
            script.train_step(draws, q_network, optimizer, memory, args)
        ends.append(q_network.state_dict())
    assert all(ends[0][key][1].equal(ends[1][key][1]) for key in ends[0])
    q_weights = [key for key in ends[0] if "predictors" not in key]
    assert q_weights and all(not ends[0][key][0].equal(ends[1][key][0]) for key in q_weights)


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_seed_is_the_same_run_alone_and_beside_others(name, run_script):
    flags = SMALL.replace("--num-seeds 2", "")
    together = run_script(name, f"{flags} --seed 4 --num-seeds 3")
    alone = run_script(name, f"{flags} --seed 5 --num-seeds 1")
    assert together["memory"].obs[1].equal(alone["memory"].obs[0])
    torch.testing.assert_close(together["memory"].actions[1], alone["memory"].actions[0])
    for one, other in zip(together["q_network"].parameters(), alone["q_network"].parameters(), strict=True):
        torch.testing.assert_close(one[1], other[0], rtol=1e-3, atol=1e-5)
        assert not one[0].equal(one[1])


@pytest.mark.parametrize("name", SCRIPTS)
def test_same_seed_same_run_and_documented_outputs(name, run_script, capsys):
    ends = [run_script(name, f"{SMALL} --output {out}") for out in ("one", "two")]
    ends.append(run_script(name, f"{SMALL} --seed 8"))
    weights = [end["q_network"].state_dict() for end in ends]
    assert all(weights[0][key].equal(weights[1][key]) for key in weights[0])
    assert all(not weights[0][key].equal(weights[2][key]) for key in weights[0])
    texts = [(end["output"] / f"{name}.csv").read_text() for end in ends]
    assert texts[0] == texts[1] != texts[2]
    rows = list(csv.DictReader(texts[0].splitlines()))
    assert [(row["global_step"], row["seed"]) for row in rows] == [(str(t), s) for t in (0, 20, 40, 60) for s in "12"]
    assert [row["seed"] for row in csv.DictReader(texts[2].splitlines())][:2] == ["8", "9"]
    assert ends[0]["num_updates"] == 5 and ends[0]["memory"].size == 60  # at 20, 30, 40, 50 and 60
    assert {path.name for path in ends[0]["output"].iterdir()} == {f"{name}.{kind}" for kind in ("csv", "png", "pdf")}
    assert ends[2]["output"].parent.name == "runs" and ends[2]["output"].name.startswith(f"{name}__8__")
    assert capsys.readouterr().out.count("verdict: ") == 3


@pytest.mark.parametrize("name", SCRIPTS)
def test_exploration_is_as_frequent_as_asked_for_and_each_agents_own(name, run_script):
    flags = "--num-seeds 1 --total-timesteps 4000 --eval-frequency 4000 --train-frequency 500"
    end = run_script(name, f"{flags} --learning-starts 9000 --exploration-epsilon 0.5")
    assert end["num_updates"] == 0
    memory = end["memory"]
    if name == "qmle_climbing":
        explored = (memory.actions[0] - qmle.greedy_action(end["q_network"], memory.obs)[0]).abs() > 1e-5
        assert explored.float().mean(0).tolist() == pytest.approx([0.5, 0.5], abs=0.03)
        assert explored.all(1).float().mean().item() == pytest.approx(0.25, abs=0.03)
    assert memory.obs.abs().min() == 1 and memory.obs.mean((0, 1)).abs().max() < 0.06
    assert abs((memory.obs[0, :, 0] * memory.obs[0, :, 1]).mean()) < 0.06


BAD_FLAGS = [
    ("--num-seeds 0", "--num-seeds is 0, expected a number from 1 to "),
    ("--seed -1", "--seed is -1, expected a number from 0 to "),
    ("--learning-rate nan", "--learning-rate is nan, expected a number from "),
    ("--exploration-epsilon 1.5", "--exploration-epsilon is 1.5, expected a number from 0 to 1"),
    ("--train-frequency 0", "--train-frequency is 0, expected a number from 1 to "),
    ("--eval-frequency 15", "--eval-frequency is 15, expected a multiple of --train-frequency (10)"),
    ("--total-timesteps 700", "--total-timesteps is 700, expected a multiple of --eval-frequency (500)"),
    ("--output file", "File exists"),
]
OWN_FLAGS = {
    "qmle_climbing": [
        ("--num-uniform-samples -1", "--num-uniform-samples is -1, expected a number from 0 to "),
        ("--num-delta-samples -2", "--num-delta-samples is -2, expected a number from 0 to "),
        ("--delta-noise-std nan", "--delta-noise-std is nan, expected a number from 0 to 2"),
    ],
    "vdn_climbing": [("--num-greedy-samples 0", "--num-greedy-samples is 0, expected a number from 1 to ")],
}


@pytest.mark.parametrize(
    "name, flags, message", [(name, *case) for name in SCRIPTS for case in BAD_FLAGS + OWN_FLAGS[name]]
)
def test_bad_input_is_refused_in_one_line(name, flags, message, run_script, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(SystemExit) as refusal:
        run_script(name, flags)
    line = str(refusal.value.code)
    assert line.startswith("error: ") and message in line and "\n" not in line
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("name", SCRIPTS)
def test_script_copied_alone_runs(name, tmp_path):
    shutil.copy(ROOT / f"{name}.py", tmp_path)
    process = run_process(tmp_path / f"{name}.py", SMALL, tmp_path, PYTHONPATH="")
    assert process.returncode == 0, process.stderr
    assert process.stdout.startswith("verdict: ") and "Warning" not in process.stderr
    assert {path.name for path in tmp_path.iterdir()} == {f"{name}.py", "runs"}


def test_pieces_shared_by_the_two_scripts_are_the_same_text():
    texts = []
    for name in SCRIPTS:
        source = (ROOT / f"{name}.py").read_text()
        nodes = [node for node in ast.parse(source).body if isinstance(node, (ast.FunctionDef, ast.ClassDef))]
        texts.append({node.name: "\n".join(source.splitlines()[node.lineno - 1 : node.end_lineno]) for node in nodes})
    different = {piece for piece in texts[0].keys() & texts[1].keys() if texts[0][piece] != texts[1][piece]}
    assert different == {"Args", "check_args", "QNetwork", "ReplayMemory", "greedy_action", "train_step", "evaluate"}
    shared = qmle.Args.__dataclass_fields__.keys() & vdn.Args.__dataclass_fields__.keys()
    assert all(getattr(qmle.Args, name) == getattr(vdn.Args, name) for name in shared) and len(shared) == 11


# ---- the verdicts, all seeds counted


@pytest.mark.parametrize("name, expected", [("qmle_climbing", 11), ("vdn_climbing", 5)])
def test_verdict_over_ten_seeds(name, expected, run_script, capsys):
    end = run_script(name, "")
    assert end["curve"].shape == (41, 10) and abs(end["curve"][-1] - expected).max() <= 0.1
    assert f"joint reward {expected} for 10 of 10 seeds" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.parametrize("name, expected", [("qmle_climbing", 11), ("vdn_climbing", 5)])
@pytest.mark.parametrize("trap_1, trap_2, six", [(33, 33, 6.6), (27, 27, 5.4), (27, 33, 5.4), (33, 27, 6.6)])
def test_verdict_holds_for_other_payoffs(name, expected, trap_1, trap_2, six, tmp_path):
    source = (ROOT / f"{name}.py").read_text()
    rows = "[[11.0, -30.0, 0.0], [-30.0, 7.0, 6.0], [0.0, 0.0, 5.0]]"
    assert source.count(rows) == 1
    others = f"[[11.0, -{trap_1}, 0.0], [-{trap_2}, 7.0, {six}], [0.0, 0.0, 5.0]]"
    (tmp_path / "script.py").write_text(source.replace(rows, others))
    process = run_process(tmp_path / "script.py", "", tmp_path)
    assert f"joint reward {expected} for 10 of 10 seeds" in process.stdout, process.stdout + process.stderr
