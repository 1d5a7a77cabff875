#!/usr/bin/env bash
# Figure 6: the curves of figure_3.sh beside published scores of PPO, on the tasks that have one. It runs nothing.
# No table of TRPO or A2C was found; A3C is A2C's asynchronous version.
#   usage: benchmark/figure_6.sh
# Results: benchmark/results/figure_6/figure_6.{png,svg}
set -euo pipefail
cd "$(dirname "$0")/.."
python benchmark/plot.py figure_6 "$@"
