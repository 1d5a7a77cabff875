#!/usr/bin/env bash
# qmle_plus.py's defaults to a million steps on eight tasks: seeds 6 to 8, every 160,000 steps ten
# greedy episodes of each seed. humanoid-stand, fish-swim and walker-run came to 960,000 and 985,000 steps, when the time was over
# (manifest.json). repeat-1: one step an action, as many updates a step, on four tasks, to 525,000 to 544,000 steps.
#   usage: benchmark/plus_million.sh [--smoke] [--workers N] ...    (see python benchmark/launch.py --help)
# Results: benchmark/results/plus_million/<task>/<variant>/seed_K.csv, manifest.json, plus_million.png
set -euo pipefail
cd "$(dirname "$0")/.."
python benchmark/launch.py plus_million "$@" <<'END'
cheetah-run       qmle_plus  python qmle_plus.py --env-id dm_control/cheetah-run-v0 --seed 6 --num-seeds 3 --eval-frequency 160000
finger-spin       qmle_plus  python qmle_plus.py --env-id dm_control/finger-spin-v0 --seed 6 --num-seeds 3 --eval-frequency 160000
finger-turn_hard  qmle_plus  python qmle_plus.py --env-id dm_control/finger-turn_hard-v0 --seed 6 --num-seeds 3 --eval-frequency 160000
fish-swim         qmle_plus  python qmle_plus.py --env-id dm_control/fish-swim-v0 --seed 6 --num-seeds 3 --eval-frequency 160000
hopper-hop        qmle_plus  python qmle_plus.py --env-id dm_control/hopper-hop-v0 --seed 6 --num-seeds 3 --eval-frequency 160000
humanoid-stand    qmle_plus  python qmle_plus.py --env-id dm_control/humanoid-stand-v0 --seed 6 --num-seeds 3 --eval-frequency 160000
quadruped-walk    qmle_plus  python qmle_plus.py --env-id dm_control/quadruped-walk-v0 --seed 6 --num-seeds 3 --eval-frequency 160000
walker-run        qmle_plus  python qmle_plus.py --env-id dm_control/walker-run-v0 --seed 6 --num-seeds 3 --eval-frequency 160000
cheetah-run       repeat-1   python qmle_plus.py --env-id dm_control/cheetah-run-v0 --seed 6 --num-seeds 3 --eval-frequency 160000 --action-repeat 1 --train-frequency 2
finger-spin       repeat-1   python qmle_plus.py --env-id dm_control/finger-spin-v0 --seed 6 --num-seeds 3 --eval-frequency 160000 --action-repeat 1 --train-frequency 2
hopper-hop        repeat-1   python qmle_plus.py --env-id dm_control/hopper-hop-v0 --seed 6 --num-seeds 3 --eval-frequency 160000 --action-repeat 1 --train-frequency 2
walker-run        repeat-1   python qmle_plus.py --env-id dm_control/walker-run-v0 --seed 6 --num-seeds 3 --eval-frequency 160000 --action-repeat 1 --train-frequency 2
END
python benchmark/plot.py plus_million "$@"
