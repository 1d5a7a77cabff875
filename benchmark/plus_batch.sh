#!/usr/bin/env bash
# qmle_plus.py with batches of 64 in place of 256, else as `qmle_plus` of plus.sh, on 14 of its tasks: seeds 1 to 3, to 407,000 (dog-run)
# to 532,000 steps, when the time was over (manifest.json).
#   usage: benchmark/plus_batch.sh [--smoke] [--workers N] ...    (see python benchmark/launch.py --help)
# Results: benchmark/results/plus_batch/<task>/batch-64/seed_K.csv, manifest.json, plus_batch.png
set -euo pipefail
cd "$(dirname "$0")/.."
python benchmark/launch.py plus_batch "$@" <<'END'
dog-walk          batch-64  python qmle_plus.py --env-id dm_control/dog-walk-v0 --num-seeds 3 --eval-frequency 100000 --batch-size 64
dog-run           batch-64  python qmle_plus.py --env-id dm_control/dog-run-v0 --num-seeds 3 --eval-frequency 100000 --batch-size 64
humanoid-stand    batch-64  python qmle_plus.py --env-id dm_control/humanoid-stand-v0 --num-seeds 3 --eval-frequency 100000 --batch-size 64
humanoid-walk     batch-64  python qmle_plus.py --env-id dm_control/humanoid-walk-v0 --num-seeds 3 --eval-frequency 100000 --batch-size 64
quadruped-run     batch-64  python qmle_plus.py --env-id dm_control/quadruped-run-v0 --num-seeds 3 --eval-frequency 100000 --batch-size 64
quadruped-walk    batch-64  python qmle_plus.py --env-id dm_control/quadruped-walk-v0 --num-seeds 3 --eval-frequency 100000 --batch-size 64
walker-run        batch-64  python qmle_plus.py --env-id dm_control/walker-run-v0 --num-seeds 3 --eval-frequency 100000 --batch-size 64
cheetah-run       batch-64  python qmle_plus.py --env-id dm_control/cheetah-run-v0 --num-seeds 3 --eval-frequency 100000 --batch-size 64
hopper-hop        batch-64  python qmle_plus.py --env-id dm_control/hopper-hop-v0 --num-seeds 3 --eval-frequency 100000 --batch-size 64
hopper-stand      batch-64  python qmle_plus.py --env-id dm_control/hopper-stand-v0 --num-seeds 3 --eval-frequency 100000 --batch-size 64
fish-swim         batch-64  python qmle_plus.py --env-id dm_control/fish-swim-v0 --num-seeds 3 --eval-frequency 100000 --batch-size 64
finger-spin       batch-64  python qmle_plus.py --env-id dm_control/finger-spin-v0 --num-seeds 3 --eval-frequency 100000 --batch-size 64
finger-turn_hard  batch-64  python qmle_plus.py --env-id dm_control/finger-turn_hard-v0 --num-seeds 3 --eval-frequency 100000 --batch-size 64
finger-turn_easy  batch-64  python qmle_plus.py --env-id dm_control/finger-turn_easy-v0 --num-seeds 3 --eval-frequency 100000 --batch-size 64
END
python benchmark/plot.py plus_batch "$@"
