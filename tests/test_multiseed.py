"""Many seeds in one process: each must compute what qmle_continuous.py computes, and none may touch another."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
import types

import numpy as np
import psutil
import pytest
import qmle_continuous as plain
import qmle_continuous_multiseed as script
import torch
from conftest import ROOT, read_scalars, run_process

S, OBS, A = 3, 5, 2
SMALL = (
    "--num-seeds 3 --num-groups 2 --num-workers 2 --batch-size 32 --buffer-size 5000 --num-target-samples 10"
    " --num-greedy-samples 50"
)
DEVICES = [
    "cpu",
    pytest.param(
        "cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
    ),
]


def make_args(device="cpu", **flags):
    sizes = dict(buffer_size=100, batch_size=16, num_target_samples=20, num_seeds=S, num_groups=2)
    sizes |= dict(cuda=device == "cuda", compile=False, mixed_precision=False)
    return script.Args(**(sizes | flags))


def plain_args(args):
    names = {field for field in plain.Args.__dataclass_fields__}
    return plain.Args(**{name: value for name, value in vars(args).items() if name in names})


def fill(memory, num, first=0, seeds=S):
    """num transitions of each seed, those of seed k the same whatever the number of seeds."""
    rngs = [np.random.default_rng(k) for k in range(first, first + seeds)]
    for i in range(num):
        draw = np.stack([rng.uniform(-1, 1, 2 * OBS + A) for rng in rngs]).astype(np.float32)
        obs, next_obs, actions = np.split(draw, [OBS, 2 * OBS], axis=1)
        fields = (obs, actions, draw[:, 0] * i % 7, next_obs, np.full(seeds, i % 5 == 0))
        for rows in script.groups_of(make_args(num_seeds=seeds)):
            memory.add(rows, *(field[rows] for field in fields))


def make(device="cpu", **flags):
    torch.set_float32_matmul_precision(
        "highest"
    )  # a script that another test ran may have left TensorFloat-32 on
    args = make_args(device, **flags)
    networks = []
    for seed in range(2 * S):
        torch.manual_seed(seed)
        networks.append(plain.QNetwork(OBS, A, 3).to(device))
    stacked = [
        {
            name: torch.stack([n.state_dict()[name] for n in part])
            for name in networks[0].state_dict()
        }
        for part in (networks[:S], networks[S:])
    ]
    online = {name: value.clone().requires_grad_() for name, value in stacked[0].items()}
    memory = script.ReplayMemory(args, OBS, A, torch.device(device))
    fill(memory, 60)
    indices = torch.arange(60, device=device).expand(S, -1)
    torch.manual_seed(9)
    memory.remember(indices, memory.a_max[:, :60], torch.rand(S, 60, device=device) * 5)
    templates = [script.QNetwork(OBS, A, 3).to(device) for _ in range(2)]
    losses = script.for_all_seeds(lambda *inputs: script.training_loss(*inputs, args), *templates)
    if args.compile:
        losses = script.compiled(losses)
    optimizer = torch.optim.Adam(online.values(), lr=args.learning_rate, fused=True)
    return args, networks, online, stacked[1], memory, losses, optimizer


# ---- equal to the plain script


@pytest.mark.parametrize("device", DEVICES)
def test_each_seed_computes_what_the_plain_script_computes(device, monkeypatch):
    args, networks, online, target, memory, losses, optimizer = make(device)
    indices, weights = memory.sample(16)
    monkeypatch.setattr(memory, "sample", lambda batch_size: (indices, weights))
    search_sets = torch.rand(S, 16, 20, A, device=device) * 2 - 1
    before = memory.rows.clone(), memory.priorities.clone(), memory.max_priority.clone()

    # The search set of a seed reaches sample_actions by way of what it is given: the features, here with a mark.
    expected = []
    for k in range(S):
        own = plain.ReplayMemory(plain_args(args), OBS, A, torch.device(device))
        own.rows.copy_(before[0][k])
        own.priorities.flatten()[:100] = before[1][k].flatten()[:100]
        own.max_priority.copy_(before[2][k].squeeze())
        own._sum_blocks(torch.arange(len(own.block_sums), device=device))
        monkeypatch.setattr(own, "sample", lambda batch_size, k=k: (indices[k], weights[k]))
        monkeypatch.setattr(plain, "sample_actions", lambda *inputs, k=k: search_sets[k])
        adam = torch.optim.Adam(networks[k].parameters(), lr=args.learning_rate, fused=True)
        metrics = plain.train_step(networks[k], networks[S + k], adam, own, plain_args(args))
        expected.append((metrics, own))

    def with_search_set(q_network, target_network, batch, weights, search_set):
        monkeypatch.setattr(script, "sample_actions", lambda *inputs: search_set)
        return script.training_loss(q_network, target_network, batch, weights, args)

    templates = [script.QNetwork(OBS, A, 3).to(device) for _ in range(2)]
    all_losses = script.for_all_seeds(with_search_set, *templates)
    losses = lambda parameters, batch, weights: all_losses(parameters, batch, weights, search_sets)  # noqa: E731
    metrics = script.train_step([online, target], optimizer, memory, losses, args)
    rel = 1e-5 if device == "cpu" else 1e-4  # cuBLAS sums in another order for a batch of matrices
    for k, (plain_metrics, own) in enumerate(expected):
        for name, value in plain_metrics.items():
            assert metrics[name][k].item() == pytest.approx(value.item(), rel=rel, abs=1e-6), name
        for name, parameter in networks[k].named_parameters():
            assert online[name].grad[k].allclose(parameter.grad, rtol=1e-4, atol=1e-6), name
        assert memory.a_max[k].equal(own.a_max)
        assert (
            memory.priorities[k].flatten()[:100].allclose(own.priorities.flatten()[:100], rtol=1e-4)
        )
        assert memory.block_sums[k].sum().item() == pytest.approx(
            own.block_sums.sum().item(), rel=rel
        )
        assert memory.block_mins[k].min().item() == pytest.approx(
            own.block_mins.min().item(), rel=1e-4
        )
    assert not memory.a_max.equal(before[0].split(memory.sizes, 2)[3])


def test_memory_draws_by_the_priorities_of_each_seed():
    *_, memory, _, _ = make()
    indices, weights = memory.sample(100_000)
    for k in range(S):
        p = memory.priorities[k].flatten()[:60].double()
        probability = p / p.sum()
        counts = indices[k].bincount(minlength=60)
        z = (counts - 1e5 * probability) / (1e5 * probability * (1 - probability)).clamp(
            min=1
        ).sqrt()
        assert len(counts) == 60 and z.abs().max() < 5
        brute = (60 * probability) ** -0.2
        assert weights[k].double().allclose((brute / brute.max())[indices[k]], rtol=1e-4)


def test_memory_wraps_around_as_the_plain_one():
    args = make_args(buffer_size=50, train_frequency=4)
    memory = script.ReplayMemory(args, OBS, A, torch.device("cpu"))
    one = plain.ReplayMemory(plain_args(args), OBS, A, torch.device("cpu"))
    fill(memory, 90)
    rng = np.random.default_rng(1)  # seed 1's transitions once more
    for i in range(90):
        obs, next_obs, action = np.split(
            rng.uniform(-1, 1, 2 * OBS + A).astype(np.float32), [OBS, 2 * OBS]
        )
        one.add(obs, action, obs[0] * i % 7, next_obs, i % 5 == 0)
    assert memory.num_staged == one.num_staged == 2 and memory.position == one.position == 88 - 50
    assert memory.rows[1].equal(one.rows)
    assert memory.priorities[1].flatten()[:50].equal(one.priorities.flatten()[:50])
    assert (
        memory.block_sums[1].sum() == one.block_sums.sum()
        and memory.block_mins[1].min() == one.block_mins.min()
    )


# ---- independent of each other


@pytest.mark.parametrize("compile", [False, True])
def test_the_data_of_one_seed_reach_no_other(compile):
    ends = []
    for changed in (False, True):
        args, _, online, target, memory, losses, optimizer = make(compile=compile)
        if changed:
            memory.rows[1, :60] = torch.rand(60, memory.rows.shape[2]) * 2 - 1
            memory.priorities[1, :2] *= 3
            memory._sum_blocks(torch.arange(memory.block_sums.shape[1]).expand(S, -1))
        torch.manual_seed(5)
        for _ in range(5):
            script.train_step([online, target], optimizer, memory, losses, args)
        ends.append((online, memory))
    (one, memory), (two, other) = ends
    for name in one:
        assert one[name][[0, 2]].equal(two[name][[0, 2]]), name
    assert any(not one[name][1].equal(two[name][1]) for name in one)
    assert memory.rows[[0, 2]].equal(other.rows[[0, 2]]) and memory.priorities[[0, 2]].equal(
        other.priorities[[0, 2]]
    )


@pytest.mark.parametrize("compile", [False, True])
def test_seeds_draw_search_sets_of_their_own(compile):
    args, _, online, *_ = make(uniform_ratio=0.4, delta_ratio=0.3, categorical_ratio=0.3)
    template = script.QNetwork(OBS, A, 3)
    same = {name: value[:1].detach().expand_as(value) for name, value in online.items()}
    draw = script.for_all_seeds(
        lambda q_network, features: script.sample_actions(q_network, features, 50, args), template
    )
    samples = (script.compiled(draw) if compile else draw)([same], torch.zeros(S, 4, 128))
    assert samples.shape == (S, 4, 50, A)
    assert samples[0, :, 20].equal(
        samples[1, :, 20]
    )  # the first sample of the delta is what it predicts
    for part in (slice(0, 20), slice(21, 35), slice(35, 50)):
        assert not samples[0, :, part].equal(samples[1, :, part]) and not samples[0, 0, part].equal(
            samples[0, 1, part]
        )


def test_compiled_computes_what_plain_computes():
    ends = []
    for compile in (False, True):
        args, _, online, target, memory, losses, optimizer = make(compile=compile)
        torch.manual_seed(5)
        metrics = [
            script.train_step([online, target], optimizer, memory, losses, args) for _ in range(5)
        ]
        ends.append(
            (torch.stack([torch.stack(list(m.values())) for m in metrics]), memory.a_max.clone())
        )
    assert ends[0][0].allclose(ends[1][0], rtol=1e-4, atol=1e-5) and ends[0][1].allclose(
        ends[1][1], atol=1e-6
    )


# ---- whole runs


def test_a_run_leaves_what_plain_runs_leave(run_script, tmp_path):
    flags = f"{SMALL} --seed 4 --env-id toy_envs:TwoEndings-v0 --total-timesteps 300 --learning-starts 100"
    end = run_script(
        "qmle_continuous_multiseed", f"{flags} --eval-frequency 150 --eval-episodes 2 --save-model"
    )
    assert end["num_updates"] == 20 and len(end["run_dirs"]) == 3
    memory = end["memory"]
    for k, run_dir in enumerate(end["run_dirs"]):
        assert run_dir.name.startswith(
            f"toy_envs_TwoEndings-v0__qmle_continuous_multiseed__{4 + k}__"
        )
        rows = list(csv.DictReader((run_dir / "episodes.csv").open()))
        assert list(rows[0]) == ["global_step", "episodic_return", "episodic_length", "wall_time"]
        assert [int(row["episodic_length"]) for row in rows] == ([7, 10] * 20)[: len(rows)] and len(
            rows
        ) > 30
        # the toy's rewards are its step and 100 times its episode
        assert [float(row["episodic_return"]) for row in rows[:2]] == [
            sum(range(7)),
            sum(range(10)) + 1000,
        ]
        evaluations = list(csv.DictReader((run_dir / "eval.csv").open()))
        assert [row["global_step"] for row in evaluations] == ["150", "150", "300", "300"]
        config = json.loads((run_dir / "config.json").read_text())
        assert config["args"]["seed"] == 4 + k and config["args"]["num_seeds"] == 3
        assert memory.obs[k, :7, 0].tolist() == list(range(7)) and memory.obs[k, 7, 0] == 0
        assert memory.next_obs[k, 6].tolist() == [7, 0, *memory.next_obs[k, 6, 2:].tolist()]
        assert memory.terminated[k, :17].tolist() == [0.0] * 6 + [1.0] + [0.0] * 10
        model = run_dir / "model.pt"
        played = run_process(
            ROOT / "qmle_continuous.py", f"--evaluate-only {model} --eval-episodes 2", tmp_path
        )
        assert played.returncode == 0 and "mean return of 2 greedy episodes" in played.stdout, (
            played.stderr
        )


def test_each_environment_gets_its_own_action_and_each_memory_its_own_transition(run_script):
    flags = "--seed 4 --env-id toy_envs:Echo-v0 --eval-frequency 200 --eval-episodes 2"
    flags += " --total-timesteps 200 --learning-starts 100 --target-network-frequency 50"
    end = run_script("qmle_continuous_multiseed", f"{SMALL} {flags}")
    memory = end["memory"]
    actions, rows = memory.actions[:, :200], slice(200)
    for k, run_dir in enumerate(end["run_dirs"]):
        seed = script.episode_seed(4 + k, 0) % 1000
        assert memory.obs[k, rows, 0].eq(seed).all() and memory.next_obs[k, rows, 1:].allclose(
            actions[k], atol=1e-6
        )
        assert memory.rewards[k, rows].allclose(actions[k, :, 0] + 10 * seed, atol=1e-4)
        length = 5 + seed % 5
        ends = torch.arange(1, 201) % length == 0
        assert memory.terminated[k, rows].equal(ends.float())
        assert memory.obs[k, 1:200, 1:].allclose(
            torch.where(ends[:-1, None], 0.0, actions[k, :-1]), atol=1e-6
        )
        for row in csv.DictReader((run_dir / "episodes.csv").open()):
            steps = slice(int(row["global_step"]) - length, int(row["global_step"]))
            assert float(row["episodic_return"]) == pytest.approx(
                memory.rewards[k, steps].sum().item(), abs=1e-2
            )
        for row in csv.DictReader(
            (run_dir / "eval.csv").open()
        ):  # the environments for evaluation have other seeds
            own = script.episode_seed(4 + k + 1_000_000, 0) % 1000
            low, high = ((10 * own + side) * (5 + own % 5) for side in (-1, 1))
            assert (
                low - 20 <= float(row["episodic_return"]) <= high + 20
            )  # float32 knows ten million to the unit
    assert (
        not actions[0].equal(actions[1])
        and end["num_updates"] == 10
        and len(end["envs"].groups) == 2
    )
    scalars = read_scalars(end["run_dirs"][1])
    assert len(scalars["losses/td_loss"]) == 1 and scalars["losses/td_loss"][0][1] > 0


@pytest.mark.parametrize("num_workers", [1, 3])
def test_every_seed_starts_as_the_plain_script_does_and_so_does_each_of_its_episodes(
    num_workers, run_script
):
    flags = "--env-id toy_envs:Reach-v0 --total-timesteps 70 --learning-starts 69"  # episodes of 20 steps
    many = run_script(
        "qmle_continuous_multiseed", f"{SMALL} --seed 6 --num-workers {num_workers} {flags}"
    )
    for k in range(3):
        one = run_script("qmle_continuous", f"--seed {6 + k} --buffer-size 5000 {flags}")
        for name, value in one["q_network"].state_dict().items():
            assert many["online"][name][k].equal(value), name
        starts = one["memory"].obs[:70:20]
        assert many["memory"].obs[k, :70:20].equal(starts) and len(starts.unique(dim=0)) == 4


def test_same_seeds_same_run(run_script):
    runs = []
    for extra in (
        "--seed 3",
        "--seed 3 --num-workers 3",
        "--seed 3 --eval-frequency 300 --eval-episodes 1",
        "--seed 13",
    ):
        flags = f"{SMALL} --env-id Pendulum-v1 --total-timesteps 450 --learning-starts 100 {extra}"
        end = run_script("qmle_continuous_multiseed", flags)
        episodes = [
            [row[:3] for row in csv.reader((run_dir / "episodes.csv").open())]
            for run_dir in end["run_dirs"]
        ]
        runs.append((episodes, [value.tolist() for value in end["online"].values()]))
    assert runs[0] == runs[1] == runs[2] != runs[3]
    assert len({str(episodes) for episodes in runs[0][0]}) == 3  # three different agents


@pytest.mark.parametrize(
    "flags, words",
    [
        ("--num-seeds 0", ["--num-seeds is 0", "from 1"]),
        ("--num-workers -1", ["--num-workers is -1"]),
        ("--env-backend envpool", ["envpool"]),
        ("--env-backend jax", ["--env-backend is 'jax'", "gymnasium"]),
        ("--num-seeds 9999", ["--num-seeds is 9999", "seeds"]),
        ("--env-id CartPole-v1", ["CartPole-v1", "expected a Box"]),
    ],
)
def test_refused_in_one_line(flags, words, run_script, tmp_path):
    with pytest.raises(SystemExit) as refusal:
        run_script("qmle_continuous_multiseed", f"--env-id Pendulum-v1 --num-workers 1 {flags}")
    assert all(word.lower() in str(refusal.value).lower() for word in ["error: ", *words])
    assert "\n" not in str(refusal.value) and not list(tmp_path.iterdir())


def start(tmp_path, extra=""):
    """A run in a process of its own that has begun to step, and its worker processes."""
    flags = f"{SMALL} --env-id Pendulum-v1 --total-timesteps 100000 --no-compile {extra}"
    command = [sys.executable, str(ROOT / "qmle_continuous_multiseed.py"), *flags.split()]
    environment = os.environ | {"PYTHONPATH": str(ROOT / "tests")}
    hears = dict(
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler)
    )  # also from nohup
    run = subprocess.Popen(
        command, cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True, **hears
    )
    deadline = time.time() + 120
    while time.time() < deadline and run.poll() is None:
        files = list(tmp_path.glob("runs/*/episodes.csv"))
        if len(files) == 3 and all(len(path.read_text().splitlines()) > 1 for path in files):
            break
        time.sleep(0.2)
    workers = psutil.Process(run.pid).children()
    if len(workers) != 4:  # two that train and two that evaluate
        run.kill()
        pytest.fail(f"{len(workers)} worker processes: {run.communicate()[1]}")
    return run, workers


@pytest.mark.parametrize("how", ["worker dies", "Ctrl-C", "SIGTERM", "kill -9"])
def test_no_process_is_left_behind(how, tmp_path):
    run, workers = start(tmp_path, "--eval-frequency 10000")
    if how == "worker dies":
        min(workers, key=lambda worker: worker.pid).kill()
    else:
        run.send_signal(
            {"Ctrl-C": signal.SIGINT, "SIGTERM": signal.SIGTERM, "kill -9": signal.SIGKILL}[how]
        )
    _, errors = run.communicate(timeout=60)
    assert run.returncode != 0
    if how == "worker dies":
        assert (
            "error: the worker process of seed 1, 3 ended with -9" in errors
            and "Traceback" not in errors
        )
    _, alive = psutil.wait_procs(workers, timeout=30)
    assert not alive


@pytest.mark.slow
def test_equivalent_to_plain_runs_on_a_cheap_task(run_script):
    """16 seeds here and 16 plain runs: the 90% interval of the difference of mean returns lies within 10%."""
    flags = (
        "--env-id toy_envs:Reach-v0 --total-timesteps 3000 --batch-size 64 --buffer-size 20000 --num-target-samples 32"
        " --num-greedy-samples 64 --learning-rate 0.001 --learning-starts 300 --train-frequency 4 --gamma 0.9"
    )
    many = run_script("qmle_continuous_multiseed", f"{flags} --num-seeds 16 --num-workers 2")
    one = [
        run_script("qmle_continuous", f"{flags} --seed {seed}")["last_returns"]
        for seed in range(1, 17)
    ]
    here, there = (
        np.array([np.mean(returns) for returns in group]) for group in (many["last_returns"], one)
    )
    difference = here.mean() - there.mean()
    margin = 1.697 * np.sqrt(
        here.var(ddof=1) / 16 + there.var(ddof=1) / 16
    )  # t of 30 degrees of freedom
    print(
        f"here {here.mean():.3f}, there {there.mean():.3f}, difference {difference:.3f} +- {margin:.3f}"
    )
    assert abs(difference) + margin < 0.1 * there.mean()


@pytest.mark.parametrize(
    "num_groups, num_seeds, groups",
    [
        (2, 1, [(0, 1)]),
        (2, 5, [(0, 3), (3, 5)]),
        (2, 16, [(0, 8), (8, 16)]),
        (1, 5, [(0, 5)]),
        (9, 2, [(0, 1), (1, 2)]),
    ],
)
def test_groups_hold_each_seed_once(num_groups, num_seeds, groups):
    args = make_args(num_groups=num_groups, num_seeds=num_seeds)
    assert [(rows.start, rows.stop) for rows in script.groups_of(args)] == groups


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="needs two cores")
def test_the_number_of_groups_decides_on_the_numbers_and_config_json_has_it(tmp_path):
    flags = f"{SMALL} --env-id toy_envs:Reach-v0 --total-timesteps 200 --learning-starts 40 --no-compile --save-model"
    flags = flags.replace("--num-groups 2", "")
    first, second = sorted(os.sched_getaffinity(0))[:2]
    groups, weights = [], []
    for cores, more in (
        (f"{first}", ""),
        (f"{first},{second}", ""),
        (f"{first},{second}", "--num-groups 1"),
    ):
        folder = tmp_path / f"run {len(groups)}"
        folder.mkdir()
        command = [
            "taskset",
            "-c",
            cores,
            sys.executable,
            str(ROOT / "qmle_continuous_multiseed.py"),
            *flags.split(),
        ]
        environment = os.environ | {"PYTHONPATH": str(ROOT / "tests"), "OMP_NUM_THREADS": "1"}
        subprocess.run(
            [*command, *more.split()], cwd=folder, env=environment, check=True, capture_output=True
        )
        run_dir = sorted(folder.glob("runs/*"))[-1]
        groups.append(json.loads((run_dir / "config.json").read_text())["args"]["num_groups"])
        weights.append(
            torch.load(run_dir / "model.pt", weights_only=True)["q_network"]["joint_output.weight"]
        )
    assert groups == [1, 2, 1]
    assert weights[0].equal(weights[2]) and not weights[0].equal(weights[1])


@pytest.mark.parametrize("seconds", [1e-4, 4e-3, 0.4, 3.0])
def test_a_short_wait_only_yields_and_a_long_one_sleeps(seconds, monkeypatch):
    clock, yields, pauses, checks = [100.0], [], [], []

    def ready():
        clock[0] += 1e-6
        assert clock[0] < 110, "it does not end"
        return clock[0] >= 100 + seconds

    def sleep(pause):
        pauses.append(pause)
        clock[0] += pause + 7e-5  # as late as Linux is

    monkeypatch.setattr(script.time, "perf_counter", lambda: clock[0])
    monkeypatch.setattr(script.time, "sleep", sleep)
    monkeypatch.setattr(script.os, "sched_yield", lambda: yields.append(clock[0]))
    script.wait_until(ready, lambda: checks.append(clock[0]))
    assert seconds <= clock[0] - 100 <= 1.05 * seconds + 1e-4
    assert len(yields) == pytest.approx(min(seconds, 5e-3) / 1e-6, rel=0.05)
    assert (
        bool(pauses) == (seconds > 5e-3) and len(pauses) < 300 and bool(checks) == (seconds > 0.5)
    )


# ---- EnvPool


def envpool_episode(seeds):
    """Observations, rewards and ends of the first 1002 steps; the first seed does nothing, the others move."""
    args = make_args(env_id="dm_control/walker-walk-v0", env_backend="envpool")
    envs, actions = (
        script.EnvPoolEnvs(args, 24, 6),
        np.random.default_rng(0).uniform(-1, 1, (1002, S, 6)),
    )
    actions[:, 0] = 0.0
    envs.reset(np.array(seeds), 0)
    steps = []
    for step in actions.astype(np.float32):
        before = envs.obs.copy()
        for group, rows in enumerate(envs.groups):
            envs.start(group, step[rows])
        for group in range(len(envs.groups)):
            envs.wait(group)
        steps.append(
            [
                x.copy()
                for x in (
                    before,
                    envs.next_obs,
                    envs.obs,
                    envs.rewards,
                    envs.ended,
                    envs.terminated,
                )
            ]
        )
    envs.close()
    return [np.stack(column) for column in zip(*steps, strict=True)]


def test_envpool_steps_each_seed_through_whole_episodes():
    pytest.importorskip("envpool")
    episode = before, next_obs, obs, rewards, ended, terminated = envpool_episode([5, 6, 7])
    assert (
        np.array_equal(np.flatnonzero(ended.all(1)), [999])
        and ended.sum() == S
        and not terminated.any()
    )
    assert (rewards >= 0).all() and (rewards <= 1).all() and np.array_equal(before[1:], obs[:-1])
    changed = (next_obs != obs).any(axis=(1, 2))
    assert np.array_equal(
        np.flatnonzero(changed), [999]
    )  # what ended is told before it starts anew
    pairs = next_obs[..., 1:15].reshape(-1, 7, 2)  # as dm_control's: height, orientations, velocity
    assert np.allclose((pairs**2).sum(-1), 1, atol=1e-5)
    assert (
        np.abs(next_obs[900, 0, 15:]).max() < 0.1 < np.abs(next_obs[900, 1:, 15:]).max(-1).min()
    )  # at rest, moving
    again, others = envpool_episode([5, 6, 7]), envpool_episode([5, 6, 8])
    assert all(np.array_equal(a, b) for a, b in zip(again, episode, strict=True))
    assert np.array_equal(others[0][:, :2], before[:, :2]) and not np.array_equal(
        others[0][:, 2], before[:, 2]
    )


@pytest.mark.parametrize(
    "task", ["walker-walk", "finger-spin"]
)  # of the second EnvPool tells more than dm_control
def test_envpool_gives_what_its_own_methods_give(task):
    envpool = pytest.importorskip("envpool")
    args = make_args(env_id=f"dm_control/{task}-v0", env_backend="envpool", num_groups=1)
    env = script.make_env(args.env_id)
    (obs_size,), (action_size,) = env.observation_space.shape, env.action_space.shape
    envs, rng = script.EnvPoolEnvs(args, obs_size, action_size), np.random.default_rng(0)
    envs.reset(np.arange(S), 4)
    seeds = [script.episode_seed(k, 4) for k in range(S)]
    pool = envpool.make_gymnasium(envs.name, num_envs=S, seed=seeds)

    def flat(obs):
        return np.concatenate(
            [obs[key].reshape(len(obs[key]), -1) for key in env.env.observation_space], axis=1
        )

    assert np.array_equal(envs.obs, flat(pool.reset()[0]).astype(np.float32))
    for step in range(30):
        if (
            step == 20
        ):  # the suite ends all episodes at the same step; here some, in another order, as if they had
            numbers = np.array([2, 0], np.int32)
            envs.pools[0]._reset(numbers)
            envs.obs[numbers] = envs._receive(0)[0]
            again = flat(pool.reset(numbers)[0]).astype(np.float32)
            assert np.array_equal(envs.obs[numbers], again) and not np.array_equal(
                envs.next_obs[numbers], again
            )
        actions = rng.uniform(-1, 1, (S, action_size)).astype(np.float32)
        envs.start(0, actions)
        envs.wait(0)
        obs, rewards, _, truncated, _ = pool.step(
            actions.astype(np.float64)
        )  # the bounds are -1 and 1
        assert np.array_equal(envs.obs, flat(obs).astype(np.float32)) and np.array_equal(
            envs.obs, envs.next_obs
        )
        assert np.array_equal(envs.rewards, rewards.astype(np.float32)) and not truncated.any()


def test_envpool_starts_the_episodes_anew_that_have_ended():
    pytest.importorskip("envpool")
    envs = script.EnvPoolEnvs(make_args(env_backend="envpool", num_groups=1), 24, 6)
    envs.reset(np.arange(S), 0)
    receive = envs._receive
    envs.start(0, np.zeros((S, 6), np.float32))
    answers = [(*receive(0)[:2], np.array([True, False, True]))]  # as if two episodes had ended
    envs._receive = lambda group: answers.pop() if answers else receive(group)
    envs.wait(0)
    assert envs.ended.tolist() == [1, 0, 1] and (envs.obs != envs.next_obs).any(1).tolist() == [
        True,
        False,
        True,
    ]
    fresh = envs.obs.copy()
    envs.reset(np.arange(S), 0)
    assert not np.array_equal(fresh[0], envs.obs[0])  # another episode of the same environment


def test_envpool_that_works_otherwise_is_refused(monkeypatch):
    envpool = pytest.importorskip("envpool")
    keys = envpool.make_gymnasium("WalkerWalk-v1")._state_keys
    other = types.SimpleNamespace(
        _action_keys=["env_id", "action"], _state_keys=keys, _send=0, _recv=0, _reset=0
    )
    monkeypatch.setattr(envpool, "make_gymnasium", lambda name: other)
    with pytest.raises(ImportError, match="envpool .* works otherwise inside, expected 1.2.5"):
        script.EnvPoolEnvs(make_args(env_backend="envpool"), 24, 6)


def test_envpool_run_says_so(run_script):
    pytest.importorskip("envpool")
    flags = "--env-id dm_control/cartpole-swingup-v0 --env-backend envpool --total-timesteps 1100 --learning-starts 1050"
    end = run_script(
        "qmle_continuous_multiseed", f"{SMALL} {flags} --eval-frequency 1100 --eval-episodes 1"
    )
    for run_dir in end["run_dirs"]:
        (row,) = csv.DictReader((run_dir / "episodes.csv").open())
        assert (
            row["global_step"] == row["episodic_length"] == "1000"
            and 0 <= float(row["episodic_return"]) <= 1000
        )
        versions = json.loads((run_dir / "config.json").read_text())["versions"]
        assert versions["mujoco"] == "EnvPool's" and "envpool" in versions
    assert end["num_updates"] == 5
