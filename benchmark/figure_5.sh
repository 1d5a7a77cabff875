#!/usr/bin/env bash
# Figure 5: DDPG in place of QMLE, everything else the same, on six tasks from 1 to 38 action dimensions, five seeds of 500,000
# steps each; on two of them with the step size 1e-4 as well, on two QMLE once more, for figure_3.sh has runs of an earlier version.
# Drawn beside QMLE's runs of figure_3.sh, cut at the same step, and published scores of MPO, SAC and TD3. The many-seed version of
# the script is made here.
#   usage: benchmark/figure_5.sh [--smoke] [--workers N] ...    (see python benchmark/launch.py --help)
# Results: benchmark/results/figure_5/<task>/<variant>/seed_K.csv, manifest.json, figure_5.png; its table:
# python benchmark/tables.py figure_5 ("steps" in the manifest: how far a run went)
set -euo pipefail
cd "$(dirname "$0")/.."
python benchmark/many_seeds.py ddpg_continuous runs/methods
python benchmark/launch.py figure_5 "$@" <<'END'
cartpole-swingup  ddpg          python runs/methods/ddpg_continuous_multiseed.py --env-id dm_control/cartpole-swingup-v0 --num-seeds 5 --total-timesteps 500000 --buffer-size 500000
finger-spin       ddpg          python runs/methods/ddpg_continuous_multiseed.py --env-id dm_control/finger-spin-v0 --num-seeds 5 --total-timesteps 500000 --buffer-size 500000
hopper-hop        ddpg          python runs/methods/ddpg_continuous_multiseed.py --env-id dm_control/hopper-hop-v0 --num-seeds 5 --total-timesteps 500000 --buffer-size 500000
cheetah-run       ddpg          python runs/methods/ddpg_continuous_multiseed.py --env-id dm_control/cheetah-run-v0 --num-seeds 5 --total-timesteps 500000 --buffer-size 500000
quadruped-walk    ddpg          python runs/methods/ddpg_continuous_multiseed.py --env-id dm_control/quadruped-walk-v0 --num-seeds 5 --total-timesteps 500000 --buffer-size 500000
dog-walk          ddpg          python runs/methods/ddpg_continuous_multiseed.py --env-id dm_control/dog-walk-v0 --num-seeds 5 --total-timesteps 500000 --buffer-size 500000
cheetah-run       ddpg-lr-1e-4  python runs/methods/ddpg_continuous_multiseed.py --env-id dm_control/cheetah-run-v0 --num-seeds 5 --total-timesteps 500000 --buffer-size 500000 --learning-rate 1e-4
finger-spin       ddpg-lr-1e-4  python runs/methods/ddpg_continuous_multiseed.py --env-id dm_control/finger-spin-v0 --num-seeds 5 --total-timesteps 500000 --buffer-size 500000 --learning-rate 1e-4
cheetah-run       qmle-rerun    python qmle_continuous_multiseed.py --env-id dm_control/cheetah-run-v0 --num-seeds 5 --total-timesteps 500000 --buffer-size 500000
quadruped-walk    qmle-rerun    python qmle_continuous_multiseed.py --env-id dm_control/quadruped-walk-v0 --num-seeds 5 --total-timesteps 500000 --buffer-size 500000
END
python benchmark/plot.py figure_5 "$@"
