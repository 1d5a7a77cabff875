"""Many seeds in one process: each computes what the plain script does."""

import signal

import conftest
import psutil
import qmle_continuous as plain
import qmle_continuous_multiseed as script
import torch
from conftest import ROOT, check_echoes, read_scalars, refused, rows, start, tiny, wait_for
from pytest import approx, mark

NAME = "qmle_continuous_multiseed"
S, A = 3, 2
SEEDS = "--num-seeds 3 --num-workers 2"


def make(device="cpu", **flags):
    torch.set_float32_matmul_precision("highest")  # not TF32
    args = script.Args(buffer_size=100, batch_size=16, num_target_samples=20, **flags)
    made = [conftest.make_update(plain, args, (A, 3), device=device) for _ in range(S)]
    networks, targets, _, memories = zip(*made, strict=True)
    online, target = (torch.func.stack_module_state(own)[0] for own in (networks, targets))
    target = {name: value.detach() for name, value in target.items()}
    memory = script.ReplayMemory(args, 5, A, device, seeds=(S,))
    for name, value in memory.state_dict().items():
        own = torch.stack([getattr(memory, name) for memory in memories])
        value.copy_(own if value.dim() else own[0])
    optimizer = torch.optim.Adam(online.values(), lr=5e-4, fused=True)
    return args, made, online, target, optimizer, memory


TEMPLATES = [script.QNetwork(5, A, 3).to("meta") for _ in range(2)]


@mark.parametrize("device", conftest.DEVICES)
def test_each_seed_is_the_plain_script(device, patch):
    args, made, online, target, optimizer, memory = make(device)
    indices, drawn, weights = memory.sample(16)
    patch(memory, "sample", lambda batch_size: (indices, drawn, weights))
    steps = torch.arange(1.0, 21, device=device)[:, None]
    search = lambda network, features, *_: torch.sin(steps * features[:, None, :A])
    for module in (plain, script):
        patch(module, "sample_actions", search)
    losses = script.over_seeds(script.training_loss, args, *TEMPLATES)
    metrics = script.train_step(losses, online, target, optimizer, memory, args)
    rel = 1e-5 if device == "cpu" else 1e-3  # sums in another order
    for k, (network, _, _, own) in enumerate(made):
        draw = indices[k], [field[k] for field in drawn], weights[k]
        patch(own, "sample", lambda batch_size, draw=draw: draw)
        for name, value in plain.train_step(*made[k], args).items():
            assert metrics[name][k].item() == approx(value.item(), rel=rel, abs=1e-6), name
        for name, parameter in network.named_parameters():
            assert online[name].grad[k].allclose(parameter.grad, rtol=1e-3, atol=1e-6), name
        assert memory.a_max[k].equal(own.a_max)
        assert memory.priorities[k].allclose(own.priorities, rtol=1e-3)


def test_search_sets_differ():
    args, _, online, *_ = make(uniform_ratio=0.4, delta_ratio=0.3, categorical_ratio=0.3)
    same = {name: value[:1].detach().expand_as(value) for name, value in online.items()}
    sample = lambda q_network, args, features: script.sample_actions(q_network, features, 50, args)
    draw = script.over_seeds(sample, args, TEMPLATES[0])
    samples = draw([same], torch.zeros(S, 4, 128))
    assert samples.shape == (S, 4, 50, A)
    assert samples[0, :, 20].equal(samples[1, :, 20])  # what the delta predicts
    for part in (slice(0, 20), slice(21, 35), slice(35, 50)):
        assert not samples[0, :, part].equal(samples[1, :, part])
        assert not samples[0, 0, part].equal(samples[0, 1, part])


def test_actions_and_transitions_belong(run, play):
    flags = f"{tiny(NAME, 'Echo', 210)} {SEEDS} --seed 4 --eval-frequency 200 --eval-episodes 2"
    end = run(NAME, f"{flags} --train-frequency 1")
    memory = end["memory"]
    memory.store()
    for k, run_dir in enumerate(end["run_dirs"]):
        check_echoes(run_dir, 4 + k, memory, memory.rows[k, :210], memory.actions[k, :210])
        assert len(rows(run_dir / "eval.csv")) == 3
    assert not memory.actions[0].equal(memory.actions[1])
    assert play("qmle_continuous", run_dir) > 0
    assert len(read_scalars(end["run_dirs"][1])["losses/td_loss"]) == 2  # at 100 and 200


def test_starts_of_the_plain_script(run):
    flags = tiny(NAME, "Reach", 70)  # episodes of 20 steps, no update
    many = run(NAME, f"{flags} {SEEDS} --seed 6")
    many["memory"].store()
    for k in range(3):
        one = run("qmle_continuous", f"{flags} --seed {6 + k}")
        one["memory"].store()
        for name, value in one["q_network"].state_dict().items():
            assert many["online"][name][k].equal(value), name
        assert many["memory"].obs[k, :70:20].equal(one["memory"].obs[:70:20])


def test_same_run_resumed_or_not(run):
    runs, flags = [], f"{tiny(NAME, 'Pendulum-v1', 330)} {SEEDS} --seed 3"
    interrupted = "--total-timesteps 237 --checkpoint-frequency 150"
    for extra in ("", "--num-workers 3 --eval-frequency 150", interrupted):
        end = run(NAME, f"{flags} {extra}")
        if extra == interrupted:
            first, second, _ = end["run_dirs"]
            renamed, other = first.rename("runs/renamed"), second.rename("elsewhere")
            assert "goes on in" in refused(run, NAME, f"--resume {renamed}")
            other.rename(second)
            end = run(NAME, f"--resume {renamed} --total-timesteps 330")
        episodes = [rows(run_dir / "episodes.csv") for run_dir in end["run_dirs"]]
        runs.append((episodes, [value.tolist() for value in end["online"].values()]))
    assert runs[0] == runs[1] == runs[2]
    assert len({str(episodes) for episodes in runs[0][0]}) == 3


@mark.parametrize("how", ["worker", signal.SIGINT, signal.SIGKILL])
def test_no_process_is_left_behind(how, tmp_path):
    flags = f"{tiny(NAME, 'Neural', 100_000)} --num-seeds 2 --num-workers 1 --no-compile"
    # Neural starts threads: a fork would hang
    flags += " --eval-frequency 50000"
    run = start(tmp_path, ROOT / f"{NAME}.py", flags, OMP_NUM_THREADS="2")
    wait_for(lambda: list(tmp_path.glob("runs/*__2__*/episodes.csv")), run)
    workers = psutil.Process(run.pid).children()
    assert len(workers) >= 2
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
