#!/usr/bin/env bash
# How qmle_plus.py explores, and what chose its defaults: 3 seeds (1 to 3) of each, as far as time went (manifest.json).
# Leads: which variant ran on which task and for how long was decided while they ran, so no verdict is drawn from a table of means.
#   base          an action each step, smallest s.d. 0.05, the best of 4 samples, width 256
#   repeat        the same, an action lasts two steps
#   narrow        repeat with half the width
#   one-step      narrow without n-step returns
#   std-0.2       narrow with a smallest s.d. of 0.2; std-0.2-wide: at full width
#   std-0.3       narrow with a smallest s.d. of 0.3
#   explore-2     std-0.3, acting on the best of 2 samples
#   wide-search   the same again: the defaults, but for a smallest s.d. of 0.3 in every search (the defaults: in exploration alone)
#
#   usage: benchmark/plus_exploration.sh [--smoke] [--workers N] ...    (see python benchmark/launch.py --help)
# Results: benchmark/results/plus_exploration/<task>/<variant>/seed_K.csv, manifest.json, plus_exploration.png
set -euo pipefail
cd "$(dirname "$0")/.."
python benchmark/launch.py plus_exploration "$@" <<'END'
cheetah-run     base          python qmle_plus.py --env-id dm_control/cheetah-run-v0 --num-seeds 3 --total-timesteps 300000 --buffer-size 300000 --action-repeat 1 --min-std 0.05 --explore-std 0 --num-explore-samples 4 --eval-frequency 50000 --eval-episodes 5 --width 256
fish-swim       base          python qmle_plus.py --env-id dm_control/fish-swim-v0 --num-seeds 3 --total-timesteps 300000 --buffer-size 300000 --action-repeat 1 --min-std 0.05 --explore-std 0 --num-explore-samples 4 --eval-frequency 50000 --eval-episodes 5 --width 256
hopper-hop      base          python qmle_plus.py --env-id dm_control/hopper-hop-v0 --num-seeds 3 --total-timesteps 300000 --buffer-size 300000 --action-repeat 1 --min-std 0.05 --explore-std 0 --num-explore-samples 4 --eval-frequency 50000 --eval-episodes 5 --width 256
humanoid-stand  base          python qmle_plus.py --env-id dm_control/humanoid-stand-v0 --num-seeds 3 --total-timesteps 300000 --buffer-size 300000 --action-repeat 1 --min-std 0.05 --explore-std 0 --num-explore-samples 4 --eval-frequency 50000 --eval-episodes 5 --width 256
dog-walk        base          python qmle_plus.py --env-id dm_control/dog-walk-v0 --num-seeds 3 --total-timesteps 300000 --buffer-size 300000 --action-repeat 1 --min-std 0.05 --explore-std 0 --num-explore-samples 4 --eval-frequency 50000 --eval-episodes 5 --width 256
cheetah-run     repeat        python qmle_plus.py --env-id dm_control/cheetah-run-v0 --num-seeds 3 --action-repeat 2 --total-timesteps 1000000 --buffer-size 500000 --min-std 0.05 --explore-std 0 --num-explore-samples 4 --eval-frequency 50000 --eval-episodes 5 --width 256
fish-swim       repeat        python qmle_plus.py --env-id dm_control/fish-swim-v0 --num-seeds 3 --action-repeat 2 --total-timesteps 1000000 --buffer-size 500000 --min-std 0.05 --explore-std 0 --num-explore-samples 4 --eval-frequency 50000 --eval-episodes 5 --width 256
hopper-hop      repeat        python qmle_plus.py --env-id dm_control/hopper-hop-v0 --num-seeds 3 --action-repeat 2 --total-timesteps 1000000 --buffer-size 500000 --min-std 0.05 --explore-std 0 --num-explore-samples 4 --eval-frequency 50000 --eval-episodes 5 --width 256
humanoid-stand  repeat        python qmle_plus.py --env-id dm_control/humanoid-stand-v0 --num-seeds 3 --action-repeat 2 --total-timesteps 1000000 --buffer-size 500000 --min-std 0.05 --explore-std 0 --num-explore-samples 4 --eval-frequency 50000 --eval-episodes 5 --width 256
dog-walk        repeat        python qmle_plus.py --env-id dm_control/dog-walk-v0 --num-seeds 3 --action-repeat 2 --total-timesteps 1000000 --buffer-size 500000 --min-std 0.05 --explore-std 0 --num-explore-samples 4 --eval-frequency 50000 --eval-episodes 5 --width 256
cheetah-run     narrow        python qmle_plus.py --env-id dm_control/cheetah-run-v0 --num-seeds 3 --action-repeat 2 --total-timesteps 1000000 --buffer-size 500000 --width 128 --min-std 0.05 --explore-std 0 --num-explore-samples 4 --eval-frequency 50000 --eval-episodes 5
fish-swim       narrow        python qmle_plus.py --env-id dm_control/fish-swim-v0 --num-seeds 3 --action-repeat 2 --total-timesteps 1000000 --buffer-size 500000 --width 128 --min-std 0.05 --explore-std 0 --num-explore-samples 4 --eval-frequency 50000 --eval-episodes 5
hopper-hop      narrow        python qmle_plus.py --env-id dm_control/hopper-hop-v0 --num-seeds 3 --action-repeat 2 --total-timesteps 1000000 --buffer-size 500000 --width 128 --min-std 0.05 --explore-std 0 --num-explore-samples 4 --eval-frequency 50000 --eval-episodes 5
humanoid-stand  narrow        python qmle_plus.py --env-id dm_control/humanoid-stand-v0 --num-seeds 3 --action-repeat 2 --total-timesteps 1000000 --buffer-size 500000 --width 128 --min-std 0.05 --explore-std 0 --num-explore-samples 4 --eval-frequency 50000 --eval-episodes 5
dog-walk        narrow        python qmle_plus.py --env-id dm_control/dog-walk-v0 --num-seeds 3 --action-repeat 2 --total-timesteps 1000000 --buffer-size 500000 --width 128 --min-std 0.05 --explore-std 0 --num-explore-samples 4 --eval-frequency 50000 --eval-episodes 5
walker-run      narrow        python qmle_plus.py --env-id dm_control/walker-run-v0 --num-seeds 3 --action-repeat 2 --total-timesteps 1000000 --buffer-size 500000 --width 128 --min-std 0.05 --explore-std 0 --num-explore-samples 4 --eval-frequency 50000 --eval-episodes 5
quadruped-walk  narrow        python qmle_plus.py --env-id dm_control/quadruped-walk-v0 --num-seeds 3 --action-repeat 2 --total-timesteps 1000000 --buffer-size 500000 --width 128 --min-std 0.05 --explore-std 0 --num-explore-samples 4 --eval-frequency 50000 --eval-episodes 5
fish-swim       one-step      python qmle_plus.py --env-id dm_control/fish-swim-v0 --num-seeds 3 --action-repeat 2 --total-timesteps 1000000 --buffer-size 500000 --width 128 --min-std 0.05 --explore-std 0 --num-explore-samples 4 --n-step 1 --eval-frequency 50000 --eval-episodes 5
fish-swim       std-0.2       python qmle_plus.py --env-id dm_control/fish-swim-v0 --num-seeds 3 --action-repeat 2 --total-timesteps 1000000 --buffer-size 500000 --width 128 --min-std 0.2 --explore-std 0 --num-explore-samples 4 --eval-frequency 50000 --eval-episodes 5
humanoid-stand  std-0.2       python qmle_plus.py --env-id dm_control/humanoid-stand-v0 --num-seeds 3 --action-repeat 2 --total-timesteps 1000000 --buffer-size 500000 --width 128 --min-std 0.2 --explore-std 0 --num-explore-samples 4 --eval-frequency 50000 --eval-episodes 5
dog-walk        std-0.2       python qmle_plus.py --env-id dm_control/dog-walk-v0 --num-seeds 3 --action-repeat 2 --total-timesteps 1000000 --buffer-size 500000 --width 128 --min-std 0.2 --explore-std 0 --num-explore-samples 4 --eval-frequency 50000 --eval-episodes 5
hopper-hop      std-0.2       python qmle_plus.py --env-id dm_control/hopper-hop-v0 --num-seeds 3 --action-repeat 2 --total-timesteps 1000000 --buffer-size 500000 --width 128 --min-std 0.2 --explore-std 0 --num-explore-samples 4 --eval-frequency 50000 --eval-episodes 5
cheetah-run     std-0.2       python qmle_plus.py --env-id dm_control/cheetah-run-v0 --num-seeds 3 --action-repeat 2 --total-timesteps 1000000 --buffer-size 500000 --width 128 --min-std 0.2 --explore-std 0 --num-explore-samples 4 --eval-frequency 50000 --eval-episodes 5
walker-run      std-0.2       python qmle_plus.py --env-id dm_control/walker-run-v0 --num-seeds 3 --action-repeat 2 --total-timesteps 1000000 --buffer-size 500000 --width 128 --min-std 0.2 --explore-std 0 --num-explore-samples 4 --eval-frequency 50000 --eval-episodes 5
quadruped-walk  std-0.2       python qmle_plus.py --env-id dm_control/quadruped-walk-v0 --num-seeds 3 --action-repeat 2 --total-timesteps 1000000 --buffer-size 500000 --width 128 --min-std 0.2 --explore-std 0 --num-explore-samples 4 --eval-frequency 50000 --eval-episodes 5
humanoid-stand  std-0.2-wide  python qmle_plus.py --env-id dm_control/humanoid-stand-v0 --num-seeds 3 --action-repeat 2 --total-timesteps 1000000 --buffer-size 500000 --min-std 0.2 --explore-std 0 --num-explore-samples 4 --eval-frequency 50000 --eval-episodes 5 --width 256
hopper-hop      std-0.3       python qmle_plus.py --env-id dm_control/hopper-hop-v0 --num-seeds 3 --action-repeat 2 --total-timesteps 1000000 --buffer-size 500000 --width 128 --min-std 0.3 --num-explore-samples 4 --eval-frequency 50000 --eval-episodes 5
cheetah-run     std-0.3       python qmle_plus.py --env-id dm_control/cheetah-run-v0 --num-seeds 3 --action-repeat 2 --total-timesteps 1000000 --buffer-size 500000 --width 128 --min-std 0.3 --num-explore-samples 4 --eval-frequency 50000 --eval-episodes 5
fish-swim       std-0.3       python qmle_plus.py --env-id dm_control/fish-swim-v0 --num-seeds 3 --action-repeat 2 --total-timesteps 1000000 --buffer-size 500000 --width 128 --min-std 0.3 --num-explore-samples 4 --eval-frequency 50000 --eval-episodes 5
humanoid-stand  explore-2     python qmle_plus.py --env-id dm_control/humanoid-stand-v0 --num-seeds 3 --action-repeat 2 --total-timesteps 1000000 --buffer-size 500000 --width 128 --min-std 0.3 --eval-frequency 50000 --eval-episodes 5
finger-turn_hard wide-search   python qmle_plus.py --env-id dm_control/finger-turn_hard-v0 --num-seeds 3 --min-std 0.3 --eval-frequency 100000 --save-model
hopper-hop      wide-search   python qmle_plus.py --env-id dm_control/hopper-hop-v0 --num-seeds 3 --min-std 0.3 --eval-frequency 100000 --save-model
fish-swim       wide-search   python qmle_plus.py --env-id dm_control/fish-swim-v0 --num-seeds 3 --min-std 0.3 --eval-frequency 100000 --save-model
cheetah-run     wide-search   python qmle_plus.py --env-id dm_control/cheetah-run-v0 --num-seeds 3 --min-std 0.3 --eval-frequency 100000 --save-model
walker-run      wide-search   python qmle_plus.py --env-id dm_control/walker-run-v0 --num-seeds 3 --min-std 0.3 --eval-frequency 100000 --save-model
quadruped-walk  wide-search   python qmle_plus.py --env-id dm_control/quadruped-walk-v0 --num-seeds 3 --min-std 0.3 --eval-frequency 100000 --save-model
humanoid-stand  wide-search   python qmle_plus.py --env-id dm_control/humanoid-stand-v0 --num-seeds 3 --min-std 0.3 --eval-frequency 100000 --save-model
dog-walk        wide-search   python qmle_plus.py --env-id dm_control/dog-walk-v0 --num-seeds 3 --min-std 0.3 --eval-frequency 100000 --save-model
END
python benchmark/plot.py plus_exploration "$@"
