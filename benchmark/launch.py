"""Runs the commands of a figure, several at a time, and keeps what they measured as data.

    benchmark/figure_3.sh                                       one run after the other, on this machine
    benchmark/figure_3.sh --smoke                               tiny runs, to see that everything works
    benchmark/figure_3.sh --tasks cheetah-run walker-walk       only the runs of these
    benchmark/figure_3.sh --workers 4 --gpus 0 1                four at a time, on two GPUs, a quarter of the cores each
    benchmark/figure_3.sh --cluster slurm --set slurm_partition=gpu gpus_per_node=1 timeout_min=120

The shell scripts send lines to this program: a task, a variant, and a command as one would type it. submitit runs
them, on this machine or through SLURM. From each run comes <results>/<task>/<variant>/seed_K.csv (global_step,
episodic_return; more than 2000 episodes are averaged in 1000 bins of steps), seed_K_eval.csv where the command
evaluates, and an entry in <results>/manifest.json: command, commit, versions, device, date and duration. The scripts
of the illustrations write what they have to say into <results>/<task>/<variant>/, where their output is verdict.txt.

--workers N shares out the cores of this machine, so start one launcher at a time. Ctrl-C or SIGTERM ends it, with code
130, and its runs. Several runs on one GPU pay where CUDA's Multi-Process Service runs (nvidia-cuda-mps-control -d);
otherwise they take turns.

A command whose results exist is not repeated, as long as the script is the one that made them; otherwise that is said,
and nothing runs. Results that the same command has given for another figure are copied. So after an interruption the
same call goes on with what is missing (with --smoke it begins anew); a run that did not end starts anew. But where
SLURM warns a job of its end, the run writes a checkpoint, the job is queued again, and the run goes on. What the runs
themselves write (logs, TensorBoard) lies in runs/launch/<name>, a folder for each attempt, or for --smoke, with its
results, in runs/smoke/<name>. On a cluster the repository lies on a shared file system.
"""

import argparse
import csv
import dataclasses
import datetime
import fcntl
import hashlib
import json
import os
import pathlib
import platform
import shlex
import shutil
import signal
import subprocess
import sys
import time
from importlib import metadata

import psutil
import submitit

ROOT = pathlib.Path(__file__).resolve().parent.parent
LEARNING = "--total-timesteps 2000 --learning-starts 100 --buffer-size 2000 --batch-size 8 --no-compile"
SMOKE = {  # flags that make a run of a script tiny
    "qmle_continuous*.py": f"{LEARNING} --num-target-samples 4 --num-greedy-samples 8",
    "qmle_discrete.py": f"{LEARNING} --num-target-samples 4 --num-greedy-samples 8",
    "dqn_discretized.py": LEARNING,
    "*_multiseed.py": "--num-seeds 2",
    "pg_bandit.py": "--num-seeds 2 --num-steps 200",
    "[dq]*_bandit.py": "--num-seeds 2 --total-timesteps 200 --learning-starts 50",
    "*_climbing.py": "--num-seeds 2 --total-timesteps 1500",
}


