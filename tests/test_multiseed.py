"""Many seeds in one process: each computes what the plain script computes, none touches another."""

import re
import signal

import conftest
import numpy as np
import psutil
import pytest
import qmle_continuous as plain
import qmle_continuous_multiseed as script
import torch
from conftest import ROOT, command, read_scalars, refused, rows, run_process, start, tiny

NAME = "qmle_continuous_multiseed"
S, OBS, A = 3, 5, 2
SMALL = f"{tiny(NAME)} --num-seeds 3 --num-workers 2"


def make(device="cpu", **flags):
    torch.set_float32_matmul_precision("highest")  # an earlier test may have left TF32 on
    args = script.Args(buffer_size=100, batch_size=16, num_target_samples=20, **flags)
    networks = [plain.QNetwork(OBS, A, 3).to(device) for _ in range(2 * S)]
    online, _ = torch.func.stack_module_state(networks[:S])
    target, _ = torch.func.stack_module_state(networks[S:])
    target = {name: value.detach() for name, value in target.items()}
    memory = script.ReplayMemory(args, OBS, A, torch.device(device), seeds=(S,))
    rng = np.random.default_rng(0)
    for i in range(60):
        obs, next_obs = rng.uniform(-1, 1, (2, S, OBS))
        actions, rewards = rng.uniform(-1, 1, (S, A)), rng.uniform(0, 7, S)
        memory.add(obs, actions, rewards, next_obs, np.full(S, i % 5 == 0))
    memory.store()
    indices = torch.arange(60, device=device).expand(S, -1)
    td_errors = torch.rand(S, 60, device=device) * 5
    memory.remember(indices, memory.a_max[:, :60].clone(), td_errors)
    optimizer = torch.optim.Adam(online.values(), lr=5e-4, fused=True)
    return args, networks, online, target, optimizer, memory


TEMPLATES = [script.QNetwork(OBS, A, 3).to("meta") for _ in range(2)]


@pytest.mark.parametrize("device", conftest.DEVICES)
def test_each_seed_computes_what_the_plain_script_computes(device, monkeypatch):
    args, networks, online, target, optimizer, memory = make(device)
    indices, drawn, weights = memory.sample(16)
    monkeypatch.setattr(memory, "sample", lambda batch_size: (indices, drawn, weights))
    search_sets = torch.rand(S, 16, 20, A, device=device) * 2 - 1
    before, expected = memory.rows.clone(), []
    for k in range(S):
        own = plain.ReplayMemory(args, OBS, A, torch.device(device))
        own.rows.copy_(before[k])
        own.priorities.copy_(memory.priorities[k])
        draw = indices[k], [field[k] for field in drawn], weights[k]
        monkeypatch.setattr(own, "sample", lambda batch_size, draw=draw: draw)
        monkeypatch.setattr(plain, "sample_actions", lambda *_, k=k: search_sets[k])
        adam = torch.optim.Adam(networks[k].parameters(), lr=5e-4, fused=True)
        expected.append((plain.train_step(networks[k], networks[S + k], adam, own, args), own))

    def with_search_set(q_network, target_network, args, batch, weights, search_set):
        monkeypatch.setattr(script, "sample_actions", lambda *_: search_set)
        return script.training_loss(q_network, target_network, args, batch, weights)

    over = script.over_seeds(with_search_set, args, *TEMPLATES)
    losses = lambda *inputs: over(*inputs, search_sets)  # noqa: E731
    metrics = script.train_step(losses, online, target, optimizer, memory, args)
    rel = 1e-5 if device == "cpu" else 1e-3  # cuBLAS sums in another order for many matrices
    for k, (plain_metrics, own) in enumerate(expected):
        for name, value in plain_metrics.items():
            assert metrics[name][k].item() == pytest.approx(value.item(), rel=rel, abs=1e-6), name
        for name, parameter in networks[k].named_parameters():
            assert online[name].grad[k].allclose(parameter.grad, rtol=1e-3, atol=1e-6), name
        assert memory.a_max[k].equal(own.a_max)
        assert memory.priorities[k].allclose(own.priorities, rtol=1e-3)
    assert not memory.rows.equal(before)


def test_seeds_draw_search_sets_of_their_own():
    args, _, online, *_ = make(uniform_ratio=0.4, delta_ratio=0.3, categorical_ratio=0.3)
    same = {name: value[:1].detach().expand_as(value) for name, value in online.items()}
    sample = lambda q_network, args, features: script.sample_actions(q_network, features, 50, args)  # noqa: E731
    draw = script.over_seeds(sample, args, TEMPLATES[0])
    samples = draw([same], torch.zeros(S, 4, 128))
    assert samples.shape == (S, 4, 50, A)
    assert samples[0, :, 20].equal(samples[1, :, 20])  # what the delta predicts comes first
    for part in (slice(0, 20), slice(21, 35), slice(35, 50)):
        assert not samples[0, :, part].equal(samples[1, :, part])
        assert not samples[0, 0, part].equal(samples[0, 1, part])


