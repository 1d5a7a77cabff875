#!/usr/bin/env bash
# Why some tasks of Figure 3 lag behind: experiments on four of them, each for a suspected reason
# (docs/figure_3_why.md), held against the runs of figure_3.sh over the same steps.
#   clipped-double-q   is it over-estimation? A second Q, and the smaller of both values: a patch of the script, made here
#   updates-x5         is it too few updates? One every two steps instead of ten; the target is copied after as many steps
#   gamma-0.97         do states in which it is stuck lose their value too slowly? Without reward a copy of the target takes at
#                      most 1 - gamma of it
#   default            of cheetah-run again, whose event files of figure_3.sh are lost
#   usage: benchmark/figure_3_why.sh [--smoke] [--workers N] ...    (see python benchmark/launch.py --help)
# Results: benchmark/results/figure_3_why/<task>/<variant>/seed_K.csv, manifest.json. For the table:
#   python benchmark/diagnose.py figure_3_why --until 250000, the same with 500000, each with the run directories (in
#   runs/launch/figure_3_why, of the default in runs/launch/figure_3) whose event files are as long; others are refused. Then
#   python benchmark/tables.py figure_3_why
set -euo pipefail
cd "$(dirname "$0")/.."
python benchmark/patch.py clipped-double-q runs/patched/clipped
python benchmark/launch.py figure_3_why "$@" <<'END'
fish-swim         clipped-double-q  python runs/patched/clipped/qmle_continuous_multiseed.py --env-id dm_control/fish-swim-v0 --num-seeds 5 --total-timesteps 250000
cheetah-run       clipped-double-q  python runs/patched/clipped/qmle_continuous_multiseed.py --env-id dm_control/cheetah-run-v0 --num-seeds 5 --total-timesteps 250000
finger-turn_hard  clipped-double-q  python runs/patched/clipped/qmle_continuous_multiseed.py --env-id dm_control/finger-turn_hard-v0 --num-seeds 5 --total-timesteps 250000
fish-swim         updates-x5        python qmle_continuous_multiseed.py --env-id dm_control/fish-swim-v0 --num-seeds 5 --total-timesteps 500000 --train-frequency 2
humanoid-stand    updates-x5        python qmle_continuous_multiseed.py --env-id dm_control/humanoid-stand-v0 --num-seeds 5 --total-timesteps 500000 --train-frequency 2
cheetah-run       updates-x5        python qmle_continuous_multiseed.py --env-id dm_control/cheetah-run-v0 --num-seeds 5 --total-timesteps 500000 --train-frequency 2
finger-turn_hard  updates-x5        python qmle_continuous_multiseed.py --env-id dm_control/finger-turn_hard-v0 --num-seeds 5 --total-timesteps 500000 --train-frequency 2
finger-turn_hard  gamma-0.97        python qmle_continuous_multiseed.py --env-id dm_control/finger-turn_hard-v0 --num-seeds 5 --total-timesteps 500000 --gamma 0.97
cheetah-run       default           python qmle_continuous_multiseed.py --env-id dm_control/cheetah-run-v0 --num-seeds 5 --total-timesteps 250000
END
