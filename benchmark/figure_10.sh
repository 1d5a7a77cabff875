#!/usr/bin/env bash
# Figure 10: QMLE against DQN on bang-off-bang actions, three seeds. QMLE samples its search sets even where the joint
# space is small enough to be enumerated. DQN cannot have the 3^38 outputs of dog-walk. dqn-copy-2000 has the paper's
# period of target copies, which was found to suit DQN better on walker-walk than that of QMLE; dqn-copy-5000 was chosen by
# one run on walker-walk (seed 1) of each of 5000 and 10,000.
#   usage: benchmark/figure_10.sh [--smoke] [--workers N] ...    (see python benchmark/launch.py --help)
# Results: benchmark/results/figure_10/<task>/<variant>/seed_K.csv, manifest.json, figure_10.{png,svg}
set -euo pipefail
cd "$(dirname "$0")/.."
python benchmark/launch.py figure_10 "$@" <<'END'
finger-spin  qmle  python qmle_discrete.py --env-id dm_control/finger-spin-v0 --seed 1 --total-timesteps 300000 --no-enumerate
finger-spin  qmle  python qmle_discrete.py --env-id dm_control/finger-spin-v0 --seed 2 --total-timesteps 300000 --no-enumerate
finger-spin  qmle  python qmle_discrete.py --env-id dm_control/finger-spin-v0 --seed 3 --total-timesteps 300000 --no-enumerate
finger-spin  dqn   python dqn_discretized.py --env-id dm_control/finger-spin-v0 --seed 1 --total-timesteps 300000
finger-spin  dqn   python dqn_discretized.py --env-id dm_control/finger-spin-v0 --seed 2 --total-timesteps 300000
finger-spin  dqn   python dqn_discretized.py --env-id dm_control/finger-spin-v0 --seed 3 --total-timesteps 300000
finger-spin  dqn-copy-2000  python dqn_discretized.py --env-id dm_control/finger-spin-v0 --seed 1 --total-timesteps 300000 --target-network-frequency 2000
finger-spin  dqn-copy-2000  python dqn_discretized.py --env-id dm_control/finger-spin-v0 --seed 2 --total-timesteps 300000 --target-network-frequency 2000
finger-spin  dqn-copy-2000  python dqn_discretized.py --env-id dm_control/finger-spin-v0 --seed 3 --total-timesteps 300000 --target-network-frequency 2000
finger-spin  dqn-copy-5000  python dqn_discretized.py --env-id dm_control/finger-spin-v0 --seed 1 --total-timesteps 300000 --target-network-frequency 5000
finger-spin  dqn-copy-5000  python dqn_discretized.py --env-id dm_control/finger-spin-v0 --seed 2 --total-timesteps 300000 --target-network-frequency 5000
finger-spin  dqn-copy-5000  python dqn_discretized.py --env-id dm_control/finger-spin-v0 --seed 3 --total-timesteps 300000 --target-network-frequency 5000
walker-walk  qmle  python qmle_discrete.py --env-id dm_control/walker-walk-v0 --seed 1 --total-timesteps 300000 --no-enumerate
walker-walk  qmle  python qmle_discrete.py --env-id dm_control/walker-walk-v0 --seed 2 --total-timesteps 300000 --no-enumerate
walker-walk  qmle  python qmle_discrete.py --env-id dm_control/walker-walk-v0 --seed 3 --total-timesteps 300000 --no-enumerate
walker-walk  dqn   python dqn_discretized.py --env-id dm_control/walker-walk-v0 --seed 1 --total-timesteps 300000
walker-walk  dqn   python dqn_discretized.py --env-id dm_control/walker-walk-v0 --seed 2 --total-timesteps 300000
walker-walk  dqn   python dqn_discretized.py --env-id dm_control/walker-walk-v0 --seed 3 --total-timesteps 300000
walker-walk  dqn-copy-2000  python dqn_discretized.py --env-id dm_control/walker-walk-v0 --seed 1 --total-timesteps 300000 --target-network-frequency 2000
walker-walk  dqn-copy-2000  python dqn_discretized.py --env-id dm_control/walker-walk-v0 --seed 2 --total-timesteps 300000 --target-network-frequency 2000
walker-walk  dqn-copy-2000  python dqn_discretized.py --env-id dm_control/walker-walk-v0 --seed 3 --total-timesteps 300000 --target-network-frequency 2000
walker-walk  dqn-copy-5000  python dqn_discretized.py --env-id dm_control/walker-walk-v0 --seed 1 --total-timesteps 300000 --target-network-frequency 5000
walker-walk  dqn-copy-5000  python dqn_discretized.py --env-id dm_control/walker-walk-v0 --seed 2 --total-timesteps 300000 --target-network-frequency 5000
walker-walk  dqn-copy-5000  python dqn_discretized.py --env-id dm_control/walker-walk-v0 --seed 3 --total-timesteps 300000 --target-network-frequency 5000
dog-walk     qmle  python qmle_discrete.py --env-id dm_control/dog-walk-v0 --seed 1 --total-timesteps 300000 --no-enumerate
dog-walk     qmle  python qmle_discrete.py --env-id dm_control/dog-walk-v0 --seed 2 --total-timesteps 300000 --no-enumerate
dog-walk     qmle  python qmle_discrete.py --env-id dm_control/dog-walk-v0 --seed 3 --total-timesteps 300000 --no-enumerate
END
python benchmark/plot.py figure_10 "$@"
