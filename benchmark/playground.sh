#!/usr/bin/env bash
# qmle_playground.py on seven tasks, seeds 1 to 3, the defaults for all.
# results/playground has them (they are not made again; seed_K.json has commit and command). Beside them, not made by this script, are brax-sac
# (brax_sac.py) and, by an earlier version, --num-envs 1024 --updates-per-step 8 and --num-envs 4096 --updates-per-step 32.
#   usage: benchmark/playground.sh [extra flags, but not --num-envs ...]    on several GPUs: once for each, with CUDA_VISIBLE_DEVICES=K; they share the runs
# Results: benchmark/results/playground/<task>/envs-2048/seed_K.csv (training), seed_K_eval.csv, seed_K.json
# A run that was stopped is in runs/playground/<task>-K; delete that folder to make it again.
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD
mkdir -p runs/playground
for seed in 1 2 3; do
  while read -r env_id task steps; do
    results=$root/benchmark/results/playground/$task/envs-2048 work=$root/runs/playground/$task-$seed
    [ -e "$results/seed_$seed.json" ] && continue
    if ! mkdir "$work"; then echo "skipped: $task, seed $seed is made by another call, or was stopped" >&2; continue; fi
    (cd "$work" && python "$root/qmle_playground.py" --env-id "$env_id" --seed "$seed" --total-timesteps "$steps" \
      --eval-frequency $((steps / 2)) "$@" < /dev/null)
    mkdir -p "$results"
    cp "$work"/runs/*/episodes.csv "$results/seed_$seed.csv"
    cp "$work"/runs/*/eval.csv "$results/seed_${seed}_eval.csv"
    cp "$work"/runs/*/config.json "$results/seed_$seed.json"
  done <<'END'
CheetahRun      cheetah-run       10000000
WalkerWalk      walker-walk        4000000
WalkerRun       walker-run        15000000
HumanoidWalk    humanoid-walk     24000000
FingerTurnHard  finger-turn_hard  15000000
FishSwim        fish-swim         15000000
HopperHop       hopper-hop        15000000
END
done
python benchmark/plot.py playground
