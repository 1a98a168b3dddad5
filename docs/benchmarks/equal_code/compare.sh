#!/bin/sh
# Print the SHA-256 of every prediction of a few steps of everything built in, sorted: run it before and after a change.
# usage: compare.sh MEDBENCH FOLDER
set -eu
here=$(cd "$(dirname "$0")" && pwd)
export OMP_NUM_THREADS=1 MEDBENCH_CACHE="$2/cache"
for study in images features classifiers volumes; do
    "$1" run "$here/$study.toml" --no-controls --workers 2 --results "$2/$study" > /dev/null
done
find "$2" -name predictions.parquet -exec sha256sum {} + | cut -d ' ' -f 1 | sort
