"""How fast a script is on this machine: plain against fast, beside dm_control alone and the arithmetic floor.

    python benchmark/speed.py               loop, parts, cost, memory (30 minutes on 2 CPU cores, 8 on a GPU machine)
    python benchmark/speed.py loop --repetitions 5
    python benchmark/speed.py parts cost memory --script qmle_continuous.py
    python benchmark/speed.py loop --against ../old/qmle_continuous.py      another version of the script, in turns
                                                                            (waits takes several)

Parts of it:
    loop    environment steps per second of the whole training loop (the script, started as a user starts it), read from
            the wall times in episodes.csv once learning and compiling are over, and of dm_control alone before and
            after each run
    parts   milliseconds of one action and of one update, plain and fast, and of the target maximisation beside the time
            that its arithmetic takes at the rate of this machine's own matrix product
    cost    milliseconds of an update against m_target and of an action against m_greedy, for walker-walk (A = 6) and
            dog-walk (A = 38)
    memory  bytes of the replay memory
    precision  (with --model) what choosing in bfloat16 costs in Q, for a model.pt of qmle_continuous.py
    discrete  (only on request) the scripts of Figure 10 on its tasks: steps per second and peak memory
    seeds   (only on request) qmle_continuous_multiseed.py: steps per second together against the number of seeds, what
            of a step is acting, update, environments and host, and GPU memory; --backends envpool for EnvPool's; and
            what dm_control alone does in a process on each core
    waits   (only on request) the environments of qmle_continuous_multiseed.py for 8 seeds, a learner beside them that
            takes 0.05 ms for each: steps per second of one run, and of three at a time on the same cores
    turns   (only on request) speed and parts of a step for several commands side by side: --compare takes 'a script
            --flag ...', as often as wanted; all stay in memory, one trains at a time, --repetitions turns each
    checkpoint  (only on request) seconds and size of a checkpoint
    resident  (only on request: 15 minutes) resident memory of a long run after 1e5 and 1e6 steps

Everything is written to benchmark/results/speed/<cpu or cuda>.csv (part, what, variant, value, unit, a line each time),
with a manifest beside it (for each part command, commit, machine, versions, date).
"""

import argparse
import contextlib
import csv
import datetime
import importlib.util
import inspect
import json
import os
import pathlib
import platform
import shlex
import statistics
import subprocess
import sys
import tempfile
import time

os.environ.setdefault("MUJOCO_GL", "disabled")
import gymnasium as gym
import numpy as np
import psutil
import shimmy
import torch
from dm_control import suite

ROOT = pathlib.Path(__file__).resolve().parent.parent
SIZES = {"walker-walk": (24, 6), "dog-walk": (223, 38)}  # obs_size, action_size
PLAIN = ["--no-compile", "--no-cudagraphs"]
gym.register_envs(shimmy)


def median_ms(function, repetitions=30, warm_ups=5):
    """Median time of one call, in milliseconds, the device's work included."""
    wait = torch.cuda.synchronize if torch.cuda.is_available() else lambda: None
    times = []
    for i in range(warm_ups + repetitions):
        wait()
        start = time.perf_counter()
        function()
        wait()
        if i >= warm_ups:
            times.append((time.perf_counter() - start) * 1e3)
    return statistics.median(times)


# ---- the whole loop


def dm_control_speed(env_id, num_steps=3000):
    """Steps per second of dm_control alone with uniform actions."""
    domain, task = env_id.removeprefix("dm_control/").removesuffix("-v0").split("-")
    env = suite.load(domain, task, task_kwargs={"random": 0})
    spec, rng = env.action_spec(), np.random.default_rng(0)
    actions = rng.uniform(spec.minimum, spec.maximum, (num_steps, *spec.shape))
    env.reset()
    start = time.perf_counter()
    for action in actions:
        env.step(action)
    return num_steps / (time.perf_counter() - start)


TELL_MEMORY = """import resource, runpy, sys
import torch
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
print("memory", torch.cuda.max_memory_allocated(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
"""


