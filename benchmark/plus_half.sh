#!/usr/bin/env bash
# qmle_plus.py with blocks of half the inner width (2 times --width in place of 4), else as `qmle_plus` of plus.sh, on eight of its tasks:
# a step takes three to four tenths less time (dog-walk: one). Seeds 1 to 3, to 385,000 (dog-walk) to 767,000 steps (finger-spin), when the time was over (manifest.json).
#   usage: benchmark/plus_half.sh [--smoke] [--workers N] ...    (see python benchmark/launch.py --help)
# Results: benchmark/results/plus_half/<task>/half-blocks/seed_K.csv, manifest.json, plus_half.png
set -euo pipefail
cd "$(dirname "$0")/.."
python - <<'PATCH'
import os

old = "Linear(heads, width, 4 * width), nn.ReLU(), Linear(heads, 4 * width, width)"
text = open("qmle_plus.py").read()
assert text.count(old) == 1
os.makedirs("runs/methods", exist_ok=True)
open("runs/methods/qmle_plus_half.py", "w").write(text.replace(old, old.replace("4", "2")))
PATCH
python benchmark/launch.py plus_half "$@" <<'END'
humanoid-stand    half-blocks  python runs/methods/qmle_plus_half.py --env-id dm_control/humanoid-stand-v0 --num-seeds 3 --eval-frequency 100000 --no-save-model
dog-walk          half-blocks  python runs/methods/qmle_plus_half.py --env-id dm_control/dog-walk-v0 --num-seeds 3 --eval-frequency 100000 --no-save-model
fish-swim         half-blocks  python runs/methods/qmle_plus_half.py --env-id dm_control/fish-swim-v0 --num-seeds 3 --eval-frequency 100000 --no-save-model
finger-spin       half-blocks  python runs/methods/qmle_plus_half.py --env-id dm_control/finger-spin-v0 --num-seeds 3 --eval-frequency 100000 --no-save-model
finger-turn_hard  half-blocks  python runs/methods/qmle_plus_half.py --env-id dm_control/finger-turn_hard-v0 --num-seeds 3 --eval-frequency 100000 --no-save-model
hopper-hop        half-blocks  python runs/methods/qmle_plus_half.py --env-id dm_control/hopper-hop-v0 --num-seeds 3 --eval-frequency 100000 --no-save-model
walker-run        half-blocks  python runs/methods/qmle_plus_half.py --env-id dm_control/walker-run-v0 --num-seeds 3 --eval-frequency 100000 --no-save-model
cheetah-run       half-blocks  python runs/methods/qmle_plus_half.py --env-id dm_control/cheetah-run-v0 --num-seeds 3 --eval-frequency 100000 --no-save-model
END
python benchmark/plot.py plus_half "$@"
