#!/usr/bin/env bash
# First runs of the two scripts for discrete actions: CartPole-v1 (three seeds) and finger-spin (one seed), then the plot.
#
#   usage: benchmark/first_discrete.sh            one run after the other
#          WORKERS=2 benchmark/first_discrete.sh  two at a time
#
# Results: benchmark/results/first_discrete/<task>/<script>/seed_K.csv, seed_K_eval.csv, seed_K.json, and a plot.
set -euo pipefail
cd "$(dirname "$0")/.."

run_seed() { # task script seed flags
    results=benchmark/results/first_discrete/$1/$2
    mkdir -p "$results"
    # shellcheck disable=SC2086
    python "$2.py" --seed "$3" $4 >"$results/seed_$3.log" 2>&1
    run=$(ls -td runs/*"$1"*__"$2"__"$3"__* | head -n 1)
    cp "$run/episodes.csv" "$results/seed_$3.csv"
    cp "$run/eval.csv" "$results/seed_$3_eval.csv"
    cp "$run/config.json" "$results/seed_$3.json"
}
# Processes that each start a thread per core get in each other's way: share the cores out.
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-$(($(nproc) / ${WORKERS:-1} > 0 ? $(nproc) / ${WORKERS:-1} : 1))}
export -f run_seed

finger="--env-id dm_control/finger-spin-v0 --total-timesteps 100000 --eval-frequency 50000 --eval-episodes 5"
# A short task that needs more updates than the defaults make, and fresher targets; uniform replay.
cartpole="--env-id CartPole-v1 --total-timesteps 25000 --eval-frequency 5000 --eval-episodes 100 --learning-rate 1e-3"
cartpole="$cartpole --batch-size 64 --train-frequency 2 --target-network-frequency 20 --priority-exponent 0"
{
    for script in qmle_discrete dqn_discretized; do printf 'finger-spin\t%s\t1\t%s\n' "$script" "$finger"; done
    for seed in 1 2 3; do
        for script in qmle_discrete dqn_discretized; do printf 'CartPole-v1\t%s\t%s\t%s\n' "$script" "$seed" "$cartpole"; done
    done
} | xargs -P "${WORKERS:-1}" -d '\n' -I{} bash -c 'set -euo pipefail; IFS=$'"'\\t'"' read -r task script seed flags <<<"{}"; run_seed "$task" "$script" "$seed" "$flags"'
python benchmark/plot.py first_discrete