def training_run(script, env_id, num_steps, flags):
    """Steps per second of a training run from the end of its second episode on: it compiles before. Then the most bytes
    that it took on the GPU and, on Linux, in the machine's memory.
    """
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-c", TELL_MEMORY, str(script), "--env-id", env_id]
        command += ["--total-timesteps", str(num_steps), *flags]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
        if done.returncode:
            sys.exit(f"error: {' '.join(command)} ended with {done.returncode}:\n{done.stderr[-2000:]}")
        (path,) = pathlib.Path(folder).glob("runs/*/episodes.csv")
        rows = list(csv.DictReader(path.open()))
    steps, times = (np.array([float(row[name]) for row in rows]) for name in ("global_step", "wall_time"))
    memory = next(line for line in done.stdout.splitlines() if line.startswith("memory ")).split()[1:]
    return (steps[-1] - steps[1]) / (times[-1] - times[1]), *map(int, memory)


def measure_loop(args, record):
    variants = {"plain": (args.script, PLAIN), "fast": (args.script, [])}
    if not torch.cuda.is_available():
        variants["fast, float32"] = (args.script, ["--no-mixed-precision"])
    if args.against:
        variants["against"] = (pathlib.Path(args.against[0]).resolve(), args.against_flags.split())
    for repetition in range(args.repetitions):
        for name, (script, flags) in variants.items():
            slow = torch.cuda.is_available() and name != "fast"  # there it takes long and varies little
            if slow and repetition >= 2:
                continue
            before = dm_control_speed(args.env_id)
            speed, *_ = training_run(script, args.env_id, 4000 if slow else args.total_timesteps, flags)
            alone = (before + dm_control_speed(args.env_id)) / 2
            record("loop", "training", name, speed, "steps/s")
            record("loop", f"dm_control alone, around {name}", "", alone, "steps/s")
            record("loop", "share of dm_control alone", name, speed / alone, "")


def measure_discrete(args, record):
    runs = [("qmle_discrete.py", task) for task in ("finger-spin", "walker-walk", "dog-walk")]
    for script, task in [*runs, ("dqn_discretized.py", "finger-spin"), ("dqn_discretized.py", "walker-walk")]:
        flags = ["--no-enumerate"] if script.startswith("qmle") else []
        speed, gpu, host = training_run(ROOT / script, f"dm_control/{task}-v0", args.total_timesteps, flags)
        record("discrete", "training", f"{script} {task}", speed, "steps/s")
        record("discrete", "peak GPU memory", f"{script} {task}", gpu / 1e9, "GB")
        record("discrete", "peak resident memory", f"{script} {task}", host / 1e9, "GB")


# ---- what the loop consists of


def load(script):
    spec = importlib.util.spec_from_file_location(pathlib.Path(script).stem, script)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def build(script, task, **flags):
    """The computations of the script's main block, with a memory of 5000 random transitions.

    Returns the script, its args, the target network, and one action and one update as calls without arguments.
    """
    module = load(script)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    obs_size, action_size = SIZES[task]
    args = module.Args(**flags)
    torch._dynamo.reset()
    module.set_up_torch(args, device)
    if module.__name__ == "qmle_continuous":
        network, target = (module.QNetwork(obs_size, action_size, args.num_bins).to(device) for _ in range(2))
    else:
        last = [True] if module.__name__ == "qmle_discrete" else []
        network, target = (module.QNetwork(obs_size, (3,) * action_size, *last).to(device) for _ in range(2))
    adam = dict(lr=args.learning_rate, fused=True, capturable=device.type == "cuda")
    optimizer, memory = (
        torch.optim.Adam(network.parameters(), **adam),
        module.ReplayMemory(args, obs_size, action_size, device),
    )
    rng = np.random.default_rng(0)
    for _ in range(5000):
        obs, next_obs = rng.standard_normal((2, obs_size))
        continuous = module.__name__ == "qmle_continuous"
        action = rng.uniform(-1, 1, action_size) if continuous else rng.integers(3, size=action_size)
        memory.add(obs, action, rng.random(), next_obs, False)
    if args.compile:
        for name in ("greedy_action", "training_loss"):
            setattr(module, name, module.compiled(getattr(module, name)))
        if device.type == "cuda":
            memory.sample, memory.remember = (module.compiled(f) for f in (memory.sample, memory.remember))
    if flags.get("compile", True) != args.compile:
        sys.exit("error: --compile does not work here, so there is nothing to compare")
    policy = module.make_policy(network, args)
    update = module.fast(args, device, module.train_step, network, target, optimizer, memory, args)
    obs = np.zeros(obs_size, np.float32)
    return module, args, target, lambda: policy(obs), update