def test_actions_and_transitions_go_where_they_belong(run_script, capsys):
    flags = f"{SMALL} --seed 4 --env-id toy_envs:Echo-v0 --eval-frequency 200 --eval-episodes 2"
    end = run_script(NAME, f"{flags} --total-timesteps 250 --save-model --train-frequency 1")
    memory = end["memory"]
    memory.store()
    fields = memory.rows[:, :250].split(memory.sizes, dim=-1)
    obs, next_obs, actions, _, rewards, terminated = fields
    for k, run_dir in enumerate(end["run_dirs"]):
        seed = script.episode_seed(4 + k, 0) % 1000
        assert obs[k, :, 0].eq(seed).all() and next_obs[k, :, 1:].allclose(actions[k], atol=1e-6)
        assert rewards[k, :, 0].allclose(actions[k, :, 0] + 10 * seed, atol=1e-3)
        length = 5 + seed % 5
        ends = torch.arange(1, 251) % length == 0
        assert terminated[k, :, 0].equal(ends.float())
        expected = torch.where(ends[:-1, None], 0.0, actions[k, :-1])
        assert obs[k, 1:, 1:].allclose(expected, atol=1e-6)
        for row in rows(run_dir / "episodes.csv")[1:]:
            step, episodic_return, own_length = row.split(",")
            total = rewards[k, int(step) - length : int(step), 0].sum().item()
            assert float(episodic_return) == pytest.approx(total, abs=0.1)
            assert int(own_length) == length
        assert len(rows(run_dir / "eval.csv")) == 3
    assert not actions[0].equal(actions[1])
    with pytest.raises(SystemExit):
        run_script("qmle_continuous", f"--evaluate-only {run_dir} --eval-episodes 2")
    assert re.search(r"returns: \[\d[^]]* \d[^]]*\] mean: \d", capsys.readouterr().out)
    assert len(read_scalars(end["run_dirs"][1])["losses/td_loss"]) == 2  # every 100th of 150


def test_every_seed_and_its_episodes_start_as_in_the_plain_script(run_script):
    flags = "--env-id toy_envs:Reach-v0 --total-timesteps 70"  # episodes of 20 steps, no update
    many = run_script(NAME, f"{SMALL} --seed 6 {flags}")
    many["memory"].store()
    for k in range(3):
        one = run_script("qmle_continuous", f"--seed {6 + k} --buffer-size 5000 {flags}")
        one["memory"].store()
        for name, value in one["q_network"].state_dict().items():
            assert many["online"][name][k].equal(value), name
        starts = one["memory"].obs[:70:20]
        assert many["memory"].obs[k, :70:20].equal(starts) and len(starts.unique(dim=0)) == 4


def test_same_seeds_same_run_resumed_or_not(run_script):
    runs, flags = [], f"{SMALL} --env-id Pendulum-v1 --total-timesteps 450"
    for extra in (
        "--seed 3",
        "--seed 3 --num-workers 3 --eval-frequency 300 --eval-episodes 1",
        "--seed 3 --total-timesteps 337 --checkpoint-frequency 300",
        "--seed 13",
    ):
        end = run_script(NAME, f"{flags} {extra}")
        if "337" in extra:
            first = end["run_dirs"][0]
            renamed = first.rename(first.with_name("renamed"))
            other = end["run_dirs"][1].rename("elsewhere")
            assert "goes on in" in refused(run_script, NAME, f"--resume {renamed}")
            other.rename(end["run_dirs"][1])
            end = run_script(NAME, f"--resume {renamed} --total-timesteps 450")
        episodes = [rows(run_dir / "episodes.csv") for run_dir in end["run_dirs"]]
        runs.append((episodes, [value.tolist() for value in end["online"].values()]))
    assert runs[0] == runs[1] == runs[2] != runs[3]
    assert len({str(episodes) for episodes in runs[0][0]}) == 3  # three different agents


def test_refused_in_one_line(run_script):
    for flags, message in [
        ("--num-seeds 0", "--num-seeds is 0, expected a number from 1"),
        ("--num-seeds 9999", "--buffer-size is 1000000, "),
        ("--env-id CartPole-v1", "CartPole-v1 has actions"),
        ("--resume nowhere", "is not a checkpoint.pt"),
    ]:
        assert message in refused(run_script, NAME, f"--env-id Pendulum-v1 {flags}")


def test_an_environment_may_have_started_threads(tmp_path):
    flags = f"{SMALL} --env-id toy_envs:Neural-v0 --total-timesteps 30 --no-compile"
    status, _, errors = run_process(ROOT / f"{NAME}.py", flags, tmp_path, OMP_NUM_THREADS="2")
    assert status == 0, errors  # a process with threads would hang after a fork


@pytest.mark.parametrize("how", ["worker", signal.SIGINT, signal.SIGKILL])
def test_no_process_is_left_behind(how, tmp_path):
    flags = f"{SMALL} --env-id Pendulum-v1 --total-timesteps 100000 --no-compile"
    words = command(ROOT / f"{NAME}.py", f"{flags} --eval-frequency 50000")
    run = start(tmp_path, words)
    conftest.wait_for(lambda: list(tmp_path.glob("runs/*__3__*/eval.csv")), run)
    workers = psutil.Process(run.pid).children()
    assert len(workers) >= 4  # some that train and two that evaluate
    if how == "worker":
        min(workers, key=lambda worker: worker.pid).kill()
    else:
        run.send_signal(how)
    output, errors = run.communicate(timeout=60)
    assert run.returncode != 0
    if how == "worker":
        assert "error: the worker of seeds [1" in errors and "Traceback" not in errors
    elif how == signal.SIGINT:
        assert run.returncode == 130 and "--resume" in output
    assert not psutil.wait_procs(workers, timeout=30)[1]
