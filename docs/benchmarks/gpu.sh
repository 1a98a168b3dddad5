#!/usr/bin/env bash
# What is to be measured on one GPU: does everything run and repeat, how fast is a step, how busy is the card. Each part has a limit.
#
#     bash docs/benchmarks/gpu.sh OUT [run] [steps] [rate]        # all three by default
#
# From the root of a checkout, with medbench and the group `test` of pyproject.toml installed, or both on PYTHONPATH: a
# machine that reaches no package index can be given wheels that were unzipped into one folder. Whole logs lie in OUT.
set -u
out=$(mkdir -p "$1" && cd "$1" && pwd) && shift
parts=${*:-run steps rate}
here=$(cd "$(dirname "$0")" && pwd) && root=$(cd "$here/../.." && pwd)
export PYTHONUNBUFFERED=1 OMP_NUM_THREADS=1
python=$(command -v python3 || command -v python)
medbench() { "$python" -m medbench "$@"; }
began=$(date +%s)
said() { echo "--- $(($(date +%s) - began)) s: $*"; }
busy() { # share of the time in which the card did anything, and the most memory that was taken, while a command runs
    nvidia-smi --query-gpu=utilization.gpu,memory.used --format=csv,noheader,nounits -lms 250 > "$out/busy" & local looker=$!
    "$@"
    kill $looker 2> /dev/null
    awk -F, '{u += $1; if ($2 + 0 > m) m = $2 + 0} END {if (NR) print "card busy", u / NR, "%, at most", m, "MiB"}' "$out/busy"
}

probe() { # whether cuDNN has a deterministic engine for volumes in both layouts, forward, backward and twice backward
    "$python" - << 'P'
import torch
from medbench_plugins.training.numeric_precision import repeatable_kernels
for layout in (torch.contiguous_format, torch.channels_last_3d):
    for low in (False, True):
        for name, layer in (("conv", torch.nn.Conv3d(4, 8, 3, 2, 1)), ("transposed", torch.nn.ConvTranspose3d(4, 8, 4, 2, 1))):
            layer = layer.cuda().to(memory_format=layout)
            x = torch.randn(2, 4, 16, 16, 16, device="cuda").contiguous(memory_format=layout).requires_grad_()
            try:
                with repeatable_kernels(), torch.autocast("cuda", torch.bfloat16, enabled=low):
                    (first,) = torch.autograd.grad(layer(x).float().square().sum(), x, create_graph=True)
                    first.square().sum().backward()
                found = "ok"
            except RuntimeError as error:
                found = str(error).splitlines()[0]
            print("3-D", name, layout, "bfloat16" if low else "float32", found)
P
}

runs() { # every cell through the command line, and the quickstart twice, by one process and by six
    cd "$root" && timeout 240 "$python" -m pytest tests/gpu -n 6 -q -p no:cacheprovider --durations=8 --tb=short \
        > "$out/pytest.txt" 2>&1 & local tests=$!
    cd "$out"
    timeout 150 "$python" -m medbench run --augmenter hybrid --results one > one.txt 2>&1; said "quickstart: $?"
    timeout 150 "$python" -m medbench run --augmenter hybrid --results six --workers 6 > six.txt 2>&1; said "six at a time: $?"
    tail -n 2 one.txt six.txt
    "$python" - << 'P'
import json, pathlib
def read(folder): return {p.parent.name: p.read_bytes() for p in pathlib.Path(folder).rglob("predictions.parquet")}
one, six = read("one"), read("six")
print("training runs", len(one), len(six), "of equal bytes", sum(six.get(k) == v for k, v in one.items()))
results = [json.loads(p.read_text()) for p in pathlib.Path("one").rglob("result.json")]
print("seconds of each", sorted(round(r["cost"]["seconds"], 1) for r in results), {r["facts"].get("gpu_steps") for r in results})
for p in list(pathlib.Path(".").rglob("failure.json"))[:5]: print(p, p.read_text()[:300])
P
    wait $tests; said "tests"; grep -E "^(FAILED|ERROR|E  )|passed|failed|s call" "$out/pytest.txt" | tail -n 40 | cut -c1-200
}

steps() { # the table of ratios, for both numerics, what packing would give, and which kernels a step has
    cd "$here"
    timeout 150 "$python" gpu_steps.py --seconds .15 2>&1 | tee "$out/exact.txt"; said "numerics exact"
    timeout 90 "$python" gpu_steps.py networks --numerics fast --no-user --seconds .1 2>&1 | tee "$out/fast.txt"; said "fast"
    timeout 40 "$python" packing.py --device cuda:0 --steps 50 --rounds 4 2>&1 | tail -n 4; said "packing"
    timeout 60 "$python" gpu_kernels.py > "$out/kernels.txt" 2>&1; grep "^==" "$out/kernels.txt"; said "kernels"
}

rate() { # training runs an hour, and how long a study would take
    cd "$out"
    busy timeout 90 "$python" -m medbench run -d phantom:ddti:benign-malignant -a geometric -c small-cnn --no-controls \
        --no-companions --no-yardsticks --folds 5 --repeats 10 --workers 6 --budget steps=600,batch=32,size=32 \
        --results rate > rate.txt 2>&1
    tail -n 2 rate.txt
    "$python" - << 'P'
import pathlib
done = sorted(p.stat().st_mtime for p in pathlib.Path("rate").rglob("result.json"))
if len(done) > 10:  # what is decoded and started before the first ones is not counted
    print("training runs of 600 steps an hour:", round(3600 * (len(done) - 6) / (done[-1] - done[5])))
P
    timeout 80 "$python" -m medbench calibrate spine-hybrid --phantom --workers 6 > calibrate.txt 2>&1; tail -n 3 calibrate.txt
    medbench plan spine-hybrid --phantom --workers 6 2>&1 | grep -iE "hour|memory|takes" | head -n 8
    said "rate"
}

nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader
for part in $parts; do case $part in run) probe && runs ;; steps) steps ;; rate) rate ;; esac; done
