#!/usr/bin/env bash
# qmle_plus.py with one-step TD targets after 200,000 steps, else as `qmle_plus` of plus.sh, on four of its tasks: returns of three
# actions without a correction carry the noise of the actions that were taken into Q. Seeds 1 to 3, 353,000 (humanoid-stand) to 394,000
# steps (finger-spin), when the time was over (manifest.json).
#   usage: benchmark/plus_late.sh [--smoke] [--workers N] ...    (see python benchmark/launch.py --help)
# Results: benchmark/results/plus_late/<task>/one-step/seed_K.csv, manifest.json, plus_late.png
set -euo pipefail
cd "$(dirname "$0")/.."
python benchmark/launch.py plus_late "$@" <<'END'
humanoid-stand    one-step  python qmle_plus.py --env-id dm_control/humanoid-stand-v0 --num-seeds 3 --eval-frequency 100000 --n-step-until 200000 --no-save-model
walker-run        one-step  python qmle_plus.py --env-id dm_control/walker-run-v0 --num-seeds 3 --eval-frequency 100000 --n-step-until 200000 --no-save-model
finger-spin       one-step  python qmle_plus.py --env-id dm_control/finger-spin-v0 --num-seeds 3 --eval-frequency 100000 --n-step-until 200000 --no-save-model
finger-turn_hard  one-step  python qmle_plus.py --env-id dm_control/finger-turn_hard-v0 --num-seeds 3 --eval-frequency 100000 --n-step-until 200000 --no-save-model
END
python benchmark/plot.py plus_late "$@"
