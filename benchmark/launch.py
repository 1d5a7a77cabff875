"""Runs the commands of a figure, several at a time, and keeps what they measured as data.

benchmark/figure_3.sh --tasks cheetah-run walker-walk --workers 2

The shell scripts send lines: a task, a variant, and a command as one would type it.
docs/reproduce.md has more calls, and says what is kept, what is refused, and how to go on.
"""

import contextlib
import dataclasses
import fcntl
import hashlib
import itertools
import json
import os
import pathlib
import shlex
import shutil
import signal
import subprocess
import sys
import time

import cloudpickle
import data
import numpy as np
import psutil
import submitit
from data import ROOT

cloudpickle.register_pickle_by_value(data)  # jobs do not look for modules in this folder
TINY = "--total-timesteps 2000 --learning-starts 100 --buffer-size 2000 --batch-size 8 --no-compile"
SMOKE = {  # flags that make a run of a script tiny
    "*_continuous*.py": TINY,
    "*_discret*.py": TINY,
    "qmle_plus*.py": TINY + " --width 16",
    "qmle_[cd][oi]*.py": "--num-target-samples 4 --num-greedy-samples 8",
    "*_multiseed.py": "--num-seeds 2",
    "pg_bandit.py": "--num-seeds 2 --num-steps 200",
    "[dq]*_bandit.py": "--num-seeds 2 --total-timesteps 200 --learning-starts 50",
    "*_climbing.py": "--num-seeds 2 --total-timesteps 1500",
}


@dataclasses.dataclass
class Run:
    """One command of a figure, as a job."""

    task: str
    variant: str
    words: list  # of the command
    results: pathlib.Path  # folder of the figure
    folder: pathlib.Path  # of its attempts
    num_threads: int = 1  # of PyTorch
    keep_old: bool = False
    attempt: pathlib.Path | None = None  # folder of what has begun
    gpu: str = ""  # "": whatever there is
    cores: tuple = ()  # none: all

    def __post_init__(self):
        self.source = (ROOT / self.words[1]).read_bytes()
        self.kept = self.results / self.task / self.variant
        self.is_illustration = self.words[1].endswith(("bandit.py", "climbing.py"))

    def flag(self, name, default):
        """The number that the command gives for a flag; the last counts."""
        return int(dict(itertools.pairwise(self.words)).get(name, default))

    def seeds(self):
        first = self.flag("--seed", 1)
        default = 16 if "multiseed" in self.words[1] else 1
        return range(first, first + self.flag("--num-seeds", default))

    def paths(self):
        """The files that exist when it is done."""
        if self.is_illustration:
            return [self.kept / "verdict.txt"]
        return [self.kept / f"seed_{seed}.csv" for seed in self.seeds()]

    def key(self):
        return f"{self.task}/{self.variant}/seeds {self.seeds()[0]} to {self.seeds()[-1]}"

    def identity(self):
        """What makes a result this run's: command, and script as `git hash-object`."""
        blob = hashlib.sha1(b"blob %d\0" % len(self.source) + self.source).hexdigest()
        return {"command": shlex.join(self.words), "script_blob": blob}

    def is_done(self, manifest):
        """Whether its results exist. ValueError: those of another command or script."""
        made, existing = manifest.get(self.key()), [path for path in self.paths() if path.exists()]
        others = [key for key in manifest if key.startswith(f"{self.task}/{self.variant}/")]
        if made is None and existing and others:
            raise ValueError(f"{existing[0]} is a result of {others[0]}; delete what is old")
        if made is None or len(existing) < len(self.paths()):
            return False
        for name, value in self.identity().items():
            same = made[name], made.get(f"{name}_now")  # the latter if it has changed since
            if value not in same and not (self.keep_old and name == "script_blob"):
                raise ValueError(
                    f"{self.results}: {self.key()} were made by {name} `{made[name]}`, expected"
                    f" `{value}`; delete them, or give --keep-old or --results"
                )
        return True

    def __call__(self):
        if self.is_done(read_manifest(self.results)):  # by another launcher
            return
        start = time.time()
        if self.cores:
            os.sched_setaffinity(0, self.cores)  # of this job and of the processes that it starts
        said = self.run_script()
        if self.is_illustration:
            data.write_whole(self.paths()[0], said.replace(f"{self.results}{os.sep}", ""))
            device = f"cpu, {self.num_threads} threads"
        else:
            device = self.keep_results()["device"]
        entry = self.identity() | data.describe("torch", "gymnasium", "mujoco", "numpy")
        entry |= {"device": device, "minutes": round((time.time() - start) / 60, 1)}
        with open(self.results / ".lock", "w") as lock:  # other jobs may be entering theirs
            fcntl.flock(lock, fcntl.LOCK_EX)
            entries = read_manifest(self.results) | {self.key(): entry}
            text = json.dumps(dict(sorted(entries.items())), indent=1)
            data.write_whole(self.results / "manifest.json", text + "\n")

    def run_script(self):
        """Starts the script, or lets it go on, and returns what it printed."""
        environment = {"OMP_NUM_THREADS": str(self.num_threads)} | os.environ
        if self.gpu:
            environment["CUDA_VISIBLE_DEVICES"] = self.gpu
        if (ROOT / self.words[1]).read_bytes() != self.source:  # not what the manifest would name
            raise RuntimeError(f"{self.words[1]} has changed since the launch; launch again")
        own_folder = f"{self.task}__{self.variant}__{self.seeds()[0]}"
        self.attempt = self.attempt or self.folder / own_folder / unique_name()
        self.attempt.mkdir(parents=True, exist_ok=True)
        checkpoint = next(self.attempt.glob("runs/*/checkpoint.pt"), None)
        flags = ["--resume", checkpoint.parent] if checkpoint else self.words[2:]
        command = [sys.executable, ROOT / self.words[1], *flags]
        if self.is_illustration:
            command += ["--output", self.kept]
        self.process = subprocess.Popen(
            command,
            cwd=self.attempt,
            env=environment,
            stdout=subprocess.PIPE if self.is_illustration else None,
            text=True,
            # SLURM's warning would end it at once.
            preexec_fn=lambda: signal.signal(signal.SIGUSR1, signal.SIG_IGN),
        )
        said, _ = self.process.communicate()
        if self.process.returncode:
            raise RuntimeError(f"{shlex.join(self.words)} ended with {self.process.returncode}")
        return said

    def keep_results(self):
        """Copies all curves; returns what the first seed's config.json says."""
        configs = {}
        for path in sorted(self.attempt.glob("runs/*/config.json")):  # the latest counts
            config = json.loads(path.read_text())
            configs[config["args"]["seed"]] = config | {"folder": path.parent}
        first = configs[self.seeds()[0]]
        for seed, path in zip(self.seeds(), self.paths(), strict=True):
            folder = configs.get(seed, first)["folder"]
            folder = next(folder.glob(f"seed_{seed}"), folder)  # where a run has all seeds
            evaluations = (folder / "eval.csv").read_text()
            if evaluations.count("\n") > 1:
                data.write_whole(path.with_name(f"seed_{seed}_eval.csv"), evaluations)
            data.write_whole(path, thinned(folder / "episodes.csv"))
        return first

    def checkpoint(self):
        """Called by submitit before the cluster ends the job: queues it again."""
        process = psutil.Process(self.process.pid)
        process.terminate()
        process.wait()  # self.process.wait() would wait for the interrupted call
        self.process = None
        return submitit.helpers.DelayedSubmission(self)


