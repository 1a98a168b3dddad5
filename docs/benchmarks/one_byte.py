"""Change one byte of a signed bundle, many times over: how many of the changes are found.

python docs/benchmarks/one_byte.py BUNDLE --changes 10000
"""

from __future__ import annotations

import argparse
import collections
import random
import time
from pathlib import Path

from medbench.publishing.bundle import signatures, zip_container
from medbench.publishing.bundle.read_bundle import read_members
from medbench.publishing.refusals import Refused


def judge(data: bytes) -> str:
    """Return the code a file is refused with, or "accepted"."""
    try:
        bundle = read_members(data, zip_container.find(data))
        signatures.signer_of(bundle.manifest, bundle.signature, None)
    except Refused as refused:
        return refused.code
    return "accepted"


def main() -> None:
    """Print how often each code was met."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--changes", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    data, rng = given.bundle.read_bytes(), random.Random(given.seed)
    if (whole := judge(data)) != "accepted":
        raise SystemExit(f"{given.bundle}: is refused as it is ({whole}).")
    started, found = time.monotonic(), collections.Counter[str]()
    for _ in range(given.changes):
        offset, mask = rng.randrange(len(data)), rng.randrange(1, 256)
        found[judge(data[:offset] + bytes([data[offset] ^ mask]) + data[offset + 1 :])] += 1
    print(f"{given.bundle.name}: {len(data):,} bytes, {given.changes:,} changes, {time.monotonic() - started:.0f} s")
    for code, times in sorted(found.items()):
        print(f"{code:<10}{times:>8,}")
    print(f"{'found':<10}{given.changes - found['accepted']:>8,}")


if __name__ == "__main__":
    main()