def matrix_rate(dtype):
    """Floating-point operations per second of this machine's matrix product, at the size of the target maximisation."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    a, b = torch.randn(25856, 256, device=device, dtype=dtype), torch.randn(256, 256, device=device, dtype=dtype)
    return 2 * 25856 * 256 * 256 / (median_ms(lambda: a @ b) / 1e3)


def target_maximisation(module, args, target, task):
    """A call that finds a_max for one batch, compiled if args say so, and the number of its arithmetic operations."""
    obs_size, action_size = SIZES[task]
    device = next(target.parameters()).device
    batch, num = args.batch_size, args.num_target_samples + 1
    features = torch.randn(batch, 128, device=device)
    actions = torch.rand(batch, num, action_size, device=device) * 2 - 1

    @torch.no_grad()
    def call(features, actions):
        return module.argmax_action(target, features, actions, args.mixed_precision)

    if args.compile:
        call = torch.compile(call, dynamic=False)
    operations = 2 * batch * num * (action_size * 128 + 128 * 256 + 256 * 256 + 256) + 2 * batch * 128 * 256
    return lambda: call(features, actions), operations


def measure_parts(args, record):
    on_cuda = torch.cuda.is_available()
    variants = {"plain": dict(compile=False, cudagraphs=False, mixed_precision=False)}
    variants |= {"CUDA graphs": dict(compile=False, mixed_precision=False)} if on_cuda else {}
    variants |= {"compiled, float32": dict(mixed_precision=False), "fast (default)": {}}
    rates = {dtype: [matrix_rate(dtype) for _ in range(3)] for dtype in (torch.float32, torch.bfloat16)}
    for dtype, values in rates.items():
        for value in values:
            record("parts", "matrix product", str(dtype).removeprefix("torch."), value / 1e9, "GFLOP/s")
    for name, flags in variants.items():
        module, script_args, target, action, update = build(args.script, "walker-walk", **flags)
        for _ in range(args.repetitions):
            record("parts", "one action", name, median_ms(action), "ms")
            record("parts", "one update", name, median_ms(update), "ms")
        if module.__name__ == "qmle_continuous" and not on_cuda:
            call, operations = target_maximisation(module, script_args, target, "walker-walk")
            dtype = torch.bfloat16 if script_args.mixed_precision else torch.float32
            for _ in range(args.repetitions):
                floor = operations / matrix_rate(dtype) * 1e3
                spent = median_ms(call)
                record("parts", "target maximisation", name, spent, "ms")
                record("parts", "its arithmetic floor", name, floor, "ms")
                record("parts", "target maximisation over its floor", name, spent / floor, "")


def measure_cost(args, record):
    for task in SIZES:
        for m in (2, 10, 100, 1000):
            *_, update = build(args.script, task, num_target_samples=m, buffer_size=10_000)
            record("cost", f"update, {task}", f"m_target {m}", median_ms(update, 15), "ms")
        for m in (2, 10, 100, 1000, 10_000):
            *_, action, _ = build(args.script, task, num_greedy_samples=m, buffer_size=10_000)
            record("cost", f"action, {task}", f"m_greedy {m}", median_ms(action, 50), "ms")


# ---- memory


def measure_memory(args, record):
    module = load(args.script)
    memory = module.ReplayMemory(module.Args(cuda=False), *SIZES["walker-walk"], torch.device("cpu"))
    tensors = [value for value in vars(memory).values() if torch.is_tensor(value)]
    storages = {tensor.untyped_storage().data_ptr(): tensor.untyped_storage().nbytes() for tensor in tensors}
    record("memory", "replay memory of 1e6 walker-walk transitions", "", sum(storages.values()) / 1e6, "MB")


def measure_checkpoint(args, record):
    """Size and seconds of a checkpoint's largest part, a full memory of 1e6 walker-walk transitions on the CPU."""
    module = load(args.script)
    memory = module.ReplayMemory(module.Args(cuda=False), *SIZES["walker-walk"], torch.device("cpu"))
    names = ("rows", "priorities", "block_sums", "block_mins", "max_priority", "position")
    state = {name: getattr(memory, name) for name in names}
    memory.rows.normal_()
    with tempfile.TemporaryDirectory(dir=ROOT) as folder:  # on the disk that runs/ is on
        path = pathlib.Path(folder) / "checkpoint.pt"
        for _ in range(args.repetitions):
            start = time.perf_counter()
            module.write_checkpoint(path, state)
            record("checkpoint", "writing 1e6 walker-walk transitions", "", time.perf_counter() - start, "s")
        record("checkpoint", "size with 1e6 walker-walk transitions", "", path.stat().st_size / 1e6, "MB")


