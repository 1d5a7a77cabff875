#!/usr/bin/env bash
# qmle_plus.py on the 18 tasks of Figure 3, quadruped-run, humanoid-walk and dog-run: five seeds, a million steps, the defaults for all
# tasks; every 100,000 steps ten greedy episodes of each seed. So far: seeds 1 to 3, to 500,000 steps on the five easiest,
# else to 411,000 (dog-run) to 477,000, seeds 4 and 5 to 357,000 (dogs) to 600,000, when the time was over (manifest.json). They count
# as done: delete them first.
#   narrow   the defaults before: atoms, a Gaussian that may shrink, width 128; seeds 1 to 3, the humanoids to 937,000 and 955,000 steps,
#            the dogs to 464,000 and 466,000
#   usage: benchmark/plus.sh [--smoke] [--workers N] ...    (see python benchmark/launch.py --help)
# Results: benchmark/results/plus/<task>/<variant>/seed_K.csv, manifest.json, plus.png
set -euo pipefail
cd "$(dirname "$0")/.."
python benchmark/launch.py plus "$@" <<'END'
cartpole-swingup         qmle_plus  python qmle_plus.py --env-id dm_control/cartpole-swingup-v0 --num-seeds 3 --eval-frequency 100000
cartpole-swingup_sparse  qmle_plus  python qmle_plus.py --env-id dm_control/cartpole-swingup_sparse-v0 --num-seeds 3 --eval-frequency 100000
pendulum-swingup         qmle_plus  python qmle_plus.py --env-id dm_control/pendulum-swingup-v0 --num-seeds 3 --eval-frequency 100000
reacher-hard             qmle_plus  python qmle_plus.py --env-id dm_control/reacher-hard-v0 --num-seeds 3 --eval-frequency 100000
ball_in_cup-catch        qmle_plus  python qmle_plus.py --env-id dm_control/ball_in_cup-catch-v0 --num-seeds 3 --eval-frequency 100000
finger-spin              qmle_plus  python qmle_plus.py --env-id dm_control/finger-spin-v0 --num-seeds 3 --eval-frequency 100000
finger-turn_easy         qmle_plus  python qmle_plus.py --env-id dm_control/finger-turn_easy-v0 --num-seeds 3 --eval-frequency 100000
finger-turn_hard         qmle_plus  python qmle_plus.py --env-id dm_control/finger-turn_hard-v0 --num-seeds 3 --eval-frequency 100000
hopper-stand             qmle_plus  python qmle_plus.py --env-id dm_control/hopper-stand-v0 --num-seeds 3 --eval-frequency 100000
hopper-hop               qmle_plus  python qmle_plus.py --env-id dm_control/hopper-hop-v0 --num-seeds 3 --eval-frequency 100000
fish-swim                qmle_plus  python qmle_plus.py --env-id dm_control/fish-swim-v0 --num-seeds 3 --eval-frequency 100000
cheetah-run              qmle_plus  python qmle_plus.py --env-id dm_control/cheetah-run-v0 --num-seeds 3 --eval-frequency 100000
walker-stand             qmle_plus  python qmle_plus.py --env-id dm_control/walker-stand-v0 --num-seeds 3 --eval-frequency 100000
walker-walk              qmle_plus  python qmle_plus.py --env-id dm_control/walker-walk-v0 --num-seeds 3 --eval-frequency 100000
walker-run               qmle_plus  python qmle_plus.py --env-id dm_control/walker-run-v0 --num-seeds 3 --eval-frequency 100000
quadruped-walk           qmle_plus  python qmle_plus.py --env-id dm_control/quadruped-walk-v0 --num-seeds 3 --eval-frequency 100000
quadruped-run            qmle_plus  python qmle_plus.py --env-id dm_control/quadruped-run-v0 --num-seeds 3 --eval-frequency 100000
humanoid-stand           qmle_plus  python qmle_plus.py --env-id dm_control/humanoid-stand-v0 --num-seeds 3 --eval-frequency 100000
humanoid-walk            qmle_plus  python qmle_plus.py --env-id dm_control/humanoid-walk-v0 --num-seeds 3 --eval-frequency 100000
dog-walk                 qmle_plus  python qmle_plus.py --env-id dm_control/dog-walk-v0 --num-seeds 3 --eval-frequency 100000
dog-run                  qmle_plus  python qmle_plus.py --env-id dm_control/dog-run-v0 --num-seeds 3 --eval-frequency 100000
cartpole-swingup         qmle_plus  python qmle_plus.py --env-id dm_control/cartpole-swingup-v0 --seed 4 --num-seeds 2 --eval-frequency 100000
cartpole-swingup_sparse  qmle_plus  python qmle_plus.py --env-id dm_control/cartpole-swingup_sparse-v0 --seed 4 --num-seeds 2 --eval-frequency 100000
pendulum-swingup         qmle_plus  python qmle_plus.py --env-id dm_control/pendulum-swingup-v0 --seed 4 --num-seeds 2 --eval-frequency 100000
reacher-hard             qmle_plus  python qmle_plus.py --env-id dm_control/reacher-hard-v0 --seed 4 --num-seeds 2 --eval-frequency 100000
ball_in_cup-catch        qmle_plus  python qmle_plus.py --env-id dm_control/ball_in_cup-catch-v0 --seed 4 --num-seeds 2 --eval-frequency 100000
finger-spin              qmle_plus  python qmle_plus.py --env-id dm_control/finger-spin-v0 --seed 4 --num-seeds 2 --eval-frequency 100000
finger-turn_easy         qmle_plus  python qmle_plus.py --env-id dm_control/finger-turn_easy-v0 --seed 4 --num-seeds 2 --eval-frequency 100000
finger-turn_hard         qmle_plus  python qmle_plus.py --env-id dm_control/finger-turn_hard-v0 --seed 4 --num-seeds 2 --eval-frequency 100000
hopper-stand             qmle_plus  python qmle_plus.py --env-id dm_control/hopper-stand-v0 --seed 4 --num-seeds 2 --eval-frequency 100000
hopper-hop               qmle_plus  python qmle_plus.py --env-id dm_control/hopper-hop-v0 --seed 4 --num-seeds 2 --eval-frequency 100000
fish-swim                qmle_plus  python qmle_plus.py --env-id dm_control/fish-swim-v0 --seed 4 --num-seeds 2 --eval-frequency 100000
cheetah-run              qmle_plus  python qmle_plus.py --env-id dm_control/cheetah-run-v0 --seed 4 --num-seeds 2 --eval-frequency 100000
walker-stand             qmle_plus  python qmle_plus.py --env-id dm_control/walker-stand-v0 --seed 4 --num-seeds 2 --eval-frequency 100000
walker-walk              qmle_plus  python qmle_plus.py --env-id dm_control/walker-walk-v0 --seed 4 --num-seeds 2 --eval-frequency 100000
walker-run               qmle_plus  python qmle_plus.py --env-id dm_control/walker-run-v0 --seed 4 --num-seeds 2 --eval-frequency 100000
quadruped-walk           qmle_plus  python qmle_plus.py --env-id dm_control/quadruped-walk-v0 --seed 4 --num-seeds 2 --eval-frequency 100000
quadruped-run            qmle_plus  python qmle_plus.py --env-id dm_control/quadruped-run-v0 --seed 4 --num-seeds 2 --eval-frequency 100000
humanoid-stand           qmle_plus  python qmle_plus.py --env-id dm_control/humanoid-stand-v0 --seed 4 --num-seeds 2 --eval-frequency 100000
humanoid-walk            qmle_plus  python qmle_plus.py --env-id dm_control/humanoid-walk-v0 --seed 4 --num-seeds 2 --eval-frequency 100000
dog-walk                 qmle_plus  python qmle_plus.py --env-id dm_control/dog-walk-v0 --seed 4 --num-seeds 2 --eval-frequency 100000
dog-run                  qmle_plus  python qmle_plus.py --env-id dm_control/dog-run-v0 --seed 4 --num-seeds 2 --eval-frequency 100000
cartpole-swingup         narrow     python qmle_plus.py --env-id dm_control/cartpole-swingup-v0 --num-seeds 3 --num-atoms 101 --min-std 0.05 --explore-std 0.3 --width 128 --eval-frequency 100000 --save-model
cartpole-swingup_sparse  narrow     python qmle_plus.py --env-id dm_control/cartpole-swingup_sparse-v0 --num-seeds 3 --num-atoms 101 --min-std 0.05 --explore-std 0.3 --width 128 --eval-frequency 100000 --save-model
pendulum-swingup         narrow     python qmle_plus.py --env-id dm_control/pendulum-swingup-v0 --num-seeds 3 --num-atoms 101 --min-std 0.05 --explore-std 0.3 --width 128 --eval-frequency 100000 --save-model
reacher-hard             narrow     python qmle_plus.py --env-id dm_control/reacher-hard-v0 --num-seeds 3 --num-atoms 101 --min-std 0.05 --explore-std 0.3 --width 128 --eval-frequency 100000 --save-model
ball_in_cup-catch        narrow     python qmle_plus.py --env-id dm_control/ball_in_cup-catch-v0 --num-seeds 3 --num-atoms 101 --min-std 0.05 --explore-std 0.3 --width 128 --eval-frequency 100000 --save-model
finger-spin              narrow     python qmle_plus.py --env-id dm_control/finger-spin-v0 --num-seeds 3 --num-atoms 101 --min-std 0.05 --explore-std 0.3 --width 128 --eval-frequency 100000 --save-model
finger-turn_easy         narrow     python qmle_plus.py --env-id dm_control/finger-turn_easy-v0 --num-seeds 3 --num-atoms 101 --min-std 0.05 --explore-std 0.3 --width 128 --eval-frequency 100000 --save-model
finger-turn_hard         narrow     python qmle_plus.py --env-id dm_control/finger-turn_hard-v0 --num-seeds 3 --num-atoms 101 --min-std 0.05 --explore-std 0.3 --width 128 --eval-frequency 100000 --save-model
hopper-stand             narrow     python qmle_plus.py --env-id dm_control/hopper-stand-v0 --num-seeds 3 --num-atoms 101 --min-std 0.05 --explore-std 0.3 --width 128 --eval-frequency 100000 --save-model
hopper-hop               narrow     python qmle_plus.py --env-id dm_control/hopper-hop-v0 --num-seeds 3 --num-atoms 101 --min-std 0.05 --explore-std 0.3 --width 128 --eval-frequency 100000 --save-model
fish-swim                narrow     python qmle_plus.py --env-id dm_control/fish-swim-v0 --num-seeds 3 --num-atoms 101 --min-std 0.05 --explore-std 0.3 --width 128 --eval-frequency 100000 --save-model
cheetah-run              narrow     python qmle_plus.py --env-id dm_control/cheetah-run-v0 --num-seeds 3 --num-atoms 101 --min-std 0.05 --explore-std 0.3 --width 128 --eval-frequency 100000 --save-model
walker-stand             narrow     python qmle_plus.py --env-id dm_control/walker-stand-v0 --num-seeds 3 --num-atoms 101 --min-std 0.05 --explore-std 0.3 --width 128 --eval-frequency 100000 --save-model
walker-walk              narrow     python qmle_plus.py --env-id dm_control/walker-walk-v0 --num-seeds 3 --num-atoms 101 --min-std 0.05 --explore-std 0.3 --width 128 --eval-frequency 100000 --save-model
walker-run               narrow     python qmle_plus.py --env-id dm_control/walker-run-v0 --num-seeds 3 --num-atoms 101 --min-std 0.05 --explore-std 0.3 --width 128 --eval-frequency 100000 --save-model
quadruped-walk           narrow     python qmle_plus.py --env-id dm_control/quadruped-walk-v0 --num-seeds 3 --num-atoms 101 --min-std 0.05 --explore-std 0.3 --width 128 --eval-frequency 100000 --save-model
quadruped-run            narrow     python qmle_plus.py --env-id dm_control/quadruped-run-v0 --num-seeds 3 --num-atoms 101 --min-std 0.05 --explore-std 0.3 --width 128 --eval-frequency 100000 --save-model
humanoid-stand           narrow     python qmle_plus.py --env-id dm_control/humanoid-stand-v0 --num-seeds 3 --num-atoms 101 --min-std 0.05 --explore-std 0.3 --width 128 --eval-frequency 100000 --save-model
humanoid-walk            narrow     python qmle_plus.py --env-id dm_control/humanoid-walk-v0 --num-seeds 3 --num-atoms 101 --min-std 0.05 --explore-std 0.3 --width 128 --eval-frequency 100000 --save-model
dog-walk                 narrow     python qmle_plus.py --env-id dm_control/dog-walk-v0 --num-seeds 3 --num-atoms 101 --min-std 0.05 --explore-std 0.3 --width 128 --eval-frequency 100000 --save-model
dog-run                  narrow     python qmle_plus.py --env-id dm_control/dog-run-v0 --num-seeds 3 --num-atoms 101 --min-std 0.05 --explore-std 0.3 --width 128 --eval-frequency 100000 --save-model
END
python benchmark/plot.py plus "$@"
