#!/usr/bin/env bash
# How near to the best action the search of qmle_plus.py comes where Q is known, without TD errors: a contextual bandit, whose predictor
# (--width 128) learns from 4,000 batches of 256 states.
#   smooth   Q = -|a - tanh t(s)|^2, whose best action is inside
#   corners  Q = a . t(s), whose best action is a corner of the box; t is a random network of 16 state variables
# A gap is how much Q is below its maximum, over the gap of uniform actions: greedy of the action that evaluations take, target of the
# value in a TD target, explore of the action in training; means over 512 new states.
#   usage: benchmark/plus_search.sh [DIMENSIONS [UPDATES]]    (6 and 38, 4000: half an hour on a CPU core)
# Results: benchmark/results/plus_search_<dimensions>.csv, of other UPDATES runs/plus_search_<dimensions>.csv
set -euo pipefail
cd "$(dirname "$0")/.."
sed -n "/^python - <<'PATCH'/,/^PATCH/p" benchmark/plus_bound.sh | bash  # makes runs/methods/qmle_plus_bound_*.py
for dims in ${1:-6 38}; do
OMP_NUM_THREADS=1 python - "$dims" "${2:-4000}" > runs/plus_search.csv <<'END'
import importlib
import sys

import torch
from torch import nn

sys.path.append("runs/methods")

num_dims, num_updates = map(int, sys.argv[1:])
SEARCHES = {  # label -> values of flags
    "": {},
    "bound 1.2": {},
    "bound 1.5": {},
    "bound 2": {},
    "--min-std 0.05": dict(min_std=0.05),
    "--min-std 0.05 bound 1.5": dict(min_std=0.05),
    "--num-elites 1": dict(num_elites=1),
    "--num-target-samples 8 --num-elites 2": dict(num_target_samples=8, num_elites=2),
    "--num-target-samples 64 --num-elites 16": dict(num_target_samples=64, num_elites=16),
    "--num-target-samples 64": dict(num_target_samples=64),
    "--num-target-samples 256": dict(num_target_samples=256),
}


def gaps(script, q, predictor, args, states, best, random):
    mean, std = predictor(states)
    few = script.sample_gaussian(mean, std, args.num_explore_samples)
    greedy = script.sample_actions(mean, std, args.num_greedy_samples, args)
    target = script.sample_actions(mean, std, args.num_target_samples, args)[:, 1 : 1 + args.num_value_samples]
    return [((best - q(states, a).amax(1)).mean() / (best - random).mean()).item() for a in (greedy, target, few)]


print("dimensions,q,flags,updates,greedy,target,explore")
for kind in ("smooth", "corners"):
    torch.manual_seed(0)
    teacher = nn.Sequential(nn.Linear(16, 128), nn.Tanh(), nn.Linear(128, num_dims)).requires_grad_(False)
    scale = 1 / teacher(torch.randn(4096, 16)).std()
    t = lambda s: scale * teacher(s).unsqueeze(1)  # (B, 1, A), of s.d. 1
    if kind == "smooth":
        q = lambda s, a: -((a.clamp(-1, 1) - t(s).tanh()) ** 2).mean(-1)
        top = lambda s: t(s).tanh()
    else:
        q = lambda s, a: (a.clamp(-1, 1) * t(s)).mean(-1)
        top = lambda s: t(s).sign()
    states = torch.randn(512, 16)
    best, random = q(states, top(states))[:, 0], q(states, torch.rand(512, 256, num_dims) * 2 - 1).mean(1)
    for flags, values in SEARCHES.items():
        _, _, bound = flags.partition("bound ")
        script = importlib.import_module(f"qmle_plus_bound_{bound.replace('.', '_')}" if bound else "qmle_plus")
        torch.manual_seed(1)
        args = script.Args(**values)
        args.width = 128
        predictor = script.ArgmaxPredictor(args, 16, num_dims)
        learnt = [p for p in predictor.parameters() if p.requires_grad]
        optimizer = torch.optim.AdamW(learnt, lr=args.learning_rate, weight_decay=args.weight_decay)
        for update in range(1, num_updates + 1):
            s = torch.randn(args.batch_size, 16)
            with torch.no_grad():
                actions = script.sample_actions(*predictor(s), args.num_target_samples, args)
                index = q(s, actions).topk(args.num_elites)[1].unsqueeze(-1)
                elites = torch.take_along_dim(actions, index, dim=1)
            loss = script.argmax_predictor_loss(*predictor(s), elites)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            if update in (num_updates // 10, num_updates):
                with torch.no_grad():
                    now = gaps(script, q, predictor, args, states, best, random)
                print(num_dims, kind, flags, update, *(f"{x:.3f}" for x in now), sep=",", flush=True)
END
[ "${2:-4000}" = 4000 ] && folder=benchmark/results || folder=runs
mv runs/plus_search.csv "$folder/plus_search_$dims.csv"  # when it is whole
done
