"""Register the built-in data sets."""

from __future__ import annotations

import medbench


@medbench.hookimpl
def register_datasets() -> list[medbench.Dataset]:
    """Return every built-in data set; their readers import what they need when they read."""
    from medbench_datasets import brain_tumour, ddti, folder, fracatlas, medmnist, mura, vindr_spinexr

    return [
        *vindr_spinexr.DATASETS,
        *ddti.DATASETS,
        *brain_tumour.DATASETS,
        *mura.DATASETS,
        *fracatlas.DATASETS,
        *medmnist.DATASETS,
        *folder.DATASETS,
    ]
