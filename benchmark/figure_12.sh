#!/usr/bin/env bash
# Figure 12: actions on the grid of bins all the time, up to a third or two thirds of the run, or never. Our choices, which
# the paper leaves open: these tasks and switches, both predictors in all variants, the stored actions kept at the switch.
#   usage: benchmark/figure_12.sh [--smoke] [--workers N] ...    (see python benchmark/launch.py --help)
# Results: benchmark/results/figure_12/<task>/<variant>/seed_K.csv, manifest.json, figure_12.{png,svg}
set -euo pipefail
cd "$(dirname "$0")/.."
python benchmark/launch.py figure_12 "$@" <<'END'
walker-walk  continuous             python qmle_continuous_multiseed.py --env-id dm_control/walker-walk-v0 --num-seeds 5 --total-timesteps 300000
walker-walk  discrete               python qmle_continuous_multiseed.py --env-id dm_control/walker-walk-v0 --num-seeds 5 --total-timesteps 300000 --discrete-until 300000
walker-walk  grid-until-third       python qmle_continuous_multiseed.py --env-id dm_control/walker-walk-v0 --num-seeds 5 --total-timesteps 300000 --discrete-until 100000
walker-walk  grid-until-two-thirds  python qmle_continuous_multiseed.py --env-id dm_control/walker-walk-v0 --num-seeds 5 --total-timesteps 300000 --discrete-until 200000
cheetah-run  continuous             python qmle_continuous_multiseed.py --env-id dm_control/cheetah-run-v0 --num-seeds 5 --total-timesteps 300000
cheetah-run  discrete               python qmle_continuous_multiseed.py --env-id dm_control/cheetah-run-v0 --num-seeds 5 --total-timesteps 300000 --discrete-until 300000
cheetah-run  grid-until-third       python qmle_continuous_multiseed.py --env-id dm_control/cheetah-run-v0 --num-seeds 5 --total-timesteps 300000 --discrete-until 100000
cheetah-run  grid-until-two-thirds  python qmle_continuous_multiseed.py --env-id dm_control/cheetah-run-v0 --num-seeds 5 --total-timesteps 300000 --discrete-until 200000
END
python benchmark/plot.py figure_12 "$@"
