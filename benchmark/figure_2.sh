#!/usr/bin/env bash
# Figure 2: DPG, local QMLE and global QMLE in a continuous bandit, under three exploration strategies, ten seeds each.
# About five minutes on two CPU cores.
#   usage: benchmark/figure_2.sh [--smoke] [--workers N] ...    (see python benchmark/launch.py --help)
# Results: benchmark/results/figure_2/<exploration>/<method>/{delta.csv,q.csv,verdict.txt}, figure_2.{png,svg}
set -euo pipefail
cd "$(dirname "$0")/.."
python benchmark/launch.py figure_2 "$@" <<'END'
gaussian        dpg     python dpg_bandit.py --exploration gaussian --num-seeds 10
gaussian        local   python qmle_bandit.py --sampling local --exploration gaussian --num-seeds 10
gaussian        global  python qmle_bandit.py --sampling global --exploration gaussian --num-seeds 10
epsilon-greedy  dpg     python dpg_bandit.py --exploration epsilon-greedy --num-seeds 10
epsilon-greedy  local   python qmle_bandit.py --sampling local --exploration epsilon-greedy --num-seeds 10
epsilon-greedy  global  python qmle_bandit.py --sampling global --exploration epsilon-greedy --num-seeds 10
uniform         dpg     python dpg_bandit.py --exploration uniform --num-seeds 10
uniform         local   python qmle_bandit.py --sampling local --exploration uniform --num-seeds 10
uniform         global  python qmle_bandit.py --sampling global --exploration uniform --num-seeds 10
END
python benchmark/plot.py figure_2 "$@"