@dataclasses.dataclass
class Run:
    """One command of a figure, as a job: called on the machine that it runs on."""

    task: str
    variant: str
    words: list  # of the command
    results: pathlib.Path  # folder of the figure
    folder: pathlib.Path  # in which each attempt gets a folder of its own
    num_threads: int = 1  # of PyTorch on the CPU: processes that each take all cores get in each other's way
    keep_old: bool = False  # results of other versions of the script count as done
    attempt: pathlib.Path | None = None  # folder of the attempt that goes on from its checkpoint
    gpu: str | None = None  # what it is to see of the GPUs; None: whatever there is
    cores: set | None = None  # the CPU cores that it may use; None: all

    def __post_init__(self):
        self.source = (ROOT / self.words[1]).read_bytes()

    def flag(self, name, default):
        """The number that the command gives for a flag; the last one counts."""
        values = [value for word, value in zip(self.words, self.words[1:], strict=False) if word == name]
        return int(values[-1]) if values else default

    def seeds(self):
        first = self.flag("--seed", 1)
        return range(first, first + self.flag("--num-seeds", 16 if "multiseed" in self.words[1] else 1))

    def is_illustration(self):
        return b"    output: str | None" in self.source

    def csv_path(self, seed):
        return self.results / self.task / self.variant / f"seed_{seed}.csv"

    def paths(self):
        """The files that exist when it is done."""
        if self.is_illustration():
            return [self.results / self.task / self.variant / "verdict.txt"]
        return [self.csv_path(seed) for seed in self.seeds()]

    def key(self):
        return f"{self.task}/{self.variant}/seeds {self.seeds()[0]} to {self.seeds()[-1]}"

    def identity(self):
        """What makes a result this run's: the command, and what `git hash-object` says of the script."""
        blob = hashlib.sha1(b"blob %d\0" % len(self.source) + self.source).hexdigest()
        return {"command": shlex.join(self.words), "script_blob": blob}

    def is_done(self, manifest):
        """Whether its results exist. Raises ValueError for those of another command or version of the script."""
        made = manifest.get(self.key())
        if made is None or not all(path.exists() for path in self.paths()):
            others = [path for path in self.paths() if path.exists() and made is None]
            claimed = [key for key in manifest if key.rpartition("/")[0] == self.key().rpartition("/")[0]]
            if others and claimed:
                raise ValueError(f"{others[0]} is a result of {', '.join(claimed)}, expected none; delete what is old")
            return False
        for name, value in self.identity().items():
            if made[name] != value and not (self.keep_old and name == "script_blob"):
                raise ValueError(
                    f"the results of {self.key()} in {self.results} were made by {name} `{made[name]}`, expected"
                    f" `{value}`; delete them, or give --results another folder"
                    + ", or let them count with --keep-old"
                    * (name == "script_blob")
                )
        return True

    def __call__(self):
        if self.is_done(read_manifest(self.results)):  # by another launcher, meanwhile
            return
        start, environment = time.time(), {"OMP_NUM_THREADS": str(self.num_threads)} | os.environ
        if self.gpu is not None:
            environment["CUDA_VISIBLE_DEVICES"] = self.gpu
        if self.cores is not None:
            os.sched_setaffinity(0, self.cores)  # of this job's process, and so of those that it starts
        self.check_source()
        attempt = self.attempt or self.folder / f"{datetime.datetime.now():%Y%m%d-%H%M%S}-{os.getpid()}"
        attempt.mkdir(parents=True, exist_ok=True)
        checkpoints = list(attempt.glob("runs/*/checkpoint.pt"))
        flags = ["--resume", str(checkpoints[0].parent)] if checkpoints else self.words[2:]
        command = [sys.executable, str(ROOT / self.words[1]), *flags]
        if self.is_illustration():
            command += ["--output", str(self.paths()[0].parent)]
        output = subprocess.PIPE if self.is_illustration() else None
        self.attempt = attempt
        self.process = subprocess.Popen(command, cwd=attempt, env=environment, stdout=output, text=True)
        said, _ = self.process.communicate()
        if self.process.returncode:
            raise RuntimeError(f"{shlex.join(self.words)} ended with {self.process.returncode}")
        self.check_source()
        configs = [json.loads(path.read_text()) | {"at": path.parent} for path in attempt.glob("runs/*/config.json")]
        configs = {config["args"]["seed"]: config for config in configs}
        for seed in [] if self.is_illustration() else self.seeds():
            self.csv_path(seed).parent.mkdir(parents=True, exist_ok=True)
            evaluations = (configs[seed]["at"] / "eval.csv").read_text()
            if evaluations.count("\n") > 1:
                write_whole(self.csv_path(seed).with_name(f"seed_{seed}_eval.csv"), evaluations)
            write_whole(self.csv_path(seed), thinned(configs[seed]["at"] / "episodes.csv"))
        if self.is_illustration():
            write_whole(self.paths()[0], said.replace(str(self.results) + os.sep, ""))
        config = configs[self.seeds()[0]] if configs else describe(self.num_threads)
        entry = self.identity() | {name: config[name] for name in ("commit", "versions", "device")}
        self.enter(entry | {"date": datetime.date.today().isoformat(), "minutes": round((time.time() - start) / 60, 1)})

    def check_source(self):
        """Raises RuntimeError where the script is no longer the one that the manifest would name."""
        if (ROOT / self.words[1]).read_bytes() != self.source:
            raise RuntimeError(f"{self.words[1]} has changed since the launch; launch again")

    def enter(self, entry):
        """Enters it into the manifest, beside those that other jobs may be entering."""
        with open(self.results / ".lock", "w") as lock:  # never deleted
            fcntl.flock(lock, fcntl.LOCK_EX)
            entries = read_manifest(self.results) | {self.key(): entry}
            write_whole(self.results / "manifest.json", json.dumps(dict(sorted(entries.items())), indent=1) + "\n")

    def take_from_other_figures(self):
        """Copies the results of the same command, where another figure has all of them.

        Of the same version of the script; with keep_old, if there are none, of another one.
        """
        identity = self.identity()
        entries = [
            (path.parent, key, entry)
            for path in sorted(self.results.parent.glob("figure_*/manifest.json"))
            for key, entry in read_manifest(path.parent).items()
        ]
        entries.sort(key=lambda found: found[2].get("script_blob") != identity["script_blob"])
        if self.keep_old:
            del identity["script_blob"]
        for folder, key, entry in entries:
            task, variant, _ = key.split("/")
            sources = [folder / task / variant / own.name for own in self.paths()]
            same = task == self.task and folder != self.results and identity.items() <= entry.items()
            if not same or not all(source.exists() for source in sources):
                continue
            for source, own in zip(sources, self.paths(), strict=True):
                own.parent.mkdir(parents=True, exist_ok=True)
                for name in {own.name, f"{own.stem}_eval.csv"}:
                    if source.with_name(name).exists():
                        shutil.copy(source.with_name(name), own.parent)
            self.enter(entry | {"taken_from": f"{folder.name}/{key}"})
            print(f"{self.key()}: copied from {folder.name}/{key}", flush=True)
            return True
        return False

    def checkpoint(self):
        """Called by submitit shortly before a cluster ends the job: the run writes a checkpoint and is queued again."""
        process = psutil.Process(self.process.pid)
        process.terminate()
        process.wait()  # self.process.wait() would wait for the one that this handler has interrupted
        self.process = None
        return submitit.helpers.DelayedSubmission(self)


