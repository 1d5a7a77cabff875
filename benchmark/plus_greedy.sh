#!/usr/bin/env bash
# qmle_plus.py exploring greedily with an epsilon, else as `qmle_plus` of plus.sh, on eight of its tasks: the best of 64 samples, an
# eighth of them uniform, and with chance 0.1 a uniform action. Seeds 1 to 3, to 434,000 (dog-walk) to 745,000 steps, when the time was over (manifest.json).
#   usage: benchmark/plus_greedy.sh [--smoke] [--workers N] ...    (see python benchmark/launch.py --help)
# Results: benchmark/results/plus_greedy/<task>/greedy/seed_K.csv, manifest.json, plus_greedy.png
set -euo pipefail
cd "$(dirname "$0")/.."
python - <<'PATCH'
import os
old = "        actions = sample_gaussian(mean, std.clamp(args.explore_std), args.num_explore_samples)\n"
new = """\
        actions = sample_actions(mean, std, args.num_greedy_samples, args)
        best = actions[0, q_values(q_network, obs, actions, args)[0].argmax()]
        random = torch.rand_like(best) * 2 - 1
        return torch.where(torch.rand((), device=best.device) < 0.1, random, best)
"""
os.makedirs("runs/methods", exist_ok=True)
text = open("qmle_plus.py").read()
assert text.count(old) == 1
open("runs/methods/qmle_plus_greedy.py", "w").write(text.replace(old, new))
PATCH
python benchmark/launch.py plus_greedy "$@" <<'END'
dog-walk          greedy  python runs/methods/qmle_plus_greedy.py --env-id dm_control/dog-walk-v0 --num-seeds 3 --eval-frequency 100000
humanoid-stand    greedy  python runs/methods/qmle_plus_greedy.py --env-id dm_control/humanoid-stand-v0 --num-seeds 3 --eval-frequency 100000
walker-run        greedy  python runs/methods/qmle_plus_greedy.py --env-id dm_control/walker-run-v0 --num-seeds 3 --eval-frequency 100000
cheetah-run       greedy  python runs/methods/qmle_plus_greedy.py --env-id dm_control/cheetah-run-v0 --num-seeds 3 --eval-frequency 100000
hopper-hop        greedy  python runs/methods/qmle_plus_greedy.py --env-id dm_control/hopper-hop-v0 --num-seeds 3 --eval-frequency 100000
fish-swim         greedy  python runs/methods/qmle_plus_greedy.py --env-id dm_control/fish-swim-v0 --num-seeds 3 --eval-frequency 100000
finger-spin       greedy  python runs/methods/qmle_plus_greedy.py --env-id dm_control/finger-spin-v0 --num-seeds 3 --eval-frequency 100000
finger-turn_hard  greedy  python runs/methods/qmle_plus_greedy.py --env-id dm_control/finger-turn_hard-v0 --num-seeds 3 --eval-frequency 100000
END
python benchmark/plot.py plus_greedy "$@"
