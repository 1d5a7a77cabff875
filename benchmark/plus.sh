#!/usr/bin/env bash
# qmle_plus.py on the 18 tasks of Figure 3, quadruped-run, humanoid-walk and dog-run: five seeds, a million steps, the defaults for all
# tasks; every 100,000 steps ten greedy episodes of each seed. So far: seeds 1 to 3, the humanoids to 937,000 and 955,000 steps, the
# dogs to 464,000 and 466,000 (manifest.json). They count as done: delete them first.
#   usage: benchmark/plus.sh [--smoke] [--workers N] ...    (see python benchmark/launch.py --help)
# `wide` are the settings that are to become the defaults: squared error, a least s.d. of 0.3, width 512. So far seeds 1 to 3 on 16 tasks,
# to 411,000 (dog-run) to 477,000 steps, when the time was over.
# Results: benchmark/results/plus/<task>/<variant>/seed_K.csv, manifest.json, plus.png
set -euo pipefail
cd "$(dirname "$0")/.."
python benchmark/launch.py plus "$@" <<'END'
cartpole-swingup         qmle_plus  python qmle_plus.py --env-id dm_control/cartpole-swingup-v0 --num-seeds 3 --eval-frequency 100000 --save-model
cartpole-swingup_sparse  qmle_plus  python qmle_plus.py --env-id dm_control/cartpole-swingup_sparse-v0 --num-seeds 3 --eval-frequency 100000 --save-model
pendulum-swingup         qmle_plus  python qmle_plus.py --env-id dm_control/pendulum-swingup-v0 --num-seeds 3 --eval-frequency 100000 --save-model
reacher-hard             qmle_plus  python qmle_plus.py --env-id dm_control/reacher-hard-v0 --num-seeds 3 --eval-frequency 100000 --save-model
ball_in_cup-catch        qmle_plus  python qmle_plus.py --env-id dm_control/ball_in_cup-catch-v0 --num-seeds 3 --eval-frequency 100000 --save-model
finger-spin              qmle_plus  python qmle_plus.py --env-id dm_control/finger-spin-v0 --num-seeds 3 --eval-frequency 100000 --save-model
finger-turn_easy         qmle_plus  python qmle_plus.py --env-id dm_control/finger-turn_easy-v0 --num-seeds 3 --eval-frequency 100000 --save-model
finger-turn_hard         qmle_plus  python qmle_plus.py --env-id dm_control/finger-turn_hard-v0 --num-seeds 3 --eval-frequency 100000 --save-model
hopper-stand             qmle_plus  python qmle_plus.py --env-id dm_control/hopper-stand-v0 --num-seeds 3 --eval-frequency 100000 --save-model
hopper-hop               qmle_plus  python qmle_plus.py --env-id dm_control/hopper-hop-v0 --num-seeds 3 --eval-frequency 100000 --save-model
fish-swim                qmle_plus  python qmle_plus.py --env-id dm_control/fish-swim-v0 --num-seeds 3 --eval-frequency 100000 --save-model
cheetah-run              qmle_plus  python qmle_plus.py --env-id dm_control/cheetah-run-v0 --num-seeds 3 --eval-frequency 100000 --save-model
walker-stand             qmle_plus  python qmle_plus.py --env-id dm_control/walker-stand-v0 --num-seeds 3 --eval-frequency 100000 --save-model
walker-walk              qmle_plus  python qmle_plus.py --env-id dm_control/walker-walk-v0 --num-seeds 3 --eval-frequency 100000 --save-model
walker-run               qmle_plus  python qmle_plus.py --env-id dm_control/walker-run-v0 --num-seeds 3 --eval-frequency 100000 --save-model
quadruped-walk           qmle_plus  python qmle_plus.py --env-id dm_control/quadruped-walk-v0 --num-seeds 3 --eval-frequency 100000 --save-model
quadruped-run            qmle_plus  python qmle_plus.py --env-id dm_control/quadruped-run-v0 --num-seeds 3 --eval-frequency 100000 --save-model
humanoid-stand           qmle_plus  python qmle_plus.py --env-id dm_control/humanoid-stand-v0 --num-seeds 3 --eval-frequency 100000 --save-model
humanoid-walk            qmle_plus  python qmle_plus.py --env-id dm_control/humanoid-walk-v0 --num-seeds 3 --eval-frequency 100000 --save-model
dog-walk                 qmle_plus  python qmle_plus.py --env-id dm_control/dog-walk-v0 --num-seeds 3 --eval-frequency 100000 --save-model
dog-run                  qmle_plus  python qmle_plus.py --env-id dm_control/dog-run-v0 --num-seeds 3 --eval-frequency 100000 --save-model
cartpole-swingup         qmle_plus  python qmle_plus.py --env-id dm_control/cartpole-swingup-v0 --seed 4 --num-seeds 2 --eval-frequency 100000 --save-model
cartpole-swingup_sparse  qmle_plus  python qmle_plus.py --env-id dm_control/cartpole-swingup_sparse-v0 --seed 4 --num-seeds 2 --eval-frequency 100000 --save-model
pendulum-swingup         qmle_plus  python qmle_plus.py --env-id dm_control/pendulum-swingup-v0 --seed 4 --num-seeds 2 --eval-frequency 100000 --save-model
reacher-hard             qmle_plus  python qmle_plus.py --env-id dm_control/reacher-hard-v0 --seed 4 --num-seeds 2 --eval-frequency 100000 --save-model
ball_in_cup-catch        qmle_plus  python qmle_plus.py --env-id dm_control/ball_in_cup-catch-v0 --seed 4 --num-seeds 2 --eval-frequency 100000 --save-model
finger-spin              qmle_plus  python qmle_plus.py --env-id dm_control/finger-spin-v0 --seed 4 --num-seeds 2 --eval-frequency 100000 --save-model
finger-turn_easy         qmle_plus  python qmle_plus.py --env-id dm_control/finger-turn_easy-v0 --seed 4 --num-seeds 2 --eval-frequency 100000 --save-model
finger-turn_hard         qmle_plus  python qmle_plus.py --env-id dm_control/finger-turn_hard-v0 --seed 4 --num-seeds 2 --eval-frequency 100000 --save-model
hopper-stand             qmle_plus  python qmle_plus.py --env-id dm_control/hopper-stand-v0 --seed 4 --num-seeds 2 --eval-frequency 100000 --save-model
hopper-hop               qmle_plus  python qmle_plus.py --env-id dm_control/hopper-hop-v0 --seed 4 --num-seeds 2 --eval-frequency 100000 --save-model
fish-swim                qmle_plus  python qmle_plus.py --env-id dm_control/fish-swim-v0 --seed 4 --num-seeds 2 --eval-frequency 100000 --save-model
cheetah-run              qmle_plus  python qmle_plus.py --env-id dm_control/cheetah-run-v0 --seed 4 --num-seeds 2 --eval-frequency 100000 --save-model
walker-stand             qmle_plus  python qmle_plus.py --env-id dm_control/walker-stand-v0 --seed 4 --num-seeds 2 --eval-frequency 100000 --save-model
walker-walk              qmle_plus  python qmle_plus.py --env-id dm_control/walker-walk-v0 --seed 4 --num-seeds 2 --eval-frequency 100000 --save-model
walker-run               qmle_plus  python qmle_plus.py --env-id dm_control/walker-run-v0 --seed 4 --num-seeds 2 --eval-frequency 100000 --save-model
quadruped-walk           qmle_plus  python qmle_plus.py --env-id dm_control/quadruped-walk-v0 --seed 4 --num-seeds 2 --eval-frequency 100000 --save-model
quadruped-run            qmle_plus  python qmle_plus.py --env-id dm_control/quadruped-run-v0 --seed 4 --num-seeds 2 --eval-frequency 100000 --save-model
humanoid-stand           qmle_plus  python qmle_plus.py --env-id dm_control/humanoid-stand-v0 --seed 4 --num-seeds 2 --eval-frequency 100000 --save-model
humanoid-walk            qmle_plus  python qmle_plus.py --env-id dm_control/humanoid-walk-v0 --seed 4 --num-seeds 2 --eval-frequency 100000 --save-model
dog-walk                 qmle_plus  python qmle_plus.py --env-id dm_control/dog-walk-v0 --seed 4 --num-seeds 2 --eval-frequency 100000 --save-model
dog-run                  qmle_plus  python qmle_plus.py --env-id dm_control/dog-run-v0 --seed 4 --num-seeds 2 --eval-frequency 100000 --save-model
cartpole-swingup         wide       python qmle_plus.py --env-id dm_control/cartpole-swingup-v0 --num-seeds 3 --eval-frequency 100000 --no-save-model --num-atoms 0 --min-std 0.3 --width 512
cartpole-swingup_sparse  wide       python qmle_plus.py --env-id dm_control/cartpole-swingup_sparse-v0 --num-seeds 3 --eval-frequency 100000 --no-save-model --num-atoms 0 --min-std 0.3 --width 512
pendulum-swingup         wide       python qmle_plus.py --env-id dm_control/pendulum-swingup-v0 --num-seeds 3 --eval-frequency 100000 --no-save-model --num-atoms 0 --min-std 0.3 --width 512
reacher-hard             wide       python qmle_plus.py --env-id dm_control/reacher-hard-v0 --num-seeds 3 --eval-frequency 100000 --no-save-model --num-atoms 0 --min-std 0.3 --width 512
ball_in_cup-catch        wide       python qmle_plus.py --env-id dm_control/ball_in_cup-catch-v0 --num-seeds 3 --eval-frequency 100000 --no-save-model --num-atoms 0 --min-std 0.3 --width 512
finger-spin              wide       python qmle_plus.py --env-id dm_control/finger-spin-v0 --num-seeds 3 --eval-frequency 100000 --no-save-model --num-atoms 0 --min-std 0.3 --width 512
finger-turn_easy         wide       python qmle_plus.py --env-id dm_control/finger-turn_easy-v0 --num-seeds 3 --eval-frequency 100000 --no-save-model --num-atoms 0 --min-std 0.3 --width 512
finger-turn_hard         wide       python qmle_plus.py --env-id dm_control/finger-turn_hard-v0 --num-seeds 3 --eval-frequency 100000 --no-save-model --num-atoms 0 --min-std 0.3 --width 512
hopper-stand             wide       python qmle_plus.py --env-id dm_control/hopper-stand-v0 --num-seeds 3 --eval-frequency 100000 --no-save-model --num-atoms 0 --min-std 0.3 --width 512
hopper-hop               wide       python qmle_plus.py --env-id dm_control/hopper-hop-v0 --num-seeds 3 --eval-frequency 100000 --no-save-model --num-atoms 0 --min-std 0.3 --width 512
fish-swim                wide       python qmle_plus.py --env-id dm_control/fish-swim-v0 --num-seeds 3 --eval-frequency 100000 --no-save-model --num-atoms 0 --min-std 0.3 --width 512
cheetah-run              wide       python qmle_plus.py --env-id dm_control/cheetah-run-v0 --num-seeds 3 --eval-frequency 100000 --no-save-model --num-atoms 0 --min-std 0.3 --width 512
walker-stand             wide       python qmle_plus.py --env-id dm_control/walker-stand-v0 --num-seeds 3 --eval-frequency 100000 --no-save-model --num-atoms 0 --min-std 0.3 --width 512
walker-walk              wide       python qmle_plus.py --env-id dm_control/walker-walk-v0 --num-seeds 3 --eval-frequency 100000 --no-save-model --num-atoms 0 --min-std 0.3 --width 512
walker-run               wide       python qmle_plus.py --env-id dm_control/walker-run-v0 --num-seeds 3 --eval-frequency 100000 --no-save-model --num-atoms 0 --min-std 0.3 --width 512
quadruped-walk           wide       python qmle_plus.py --env-id dm_control/quadruped-walk-v0 --num-seeds 3 --eval-frequency 100000 --no-save-model --num-atoms 0 --min-std 0.3 --width 512
quadruped-run            wide       python qmle_plus.py --env-id dm_control/quadruped-run-v0 --num-seeds 3 --eval-frequency 100000 --no-save-model --num-atoms 0 --min-std 0.3 --width 512
humanoid-stand           wide       python qmle_plus.py --env-id dm_control/humanoid-stand-v0 --num-seeds 3 --eval-frequency 100000 --no-save-model --num-atoms 0 --min-std 0.3 --width 512
humanoid-walk            wide       python qmle_plus.py --env-id dm_control/humanoid-walk-v0 --num-seeds 3 --eval-frequency 100000 --no-save-model --num-atoms 0 --min-std 0.3 --width 512
dog-walk                 wide       python qmle_plus.py --env-id dm_control/dog-walk-v0 --num-seeds 3 --eval-frequency 100000 --no-save-model --num-atoms 0 --min-std 0.3 --width 512
dog-run                  wide       python qmle_plus.py --env-id dm_control/dog-run-v0 --num-seeds 3 --eval-frequency 100000 --no-save-model --num-atoms 0 --min-std 0.3 --width 512
END
python benchmark/plot.py plus "$@"
