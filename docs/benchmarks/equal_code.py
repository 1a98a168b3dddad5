"""Let rewritten code keep its ids: write the table of :mod:`medbench.identity.equal_code`.

    python docs/benchmarks/equal_code.py            # say which digests differ from tests/identity/digests.json
    python docs/benchmarks/equal_code.py --equal    # write that they compute the same: only after it was shown
    python docs/benchmarks/equal_code.py --changed  # write today's digests as those to keep: results change

Before ``--equal``, run every augmenter, generator and classifier for a few steps before and after the change, as the
studies in docs/benchmarks/equal_code/ do, and compare the SHA-256 of all ``predictions.parquet``. A result that
changes is ``--changed`` and a line under **Numbers** in the changelog.
"""

from __future__ import annotations

import json
import sys
from importlib import resources
from pathlib import Path
from typing import Any

from medbench.identity.code_reach import place_of, reach
from medbench.identity.equal_code import known_as
from medbench.identity.identity import CORE
from medbench.interfaces import cut_in_two, needs
from medbench.registry import plugins
from medbench.registry.describe_recipe import full_name, with_inner
from medbench.trial.metrics import CORE_PLACES

KEPT = Path(__file__).parents[2] / "tests" / "identity" / "digests.json"
KINDS = ("augmenter", "generator", "classifier", "extractor", "dataset", "metric", "score")


def digests() -> dict[str, str]:
    """Return the SHA-256 of the code of everything that is built in, as it is, by kind and name; stages among it."""
    catalogue = plugins.load(installed=False)
    found = {"core:trial": reach(*CORE).own}
    found |= {f"core:{name}": reach((module, "*")).own for name, module in CORE_PLACES.items()}
    for kind in KINDS:
        for name in catalogue.names(kind):
            item = catalogue.registered(kind, name)
            found[f"{kind}:{name}"] = reach(place_of(item)).own
            if kind not in ("metric", "score"):
                found |= _parts(kind, name, item)
    return found | _parts("classifier", "", catalogue.resolve("classifier", "pretrained-on[source=mura:abnormal]"))


def _parts(kind: str, name: str, recipe: Any) -> dict[str, str]:
    """Return the same of the recipes in the fields of one, of the stages it needs, and of its encoder and head."""
    found, waiting = {}, [recipe]
    while waiting:
        user = waiting.pop()
        for part in with_inner(user):
            found[full_name(part)] = reach(place_of(part)).own
            waiting += needs(part)
        cut = cut_in_two(user) if kind == "classifier" and hasattr(user, "cut") else None
        if cut is not None:
            waiting.append(cut[0])
            if name:
                found[f"head of {name}"] = reach(place_of(cut[1])).own
    return found


def main() -> None:
    """Compare, and write what the option says."""
    before, now = json.loads(KEPT.read_text()), digests()
    if "--changed" in sys.argv:
        kept = {name: known_as(own) for name, own in sorted(now.items())}  # what is equal code keeps its digest
        KEPT.write_text(json.dumps(kept, indent=1) + "\n")
        return
    differing: dict[str, str] = {}
    for name in sorted(now, key=lambda name: (name not in before, name)):  # what is new has the id of equal code
        if (kept := before.get(name, differing.get(now[name], now[name]))) != differing.setdefault(now[name], kept):
            sys.exit(f"{name}: its code is now that of another recipe, whose results have another id; keep them apart")
    differing = {own: kept for own, kept in differing.items() if own != kept}
    if "--equal" in sys.argv:
        table = Path(str(resources.files("medbench.identity"))) / "equal_code.txt"
        head = "# SHA-256 of rewritten code, and of the code that it is equal to; see equal_code.py\n"
        table.write_text(head + "".join(f"{own} {known}\n" for own, known in sorted(differing.items())))
    for name in sorted(now):
        if before.get(name) != now[name]:
            print(name, "is new" if name not in before else "differs")


if __name__ == "__main__":
    main()
