#!/usr/bin/env bash
# qmle_plus.py with a Gaussian that may pass the bounds of actions, else as `qmle_plus` of plus.sh, on eight of its tasks: its mean and
# samples reach 1.2 or 1.5, and Q and the environment get them clipped. Seeds 1 to 3, 342,000 (dog-walk) to 544,000 steps (hopper-hop),
# when the time was over (manifest.json). plus_search.sh uses a bound of 2 as well.
#   usage: benchmark/plus_bound.sh [--smoke] [--workers N] ...    (see python benchmark/launch.py --help)
# Results: benchmark/results/plus_bound/<task>/<variant>/seed_K.csv, manifest.json, plus_bound.png
set -euo pipefail
cd "$(dirname "$0")/.."
python - <<'PATCH'
import os

os.makedirs("runs/methods", exist_ok=True)
for bound in ("1.2", "1.5", "2"):
    text = open("qmle_plus.py").read()
    for old, new in {
        "return mean.tanh()": f"return {bound} * mean.tanh()",
        "std.unsqueeze(1)).clamp(-1, 1)": f"std.unsqueeze(1)).clamp(-{bound}, {bound})",
        "q_network(obs, actions), args)": "q_network(obs, actions.clamp(-1, 1)), args)",
        "[0].argmax()]": "[0].argmax()].clamp(-1, 1)",
    }.items():
        assert text.count(old) == 1
        text = text.replace(old, new)
    open(f"runs/methods/qmle_plus_bound_{bound.replace('.', '_')}.py", "w").write(text)
PATCH
python benchmark/launch.py plus_bound "$@" <<'END'
dog-walk          bound-1.2  python runs/methods/qmle_plus_bound_1_2.py --env-id dm_control/dog-walk-v0 --num-seeds 3 --eval-frequency 100000 --no-save-model
dog-walk          bound-1.5  python runs/methods/qmle_plus_bound_1_5.py --env-id dm_control/dog-walk-v0 --num-seeds 3 --eval-frequency 100000 --no-save-model
humanoid-stand    bound-1.2  python runs/methods/qmle_plus_bound_1_2.py --env-id dm_control/humanoid-stand-v0 --num-seeds 3 --eval-frequency 100000 --no-save-model
humanoid-stand    bound-1.5  python runs/methods/qmle_plus_bound_1_5.py --env-id dm_control/humanoid-stand-v0 --num-seeds 3 --eval-frequency 100000 --no-save-model
walker-run        bound-1.2  python runs/methods/qmle_plus_bound_1_2.py --env-id dm_control/walker-run-v0 --num-seeds 3 --eval-frequency 100000 --no-save-model
walker-run        bound-1.5  python runs/methods/qmle_plus_bound_1_5.py --env-id dm_control/walker-run-v0 --num-seeds 3 --eval-frequency 100000 --no-save-model
cheetah-run       bound-1.2  python runs/methods/qmle_plus_bound_1_2.py --env-id dm_control/cheetah-run-v0 --num-seeds 3 --eval-frequency 100000 --no-save-model
cheetah-run       bound-1.5  python runs/methods/qmle_plus_bound_1_5.py --env-id dm_control/cheetah-run-v0 --num-seeds 3 --eval-frequency 100000 --no-save-model
hopper-hop        bound-1.2  python runs/methods/qmle_plus_bound_1_2.py --env-id dm_control/hopper-hop-v0 --num-seeds 3 --eval-frequency 100000 --no-save-model
hopper-hop        bound-1.5  python runs/methods/qmle_plus_bound_1_5.py --env-id dm_control/hopper-hop-v0 --num-seeds 3 --eval-frequency 100000 --no-save-model
fish-swim         bound-1.2  python runs/methods/qmle_plus_bound_1_2.py --env-id dm_control/fish-swim-v0 --num-seeds 3 --eval-frequency 100000 --no-save-model
fish-swim         bound-1.5  python runs/methods/qmle_plus_bound_1_5.py --env-id dm_control/fish-swim-v0 --num-seeds 3 --eval-frequency 100000 --no-save-model
finger-spin       bound-1.2  python runs/methods/qmle_plus_bound_1_2.py --env-id dm_control/finger-spin-v0 --num-seeds 3 --eval-frequency 100000 --no-save-model
finger-spin       bound-1.5  python runs/methods/qmle_plus_bound_1_5.py --env-id dm_control/finger-spin-v0 --num-seeds 3 --eval-frequency 100000 --no-save-model
finger-turn_hard  bound-1.2  python runs/methods/qmle_plus_bound_1_2.py --env-id dm_control/finger-turn_hard-v0 --num-seeds 3 --eval-frequency 100000 --no-save-model
finger-turn_hard  bound-1.5  python runs/methods/qmle_plus_bound_1_5.py --env-id dm_control/finger-turn_hard-v0 --num-seeds 3 --eval-frequency 100000 --no-save-model
END
python benchmark/plot.py plus_bound "$@"
