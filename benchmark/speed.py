"""How fast a script is here.

    python benchmark/speed.py loop --script qmle_continuous_multiseed.py --total-timesteps 4000

    loop        steps per second of all seeds, plain and fast
    parts       milliseconds of an action and an update
    cost        the same against the numbers of samples, for walker-walk and dog-walk
    discrete    scripts of Figure 10: steps per second and peak memory
    seeds       many seeds: steps per second and GPU memory against --num-seeds

Writes benchmark/results/speed/<cpu or cuda>.csv, over the same part and variant, and manifests.
"""

import json
import os
import pathlib
import resource
import statistics
import subprocess
import sys
import tempfile
import timeit

os.environ.setdefault("MUJOCO_GL", "disabled")
import data
import numpy as np
import torch
from data import RESULTS, ROOT

ON_CUDA = torch.cuda.is_available()

RUN_SCRIPT = f"""import sys
sys.argv = sys.argv[1:]
__file__ = sys.argv[0]
exec(compile(open(__file__).read(), __file__, "exec"))
sys.path.append({str(ROOT / "benchmark")!r})
import speed
"""


def tell(names, parts):
    """Prints peak memory and times of a script that has just ended; names: its variables."""
    told = {"host": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9}
    told["gpu"] = torch.cuda.max_memory_allocated() / 1e9 if ON_CUDA else 0.0
    if parts:
        told["action"] = median_ms(lambda: names["policy"](names["obs"]))
        told["update"] = median_ms(names["update"])
    print("told", json.dumps(told), flush=True)


def median_ms(function):
    """Median milliseconds of a call, the device's work included."""

    def call():
        function()
        if ON_CUDA:
            torch.cuda.synchronize()

    return statistics.median(timeit.repeat(call, number=1, repeat=35)[5:]) * 1e3  # warm


def run(script, *flags, task="walker-walk", parts=False):
    """What a script told, and steps per second after the first episode."""
    flags = "--env-id", f"dm_control/{task}-v0", *map(str, flags)
    code = f"{RUN_SCRIPT}speed.tell(globals(), {parts})"
    command = [sys.executable, "-c", code, str(ROOT / script), *flags]
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
        if done.returncode:
            sys.exit(f"error: {command[3:]} ended with {done.returncode}:\n{done.stderr[-2000:]}")
        told = json.loads(done.stdout.split("told ")[-1])
        told["speed"] = 0.0
        for path in pathlib.Path(folder).rglob("episodes.csv"):
            rows = data.read_csv(path)[1:]
            if len(rows) > 1:
                told["speed"] += np.ptp(rows["global_step"]) / np.ptp(rows["wall_time"])
    return told


def measure_loop(args):
    variants = {"plain": ["--no-compile"], "fast": []}
    if not ON_CUDA:
        variants["fast, float32"] = ["--no-mixed-precision"]
    for name, flags in list(variants.items()) * args.repetitions:
        steps = 4000 if ON_CUDA and name == "plain" else args.total_timesteps
        told = run(args.script, "--total-timesteps", steps, *flags, *args.flags)
        yield "training", name, told["speed"], "steps/s"


SHORT = ["--total-timesteps", 260, "--learning-starts", 200]


def measure_parts(args):
    variants = {"plain": ["--no-compile"], "compiled, float32": ["--no-mixed-precision"]}
    variants["fast (default)"] = []
    for name, flags in list(variants.items()) * args.repetitions:
        told = run(args.script, *SHORT, *flags, *args.flags, parts=True)
        yield "one action", name, told["action"], "ms"
        yield "one update", name, told["update"], "ms"


def measure_cost(args):
    for what, kind in (("update", "target"), ("action", "greedy")):
        for count in (2, 10, 100, 1000, 10_000)[: 4 if what == "update" else 5]:
            for task in ("walker-walk", "dog-walk"):
                flags = [*SHORT, "--buffer-size", 10_000, f"--num-{kind}-samples", count]
                told = run(args.script, *flags, task=task, parts=True)
                yield f"{what}, {task}", f"m_{kind} {count}", told[what], "ms"


def measure_discrete(args):
    for task in ("finger-spin", "walker-walk", "dog-walk"):
        scripts = {"qmle_discrete.py": ["--no-enumerate"], "dqn_discretized.py": []}
        if task == "dog-walk":  # too large
            del scripts["dqn_discretized.py"]
        for script, flags in scripts.items():
            told = run(script, "--total-timesteps", args.total_timesteps, *flags, task=task)
            variant = f"{script} {task}"
            yield "training", variant, told["speed"], "steps/s"
            yield "peak GPU memory", variant, told["gpu"], "GB"
            yield "peak resident memory", variant, told["host"], "GB"


def measure_seeds(args):
    for count in args.num_seeds:
        flags = ["--total-timesteps", args.total_timesteps, "--num-seeds", count]
        told = run("qmle_continuous_multiseed.py", *flags)
        yield "together", f"gymnasium S={count}", told["speed"], "steps/s"
        yield "GPU memory", f"gymnasium S={count}", told["gpu"], "GB"


PARTS = {name[8:]: part for name, part in list(globals().items()) if name[:8] == "measure_"}

if __name__ == "__main__":
    parser = data.parser(__doc__)
    parser.add_argument("what", nargs="+", choices=PARTS)
    parser.add_argument("--script", default="qmle_continuous.py")
    parser.add_argument("--total-timesteps", type=int, default=12_000 if ON_CUDA else 6000)
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--num-seeds", type=int, nargs="+", default=[1, 2, 4, 8, 16, 32])
    parser.add_argument("--flags", type=str.split, default=[], help="of the script")
    parser.add_argument("--out", help="other CSV file")
    args = parser.parse_args()
    out = pathlib.Path(args.out or RESULTS / "speed" / ("cuda.csv" if ON_CUDA else "cpu.csv"))
    old, new, manifests = [], [], {}
    if out.exists():
        old = [list(row.values()) for row in data.read_rows(out)]
        manifests = json.loads(out.with_suffix(".json").read_text())
    manifest = data.describe() | {"command": sys.argv, "torch": torch.__version__}
    manifest["device"] = torch.cuda.get_device_name() if ON_CUDA else "cpu"
    manifest["cpu_cores"] = os.cpu_count()
    for part in args.what:
        manifests[part] = manifest | {"earlier": manifests.get(part)}  # of old rows that stay
        for what, variant, value, unit in PARTS[part](args):
            old = [row for row in old if (row[0], row[2]) != (part, variant)]
            new.append([part, what, variant, f"{value:.6g}", unit])
            data.write_rows(out, ("part", "what", "variant", "value", "unit"), *old, *new)
            out.with_suffix(".json").write_text(json.dumps(manifests, indent=2) + "\n")
            print(*new[-1], file=sys.stderr, flush=True)
    for key, median in data.medians(new).items():
        print(*key, f"median {median:.5g}", sep=", ")
