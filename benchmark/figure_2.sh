#!/usr/bin/env bash
# Figure 2: DPG, local QMLE and global QMLE in a continuous bandit, under three exploration strategies, ten seeds each.
# About five minutes on two CPU cores.
#   usage: benchmark/figure_2.sh [folder]
# Results: benchmark/results/figure_2/<script and setting>/{delta.csv,q.csv,verdict.txt}, verdicts.txt, and
# figure_2.png, figure_2.pdf with all of them. Finished settings are not repeated.
set -euo pipefail
results=$(realpath -m "${1:-$(dirname "$0")/results/figure_2}")
cd "$(dirname "$0")/.."
mkdir -p "$results"
run() { # name, command ...
    name=$1
    shift
    [ -f "$results/$name/verdict.txt" ] && return
    python "$@" --num-seeds "${SEEDS:-10}" --output "$results/$name" | sed '/^results:/d' >"$results/$name.txt"
    mv "$results/$name.txt" "$results/$name/verdict.txt"
}
for exploration in gaussian epsilon-greedy uniform; do
    run "dpg_$exploration" dpg_bandit.py --exploration "$exploration"
    run "local_$exploration" qmle_bandit.py --sampling local --exploration "$exploration"
    run "global_$exploration" qmle_bandit.py --sampling global --exploration "$exploration"
done
cat "$results"/*/verdict.txt | tee "$results/verdicts.txt"
python benchmark/plot_bandits.py "$results"
rm -f "$results"/*_*/figure.png "$results"/*_*/figure.pdf # each panel is in the joint figure
