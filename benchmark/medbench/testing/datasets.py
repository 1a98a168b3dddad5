"""The contracts of data sets and of study files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from medbench.errors import ContractError, DataError, Skip, UsageError
from medbench.testing.sandbox import make_folder


def check_dataset(dataset: Any, folder: Path) -> None:
    """Check that a data set reads its own phantom back, the same way twice.

    Raises:
        ContractError: With one sentence on what is wrong.
        Skip: If it has no phantom.
    """
    from medbench.data.decode import check_index

    root = make_folder(folder, "phantom")
    try:
        dataset.phantom(root, seed=0, patients=12, null=False)
    except (UsageError, DataError) as error:
        raise Skip(f"draws no synthetic images, so nothing more is checked ({error})") from None
    index = check_index(dataset.index(root), dataset.name)
    positive = getattr(dataset, "positive", "")
    if positive and (positive not in index.classes or len(index.classes) != 2):
        raise ContractError(
            f"{dataset.name}: positive is {positive!r}, and the classes are {', '.join(index.classes)}."
        )
    records = index.records[:3]
    read = list(dataset.read(root, records, 16))
    if len(read) != len(records):
        raise ContractError(f"{dataset.name}: read gave {len(read)} images for {len(records)} records.")
    for (image, mask), record in zip(read, records, strict=True):
        if image.dtype != np.uint8 or image.shape != (index.channels, *[16] * index.dimensions):
            raise ContractError(f"{dataset.name}: {record.id} was read as {image.dtype} {image.shape}.")
        if mask is not None and mask.shape != image.shape[1:]:
            raise ContractError(
                f"{dataset.name}: the mask of {record.id} is {mask.shape}, its image {image.shape[1:]}."
            )
        [(alone, _)] = dataset.read(root, [record], 16)
        if not np.array_equal(alone, image):
            raise ContractError(f"{dataset.name}: {record.id} is read otherwise alone than among others.")
    if [r.id for r in dataset.index(root).records] != [r.id for r in index.records]:
        raise ContractError(f"{dataset.name}: two calls of index list the images in different order.")


def check_study(path: Any, folder: Path) -> None:
    """Check that a study file is one, and that everything it names is registered.

    Raises:
        UsageError: With one sentence on what is wrong.
    """
    from medbench.planning.study import read
    from medbench.protocols.protocol import protocol
    from medbench.registry.plugins import recipe

    study = read(path)
    names = [("dataset", text.removeprefix("phantom:")) for text in study.datasets]
    names += [("augmenter", text) for text in study.augmenters] + [("classifier", text) for text in study.classifiers]
    for kind, text in names:
        if not set("*?") & set(text):
            recipe(kind, text)
    for text in study.protocols:
        protocol(text)
