#!/usr/bin/env bash
# Packs what qmle_playground.py needs beside jax, scipy and torch, for an offline x86-64 machine with CPython 3.12.
#   usage: benchmark/pack_playground.sh FOLDER    writes FOLDER/playground.tar.xz
#   there: mkdir -p /opt/pg && tar -C /opt/pg -xf FOLDER/playground.tar.xz && export PYTHONPATH=/opt/pg MUJOCO_GL=disabled
# Left out: warp-lang (149 MB, for impl="warp" alone), orbax, mediapy and optax (never imported), and what wants brax and lxml: empty
# modules stand in, so Playground's own training wrapper and SwimmerSwimmer6 do not work.
set -euo pipefail
folder=$(realpath -m "$1") work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$folder" "$work/site"
platforms=(--platform any)
for version in 2_28 2_27 2_17; do platforms+=(--platform "manylinux_${version}_x86_64"); done
python3 -m pip download --quiet --no-deps --only-binary=:all: --python-version 3.12 --implementation cp --abi cp312 --abi abi3 \
  --abi none "${platforms[@]}" --platform manylinux2014_x86_64 -d "$work/wheels" playground==0.2.0 mujoco==3.17.0 mujoco-mjx==3.17.0 \
  absl-py==2.5.1 etils==1.15.0 flax==0.12.8 ml_collections==1.1.0 msgpack==1.2.4 pygments==2.21.0 pyyaml==6.0.4 rich==15.0.0 \
  tqdm==4.70.1 trimesh==5.2.0 typing_extensions==4.16.0 tyro==1.0.17 docstring-parser typeguard
ls -l "$work/wheels" | awk '{print $5, $9}'
for wheel in "$work"/wheels/*.whl; do python3 -m zipfile -e "$wheel" "$work/site"; done
cd "$work/site"
rm -rf mujoco/{experimental,testdata,sysid,include,mjx/test_data} mujoco/_render_filament* mujoco_playground/_src/*/*/xmls
mkdir -p brax/envs/wrappers lxml
touch brax/{__init__,envs/__init__,envs/wrappers/__init__,envs/wrappers/training}.py lxml/{__init__,etree}.py
tar -cJf "$folder/playground.tar.xz" .
du -sh "$work/site" "$folder/playground.tar.xz"