def measure_resident(args, record):
    """Resident memory of a run after 1e5 and 1e6 steps. Its replay memory is full by then; updates are few on a CPU."""
    with tempfile.TemporaryDirectory() as folder:
        flags = ["--env-id", args.env_id, "--total-timesteps", "1010000", "--buffer-size", "50000"]
        if not torch.cuda.is_available():
            flags += ["--train-frequency", "100", "--num-greedy-samples", "10", "--num-target-samples", "10"]
        run = subprocess.Popen([sys.executable, str(args.script), *flags], cwd=folder, stdout=subprocess.DEVNULL)
        process, marks = psutil.Process(run.pid), [100_000, 1_000_000]
        while run.poll() is None and marks:
            time.sleep(1)
            for path in pathlib.Path(folder).glob("runs/*/episodes.csv"):
                lines = path.read_text().splitlines()
                if marks and len(lines) > 1 and int(lines[-1].split(",")[0]) >= marks[0]:
                    value = process.memory_info().rss / 1e6
                    record("resident", "resident memory", f"after {marks.pop(0)} steps", value, "MB")
        run.wait()
    if marks:
        sys.exit(f"error: the run ended before step {marks[0]}")


# ---- precision


def measure_precision(args, record):
    """What choosing in bfloat16 costs in Q, for a trained network and the states that it visits in 1000 steps."""
    module = load(ROOT / "qmle_continuous.py")
    saved = torch.load(args.model, map_location="cpu", weights_only=True)
    script_args = module.Args(**saved["args"])
    network = module.QNetwork(saved["obs_size"], saved["action_size"], script_args.num_bins)
    network.load_state_dict(saved["q_network"])
    env = module.make_env(script_args.env_id)
    script_args.mixed_precision = False
    policy = module.make_policy(network, script_args)
    torch.manual_seed(0)
    obs, visited = env.reset(seed=0)[0], []
    for _ in range(1000):
        visited.append(obs)
        obs, _, terminated, truncated, _ = env.step(module.to_env_action(policy(obs), env.action_space))
        if terminated or truncated:
            obs = env.reset()[0]
    with torch.no_grad():
        features = network.obs_stream(torch.from_numpy(np.stack(visited).astype(np.float32)))
        for name, num in (("m_target", script_args.num_target_samples), ("m_greedy", script_args.num_greedy_samples)):
            sets = module.sample_actions(network, features, num, script_args)
            q = network.q_values(features, sets)
            index = module.argmax_action(network, features, sets, bfloat16=True)[1]
            lost = q.amax(1) - q.gather(1, index.unsqueeze(1)).squeeze(1)
            record("precision", "states with another choice", name, (lost > 0).float().mean().item(), "")
            for quantile in (0.5, 0.9, 0.99, 1.0):
                value = lost.quantile(quantile).item()
                record("precision", f"Q lost to bfloat16, quantile {quantile:g}", name, value, "")
            record("precision", "Q of the best action, mean", name, q.amax(1).mean().item(), "")
            record("precision", "s.d. of Q within a search set, mean", name, q.std(1).mean().item(), "")


