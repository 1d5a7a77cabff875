#!/usr/bin/env bash
# Figure 1: the true policy gradient in two bandits, 20 initial policies. Seconds on a CPU.
#   usage: benchmark/figure_1.sh [--smoke] [--workers N] ...    (see python benchmark/launch.py --help)
# Results: benchmark/results/figure_1/bandits/pg/{progress.csv,verdict.txt,figure.png,figure.svg}
set -euo pipefail
cd "$(dirname "$0")/.."
python benchmark/launch.py figure_1 "$@" <<'END'
bandits pg python pg_bandit.py --num-seeds 20
END
python benchmark/plot.py figure_1 "$@"
