#!/usr/bin/env bash
# The ingredients of qmle_plus.py: each taken away or changed alone, against the defaults of then (base: atoms, width 128).
#
# Fixed and committed before the first run of this table (benchmark/results/plus_leads.csv and plus_exploration came before):
#   tasks      cheetah-run, fish-swim, hopper-hop, humanoid-stand, dog-walk
#   runs       3 seeds (1 to 3) of each task and variant, 300,000 steps each
#   variants   base            the defaults of then
#              one-step        --n-step 1: no n-step returns
#              half            --train-frequency 2: half the updates
#              many            --num-target-samples 64 --num-elites 16: four times the samples
#              one-elite       --num-elites 1: the predictor learns the best sample alone
#              best-of-all     --num-value-samples 15: TD targets from the best of all samples but the mean
#              greedy          --num-explore-samples 64: acts on the best of 64 samples
#              smaller         --pessimism 1: the smaller one of two Q networks
#              one-head        --num-heads 1: no second Q network
#              squared         --num-atoms 0: squared error in place of atoms and cross-entropy
#              fixed-scale     --max-value 200: no running scale of rewards
#              uniform-replay  --priority-exponent 0: no priorities
#              no-decay        --weight-decay 0: no weight decay
#              wide            --width 256: twice the width
#              repeat-1        --action-repeat 1: an action each step
#              wide-search     --min-std 0.3: a Gaussian that stays wide in every search
#              sharp           --explore-std 0: one that may shrink in exploration too
#              hard-target     --target-update-rate 1: no running average of weights
#   scores     of a seed: area, the mean of its greedy returns after 50,000, 100,000, ..., 300,000 steps (training returns would
#              reward acting with less noise), divided by MR.Q's return at 300,000 steps of that task (between its published
#              200,000 and 500,000: cheetah-run 862, fish-swim 467, hopper-hop 108, humanoid-stand 279, dog-walk 419)
#   criterion  the mean over the five tasks minus that of base, with Welch's t interval over seeds at 95%. Above 0 a variant becomes
#              the default; where no difference is found the cheaper one does.
#
# Second round, with squared as the base (chosen, not committed, before its runs; the same scores and criterion up to 250,000 steps, with
# walker-run, finger-spin and finger-turn_hard beside the five tasks; MR.Q's returns at 300,000: 703, 846, 726):
#              squared-wide    --min-std 0.3
#              squared-0.15    --min-std 0.15
#              squared-mean    --pessimism 0: the mean of two Q networks
#              squared-512     --width 512
#
#   usage: benchmark/plus_ingredients.sh [--smoke] [--workers N] ...    (see python benchmark/launch.py --help)
# Results: benchmark/results/plus_ingredients/<task>/<variant>/seed_K.csv, manifest.json; python benchmark/tables.py plus_ingredients or plus_second.
# extra.csv has greedy returns outside these tables: runs cut off before 300,000 steps, seeds 4 to 6 of base and squared on two tasks, and
# an s.d. of exploration drawn anew each episode (0 to 0.4) on humanoid-stand, and with working_copy.patch, --num-atoms 0 and flags of
# the second round's tasks and lengths: squared-epsilon --epsilon 0.03, squared-repeats --hold 0.02, squared-half-wide --search-std 0.3,
# squared-half-wide-repeats both of the latter, squared-wide-epsilon --min-std 0.3 --epsilon 0.03.
set -euo pipefail
cd "$(dirname "$0")/.."
python benchmark/launch.py plus_ingredients "$@" <<'END'
cheetah-run     base            python qmle_plus.py --env-id dm_control/cheetah-run-v0 --num-seeds 3 --total-timesteps 300000 --buffer-size 300000 --num-atoms 101 --min-std 0.05 --explore-std 0.3 --width 128 --eval-frequency 50000
fish-swim       base            python qmle_plus.py --env-id dm_control/fish-swim-v0 --num-seeds 3 --total-timesteps 300000 --buffer-size 300000 --num-atoms 101 --min-std 0.05 --explore-std 0.3 --width 128 --eval-frequency 50000
hopper-hop      base            python qmle_plus.py --env-id dm_control/hopper-hop-v0 --num-seeds 3 --total-timesteps 300000 --buffer-size 300000 --num-atoms 101 --min-std 0.05 --explore-std 0.3 --width 128 --eval-frequency 50000
humanoid-stand  base            python qmle_plus.py --env-id dm_control/humanoid-stand-v0 --num-seeds 3 --total-timesteps 300000 --buffer-size 300000 --num-atoms 101 --min-std 0.05 --explore-std 0.3 --width 128 --eval-frequency 50000
dog-walk        base            python qmle_plus.py --env-id dm_control/dog-walk-v0 --num-seeds 3 --total-timesteps 300000 --buffer-size 300000 --num-atoms 101 --min-std 0.05 --explore-std 0.3 --width 128 --eval-frequency 50000
cheetah-run     one-step        python qmle_plus.py --env-id dm_control/cheetah-run-v0 --num-seeds 3 --total-timesteps 300000 --buffer-size 300000 --num-atoms 101 --min-std 0.05 --explore-std 0.3 --width 128 --eval-frequency 50000 --n-step 1
fish-swim       one-step        python qmle_plus.py --env-id dm_control/fish-swim-v0 --num-seeds 3 --total-timesteps 300000 --buffer-size 300000 --num-atoms 101 --min-std 0.05 --explore-std 0.3 --width 128 --eval-frequency 50000 --n-step 1
hopper-hop      one-step        python qmle_plus.py --env-id dm_control/hopper-hop-v0 --num-seeds 3 --total-timesteps 300000 --buffer-size 300000 --num-atoms 101 --min-std 0.05 --explore-std 0.3 --width 128 --eval-frequency 50000 --n-step 1
humanoid-stand  one-step        python qmle_plus.py --env-id dm_control/humanoid-stand-v0 --num-seeds 3 --total-timesteps 300000 --buffer-size 300000 --num-atoms 101 --min-std 0.05 --explore-std 0.3 --width 128 --eval-frequency 50000 --n-step 1
dog-walk        one-step        python qmle_plus.py --env-id dm_control/dog-walk-v0 --num-seeds 3 --total-timesteps 300000 --buffer-size 300000 --num-atoms 101 --min-std 0.05 --explore-std 0.3 --width 128 --eval-frequency 50000 --n-step 1
cheetah-run     half            python qmle_plus.py --env-id dm_control/cheetah-run-v0 --num-seeds 3 --total-timesteps 300000 --buffer-size 300000 --num-atoms 101 --min-std 0.05 --explore-std 0.3 --width 128 --eval-frequency 50000 --train-frequency 2
fish-swim       half            python qmle_plus.py --env-id dm_control/fish-swim-v0 --num-seeds 3 --total-timesteps 300000 --buffer-size 300000 --num-atoms 101 --min-std 0.05 --explore-std 0.3 --width 128 --eval-frequency 50000 --train-frequency 2
hopper-hop      half            python qmle_plus.py --env-id dm_control/hopper-hop-v0 --num-seeds 3 --total-timesteps 300000 --buffer-size 300000 --num-atoms 101 --min-std 0.05 --explore-std 0.3 --width 128 --eval-frequency 50000 --train-frequency 2
humanoid-stand  half            python qmle_plus.py --env-id dm_control/humanoid-stand-v0 --num-seeds 3 --total-timesteps 300000 --buffer-size 300000 --num-atoms 101 --min-std 0.05 --explore-std 0.3 --width 128 --eval-frequency 50000 --train-frequency 2
dog-walk        half            python qmle_plus.py --env-id dm_control/dog-walk-v0 --num-seeds 3 --total-timesteps 300000 --buffer-size 300000 --num-atoms 101 --min-std 0.05 --explore-std 0.3 --width 128 --eval-frequency 50000 --train-frequency 2
cheetah-run     many            python qmle_plus.py --env-id dm_control/cheetah-run-v0 --num-seeds 3 --total-timesteps 300000 --buffer-size 300000 --num-atoms 101 --min-std 0.05 --explore-std 0.3 --width 128 --eval-frequency 50000 --num-target-samples 64 --num-elites 16
fish-swim       many            python qmle_plus.py --env-id dm_control/fish-swim-v0 --num-seeds 3 --total-timesteps 300000 --buffer-size 300000 --num-atoms 101 --min-std 0.05 --explore-std 0.3 --width 128 --eval-frequency 50000 --num-target-samples 64 --num-elites 16
hopper-hop      many            python qmle_plus.py --env-id dm_control/hopper-hop-v0 --num-seeds 3 --total-timesteps 300000 --buffer-size 300000 --num-atoms 101 --min-std 0.05 --explore-std 0.3 --width 128 --eval-frequency 50000 --num-target-samples 64 --num-elites 16
humanoid-stand  many            python qmle_plus.py --env-id dm_control/humanoid-stand-v0 --num-seeds 3 --total-timesteps 300000 --buffer-size 300000 --num-atoms 101 --min-std 0.05 --explore-std 0.3 --width 128 --eval-frequency 50000 --num-target-samples 64 --num-elites 16
dog-walk        many            python qmle_plus.py --env-id dm_control/dog-walk-v0 --num-seeds 3 --total-timesteps 300000 --buffer-size 300000 --num-atoms 101 --min-std 0.05 --explore-std 0.3 --width 128 --eval-frequency 50000 --num-target-samples 64 --num-elites 16
cheetah-run     one-elite       python qmle_plus.py --env-id dm_control/cheetah-run-v0 --num-seeds 3 --total-timesteps 300000 --buffer-size 300000 --num-atoms 101 --min-std 0.05 --explore-std 0.3 --width 128 --eval-frequency 50000 --num-elites 1
fish-swim       one-elite       python qmle_plus.py --env-id dm_control/fish-swim-v0 --num-seeds 3 --total-timesteps 300000 --buffer-size 300000 --num-atoms 101 --min-std 0.05 --explore-std 0.3 --width 128 --eval-frequency 50000 --num-elites 1
hopper-hop      one-elite       python qmle_plus.py --env-id dm_control/hopper-hop-v0 --num-seeds 3 --total-timesteps 300000 --buffer-size 300000 --num-atoms 101 --min-std 0.05 --explore-std 0.3 --width 128 --eval-frequency 50000 --num-elites 1
humanoid-stand  one-elite       python qmle_plus.py --env-id dm_control/humanoid-stand-v0 --num-seeds 3 --total-timesteps 300000 --buffer-size 300000 --num-atoms 101 --min-std 0.05 --explore-std 0.3 --width 128 --eval-frequency 50000 --num-elites 1
dog-walk        one-elite       python qmle_plus.py --env-id dm_control/dog-walk-v0 --num-seeds 3 --total-timesteps 300000 --buffer-size 300000 --num-atoms 101 --min-std 0.05 --explore-std 0.3 --width 128 --eval-frequency 50000 --num-elites 1
cheetah-run     best-of-all     python qmle_plus.py --env-id dm_control/cheetah-run-v0 --num-seeds 3 --total-timesteps 300000 --buffer-size 300000 --num-atoms 101 --min-std 0.05 --explore-std 0.3 --width 128 --eval-frequency 50000 --num-value-samples 15
fish-swim       best-of-all     python qmle_plus.py --env-id dm_control/fish-swim-v0 --num-seeds 3 --total-timesteps 300000 --buffer-size 300000 --num-atoms 101 --min-std 0.05 --explore-std 0.3 --width 128 --eval-frequency 50000 --num-value-samples 15
hopper-hop      best-of-all     python qmle_plus.py --env-id dm_control/hopper-hop-v0 --num-seeds 3 --total-timesteps 300000 --buffer-size 300000 --num-atoms 101 --min-std 0.05 --explore-std 0.3 --width 128 --eval-frequency 50000 --num-value-samples 15
humanoid-stand  best-of-all     python qmle_plus.py --env-id dm_control/humanoid-stand-v0 --num-seeds 3 --total-timesteps 300000 --buffer-size 300000 --num-atoms 101 --min-std 0.05 --explore-std 0.3 --width 128 --eval-frequency 50000 --num-value-samples 15
dog-walk        best-of-all     python qmle_plus.py --env-id dm_control/dog-walk-v0 --num-seeds 3 --total-timesteps 300000 --buffer-size 300000 --num-atoms 101 --min-std 0.05 --explore-std 0.3 --width 128 --eval-frequency 50000 --num-value-samples 15
cheetah-run     greedy          python qmle_plus.py --env-id dm_control/cheetah-run-v0 --num-seeds 3 --total-timesteps 300000 --buffer-size 300000 --num-atoms 101 --min-std 0.05 --explore-std 0.3 --width 128 --eval-frequency 50000 --num-explore-samples 64
fish-swim       greedy          python qmle_plus.py --env-id dm_control/fish-swim-v0 --num-seeds 3 --total-timesteps 300000 --buffer-size 300000 --num-atoms 101 --min-std 0.05 --explore-std 0.3 --width 128 --eval-frequency 50000 --num-explore-samples 64
hopper-hop      greedy          python qmle_plus.py --env-id dm_control/hopper-hop-v0 --num-seeds 3 --total-timesteps 300000 --buffer-size 300000 --num-atoms 101 --min-std 0.05 --explore-std 0.3 --width 128 --eval-frequency 50000 --num-explore-samples 64
humanoid-stand  greedy          python qmle_plus.py --env-id dm_control/humanoid-stand-v0 --num-seeds 3 --total-timesteps 300000 --buffer-size 300000 --num-atoms 101 --min-std 0.05 --explore-std 0.3 --width 128 --eval-frequency 50000 --num-explore-samples 64
dog-walk        greedy          python qmle_plus.py --env-id dm_control/dog-walk-v0 --num-seeds 3 --total-timesteps 300000 --buffer-size 300000 --num-atoms 101 --min-std 0.05 --explore-std 0.3 --width 128 --eval-frequency 50000 --num-explore-samples 64
cheetah-run     smaller         python qmle_plus.py --env-id dm_control/cheetah-run-v0 --num-seeds 3 --total-timesteps 300000 --buffer-size 300000 --num-atoms 101 --min-std 0.05 --explore-std 0.3 --width 128 --eval-frequency 50000 --pessimism 1
fish-swim       smaller         python qmle_plus.py --env-id dm_control/fish-swim-v0 --num-seeds 3 --total-timesteps 300000 --buffer-size 300000 --num-atoms 101 --min-std 0.05 --explore-std 0.3 --width 128 --eval-frequency 50000 --pessimism 1
hopper-hop      smaller         python qmle_plus.py --env-id dm_control/hopper-hop-v0 --num-seeds 3 --total-timesteps 300000 --buffer-size 300000 --num-atoms 101 --min-std 0.05 --explore-std 0.3 --width 128 --eval-frequency 50000 --pessimism 1
humanoid-stand  smaller         python qmle_plus.py --env-id dm_control/humanoid-stand-v0 --num-seeds 3 --total-timesteps 300000 --buffer-size 300000 --num-atoms 101 --min-std 0.05 --explore-std 0.3 --width 128 --eval-frequency 50000 --pessimism 1
dog-walk        smaller         python qmle_plus.py --env-id dm_control/dog-walk-v0 --num-seeds 3 --total-timesteps 300000 --buffer-size 300000 --num-atoms 101 --min-std 0.05 --explore-std 0.3 --width 128 --eval-frequency 50000 --pessimism 1
cheetah-run     one-head        python qmle_plus.py --env-id dm_control/cheetah-run-v0 --num-seeds 3 --total-timesteps 300000 --buffer-size 300000 --num-atoms 101 --min-std 0.05 --explore-std 0.3 --width 128 --eval-frequency 50000 --num-heads 1
fish-swim       one-head        python qmle_plus.py --env-id dm_control/fish-swim-v0 --num-seeds 3 --total-timesteps 300000 --buffer-size 300000 --num-atoms 101 --min-std 0.05 --explore-std 0.3 --width 128 --eval-frequency 50000 --num-heads 1
hopper-hop      one-head        python qmle_plus.py --env-id dm_control/hopper-hop-v0 --num-seeds 3 --total-timesteps 300000 --buffer-size 300000 --num-atoms 101 --min-std 0.05 --explore-std 0.3 --width 128 --eval-frequency 50000 --num-heads 1
humanoid-stand  one-head        python qmle_plus.py --env-id dm_control/humanoid-stand-v0 --num-seeds 3 --total-timesteps 300000 --buffer-size 300000 --num-atoms 101 --min-std 0.05 --explore-std 0.3 --width 128 --eval-frequency 50000 --num-heads 1
dog-walk        one-head        python qmle_plus.py --env-id dm_control/dog-walk-v0 --num-seeds 3 --total-timesteps 300000 --buffer-size 300000 --num-atoms 101 --min-std 0.05 --explore-std 0.3 --width 128 --eval-frequency 50000 --num-heads 1
cheetah-run     squared         python qmle_plus.py --env-id dm_control/cheetah-run-v0 --num-seeds 3 --total-timesteps 300000 --buffer-size 300000 --min-std 0.05 --explore-std 0.3 --width 128 --eval-frequency 50000 --num-atoms 0
fish-swim       squared         python qmle_plus.py --env-id dm_control/fish-swim-v0 --num-seeds 3 --total-timesteps 300000 --buffer-size 300000 --min-std 0.05 --explore-std 0.3 --width 128 --eval-frequency 50000 --num-atoms 0
hopper-hop      squared         python qmle_plus.py --env-id dm_control/hopper-hop-v0 --num-seeds 3 --total-timesteps 300000 --buffer-size 300000 --min-std 0.05 --explore-std 0.3 --width 128 --eval-frequency 50000 --num-atoms 0
humanoid-stand  squared         python qmle_plus.py --env-id dm_control/humanoid-stand-v0 --num-seeds 3 --total-timesteps 300000 --buffer-size 300000 --min-std 0.05 --explore-std 0.3 --width 128 --eval-frequency 50000 --num-atoms 0
dog-walk        squared         python qmle_plus.py --env-id dm_control/dog-walk-v0 --num-seeds 3 --total-timesteps 300000 --buffer-size 300000 --min-std 0.05 --explore-std 0.3 --width 128 --eval-frequency 50000 --num-atoms 0
cheetah-run     fixed-scale     python qmle_plus.py --env-id dm_control/cheetah-run-v0 --num-seeds 3 --total-timesteps 300000 --buffer-size 300000 --num-atoms 101 --min-std 0.05 --explore-std 0.3 --width 128 --eval-frequency 50000 --max-value 200
fish-swim       fixed-scale     python qmle_plus.py --env-id dm_control/fish-swim-v0 --num-seeds 3 --total-timesteps 300000 --buffer-size 300000 --num-atoms 101 --min-std 0.05 --explore-std 0.3 --width 128 --eval-frequency 50000 --max-value 200
hopper-hop      fixed-scale     python qmle_plus.py --env-id dm_control/hopper-hop-v0 --num-seeds 3 --total-timesteps 300000 --buffer-size 300000 --num-atoms 101 --min-std 0.05 --explore-std 0.3 --width 128 --eval-frequency 50000 --max-value 200
humanoid-stand  fixed-scale     python qmle_plus.py --env-id dm_control/humanoid-stand-v0 --num-seeds 3 --total-timesteps 300000 --buffer-size 300000 --num-atoms 101 --min-std 0.05 --explore-std 0.3 --width 128 --eval-frequency 50000 --max-value 200
dog-walk        fixed-scale     python qmle_plus.py --env-id dm_control/dog-walk-v0 --num-seeds 3 --total-timesteps 300000 --buffer-size 300000 --num-atoms 101 --min-std 0.05 --explore-std 0.3 --width 128 --eval-frequency 50000 --max-value 200
cheetah-run     uniform-replay  python qmle_plus.py --env-id dm_control/cheetah-run-v0 --num-seeds 3 --total-timesteps 300000 --buffer-size 300000 --num-atoms 101 --min-std 0.05 --explore-std 0.3 --width 128 --eval-frequency 50000 --priority-exponent 0
fish-swim       uniform-replay  python qmle_plus.py --env-id dm_control/fish-swim-v0 --num-seeds 3 --total-timesteps 300000 --buffer-size 300000 --num-atoms 101 --min-std 0.05 --explore-std 0.3 --width 128 --eval-frequency 50000 --priority-exponent 0
hopper-hop      uniform-replay  python qmle_plus.py --env-id dm_control/hopper-hop-v0 --num-seeds 3 --total-timesteps 300000 --buffer-size 300000 --num-atoms 101 --min-std 0.05 --explore-std 0.3 --width 128 --eval-frequency 50000 --priority-exponent 0
humanoid-stand  uniform-replay  python qmle_plus.py --env-id dm_control/humanoid-stand-v0 --num-seeds 3 --total-timesteps 300000 --buffer-size 300000 --num-atoms 101 --min-std 0.05 --explore-std 0.3 --width 128 --eval-frequency 50000 --priority-exponent 0
dog-walk        uniform-replay  python qmle_plus.py --env-id dm_control/dog-walk-v0 --num-seeds 3 --total-timesteps 300000 --buffer-size 300000 --num-atoms 101 --min-std 0.05 --explore-std 0.3 --width 128 --eval-frequency 50000 --priority-exponent 0
cheetah-run     no-decay        python qmle_plus.py --env-id dm_control/cheetah-run-v0 --num-seeds 3 --total-timesteps 300000 --buffer-size 300000 --num-atoms 101 --min-std 0.05 --explore-std 0.3 --width 128 --eval-frequency 50000 --weight-decay 0
fish-swim       no-decay        python qmle_plus.py --env-id dm_control/fish-swim-v0 --num-seeds 3 --total-timesteps 300000 --buffer-size 300000 --num-atoms 101 --min-std 0.05 --explore-std 0.3 --width 128 --eval-frequency 50000 --weight-decay 0
hopper-hop      no-decay        python qmle_plus.py --env-id dm_control/hopper-hop-v0 --num-seeds 3 --total-timesteps 300000 --buffer-size 300000 --num-atoms 101 --min-std 0.05 --explore-std 0.3 --width 128 --eval-frequency 50000 --weight-decay 0
humanoid-stand  no-decay        python qmle_plus.py --env-id dm_control/humanoid-stand-v0 --num-seeds 3 --total-timesteps 300000 --buffer-size 300000 --num-atoms 101 --min-std 0.05 --explore-std 0.3 --width 128 --eval-frequency 50000 --weight-decay 0
dog-walk        no-decay        python qmle_plus.py --env-id dm_control/dog-walk-v0 --num-seeds 3 --total-timesteps 300000 --buffer-size 300000 --num-atoms 101 --min-std 0.05 --explore-std 0.3 --width 128 --eval-frequency 50000 --weight-decay 0
cheetah-run     wide            python qmle_plus.py --env-id dm_control/cheetah-run-v0 --num-seeds 3 --total-timesteps 300000 --buffer-size 300000 --num-atoms 101 --min-std 0.05 --explore-std 0.3 --eval-frequency 50000 --width 256
fish-swim       wide            python qmle_plus.py --env-id dm_control/fish-swim-v0 --num-seeds 3 --total-timesteps 300000 --buffer-size 300000 --num-atoms 101 --min-std 0.05 --explore-std 0.3 --eval-frequency 50000 --width 256
hopper-hop      wide            python qmle_plus.py --env-id dm_control/hopper-hop-v0 --num-seeds 3 --total-timesteps 300000 --buffer-size 300000 --num-atoms 101 --min-std 0.05 --explore-std 0.3 --eval-frequency 50000 --width 256
humanoid-stand  wide            python qmle_plus.py --env-id dm_control/humanoid-stand-v0 --num-seeds 3 --total-timesteps 300000 --buffer-size 300000 --num-atoms 101 --min-std 0.05 --explore-std 0.3 --eval-frequency 50000 --width 256
dog-walk        wide            python qmle_plus.py --env-id dm_control/dog-walk-v0 --num-seeds 3 --total-timesteps 300000 --buffer-size 300000 --num-atoms 101 --min-std 0.05 --explore-std 0.3 --eval-frequency 50000 --width 256
cheetah-run     repeat-1        python qmle_plus.py --env-id dm_control/cheetah-run-v0 --num-seeds 3 --total-timesteps 300000 --buffer-size 300000 --num-atoms 101 --min-std 0.05 --explore-std 0.3 --width 128 --eval-frequency 50000 --action-repeat 1
fish-swim       repeat-1        python qmle_plus.py --env-id dm_control/fish-swim-v0 --num-seeds 3 --total-timesteps 300000 --buffer-size 300000 --num-atoms 101 --min-std 0.05 --explore-std 0.3 --width 128 --eval-frequency 50000 --action-repeat 1
hopper-hop      repeat-1        python qmle_plus.py --env-id dm_control/hopper-hop-v0 --num-seeds 3 --total-timesteps 300000 --buffer-size 300000 --num-atoms 101 --min-std 0.05 --explore-std 0.3 --width 128 --eval-frequency 50000 --action-repeat 1
humanoid-stand  repeat-1        python qmle_plus.py --env-id dm_control/humanoid-stand-v0 --num-seeds 3 --total-timesteps 300000 --buffer-size 300000 --num-atoms 101 --min-std 0.05 --explore-std 0.3 --width 128 --eval-frequency 50000 --action-repeat 1
dog-walk        repeat-1        python qmle_plus.py --env-id dm_control/dog-walk-v0 --num-seeds 3 --total-timesteps 300000 --buffer-size 300000 --num-atoms 101 --min-std 0.05 --explore-std 0.3 --width 128 --eval-frequency 50000 --action-repeat 1
cheetah-run     wide-search     python qmle_plus.py --env-id dm_control/cheetah-run-v0 --num-seeds 3 --total-timesteps 300000 --buffer-size 300000 --num-atoms 101 --explore-std 0.3 --width 128 --eval-frequency 50000 --min-std 0.3
cheetah-run     sharp           python qmle_plus.py --env-id dm_control/cheetah-run-v0 --num-seeds 3 --total-timesteps 300000 --buffer-size 300000 --num-atoms 101 --min-std 0.05 --width 128 --eval-frequency 50000 --explore-std 0
fish-swim       wide-search     python qmle_plus.py --env-id dm_control/fish-swim-v0 --num-seeds 3 --total-timesteps 300000 --buffer-size 300000 --num-atoms 101 --explore-std 0.3 --width 128 --eval-frequency 50000 --min-std 0.3
fish-swim       sharp           python qmle_plus.py --env-id dm_control/fish-swim-v0 --num-seeds 3 --total-timesteps 300000 --buffer-size 300000 --num-atoms 101 --min-std 0.05 --width 128 --eval-frequency 50000 --explore-std 0
hopper-hop      wide-search     python qmle_plus.py --env-id dm_control/hopper-hop-v0 --num-seeds 3 --total-timesteps 300000 --buffer-size 300000 --num-atoms 101 --explore-std 0.3 --width 128 --eval-frequency 50000 --min-std 0.3
hopper-hop      sharp           python qmle_plus.py --env-id dm_control/hopper-hop-v0 --num-seeds 3 --total-timesteps 300000 --buffer-size 300000 --num-atoms 101 --min-std 0.05 --width 128 --eval-frequency 50000 --explore-std 0
humanoid-stand  wide-search     python qmle_plus.py --env-id dm_control/humanoid-stand-v0 --num-seeds 3 --total-timesteps 300000 --buffer-size 300000 --num-atoms 101 --explore-std 0.3 --width 128 --eval-frequency 50000 --min-std 0.3
humanoid-stand  sharp           python qmle_plus.py --env-id dm_control/humanoid-stand-v0 --num-seeds 3 --total-timesteps 300000 --buffer-size 300000 --num-atoms 101 --min-std 0.05 --width 128 --eval-frequency 50000 --explore-std 0
dog-walk        wide-search     python qmle_plus.py --env-id dm_control/dog-walk-v0 --num-seeds 3 --total-timesteps 300000 --buffer-size 300000 --num-atoms 101 --explore-std 0.3 --width 128 --eval-frequency 50000 --min-std 0.3
dog-walk        sharp           python qmle_plus.py --env-id dm_control/dog-walk-v0 --num-seeds 3 --total-timesteps 300000 --buffer-size 300000 --num-atoms 101 --min-std 0.05 --width 128 --eval-frequency 50000 --explore-std 0
cheetah-run     hard-target     python qmle_plus.py --env-id dm_control/cheetah-run-v0 --num-seeds 3 --total-timesteps 300000 --buffer-size 300000 --num-atoms 101 --min-std 0.05 --explore-std 0.3 --width 128 --eval-frequency 50000 --target-update-rate 1
fish-swim       hard-target     python qmle_plus.py --env-id dm_control/fish-swim-v0 --num-seeds 3 --total-timesteps 300000 --buffer-size 300000 --num-atoms 101 --min-std 0.05 --explore-std 0.3 --width 128 --eval-frequency 50000 --target-update-rate 1
hopper-hop      hard-target     python qmle_plus.py --env-id dm_control/hopper-hop-v0 --num-seeds 3 --total-timesteps 300000 --buffer-size 300000 --num-atoms 101 --min-std 0.05 --explore-std 0.3 --width 128 --eval-frequency 50000 --target-update-rate 1
humanoid-stand  hard-target     python qmle_plus.py --env-id dm_control/humanoid-stand-v0 --num-seeds 3 --total-timesteps 300000 --buffer-size 300000 --num-atoms 101 --min-std 0.05 --explore-std 0.3 --width 128 --eval-frequency 50000 --target-update-rate 1
dog-walk        hard-target     python qmle_plus.py --env-id dm_control/dog-walk-v0 --num-seeds 3 --total-timesteps 300000 --buffer-size 300000 --num-atoms 101 --min-std 0.05 --explore-std 0.3 --width 128 --eval-frequency 50000 --target-update-rate 1
walker-run      squared         python qmle_plus.py --env-id dm_control/walker-run-v0 --num-seeds 3 --total-timesteps 300000 --buffer-size 300000 --min-std 0.05 --explore-std 0.3 --width 128 --eval-frequency 50000 --num-atoms 0
finger-spin     squared         python qmle_plus.py --env-id dm_control/finger-spin-v0 --num-seeds 3 --total-timesteps 300000 --buffer-size 300000 --min-std 0.05 --explore-std 0.3 --width 128 --eval-frequency 50000 --num-atoms 0
finger-turn_hard squared         python qmle_plus.py --env-id dm_control/finger-turn_hard-v0 --num-seeds 3 --total-timesteps 300000 --buffer-size 300000 --min-std 0.05 --explore-std 0.3 --width 128 --eval-frequency 50000 --num-atoms 0
cheetah-run     squared-wide    python qmle_plus.py --env-id dm_control/cheetah-run-v0 --num-seeds 3 --total-timesteps 300000 --buffer-size 300000 --explore-std 0.3 --width 128 --eval-frequency 50000 --num-atoms 0 --min-std 0.3
fish-swim       squared-wide    python qmle_plus.py --env-id dm_control/fish-swim-v0 --num-seeds 3 --total-timesteps 300000 --buffer-size 300000 --explore-std 0.3 --width 128 --eval-frequency 50000 --num-atoms 0 --min-std 0.3
hopper-hop      squared-wide    python qmle_plus.py --env-id dm_control/hopper-hop-v0 --num-seeds 3 --total-timesteps 300000 --buffer-size 300000 --explore-std 0.3 --width 128 --eval-frequency 50000 --num-atoms 0 --min-std 0.3
humanoid-stand  squared-wide    python qmle_plus.py --env-id dm_control/humanoid-stand-v0 --num-seeds 3 --total-timesteps 400000 --buffer-size 300000 --explore-std 0.3 --width 128 --eval-frequency 50000 --num-atoms 0 --min-std 0.3
dog-walk        squared-wide    python qmle_plus.py --env-id dm_control/dog-walk-v0 --num-seeds 3 --total-timesteps 250000 --buffer-size 300000 --explore-std 0.3 --width 128 --eval-frequency 50000 --num-atoms 0 --min-std 0.3
walker-run      squared-wide    python qmle_plus.py --env-id dm_control/walker-run-v0 --num-seeds 3 --total-timesteps 300000 --buffer-size 300000 --explore-std 0.3 --width 128 --eval-frequency 50000 --num-atoms 0 --min-std 0.3
finger-spin     squared-wide    python qmle_plus.py --env-id dm_control/finger-spin-v0 --num-seeds 3 --total-timesteps 300000 --buffer-size 300000 --explore-std 0.3 --width 128 --eval-frequency 50000 --num-atoms 0 --min-std 0.3
finger-turn_hard squared-wide    python qmle_plus.py --env-id dm_control/finger-turn_hard-v0 --num-seeds 3 --total-timesteps 300000 --buffer-size 300000 --explore-std 0.3 --width 128 --eval-frequency 50000 --num-atoms 0 --min-std 0.3
cheetah-run     squared-0.15    python qmle_plus.py --env-id dm_control/cheetah-run-v0 --num-seeds 3 --total-timesteps 300000 --buffer-size 300000 --explore-std 0.3 --width 128 --eval-frequency 50000 --num-atoms 0 --min-std 0.15
humanoid-stand  squared-0.15    python qmle_plus.py --env-id dm_control/humanoid-stand-v0 --num-seeds 3 --total-timesteps 400000 --buffer-size 300000 --explore-std 0.3 --width 128 --eval-frequency 50000 --num-atoms 0 --min-std 0.15
dog-walk        squared-0.15    python qmle_plus.py --env-id dm_control/dog-walk-v0 --num-seeds 3 --total-timesteps 250000 --buffer-size 300000 --explore-std 0.3 --width 128 --eval-frequency 50000 --num-atoms 0 --min-std 0.15
hopper-hop      squared-mean    python qmle_plus.py --env-id dm_control/hopper-hop-v0 --num-seeds 3 --total-timesteps 300000 --buffer-size 300000 --min-std 0.05 --explore-std 0.3 --width 128 --eval-frequency 50000 --num-atoms 0 --pessimism 0
humanoid-stand  squared-mean    python qmle_plus.py --env-id dm_control/humanoid-stand-v0 --num-seeds 3 --total-timesteps 400000 --buffer-size 300000 --min-std 0.05 --explore-std 0.3 --width 128 --eval-frequency 50000 --num-atoms 0 --pessimism 0
dog-walk        squared-mean    python qmle_plus.py --env-id dm_control/dog-walk-v0 --num-seeds 3 --total-timesteps 250000 --buffer-size 300000 --min-std 0.05 --explore-std 0.3 --width 128 --eval-frequency 50000 --num-atoms 0 --pessimism 0
walker-run      squared-mean    python qmle_plus.py --env-id dm_control/walker-run-v0 --num-seeds 3 --total-timesteps 300000 --buffer-size 300000 --min-std 0.05 --explore-std 0.3 --width 128 --eval-frequency 50000 --num-atoms 0 --pessimism 0
finger-spin     squared-mean    python qmle_plus.py --env-id dm_control/finger-spin-v0 --num-seeds 3 --total-timesteps 300000 --buffer-size 300000 --min-std 0.05 --explore-std 0.3 --width 128 --eval-frequency 50000 --num-atoms 0 --pessimism 0
humanoid-stand  squared-512     python qmle_plus.py --env-id dm_control/humanoid-stand-v0 --num-seeds 3 --total-timesteps 400000 --buffer-size 300000 --min-std 0.05 --explore-std 0.3 --eval-frequency 50000 --num-atoms 0 --width 512
dog-walk        squared-512     python qmle_plus.py --env-id dm_control/dog-walk-v0 --num-seeds 3 --total-timesteps 250000 --buffer-size 300000 --min-std 0.05 --explore-std 0.3 --eval-frequency 50000 --num-atoms 0 --width 512
walker-run      squared-512     python qmle_plus.py --env-id dm_control/walker-run-v0 --num-seeds 3 --total-timesteps 300000 --buffer-size 300000 --min-std 0.05 --explore-std 0.3 --eval-frequency 50000 --num-atoms 0 --width 512
finger-turn_hard squared-512     python qmle_plus.py --env-id dm_control/finger-turn_hard-v0 --num-seeds 3 --total-timesteps 300000 --buffer-size 300000 --min-std 0.05 --explore-std 0.3 --eval-frequency 50000 --num-atoms 0 --width 512
END
