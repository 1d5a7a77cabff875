#!/usr/bin/env bash
# Environment steps a second of each seed of qmle_plus.py, alone on a machine, on cheetah-run: from the first episode that ends
# after step 10,000, when it has compiled, to step 30,000. Not run on a GPU yet.
#   usage: benchmark/plus_speed.sh [NUM_SEEDS ...]    (1 3 5)
set -euo pipefail
cd "$(dirname "$0")/.."
echo "num_seeds,steps_per_second"
for num_seeds in ${@:-1 3 5}; do
folder=$(mktemp -d)
(cd "$folder" && python "$OLDPWD/qmle_plus.py" --env-id dm_control/cheetah-run-v0 --num-seeds "$num_seeds" --total-timesteps 30000 --no-save-model) > "$folder/log" 2>&1 || { cat "$folder/log"; exit 1; }
python - "$folder" <<'END'
import csv, pathlib, sys

for path in pathlib.Path(sys.argv[1]).glob("runs/*/seed_1/episodes.csv"):
    rows = [row for row in csv.DictReader(path.open()) if float(row["global_step"]) >= 10_000]
    steps, seconds = (float(rows[-1][name]) - float(rows[0][name]) for name in ("global_step", "wall_time"))
    print(len(list(path.parent.parent.glob("seed_*"))), f"{steps / seconds:.0f}", sep=",", flush=True)
END
rm -r "$folder"
done
