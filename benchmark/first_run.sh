#!/usr/bin/env bash
# The first run: QMLE on walker-walk, three seeds of 200,000 steps, then the plot.
#
#   usage: benchmark/first_run.sh            one seed after the other
#          WORKERS=3 benchmark/first_run.sh  three at a time
#
# Results: benchmark/results/first_run/seed_K.csv (global_step,episodic_return,episodic_length,wall_time),
# seed_K_eval.csv, seed_K.json (flags, versions, commit, device), and walker-walk.png.
set -euo pipefail
cd "$(dirname "$0")/.."
results=benchmark/results/first_run
mkdir -p "$results"

run_seed() {
    python qmle_continuous.py --env-id dm_control/walker-walk-v0 --seed "$1" --total-timesteps "${STEPS:-200000}" \
        --eval-frequency 50000 --eval-episodes 5 >"$results/seed_$1.log" 2>&1
    run=$(ls -td runs/*walker-walk*__qmle_continuous__"$1"__* | head -n 1)
    cp "$run/episodes.csv" "$results/seed_$1.csv"
    cp "$run/eval.csv" "$results/seed_$1_eval.csv"
    cp "$run/config.json" "$results/seed_$1.json"
}
# Processes that each start a thread per core get in each other's way: share the cores out.
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-$(($(nproc) / ${WORKERS:-1} > 0 ? $(nproc) / ${WORKERS:-1} : 1))}
export -f run_seed
export results

printf '%s\n' 1 2 3 | xargs -P "${WORKERS:-1}" -I{} bash -c 'set -euo pipefail; run_seed {}'
python benchmark/plot.py first_run