def read_manifest(results):
    path = results / "manifest.json"
    return json.loads(path.read_text()) if path.exists() else {}


def describe(num_threads):
    """What config.json would say, for scripts that write none; they run on a CPU."""
    git = subprocess.run(["git", "-C", str(ROOT), "rev-parse", "HEAD"], capture_output=True, text=True)
    versions = {"python": platform.python_version()} | {name: metadata.version(name) for name in ("torch", "numpy")}
    return {"commit": git.stdout.strip() or None, "versions": versions, "device": f"cpu, {num_threads} threads"}


def write_whole(path, text):
    """Writes a file that is complete whenever it exists."""
    temporary = path.with_name(path.name + ".tmp")
    temporary.write_text(text)
    temporary.replace(path)


def thinned(path, most=2000, num_bins=1000):
    """global_step,episodic_return of an episodes.csv; averaged in bins of steps where there are more than most."""
    rows = [(int(row["global_step"]), float(row["episodic_return"])) for row in csv.DictReader(path.open())]
    if len(rows) > most:
        width, bins = rows[-1][0] / num_bins, {}
        for step, episodic_return in rows:
            bins.setdefault(min(int(step / width), num_bins - 1), []).append((step, episodic_return))
        rows = [(points[-1][0], sum(point[1] for point in points) / len(points)) for points in bins.values()]
    return "global_step,episodic_return\n" + "".join(f"{step},{value:.6g}\n" for step, value in rows)


def read_runs(lines, results, folder, smoke):
    """The runs that the lines ask for. Raises ValueError for a line that makes no sense."""
    runs = []
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        words = shlex.split(line)
        if len(words) < 4 or words[2] != "python" or not (ROOT / words[3]).is_file():
            raise ValueError(f"line {number} is {line.strip()!r}, expected: task variant python <script> <flags>")
        task, variant, *words = words
        if smoke:
            for pattern, flags in SMOKE.items():
                if pathlib.PurePath(words[1]).match(pattern):
                    words += flags.split()
            if "--eval-frequency" in words:
                words += ["--eval-frequency", "2000", "--eval-episodes", "1"]
        if any(word.startswith(("--seed=", "--num-seeds=", "--num_seeds")) for word in words):
            raise ValueError(f"line {number} is {line.strip()!r}, expected --seed K and --num-seeds S with blanks")
        run = Run(task, variant, words, results, folder)
        run.folder = folder / f"{task}__{variant}__{run.seeds()[0]}"
        if taken := {path for other in runs for path in other.paths()} & set(run.paths()):
            raise ValueError(f"line {number} is {line.strip()!r}, expected other results than {sorted(taken)[0]}")
        runs.append(run)
    return runs


def make_executor(args, folder):
    jobs = folder / "jobs" / f"{datetime.datetime.now():%Y%m%d-%H%M%S}-{os.getpid()}"
    # A job may be queued again as often as it takes.
    executor = submitit.AutoExecutor(folder=jobs, cluster=args.cluster, slurm_max_num_timeout=1000)
    settings = {"timeout_min": 7 * 24 * 60, "name": args.name}
    if args.cluster == "slurm":
        settings["slurm_array_parallelism"] = args.workers
    for setting in args.set:
        key, _, value = setting.partition("=")
        settings[key] = int(value) if value.isdigit() else value
    executor.update_parameters(**settings)
    os.environ["SUBMITIT_PREEMPT_SIGNAL"] = "USR1"  # the warning, which the scripts understand; USR2 would end them
    return executor


