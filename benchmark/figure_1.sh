#!/usr/bin/env bash
# Figure 1: the true policy gradient in two bandits. Seconds on a CPU.
#   usage: benchmark/figure_1.sh [folder]
# Results: benchmark/results/figure_1/{figure.png,figure.pdf,progress.csv,verdict.txt}
set -euo pipefail
results=$(realpath -m "${1:-$(dirname "$0")/results/figure_1}")
cd "$(dirname "$0")/.."
mkdir -p "$results"
python pg_bandit.py --num-seeds 20 --output "$results" | sed '/^results:/d' | tee "$results/verdict.txt"
