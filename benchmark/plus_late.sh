#!/usr/bin/env bash
# qmle_plus.py with one-step TD targets after 200,000 steps, else as `qmle_plus` of plus.sh, on four of its tasks: returns of three
# actions without a correction carry the noise of the actions that were taken into Q. Seeds 1 to 3, 353,000 (humanoid-stand) to 394,000
# steps (finger-spin), when the time was over (manifest.json).
#   usage: benchmark/plus_late.sh [--smoke] [--workers N] ...    (see python benchmark/launch.py --help)
# Results: benchmark/results/plus_late/<task>/one-step/seed_K.csv, manifest.json, plus_late.png
set -euo pipefail
cd "$(dirname "$0")/.."
python - <<'PATCH'
import os

text = open("qmle_plus.py").read()
for old, new in {
    "        self.newest = ": "        self.horizon = nn.Buffer(torch.full((), args.n_step, device=device))\n        self.newest = ",
    "(steps == self.args.n_step - 1)": "(steps == self.horizon - 1)",
    "        learns = ": "        if is_due(200_000):\n            memory.horizon.fill_(1)\n        learns = ",
}.items():
    assert text.count(old) == 1
    text = text.replace(old, new)
os.makedirs("runs/methods", exist_ok=True)
open("runs/methods/qmle_plus_late.py", "w").write(text)
PATCH
python benchmark/launch.py plus_late "$@" <<'END'
humanoid-stand    one-step  python runs/methods/qmle_plus_late.py --env-id dm_control/humanoid-stand-v0 --num-seeds 3 --eval-frequency 100000 --no-save-model
walker-run        one-step  python runs/methods/qmle_plus_late.py --env-id dm_control/walker-run-v0 --num-seeds 3 --eval-frequency 100000 --no-save-model
finger-spin       one-step  python runs/methods/qmle_plus_late.py --env-id dm_control/finger-spin-v0 --num-seeds 3 --eval-frequency 100000 --no-save-model
finger-turn_hard  one-step  python runs/methods/qmle_plus_late.py --env-id dm_control/finger-turn_hard-v0 --num-seeds 3 --eval-frequency 100000 --no-save-model
END
python benchmark/plot.py plus_late "$@"
