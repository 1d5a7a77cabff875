#!/usr/bin/env bash
# Figure 9: search sets of 2 against 1000 samples, half uniform and half from the delta predictor, the ratios of Figure 8
# (those of Table 1 give no sample to a predictor when there are two). The tasks are our choice. Sets of 2 are what Figure 8
# calls amortized; the committed results are copies of those.
#   usage: benchmark/figure_9.sh [--smoke] [--workers N] ...    (see python benchmark/launch.py --help)
# Results: benchmark/results/figure_9/<task>/<variant>/seed_K.csv, manifest.json, figure_9.{png,svg}
set -euo pipefail
cd "$(dirname "$0")/.."
python benchmark/launch.py figure_9 "$@" <<'END'
cartpole-swingup  samples-2     python qmle_continuous_multiseed.py --env-id dm_control/cartpole-swingup-v0 --num-seeds 5 --total-timesteps 300000 --num-target-samples 2 --num-greedy-samples 2 --uniform-ratio 0.5 --delta-ratio 0.5 --categorical-ratio 0
cartpole-swingup  samples-1000  python qmle_continuous_multiseed.py --env-id dm_control/cartpole-swingup-v0 --num-seeds 5 --total-timesteps 300000 --num-target-samples 1000 --num-greedy-samples 1000 --uniform-ratio 0.5 --delta-ratio 0.5 --categorical-ratio 0
finger-spin       samples-2     python qmle_continuous_multiseed.py --env-id dm_control/finger-spin-v0 --num-seeds 5 --total-timesteps 300000 --num-target-samples 2 --num-greedy-samples 2 --uniform-ratio 0.5 --delta-ratio 0.5 --categorical-ratio 0
finger-spin       samples-1000  python qmle_continuous_multiseed.py --env-id dm_control/finger-spin-v0 --num-seeds 5 --total-timesteps 300000 --num-target-samples 1000 --num-greedy-samples 1000 --uniform-ratio 0.5 --delta-ratio 0.5 --categorical-ratio 0
hopper-stand      samples-2     python qmle_continuous_multiseed.py --env-id dm_control/hopper-stand-v0 --num-seeds 5 --total-timesteps 300000 --num-target-samples 2 --num-greedy-samples 2 --uniform-ratio 0.5 --delta-ratio 0.5 --categorical-ratio 0
hopper-stand      samples-1000  python qmle_continuous_multiseed.py --env-id dm_control/hopper-stand-v0 --num-seeds 5 --total-timesteps 300000 --num-target-samples 1000 --num-greedy-samples 1000 --uniform-ratio 0.5 --delta-ratio 0.5 --categorical-ratio 0
walker-walk       samples-2     python qmle_continuous_multiseed.py --env-id dm_control/walker-walk-v0 --num-seeds 5 --total-timesteps 300000 --num-target-samples 2 --num-greedy-samples 2 --uniform-ratio 0.5 --delta-ratio 0.5 --categorical-ratio 0
walker-walk       samples-1000  python qmle_continuous_multiseed.py --env-id dm_control/walker-walk-v0 --num-seeds 5 --total-timesteps 300000 --num-target-samples 1000 --num-greedy-samples 1000 --uniform-ratio 0.5 --delta-ratio 0.5 --categorical-ratio 0
END
python benchmark/plot.py figure_9 "$@"