# ---- many seeds in one process


def timed_run(script, flags, first_step=1500, turn=0):
    """Runs qmle_continuous_multiseed.py with clocks around what its loop calls, and prints what they say as JSON.

    From step first_step on: microseconds per step of all seeds that this process waits for the environments, acts, and
    updates (what of an update the environments do not hide), and what is left; then medians of one update and of one
    acting group alone, and the memory that PyTorch took on the GPU. With a turn: only the speed and the microseconds,
    once for each turn of so many steps; before each it prints "ready" and waits for a line of input.
    """
    source, path = pathlib.Path(script).read_text(), str(script)
    definitions, main = source.split('if __name__ == "__main__":')
    names = sys.modules["__main__"].__dict__
    names |= {"__file__": path, "__name__": "__main__"}
    sys.argv = [path, *flags]
    exec(compile(definitions, path, "exec"), names)
    spent, clock, calls = {"environments": 0.0, "acting": 0.0, "update": 0.0}, {}, {}
    synchronize = torch.cuda.synchronize if torch.cuda.is_available() else lambda: None

    def timed(name, function):
        def call(*inputs):
            start = time.perf_counter()
            result = function(*inputs)
            spent[name] += time.perf_counter() - start
            return result

        return call

    def on_host(function, parameters, input_sizes, *inputs, original=names["on_host"]):
        start = original(function, parameters, input_sizes, *inputs)
        if len(input_sizes) > 1:
            return start
        calls.setdefault("acting", start)
        wait_for_update, start = timed("update", synchronize), timed("acting", start)

        def call(obs):
            wait_for_update()
            return timed("acting", start(obs))

        return call

    def fast(args, device, function, *inputs, original=names["fast"]):
        call = original(args, device, function, *inputs)
        if function is not names["train_step"]:
            return call
        calls.setdefault("update", call)
        return timed("update", call)

    def tqdm(*inputs, original=names["tqdm"], **flags):
        progress = original(*inputs, **flags)
        progress.update = lambda _, state={"step": 0}: count(state)
        return progress

    def count(state):  # called by the loop at the end of each step
        state["step"] += 1
        steps = state["step"] - first_step
        clock["end"], clock["steps"] = time.perf_counter(), turn or steps
        turn_ends = turn and steps > 0 and steps % turn == 0
        if turn_ends:
            print("timed_run " + json.dumps(speeds()), flush=True)
        if steps == 0 or turn_ends:
            if turn:
                wait_for_the_others()
            spent.update(dict.fromkeys(spent, 0.0))
            clock["start"] = time.perf_counter()

    def speeds():
        steps, seconds = clock["steps"], clock["end"] - clock["start"]
        result = {"together, steps/s": steps * names["args"].num_seeds / seconds}
        result |= {f"{name}, us": value / steps * 1e6 for name, value in spent.items()}
        return result | {"host, us": (seconds - sum(spent.values())) / steps * 1e6}

    names |= {"on_host": on_host, "fast": fast, "tqdm": tqdm}
    for envs in ("GymnasiumEnvs", "EnvPoolEnvs"):
        names[envs].wait = timed("environments", names[envs].wait)
    lines = definitions.count("\n")
    exec(compile("\n" * lines + 'if __name__ == "__main__":' + main, path, "exec"), names)
    result = speeds()
    obs = names["obs"][names["envs"].groups[0]]
    result["one update alone, ms"] = median_ms(calls["update"])
    result["one acting group alone, ms"] = median_ms(lambda: calls["acting"](obs)())
    if torch.cuda.is_available():
        result["GPU memory, GB"] = torch.cuda.max_memory_allocated() / 1e9
        result["GPU memory reserved, GB"] = torch.cuda.max_memory_reserved() / 1e9
    print("timed_run " + json.dumps(result), flush=True)