def unique_name():
    return time.strftime("%Y%m%d-%H%M%S-") + str(os.getpid())


def read_manifest(results):
    path = results / "manifest.json"
    return json.loads(path.read_text()) if path.exists() else {}


def thinned(path, num_bins=1000):
    """Steps and returns of an episodes.csv, in bins of steps if it is long."""
    rows = np.array(data.read_csv(path)[["global_step", "episodic_return"]].tolist())
    if len(rows) > 2 * num_bins:
        bins = np.minimum(rows[:, 0] * num_bins // rows[-1, 0], num_bins - 1)
        parts = np.split(rows, np.flatnonzero(np.diff(bins)) + 1)
        rows = [(part[-1, 0], part[:, 1].mean()) for part in parts]
    lines = [f"{step:.0f},{value:.6g}\n" for step, value in rows]
    return "global_step,episodic_return\n" + "".join(lines)


def read_runs(lines, results, folder, smoke=False, keep_old=False):
    """The runs that lines ask for. ValueError: a line that makes no sense."""
    runs, taken = [], set()
    for number, line in enumerate(lines, 1):
        words = shlex.split(line, comments=True)
        if not words:
            continue
        where = f"line {number} is {line.strip()!r}, expected"
        if len(words) < 4 or words[2] != "python" or not (ROOT / words[3]).is_file():
            raise ValueError(f"{where} task variant python <script> <flags>")
        task, variant, *words = words
        if any(word.startswith(("--seed=", "--num-seeds=", "--num_seeds")) for word in words):
            raise ValueError(f"{where} --seed K, --num-seeds S")
        if smoke:
            for pattern, flags in SMOKE.items():
                if pathlib.PurePath(words[1]).match(pattern):
                    words += flags.split()
            if "--eval-frequency" in words:
                words += ["--eval-frequency", "2000", "--eval-episodes", "1"]
        runs.append(Run(task, variant, words, results, folder, keep_old=keep_old))
        paths = set(runs[-1].paths())
        if taken & paths:
            raise ValueError(f"{where} other results than {min(taken & paths)}")
        taken |= paths
    return runs


def launch(args, runs, folder):
    """Runs them, some at a time. Returns what to say of those that failed."""
    jobs, on_slurm = folder / "jobs" / unique_name(), args.cluster == "slurm"
    # Queued again without end.
    executor = submitit.AutoExecutor(jobs, cluster=args.cluster, slurm_max_num_timeout=1000)
    settings = dict(timeout_min=7 * 24 * 60, name=args.name, slurm_array_parallelism=args.workers)
    for setting in args.set:
        key, _, value = setting.partition("=")
        settings[key] = int(value) if value.isdigit() else value
    executor.update_parameters(**settings)
    os.environ["SUBMITIT_PREEMPT_SIGNAL"] = "USR1"  # which run_script makes the scripts ignore
    waiting, running, failed = list(runs), {}, []
    cores = sorted(os.sched_getaffinity(0))
    at_a_time = max(min(args.workers, len(runs)), 1)
    share = max(len(cores) // at_a_time, 1)
    for run in runs:
        run.num_threads = executor.parameters.get("cpus_per_task", 1) if on_slurm else share
    if on_slurm:  # which queues them
        with executor.batch():
            running = {slot: (executor.submit(run), run) for slot, run in enumerate(runs)}
        waiting = []
    try:
        while waiting or running:
            for slot in range(at_a_time):
                if waiting and slot not in running:
                    run = waiting.pop(0)
                    run.gpu = args.gpus[slot % len(args.gpus)] if args.gpus else ""
                    if at_a_time <= len(cores):
                        run.cores = tuple(cores[slot * share : (slot + 1) * share])
                    running[slot] = executor.submit(run), run
            time.sleep(0.5)
            for slot in [slot for slot, (job, _) in running.items() if job.done()]:
                job, run = running.pop(slot)
                said = f"{'FAILED' if job.exception() else 'done'}: {run.key()}"
                if job.exception():
                    failed.append(f"{said}; log: {job.paths.stderr}")
                left = len(waiting) + len(running)
                print(f"{time.strftime('%X')} {said}; {left} left", flush=True)
    except KeyboardInterrupt:
        end_scripts()
        for job, _ in running.values():
            job.cancel(check=False)
        print("interrupted; the same call goes on with the runs", file=sys.stderr)
        sys.exit(128 + signal.SIGINT)
    return failed


def end_scripts():
    """Ends scripts of local jobs, which write checkpoints; submitit ends jobs alone."""
    scripts = []
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):  # it ended meanwhile
            if "submitit.core._submit" in process.cmdline():
                scripts += process.children()
    for script in scripts:
        script.terminate()
    psutil.wait_procs(scripts, timeout=60)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C: the jobs end too
    parser = data.figure_parser(__doc__)
    parser.add_argument("--tasks", nargs="+", help="only these")
    parser.add_argument("--workers", type=int, default=1, help="runs at a time")
    parser.add_argument("--gpus", nargs="*", help="to use in turn; default: all")
    parser.add_argument("--cluster", choices=["local", "slurm"], default="local")
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", help="for submitit")
    parser.add_argument("--keep-old", action="store_true", help="results of other scripts count")
    args = parser.parse_args()
    folder = ROOT / "runs" / ("smoke" if args.smoke else "launch") / args.name
    results = data.results_of(args)
    try:
        runs = read_runs(sys.stdin, results, folder, args.smoke, args.keep_old)
        tasks = {run.task for run in runs}
        if unknown := set(args.tasks or ()) - tasks:
            raise ValueError(f"--tasks has {sorted(unknown)}, expected some of {sorted(tasks)}")
        runs = [run for run in runs if run.task in (args.tasks or tasks)]
        if args.smoke and not args.results:
            shutil.rmtree(results, ignore_errors=True)  # a smoke test tests what is here now
        todo = [run for run in runs if not run.is_done(read_manifest(results))]
    except ValueError as error:
        sys.exit(f"error: {error}")
    results.mkdir(parents=True, exist_ok=True)
    print(f"{len(todo)} of {len(runs)} runs to do; results: {results}", flush=True)
    sys.exit("\n".join(launch(args, todo, folder)) or 0)  # 1 with a message
