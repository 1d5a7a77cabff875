#!/usr/bin/env bash
# The ingredients of qmle_plus.py: each taken away or changed alone, against the defaults.
#
# Fixed and committed before the first run of this table (the leads in benchmark/results/plus/leads.csv came before):
#   tasks      cheetah-run, fish-swim, hopper-hop, humanoid-stand, dog-walk
#   runs       3 seeds (1 to 3) of each task and variant, 300,000 steps each
#   variants   base            the defaults
#              batch-norm      --batch-norm --learning-rate 3e-4: in place of layer normalization
#              one-step        --n-step 1: no n-step returns
#              squared         --num-atoms 0: squared error in place of atoms and cross-entropy
#              one-head        --num-heads 1: no second Q network
#              mean            --pessimism 0: the heads' mean, not the smaller one
#              best-of-all     --num-value-samples 0: TD targets from the best of all samples
#              one-elite       --num-elites 1: predictors learn the best sample alone
#              few             --num-target-samples 16 --num-elites 4: a quarter of the samples
#              epsilon         --num-explore-samples 64 --exploration-epsilon 0.1: acts on the best of 64 samples, a tenth of the actions random
#              uniform-replay  --priority-exponent 0: no priorities
#              every-step      --train-frequency 1: twice the updates
#              wide            --width 512: twice the width
#   scores     of a seed: area, the mean return of all its training episodes, divided by MR.Q's return at 300,000 steps of that
#              task (between its published 200,000 and 500,000: cheetah-run 862, fish-swim 467,
#              hopper-hop 108, humanoid-stand 279, dog-walk 419)
#   criterion  the mean over the five tasks minus that of base, with Welch's t interval over seeds at 95%. Above 0 a variant becomes
#              the default; where no difference is found the cheaper one does.
#
#   usage: benchmark/plus_ingredients.sh [--smoke] [--workers N] ...    (see python benchmark/launch.py --help)
# Results: benchmark/results/plus_ingredients/<task>/<variant>/seed_K.csv, manifest.json, plus_ingredients.png
set -euo pipefail
cd "$(dirname "$0")/.."
python benchmark/launch.py plus_ingredients "$@" <<'END'
cheetah-run     base            python qmle_plus.py --env-id dm_control/cheetah-run-v0 --num-seeds 3 --total-timesteps 300000 --buffer-size 300000
fish-swim       base            python qmle_plus.py --env-id dm_control/fish-swim-v0 --num-seeds 3 --total-timesteps 300000 --buffer-size 300000
hopper-hop      base            python qmle_plus.py --env-id dm_control/hopper-hop-v0 --num-seeds 3 --total-timesteps 300000 --buffer-size 300000
humanoid-stand  base            python qmle_plus.py --env-id dm_control/humanoid-stand-v0 --num-seeds 3 --total-timesteps 300000 --buffer-size 300000
dog-walk        base            python qmle_plus.py --env-id dm_control/dog-walk-v0 --num-seeds 3 --total-timesteps 300000 --buffer-size 300000
cheetah-run     batch-norm      python qmle_plus.py --env-id dm_control/cheetah-run-v0 --num-seeds 3 --total-timesteps 300000 --buffer-size 300000 --batch-norm --learning-rate 3e-4
fish-swim       batch-norm      python qmle_plus.py --env-id dm_control/fish-swim-v0 --num-seeds 3 --total-timesteps 300000 --buffer-size 300000 --batch-norm --learning-rate 3e-4
hopper-hop      batch-norm      python qmle_plus.py --env-id dm_control/hopper-hop-v0 --num-seeds 3 --total-timesteps 300000 --buffer-size 300000 --batch-norm --learning-rate 3e-4
humanoid-stand  batch-norm      python qmle_plus.py --env-id dm_control/humanoid-stand-v0 --num-seeds 3 --total-timesteps 300000 --buffer-size 300000 --batch-norm --learning-rate 3e-4
dog-walk        batch-norm      python qmle_plus.py --env-id dm_control/dog-walk-v0 --num-seeds 3 --total-timesteps 300000 --buffer-size 300000 --batch-norm --learning-rate 3e-4
cheetah-run     one-step        python qmle_plus.py --env-id dm_control/cheetah-run-v0 --num-seeds 3 --total-timesteps 300000 --buffer-size 300000 --n-step 1
fish-swim       one-step        python qmle_plus.py --env-id dm_control/fish-swim-v0 --num-seeds 3 --total-timesteps 300000 --buffer-size 300000 --n-step 1
hopper-hop      one-step        python qmle_plus.py --env-id dm_control/hopper-hop-v0 --num-seeds 3 --total-timesteps 300000 --buffer-size 300000 --n-step 1
humanoid-stand  one-step        python qmle_plus.py --env-id dm_control/humanoid-stand-v0 --num-seeds 3 --total-timesteps 300000 --buffer-size 300000 --n-step 1
dog-walk        one-step        python qmle_plus.py --env-id dm_control/dog-walk-v0 --num-seeds 3 --total-timesteps 300000 --buffer-size 300000 --n-step 1
cheetah-run     squared         python qmle_plus.py --env-id dm_control/cheetah-run-v0 --num-seeds 3 --total-timesteps 300000 --buffer-size 300000 --num-atoms 0
fish-swim       squared         python qmle_plus.py --env-id dm_control/fish-swim-v0 --num-seeds 3 --total-timesteps 300000 --buffer-size 300000 --num-atoms 0
hopper-hop      squared         python qmle_plus.py --env-id dm_control/hopper-hop-v0 --num-seeds 3 --total-timesteps 300000 --buffer-size 300000 --num-atoms 0
humanoid-stand  squared         python qmle_plus.py --env-id dm_control/humanoid-stand-v0 --num-seeds 3 --total-timesteps 300000 --buffer-size 300000 --num-atoms 0
dog-walk        squared         python qmle_plus.py --env-id dm_control/dog-walk-v0 --num-seeds 3 --total-timesteps 300000 --buffer-size 300000 --num-atoms 0
cheetah-run     one-head        python qmle_plus.py --env-id dm_control/cheetah-run-v0 --num-seeds 3 --total-timesteps 300000 --buffer-size 300000 --num-heads 1
fish-swim       one-head        python qmle_plus.py --env-id dm_control/fish-swim-v0 --num-seeds 3 --total-timesteps 300000 --buffer-size 300000 --num-heads 1
hopper-hop      one-head        python qmle_plus.py --env-id dm_control/hopper-hop-v0 --num-seeds 3 --total-timesteps 300000 --buffer-size 300000 --num-heads 1
humanoid-stand  one-head        python qmle_plus.py --env-id dm_control/humanoid-stand-v0 --num-seeds 3 --total-timesteps 300000 --buffer-size 300000 --num-heads 1
dog-walk        one-head        python qmle_plus.py --env-id dm_control/dog-walk-v0 --num-seeds 3 --total-timesteps 300000 --buffer-size 300000 --num-heads 1
cheetah-run     mean            python qmle_plus.py --env-id dm_control/cheetah-run-v0 --num-seeds 3 --total-timesteps 300000 --buffer-size 300000 --pessimism 0
fish-swim       mean            python qmle_plus.py --env-id dm_control/fish-swim-v0 --num-seeds 3 --total-timesteps 300000 --buffer-size 300000 --pessimism 0
hopper-hop      mean            python qmle_plus.py --env-id dm_control/hopper-hop-v0 --num-seeds 3 --total-timesteps 300000 --buffer-size 300000 --pessimism 0
humanoid-stand  mean            python qmle_plus.py --env-id dm_control/humanoid-stand-v0 --num-seeds 3 --total-timesteps 300000 --buffer-size 300000 --pessimism 0
dog-walk        mean            python qmle_plus.py --env-id dm_control/dog-walk-v0 --num-seeds 3 --total-timesteps 300000 --buffer-size 300000 --pessimism 0
cheetah-run     best-of-all     python qmle_plus.py --env-id dm_control/cheetah-run-v0 --num-seeds 3 --total-timesteps 300000 --buffer-size 300000 --num-value-samples 0
fish-swim       best-of-all     python qmle_plus.py --env-id dm_control/fish-swim-v0 --num-seeds 3 --total-timesteps 300000 --buffer-size 300000 --num-value-samples 0
hopper-hop      best-of-all     python qmle_plus.py --env-id dm_control/hopper-hop-v0 --num-seeds 3 --total-timesteps 300000 --buffer-size 300000 --num-value-samples 0
humanoid-stand  best-of-all     python qmle_plus.py --env-id dm_control/humanoid-stand-v0 --num-seeds 3 --total-timesteps 300000 --buffer-size 300000 --num-value-samples 0
dog-walk        best-of-all     python qmle_plus.py --env-id dm_control/dog-walk-v0 --num-seeds 3 --total-timesteps 300000 --buffer-size 300000 --num-value-samples 0
cheetah-run     one-elite       python qmle_plus.py --env-id dm_control/cheetah-run-v0 --num-seeds 3 --total-timesteps 300000 --buffer-size 300000 --num-elites 1
fish-swim       one-elite       python qmle_plus.py --env-id dm_control/fish-swim-v0 --num-seeds 3 --total-timesteps 300000 --buffer-size 300000 --num-elites 1
hopper-hop      one-elite       python qmle_plus.py --env-id dm_control/hopper-hop-v0 --num-seeds 3 --total-timesteps 300000 --buffer-size 300000 --num-elites 1
humanoid-stand  one-elite       python qmle_plus.py --env-id dm_control/humanoid-stand-v0 --num-seeds 3 --total-timesteps 300000 --buffer-size 300000 --num-elites 1
dog-walk        one-elite       python qmle_plus.py --env-id dm_control/dog-walk-v0 --num-seeds 3 --total-timesteps 300000 --buffer-size 300000 --num-elites 1
cheetah-run     few             python qmle_plus.py --env-id dm_control/cheetah-run-v0 --num-seeds 3 --total-timesteps 300000 --buffer-size 300000 --num-target-samples 16 --num-elites 4
fish-swim       few             python qmle_plus.py --env-id dm_control/fish-swim-v0 --num-seeds 3 --total-timesteps 300000 --buffer-size 300000 --num-target-samples 16 --num-elites 4
hopper-hop      few             python qmle_plus.py --env-id dm_control/hopper-hop-v0 --num-seeds 3 --total-timesteps 300000 --buffer-size 300000 --num-target-samples 16 --num-elites 4
humanoid-stand  few             python qmle_plus.py --env-id dm_control/humanoid-stand-v0 --num-seeds 3 --total-timesteps 300000 --buffer-size 300000 --num-target-samples 16 --num-elites 4
dog-walk        few             python qmle_plus.py --env-id dm_control/dog-walk-v0 --num-seeds 3 --total-timesteps 300000 --buffer-size 300000 --num-target-samples 16 --num-elites 4
cheetah-run     epsilon         python qmle_plus.py --env-id dm_control/cheetah-run-v0 --num-seeds 3 --total-timesteps 300000 --buffer-size 300000 --num-explore-samples 64 --exploration-epsilon 0.1
fish-swim       epsilon         python qmle_plus.py --env-id dm_control/fish-swim-v0 --num-seeds 3 --total-timesteps 300000 --buffer-size 300000 --num-explore-samples 64 --exploration-epsilon 0.1
hopper-hop      epsilon         python qmle_plus.py --env-id dm_control/hopper-hop-v0 --num-seeds 3 --total-timesteps 300000 --buffer-size 300000 --num-explore-samples 64 --exploration-epsilon 0.1
humanoid-stand  epsilon         python qmle_plus.py --env-id dm_control/humanoid-stand-v0 --num-seeds 3 --total-timesteps 300000 --buffer-size 300000 --num-explore-samples 64 --exploration-epsilon 0.1
dog-walk        epsilon         python qmle_plus.py --env-id dm_control/dog-walk-v0 --num-seeds 3 --total-timesteps 300000 --buffer-size 300000 --num-explore-samples 64 --exploration-epsilon 0.1
cheetah-run     uniform-replay  python qmle_plus.py --env-id dm_control/cheetah-run-v0 --num-seeds 3 --total-timesteps 300000 --buffer-size 300000 --priority-exponent 0
fish-swim       uniform-replay  python qmle_plus.py --env-id dm_control/fish-swim-v0 --num-seeds 3 --total-timesteps 300000 --buffer-size 300000 --priority-exponent 0
hopper-hop      uniform-replay  python qmle_plus.py --env-id dm_control/hopper-hop-v0 --num-seeds 3 --total-timesteps 300000 --buffer-size 300000 --priority-exponent 0
humanoid-stand  uniform-replay  python qmle_plus.py --env-id dm_control/humanoid-stand-v0 --num-seeds 3 --total-timesteps 300000 --buffer-size 300000 --priority-exponent 0
dog-walk        uniform-replay  python qmle_plus.py --env-id dm_control/dog-walk-v0 --num-seeds 3 --total-timesteps 300000 --buffer-size 300000 --priority-exponent 0
cheetah-run     every-step      python qmle_plus.py --env-id dm_control/cheetah-run-v0 --num-seeds 3 --total-timesteps 300000 --buffer-size 300000 --train-frequency 1
fish-swim       every-step      python qmle_plus.py --env-id dm_control/fish-swim-v0 --num-seeds 3 --total-timesteps 300000 --buffer-size 300000 --train-frequency 1
hopper-hop      every-step      python qmle_plus.py --env-id dm_control/hopper-hop-v0 --num-seeds 3 --total-timesteps 300000 --buffer-size 300000 --train-frequency 1
humanoid-stand  every-step      python qmle_plus.py --env-id dm_control/humanoid-stand-v0 --num-seeds 3 --total-timesteps 300000 --buffer-size 300000 --train-frequency 1
dog-walk        every-step      python qmle_plus.py --env-id dm_control/dog-walk-v0 --num-seeds 3 --total-timesteps 300000 --buffer-size 300000 --train-frequency 1
cheetah-run     wide            python qmle_plus.py --env-id dm_control/cheetah-run-v0 --num-seeds 3 --total-timesteps 300000 --buffer-size 300000 --width 512
fish-swim       wide            python qmle_plus.py --env-id dm_control/fish-swim-v0 --num-seeds 3 --total-timesteps 300000 --buffer-size 300000 --width 512
hopper-hop      wide            python qmle_plus.py --env-id dm_control/hopper-hop-v0 --num-seeds 3 --total-timesteps 300000 --buffer-size 300000 --width 512
humanoid-stand  wide            python qmle_plus.py --env-id dm_control/humanoid-stand-v0 --num-seeds 3 --total-timesteps 300000 --buffer-size 300000 --width 512
dog-walk        wide            python qmle_plus.py --env-id dm_control/dog-walk-v0 --num-seeds 3 --total-timesteps 300000 --buffer-size 300000 --width 512
END
python benchmark/plot.py plus_ingredients "$@"
