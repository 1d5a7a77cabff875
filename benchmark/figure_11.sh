#!/usr/bin/env bash
# Figure 11: QMLE and linear value decomposition in the continuous climbing game, ten seeds each.
#   usage: benchmark/figure_11.sh [--smoke] [--workers N] ...    (see python benchmark/launch.py --help)
# Results: benchmark/results/figure_11/climbing/<method>/{<script>.csv,verdict.txt}, figure_11.{png,svg}
set -euo pipefail
cd "$(dirname "$0")/.."
python benchmark/launch.py figure_11 "$@" <<'END'
climbing  qmle  python qmle_climbing.py --num-seeds 10
climbing  vdn   python vdn_climbing.py --num-seeds 10
END
python benchmark/plot.py figure_11 "$@"
