#!/usr/bin/env bash
# Figure 7: QT-Opt and AQL (its continuous variant; on one task also the discrete one) in place of QMLE, everything else the same, on six tasks from 1 to 38 action
# dimensions, five seeds of 500,000 steps each. Drawn beside QMLE's runs of figure_3.sh, cut at the same step, and the scores that
# de Wiele et al. 2020 publish for two of the tasks. The many-seed versions of the scripts are made here.
#   usage: benchmark/figure_7.sh [--smoke] [--workers N] ...    (see python benchmark/launch.py --help)
# Results: benchmark/results/figure_7/<task>/<variant>/seed_K.csv, manifest.json, figure_7.png; its table:
# python benchmark/tables.py figure_7 ("steps" in the manifest: how far a run went)
set -euo pipefail
cd "$(dirname "$0")/.."
python benchmark/many_seeds.py qtopt_continuous runs/methods
python benchmark/many_seeds.py aql_continuous runs/methods
python benchmark/launch.py figure_7 "$@" <<'END'
cartpole-swingup  qtopt  python runs/methods/qtopt_continuous_multiseed.py --env-id dm_control/cartpole-swingup-v0 --num-seeds 5 --total-timesteps 500000 --buffer-size 500000
finger-spin       qtopt  python runs/methods/qtopt_continuous_multiseed.py --env-id dm_control/finger-spin-v0 --num-seeds 5 --total-timesteps 500000 --buffer-size 500000
hopper-hop        qtopt  python runs/methods/qtopt_continuous_multiseed.py --env-id dm_control/hopper-hop-v0 --num-seeds 5 --total-timesteps 500000 --buffer-size 500000
cheetah-run       qtopt  python runs/methods/qtopt_continuous_multiseed.py --env-id dm_control/cheetah-run-v0 --num-seeds 5 --total-timesteps 500000 --buffer-size 500000
quadruped-walk    qtopt  python runs/methods/qtopt_continuous_multiseed.py --env-id dm_control/quadruped-walk-v0 --num-seeds 5 --total-timesteps 500000 --buffer-size 500000
dog-walk          qtopt  python runs/methods/qtopt_continuous_multiseed.py --env-id dm_control/dog-walk-v0 --num-seeds 5 --total-timesteps 500000 --buffer-size 500000
cartpole-swingup  aql    python runs/methods/aql_continuous_multiseed.py --env-id dm_control/cartpole-swingup-v0 --num-seeds 5 --total-timesteps 500000 --buffer-size 500000
finger-spin       aql    python runs/methods/aql_continuous_multiseed.py --env-id dm_control/finger-spin-v0 --num-seeds 5 --total-timesteps 500000 --buffer-size 500000
hopper-hop        aql    python runs/methods/aql_continuous_multiseed.py --env-id dm_control/hopper-hop-v0 --num-seeds 5 --total-timesteps 500000 --buffer-size 500000
cheetah-run       aql    python runs/methods/aql_continuous_multiseed.py --env-id dm_control/cheetah-run-v0 --num-seeds 5 --total-timesteps 500000 --buffer-size 500000
quadruped-walk    aql    python runs/methods/aql_continuous_multiseed.py --env-id dm_control/quadruped-walk-v0 --num-seeds 5 --total-timesteps 500000 --buffer-size 500000
dog-walk          aql    python runs/methods/aql_continuous_multiseed.py --env-id dm_control/dog-walk-v0 --num-seeds 5 --total-timesteps 500000 --buffer-size 500000
cheetah-run       aql-discrete  python runs/methods/aql_continuous_multiseed.py --env-id dm_control/cheetah-run-v0 --num-seeds 5 --total-timesteps 500000 --buffer-size 500000 --proposal discrete
END
python benchmark/plot.py figure_7 "$@"