def launch(args, runs, folder):
    """Runs them all, args.workers at a time. Returns those that failed, with the paths of their logs."""
    executor = make_executor(args, folder)
    waiting, running, failed = list(runs), {}, []
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    at_a_time = max(min(args.workers, len(runs)), 1)
    share = max(len(cores) // at_a_time, 1)
    for run in runs:
        run.num_threads = executor.parameters.get("cpus_per_task", 1) if args.cluster == "slurm" else share
    if args.cluster == "slurm":  # which queues them
        with executor.batch():
            jobs = [executor.submit(run) for run in waiting]
        running, waiting = dict(zip(range(len(jobs)), zip(jobs, waiting, strict=True), strict=True)), []
    try:
        while waiting or running:
            for slot in range(args.workers):
                if waiting and slot not in running:
                    waiting[0].gpu = args.gpus[slot % len(args.gpus)] if args.gpus else None
                    if 1 < at_a_time <= len(cores):  # runs that share cores wait for each other's processes
                        waiting[0].cores = set(cores[slot * share : (slot + 1) * share])
                    running[slot] = executor.submit(waiting[0]), waiting.pop(0)
            time.sleep(0.5)
            for slot, (job, run) in list(running.items()):
                if job.done():
                    del running[slot]
                    if job.exception() is not None:
                        failed.append((run.key(), job.paths.stderr))
                    state = "FAILED" if job.exception() is not None else "done"
                    left = len(waiting) + len(running)
                    print(f"{datetime.datetime.now():%H:%M:%S} {state}: {run.key()}; {left} left", flush=True)
    except KeyboardInterrupt:
        if args.cluster == "local":  # submitit would end the jobs, but not the runs that they have started
            children = psutil.Process().children(recursive=True)
            for child in children:
                child.terminate()
            psutil.wait_procs(children, timeout=60)  # a run writes a checkpoint
        for job, _ in running.values():
            job.cancel(check=False)
        how = "begins anew" if args.smoke and not args.results else "goes on with the runs that have not ended"
        print(f"interrupted; the same call {how}", file=sys.stderr)
        sys.exit(128 + signal.SIGINT)
    return failed


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # as Ctrl-C: the jobs end with the launcher
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", help="of the figure")
    parser.add_argument("--smoke", action="store_true", help="tiny runs; results in runs/smoke/<name>")
    parser.add_argument("--tasks", nargs="+", metavar="TASK", help="only these of the figure; default: all")
    parser.add_argument("--workers", type=int, default=1, help="runs at a time")
    parser.add_argument("--gpus", nargs="*", help="GPUs to use in turn, one for a run; default: those visible here")
    parser.add_argument("--cluster", choices=["local", "slurm"], default="local")
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", help="parameters of submitit's executor")
    parser.add_argument("--keep-old", action="store_true", help="results of other versions of a script count as done")
    parser.add_argument("--results", help="folder; default benchmark/results/<name>")
    args = parser.parse_args()
    if args.workers < 1:
        sys.exit(f"error: --workers is {args.workers}, expected at least 1")
    if args.gpus is None and args.cluster == "local":
        import torch

        visible = os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")
        args.gpus = visible if visible != [""] else [str(i) for i in range(torch.cuda.device_count())]
    folder = ROOT / "runs" / ("smoke" if args.smoke else "launch") / args.name
    default = folder / "results" if args.smoke else ROOT / "benchmark" / "results" / args.name
    results = pathlib.Path(args.results).resolve() if args.results else default
    try:
        runs = read_runs(sys.stdin, results, folder, args.smoke)
        tasks = sorted({run.task for run in runs})
        if unknown := sorted(set(args.tasks or ()) - set(tasks)):
            raise ValueError(f"--tasks has {', '.join(unknown)}, expected some of {', '.join(tasks)}")
        runs = [run for run in runs if run.task in (args.tasks or tasks)]
        for run in runs:
            run.keep_old = args.keep_old
        if args.smoke and not args.results:
            shutil.rmtree(results, ignore_errors=True)  # a smoke test tests what is here now
        todo = [run for run in runs if not run.is_done(read_manifest(results))]
    except ValueError as error:
        sys.exit(f"error: {error}")
    results.mkdir(parents=True, exist_ok=True)
    if results == default and not args.smoke:  # a folder of one's own is for runs of one's own
        todo = [run for run in todo if run.is_illustration() or not run.take_from_other_figures()]
    print(f"{len(runs)} runs, {len(runs) - len(todo)} of them already done; results: {results}", flush=True)
    failed = launch(args, todo, folder)
    for what, log in failed:
        print(f"FAILED: {what}; log: {log}", file=sys.stderr)
    sys.exit(1 if failed else 0)