def wait_for_the_others():
    """In a process of run_together: goes on once all of them have come so far."""
    print("ready", flush=True)
    input()


def run_together(call, num_processes):
    """The sum of the last numbers that processes print, each of which runs a call of this file's functions."""
    code = f"import sys; sys.path.insert(0, {str(ROOT / 'benchmark')!r}); import speed; speed.{call}"
    flags = dict(stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    processes = [subprocess.Popen([sys.executable, "-c", code], **flags) for _ in range(num_processes)]
    try:
        for process in processes:
            while (line := process.stdout.readline()) != "ready\n":
                if not line:
                    sys.exit(f"error: {call} ended with {process.wait()} before it was ready")
        for process in processes:
            process.stdin.write("\n")
            process.stdin.flush()
        numbers = [float(process.communicate()[0].split()[-1]) for process in processes]
        if any(process.returncode for process in processes):
            sys.exit(f"error: {call} ended with {max(process.returncode for process in processes)}")
        return sum(numbers)
    finally:
        for process in processes:
            process.kill()


def dm_control_alone(env_id, seconds=3.0):
    """Prints steps per second of dm_control with uniform actions; in run_together."""
    domain, task = env_id.removeprefix("dm_control/").removesuffix("-v0").split("-")
    env = suite.load(domain, task, task_kwargs={"random": 0})
    spec, rng, num_steps = env.action_spec(), np.random.default_rng(0), 0
    env.reset()
    wait_for_the_others()
    start = time.perf_counter()
    while time.perf_counter() < start + seconds:
        env.step(rng.uniform(spec.minimum, spec.maximum))
        num_steps += 1
    print(num_steps / seconds, flush=True)


def measure_seeds(args, record):
    script = ROOT / "qmle_continuous_multiseed.py"
    steps = 6000 if torch.cuda.is_available() else 2000
    code = f"import sys; sys.path.insert(0, {str(ROOT / 'benchmark')!r}); import speed; "
    for backend in args.backends:
        if backend == "gymnasium":
            alone = run_together(f"dm_control_alone({args.env_id!r})", len(os.sched_getaffinity(0)))
            record("seeds", "dm_control alone, a process on each core", "", alone, "steps/s")
        for num_seeds in args.num_seeds:
            flags = ["--env-id", args.env_id, "--num-seeds", str(num_seeds), "--total-timesteps", str(steps)]
            flags += ["--env-backend", backend, *args.flags.split()]
            with tempfile.TemporaryDirectory() as folder:
                command = [sys.executable, "-c", code + f"speed.timed_run({str(script)!r}, {flags!r})"]
                done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
            found = [line for line in done.stdout.splitlines() if line.startswith("timed_run ")]
            if not found:
                sys.exit(f"error: {' '.join(flags)} ended with {done.returncode}:\n{done.stderr[-2000:]}")
            for what, value in json.loads(found[0].removeprefix("timed_run ")).items():
                name, _, unit = what.partition(", ")
                record("seeds", name, f"{backend} S={num_seeds}", value, unit)


def measure_turns(args, record):
    """Commands of --compare, which all stay in memory; when each has compiled, they train in turns, one at a time.

    Each turn begins with another command.
    """
    first_step, turn = 1500, 2000 if torch.cuda.is_available() else 1000  # whole episodes of dm_control
    code = f"import sys; sys.path.insert(0, {str(ROOT / 'benchmark')!r}); import speed; "
    lines, runs = args.compare or ["qmle_continuous_multiseed.py --num-seeds 16"], []
    if len(set(lines)) < len(lines):
        sys.exit(f"error: --compare is {lines}, expected each command once: results are kept by command")

    def next_turn(line, run, errors):
        while (said := run.stdout.readline()) != "ready\n":
            if not said:
                errors.seek(0)
                sys.exit(f"error: {line} ended with {run.wait()}:\n{errors.read()[-2000:]}")
            if said.startswith("timed_run "):
                for what, value in json.loads(said.removeprefix("timed_run ")).items():
                    record("turns", what.split(", ")[0], line, value, what.split(", ")[1])

    with tempfile.TemporaryDirectory() as folder:
        try:
            for line in lines:
                script, *flags = shlex.split(line)
                flags = ["--env-id", args.env_id, *flags, "--total-timesteps", str(first_step + turn * 1000)]
                call = f"speed.timed_run({str(pathlib.Path(script).resolve())!r}, {flags!r}, {first_step}, {turn})"
                pipes = dict(stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
                errors = tempfile.TemporaryFile("w+", dir=folder)
                command = [sys.executable, "-c", code + call]
                runs.append((line, subprocess.Popen(command, cwd=folder, stderr=errors, **pipes), errors))
                if len(runs) == 1:
                    next_turn(*runs[0])  # the others find what it has compiled
            for run in runs[1:]:
                next_turn(*run)
            for repetition in range(args.repetitions):
                first = repetition % len(runs)
                for line, run, errors in runs[first:] + runs[:first]:
                    with contextlib.suppress(BrokenPipeError):  # next_turn says what has ended it
                        run.stdin.write("\n")
                        run.stdin.flush()
                    next_turn(line, run, errors)
        finally:
            for _, run, _ in runs:
                run.kill()
                run.wait()


def envs_alone(script, env_id, num_seeds=8, seconds=5.0, learner=5e-5):
    """Steps the environments with random actions as the loop does, and prints steps per second; in run_together."""
    module = load(script)
    args = module.Args(env_id=env_id, num_seeds=num_seeds, num_workers=4)
    if hasattr(args, "num_groups"):
        args.num_groups = min(len(os.sched_getaffinity(0)), 2)  # as the script does
    env = module.make_env(env_id)
    sizes = env.observation_space.shape[0], env.action_space.shape[0]
    envs, rng, num_steps = module.GymnasiumEnvs(args, *sizes), np.random.default_rng(0), 0
    envs.reset(*(np.arange(num_seeds), 0)[: len(inspect.signature(envs.reset).parameters)])  # older: seeds alone
    for group, rows in enumerate(envs.groups):
        envs.start(group, rng.uniform(-1, 1, (rows.stop - rows.start, sizes[1])))
    wait_for_the_others()
    start = time.perf_counter()
    while time.perf_counter() < start + seconds:
        num_steps += num_seeds
        for group, rows in enumerate(envs.groups):
            envs.wait(group)
            busy_until = time.perf_counter() + learner * (rows.stop - rows.start)
            while time.perf_counter() < busy_until:
                pass
            envs.start(group, rng.uniform(-1, 1, (rows.stop - rows.start, sizes[1])))
    print(num_steps / seconds, flush=True)


def measure_waits(args, record):
    scripts = {"now": str(ROOT / "qmle_continuous_multiseed.py")}
    scripts |= {pathlib.Path(path).stem: str(pathlib.Path(path).resolve()) for path in args.against or []}
    for num_runs in (1, 3):
        found = {name: [] for name in scripts}
        for _ in range(args.repetitions):
            for name, script in scripts.items():
                found[name].append(run_together(f"envs_alone({script!r}, {args.env_id!r})", num_runs))
        for name, values in found.items():
            record("waits", f"{num_runs} at a time", name, statistics.median(values), "steps/s")


# ---- tables


def print_table(rows):
    series = {}
    for part, what, variant, value, unit in rows:
        series.setdefault((part, what, variant, unit), []).append(float(value))
    print(f"{'what':<46}{'variant':<22}{'median':>10}{'min':>10}{'max':>10}  unit")
    for (_, what, variant, unit), values in series.items():
        numbers = [f"{number:>10.4g}" for number in (statistics.median(values), min(values), max(values))]
        print(f"{what:<46}{variant:<22}{''.join(numbers)}  {unit}")


DEFAULT = ["loop", "parts", "cost", "memory"]
PARTS = {
    "precision": measure_precision,
    "loop": measure_loop,
    "parts": measure_parts,
    "cost": measure_cost,
    "memory": measure_memory,
    "resident": measure_resident,
    "seeds": measure_seeds,
    "discrete": measure_discrete,
    "waits": measure_waits,
    "turns": measure_turns,
    "checkpoint": measure_checkpoint,
}

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "what", nargs="*", choices=[*PARTS, []], default=[], help="all that need nothing else if none is named"
    )
    parser.add_argument("--env-id", default="dm_control/walker-walk-v0")
    parser.add_argument("--script", default="qmle_continuous.py")
    parser.add_argument("--total-timesteps", type=int, default=12_000 if torch.cuda.is_available() else 6000)
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument(
        "--against", nargs="+", help="path of another version of the script; --against-flags are for loop"
    )
    parser.add_argument("--against-flags", default="", help="in one string, with a blank first: ' --no-cudagraphs'")
    parser.add_argument("--num-seeds", type=int, nargs="+", default=[1, 2, 4, 8, 16, 32], help="for seeds")
    parser.add_argument("--backends", nargs="+", default=["gymnasium"], help="for seeds")
    parser.add_argument("--compare", nargs="+", help="for turns: 'path of a script --flag ...', one after the other")
    parser.add_argument("--flags", default="", help="for seeds: flags of the script, in one string, with a blank first")
    parser.add_argument("--model", help="a model.pt, for precision")
    parser.add_argument("--out", help="CSV file; default benchmark/results/speed/<cpu or cuda>.csv")
    args = parser.parse_args()
    args.script = ROOT / args.script
    kind = "cuda" if torch.cuda.is_available() else "cpu"
    out = pathlib.Path(args.out or ROOT / "benchmark" / "results" / "speed" / f"{kind}.csv")
    out.parent.mkdir(parents=True, exist_ok=True)
    device = torch.cuda.get_device_name() if kind == "cuda" else platform.processor() or "cpu"
    print(f"{args.script.name}, {device}, {os.cpu_count()} CPU cores, torch {torch.__version__}", flush=True)
    git = ["git", "-C", str(ROOT), "rev-parse", "--short", "HEAD"]
    try:
        commit = subprocess.run(git, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        commit = None
    manifest = dict(command=sys.argv, commit=commit, device=device, cpu_cores=os.cpu_count(), torch=torch.__version__)
    manifest |= dict(cpu_cores_used=len(os.sched_getaffinity(0))) if hasattr(os, "sched_getaffinity") else {}
    manifest |= dict(python=platform.python_version(), date=datetime.date.today().isoformat())
    asked, manifest_path = args.what or DEFAULT, out.with_suffix(".json")
    manifests = json.loads(manifest_path.read_text()) if manifest_path.exists() else {}
    before = dict(manifests)
    rows = list(csv.reader(out.open()))[1:] if out.exists() else []
    if "turns" in asked:  # what was not side by side does not belong beside each other
        rows = [row for row in rows if row[0] != "turns"]
    old = {tuple(row[:3]) for row in rows}  # a measurement replaces those of the same thing, and nothing else

    def record(*row):
        row = (*row[:3], f"{float(row[3]):.6g}", row[4])
        if row[:3] in old:
            old.remove(row[:3])
            rows[:] = [other for other in rows if tuple(other[:3]) != row[:3]]
        rows.append(row)
        with out.open("w", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows([("part", "what", "variant", "value", "unit"), *rows])
        earlier = {"earlier": before[row[0]]} if row[0] in before and any(key[0] == row[0] for key in old) else {}
        manifests[row[0]] = manifest | earlier
        manifest_path.write_text(json.dumps(manifests, indent=2) + "\n")
        print(*row, file=sys.stderr, flush=True)

    for part in asked:
        PARTS[part](args, record)
    print_table(rows)
