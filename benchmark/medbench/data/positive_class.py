"""Which class of a data set is the disease, as its recipe declares it: part of no result, so of stored ones too."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from medbench.data.find_phantom import PHANTOM
from medbench.errors import MedbenchError
from medbench.registry.catalogue import Catalogue


def declared_positive(dataset: Any, classes: Sequence[str]) -> str:
    """Return the class that a data set calls positive; "" where it declares none, or has not two classes."""
    name = str(getattr(dataset, "positive", ""))
    return name if len(classes) == 2 and name in classes else ""


def with_positive(record: Mapping[str, Any], catalogue: Catalogue) -> dict[str, Any]:
    """Return a plan's record whose sources say ``positive``, where the data set is known here and declares it.

    Args:
        record: As :meth:`medbench.planning.plan.Plan.record` gives it; of before, too.
        catalogue: What is registered.
    """
    return {**record, "sources": [_declared(source, catalogue) for source in record["sources"]]}


def _declared(source: Mapping[str, Any], catalogue: Catalogue) -> Mapping[str, Any]:
    try:
        dataset = catalogue.resolve("dataset", str(source["dataset"]).removeprefix(PHANTOM))
    except MedbenchError:  # its plugin is not loaded: read off the names of the classes
        return source
    name = declared_positive(dataset, source["classes"])
    return {**source, "positive": name} if name else source
