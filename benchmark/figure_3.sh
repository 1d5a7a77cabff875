#!/usr/bin/env bash
# Figure 3: QMLE on 18 tasks of the DM Control Suite, five seeds each, a million steps, but half of that for dog-walk, whose
# physics take longest; at the end ten greedy episodes. model.pt of each seed stays in runs/launch/figure_3/. 17 to 28 minutes
# a task where four or more ran on one H100 at a time (manifest.json); dog-walk and humanoid-stand with six CPU cores each.
# The 18 tasks are our choice: the paper does not name its own.
#   usage: benchmark/figure_3.sh [--smoke] [--workers N] ...    (see python benchmark/launch.py --help)
# Results: benchmark/results/figure_3/<task>/<variant>/seed_K.csv, manifest.json, figure_3.{png,svg}
set -euo pipefail
cd "$(dirname "$0")/.."
python benchmark/launch.py figure_3 "$@" <<'END'
cartpole-swingup         qmle  python qmle_continuous_multiseed.py --env-id dm_control/cartpole-swingup-v0 --num-seeds 5 --total-timesteps 1000000 --eval-frequency 1000000 --save-model
cartpole-swingup_sparse  qmle  python qmle_continuous_multiseed.py --env-id dm_control/cartpole-swingup_sparse-v0 --num-seeds 5 --total-timesteps 1000000 --eval-frequency 1000000 --save-model
pendulum-swingup         qmle  python qmle_continuous_multiseed.py --env-id dm_control/pendulum-swingup-v0 --num-seeds 5 --total-timesteps 1000000 --eval-frequency 1000000 --save-model
reacher-hard             qmle  python qmle_continuous_multiseed.py --env-id dm_control/reacher-hard-v0 --num-seeds 5 --total-timesteps 1000000 --eval-frequency 1000000 --save-model
ball_in_cup-catch        qmle  python qmle_continuous_multiseed.py --env-id dm_control/ball_in_cup-catch-v0 --num-seeds 5 --total-timesteps 1000000 --eval-frequency 1000000 --save-model
finger-spin              qmle  python qmle_continuous_multiseed.py --env-id dm_control/finger-spin-v0 --num-seeds 5 --total-timesteps 1000000 --eval-frequency 1000000 --save-model
finger-turn_easy         qmle  python qmle_continuous_multiseed.py --env-id dm_control/finger-turn_easy-v0 --num-seeds 5 --total-timesteps 1000000 --eval-frequency 1000000 --save-model
finger-turn_hard         qmle  python qmle_continuous_multiseed.py --env-id dm_control/finger-turn_hard-v0 --num-seeds 5 --total-timesteps 1000000 --eval-frequency 1000000 --save-model
hopper-stand             qmle  python qmle_continuous_multiseed.py --env-id dm_control/hopper-stand-v0 --num-seeds 5 --total-timesteps 1000000 --eval-frequency 1000000 --save-model
hopper-hop               qmle  python qmle_continuous_multiseed.py --env-id dm_control/hopper-hop-v0 --num-seeds 5 --total-timesteps 1000000 --eval-frequency 1000000 --save-model
fish-swim                qmle  python qmle_continuous_multiseed.py --env-id dm_control/fish-swim-v0 --num-seeds 5 --total-timesteps 1000000 --eval-frequency 1000000 --save-model
cheetah-run              qmle  python qmle_continuous_multiseed.py --env-id dm_control/cheetah-run-v0 --num-seeds 5 --total-timesteps 1000000 --eval-frequency 1000000 --save-model
walker-stand             qmle  python qmle_continuous_multiseed.py --env-id dm_control/walker-stand-v0 --num-seeds 5 --total-timesteps 1000000 --eval-frequency 1000000 --save-model
walker-walk              qmle  python qmle_continuous_multiseed.py --env-id dm_control/walker-walk-v0 --num-seeds 5 --total-timesteps 1000000 --eval-frequency 1000000 --save-model
walker-run               qmle  python qmle_continuous_multiseed.py --env-id dm_control/walker-run-v0 --num-seeds 5 --total-timesteps 1000000 --eval-frequency 1000000 --save-model
quadruped-walk           qmle  python qmle_continuous_multiseed.py --env-id dm_control/quadruped-walk-v0 --num-seeds 5 --total-timesteps 1000000 --eval-frequency 1000000 --save-model
humanoid-stand           qmle  python qmle_continuous_multiseed.py --env-id dm_control/humanoid-stand-v0 --num-seeds 5 --total-timesteps 1000000 --eval-frequency 1000000 --save-model
dog-walk                 qmle  python qmle_continuous_multiseed.py --env-id dm_control/dog-walk-v0 --num-seeds 5 --total-timesteps 500000 --eval-frequency 500000 --save-model
END
python benchmark/plot.py figure_3 "$@"
