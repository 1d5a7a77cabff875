#!/usr/bin/env bash
# Figure 11: QMLE and linear value decomposition in the continuous climbing game, ten seeds each.
#
#   usage: benchmark/figure_11.sh
#
# Results: benchmark/results/figure_11/{qmle,vdn}_climbing.{csv,png,pdf,json,log} and figure_11.{png,pdf}.
# CSV: global_step,seed,greedy_reward; JSON: command, commit, versions and device of the run.
set -euo pipefail
cd "$(dirname "$0")/.."
results=benchmark/results/figure_11
mkdir -p "$results"

for script in qmle_climbing vdn_climbing; do
    command="python $script.py --num-seeds 10 --output $results"
    $command 2>"$results/$script.err" | tee "$results/$script.log" || { cat "$results/$script.err" >&2; exit 1; }
    rm "$results/$script.err"
    python - "$command" "$script" >"$results/$script.json" <<'PYTHON'
import json, platform, subprocess, sys, torch
from importlib import metadata

command, script = sys.argv[1:]
git = lambda *words: subprocess.run(["git", *words], capture_output=True, text=True).stdout.strip()
commit = git("rev-parse", "HEAD") + (", the script is not as committed there" if git("status", "--porcelain", "--", f"{script}.py") else "")
versions = {"python": platform.python_version()} | {name: metadata.version(name) for name in ("torch", "numpy", "matplotlib")}
device = f"cpu, {torch.get_num_threads()} threads"
print(json.dumps(dict(command=command, commit=commit, versions=versions, device=device), indent=2))
PYTHON
done
python benchmark/plot_climbing.py "$results"
