#!/usr/bin/env bash
# What the paper leaves open or its released code does otherwise: one variant at a time against the defaults.
#
# Fixed and committed before the first run:
#   tasks      walker-walk, cheetah-run, finger-spin
#   runs       16 seeds (1 to 16) of each task and variant, 200,000 steps each, everything else as by default
#   variants   default          target copied every 200 steps, uniform samples continuous, predictors learn the fresh
#                               a_max, cross-entropy of logits, delta noise 0.1
#              copy-2000        --target-network-frequency 2000, the paper's text
#              grid-half        --uniform-grid-fraction 0.5, the released code
#              grid-all         --uniform-grid-fraction 1
#              stored           --predictor-target stored, the released code
#              double-softmax   cross-entropy of softmax outputs, the released code: a patch of the script, made here
#              noise-0.01       --delta-noise-std 0.01 (only acting draws noise at the default counts: 9 samples of 1000)
#              noise-0.3        --delta-noise-std 0.3
#   scores     of a seed: area, the mean return of all its training episodes; end, that of its last 20
#   criterion  the difference of area to the default, mean over the three tasks, with a 95% interval by a bootstrap that
#              draws seeds within task and variant. Where the interval is above 0 a variant is better, where it is below
#              0 it is worse; otherwise no difference was found. Of two choices the better one becomes the default; where
#              no difference was found, the paper's text does. Two or more winners are run together once, and adopted
#              together if that is no worse than the best of them alone by the same interval.
