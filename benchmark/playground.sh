#!/usr/bin/env bash
# qmle_playground.py on seven tasks, seeds 1 to 3, the defaults for all; total steps are chosen by the targets:
# walker-walk 950, cheetah-run 850, humanoid-walk 900, each run within half an hour.
# Not run yet as it stands: results/playground has single runs of seed 1, most of them stopped (seed_1.json has command and note).
#   usage: benchmark/playground.sh [extra flags ...]
# Results: benchmark/results/playground/<task>/qmle_playground/seed_K.csv (training), seed_K_eval.csv, seed_K.json
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD
while read -r env_id task steps; do
  for seed in 1 2 3; do
    results=$root/benchmark/results/playground/$task/qmle_playground
    [ -e "$results/seed_$seed.json" ] && continue
    work=$(mktemp -d)
    (cd "$work" && python "$root/qmle_playground.py" --env-id "$env_id" --seed "$seed" --total-timesteps "$steps" \
      --eval-frequency $((steps / 5)) "$@" </dev/null)
    mkdir -p "$results"
    cp "$work"/runs/*/episodes.csv "$results/seed_$seed.csv"
    cp "$work"/runs/*/eval.csv "$results/seed_${seed}_eval.csv"
    cp "$work"/runs/*/config.json "$results/seed_$seed.json"
    rm -r "$work"
  done
done <<'END'
CheetahRun      cheetah-run       12000000
WalkerWalk      walker-walk        6000000
WalkerRun       walker-run        25000000
HumanoidWalk    humanoid-walk     30000000
FingerTurnHard  finger-turn_hard  25000000
FishSwim        fish-swim         25000000
HopperHop       hopper-hop        25000000
END
