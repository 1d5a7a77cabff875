#!/usr/bin/env bash
# Figure 8: two samples for each maximisation, one uniform and one from the delta predictor (amortized), against two uniform
# ones and nothing remembered, so without the stored action as well (uniform-only). Tasks with 1, 2, 4 and 6 action
# dimensions, our choice.
#   usage: benchmark/figure_8.sh [--smoke] [--workers N] ...    (see python benchmark/launch.py --help)
# Results: benchmark/results/figure_8/<task>/<variant>/seed_K.csv, manifest.json, figure_8.{png,svg}
set -euo pipefail
cd "$(dirname "$0")/.."
python benchmark/launch.py figure_8 "$@" <<'END'
cartpole-swingup  amortized     python qmle_continuous_multiseed.py --env-id dm_control/cartpole-swingup-v0 --num-seeds 5 --total-timesteps 300000 --num-target-samples 2 --num-greedy-samples 2 --uniform-ratio 0.5 --delta-ratio 0.5 --categorical-ratio 0
cartpole-swingup  uniform-only  python qmle_continuous_multiseed.py --env-id dm_control/cartpole-swingup-v0 --num-seeds 5 --total-timesteps 300000 --num-target-samples 2 --num-greedy-samples 2 --uniform-ratio 1 --delta-ratio 0 --categorical-ratio 0 --no-stored-action
finger-spin       amortized     python qmle_continuous_multiseed.py --env-id dm_control/finger-spin-v0 --num-seeds 5 --total-timesteps 300000 --num-target-samples 2 --num-greedy-samples 2 --uniform-ratio 0.5 --delta-ratio 0.5 --categorical-ratio 0
finger-spin       uniform-only  python qmle_continuous_multiseed.py --env-id dm_control/finger-spin-v0 --num-seeds 5 --total-timesteps 300000 --num-target-samples 2 --num-greedy-samples 2 --uniform-ratio 1 --delta-ratio 0 --categorical-ratio 0 --no-stored-action
hopper-stand      amortized     python qmle_continuous_multiseed.py --env-id dm_control/hopper-stand-v0 --num-seeds 5 --total-timesteps 300000 --num-target-samples 2 --num-greedy-samples 2 --uniform-ratio 0.5 --delta-ratio 0.5 --categorical-ratio 0
hopper-stand      uniform-only  python qmle_continuous_multiseed.py --env-id dm_control/hopper-stand-v0 --num-seeds 5 --total-timesteps 300000 --num-target-samples 2 --num-greedy-samples 2 --uniform-ratio 1 --delta-ratio 0 --categorical-ratio 0 --no-stored-action
walker-walk       amortized     python qmle_continuous_multiseed.py --env-id dm_control/walker-walk-v0 --num-seeds 5 --total-timesteps 300000 --num-target-samples 2 --num-greedy-samples 2 --uniform-ratio 0.5 --delta-ratio 0.5 --categorical-ratio 0
walker-walk       uniform-only  python qmle_continuous_multiseed.py --env-id dm_control/walker-walk-v0 --num-seeds 5 --total-timesteps 300000 --num-target-samples 2 --num-greedy-samples 2 --uniform-ratio 1 --delta-ratio 0 --categorical-ratio 0 --no-stored-action
END
python benchmark/plot.py figure_8 "$@"
