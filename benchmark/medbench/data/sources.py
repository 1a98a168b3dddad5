"""Where a study's data sets lie: a real folder, or a phantom written on demand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from medbench.data.cache import Decoded, decode, find_decoded
from medbench.data.decode import Progress
from medbench.data.find_phantom import PHANTOM, PhantomTable, phantom_root
from medbench.errors import UsageError
from medbench.interfaces import Dataset
from medbench.registry.catalogue import Catalogue
from medbench.registry.recipes import did_you_mean, listing


@dataclass(frozen=True)
class Source:
    """A data set of a study.

    Attributes:
        text: How results name it.
        recipe: The data set.
        root: Its folder.
        size: Working size in pixels along every spatial axis.
    """

    text: str
    recipe: Dataset
    root: Path
    size: int

    @property
    def is_phantom(self) -> bool:
        """Whether its images were drawn by medbench."""
        return self.text.startswith(PHANTOM)

    def decode(self, workers: int, progress: Progress | None = None) -> Decoded:
        """Decode it, or open what was decoded before."""
        prefix = PHANTOM if self.is_phantom else ""
        return decode(self.recipe, self.root, size=self.size, workers=workers, progress=progress, prefix=prefix)

    def decoded(self) -> Decoded | None:
        """Return what was decoded before, or None; decodes nothing."""
        prefix = PHANTOM if self.is_phantom else ""
        return find_decoded(self.recipe, self.root, size=self.size, prefix=prefix)


def locate_datasets(
    catalogue: Catalogue,
    texts: Sequence[str],
    *,
    data: Sequence[str],
    phantom: bool,
    drawing: PhantomTable,
    size: int | None,
    more: Sequence[Dataset] = (),
) -> list[Source]:
    """Find the folder of every data set; phantoms are written here.

    Args:
        catalogue: What is registered.
        texts: As given to ``-d``; names may be globs.
        data: As given to ``--data``: ``ROOT`` or ``name=ROOT``.
        phantom: Use the phantom of every data set.
        drawing: How phantoms are drawn.
        size: Working size; None takes each data set's own.
        more: Data sets that recipes learn from; `data` may name their folders too.

    Raises:
        UsageError: If a data set has no folder.
    """
    named, plain = _folders(data)
    sources: list[Source] = []
    for text in texts:
        drawn = phantom or text.startswith(PHANTOM)
        for recipe in catalogue.matching("dataset", text.removeprefix(PHANTOM)):
            spec = catalogue.spec(recipe)
            family = recipe.name.partition(":")[0]
            if drawn:
                root = phantom_root(recipe, seed=drawing.seed, patients=drawing.patients, null=drawing.null)
            else:
                root = _root(recipe.name, family, named, plain)
            found = Source(
                f"{PHANTOM}{spec}" if drawn else spec, with_files_of(recipe, root), root, size or recipe.size
            )
            if found not in sources:  # globs may overlap
                sources.append(found)
    recipes = [*(source.recipe for source in sources), *more]
    takers = {name for recipe in recipes for name in (recipe.name, recipe.name.partition(":")[0])}
    for name, folder in named.items():
        if name not in takers and not phantom:
            raise UsageError(
                f"--data {name}={folder}: no data set {name!r} takes part{did_you_mean(name, takers)}; "
                f"there are: {listing(sorted(takers))}."
            )
    return sources


def locate_other_dataset(
    catalogue: Catalogue, dataset: Dataset, target: Source, *, data: Sequence[str], drawing: PhantomTable
) -> Source:
    """Find the folder of a data set that recipes learn from: a phantom for a phantom, at the target's working size.

    Raises:
        UsageError: If it has no folder.
    """
    spec = catalogue.spec(dataset)
    if target.is_phantom:
        root = phantom_root(dataset, seed=drawing.seed, patients=drawing.patients, null=drawing.null)
        return Source(f"{PHANTOM}{spec}", dataset, root, target.size)
    named, plain = _folders(data)
    root = _root(dataset.name, dataset.name.partition(":")[0], named, plain)
    return Source(spec, with_files_of(dataset, root), root, target.size)


def with_files_of(dataset: Dataset, root: Path) -> Dataset:
    """Return a data set whose fields name the files of its folder: its ``within(root)``, where it has one.

    A table that is given by name lies in the data folder; what a recipe is identified by reads it there.
    """
    placed: Dataset = getattr(dataset, "within", lambda _: dataset)(root)
    return placed


def _folders(data: Sequence[str]) -> tuple[dict[str, str], list[str]]:
    """Part ``name=ROOT`` from ``ROOT``."""
    named = dict(item.split("=", 1) for item in data if "=" in item and not Path(item).exists())
    return named, [item for item in data if item.partition("=")[0] not in named]


def _root(name: str, family: str, named: dict[str, str], plain: list[str]) -> Path:
    for key in (name, family):
        if key in named:
            return _existing(Path(named[key]), f"--data {key}={named[key]}")
    for item in plain:
        root = _existing(Path(item), f"--data {item}")
        inside = root / family
        return inside if inside.is_dir() else root
    raise UsageError(
        f"{name}: where is it? Give --data FOLDER (or {family}=FOLDER, or MEDBENCH_DATA), or --phantom for synthetic "
        f"test images; `medbench datasets show {name}` says how to get it."
    )


def _existing(path: Path, option: str) -> Path:
    path = path.expanduser()
    if not path.is_dir():
        raise UsageError(f"{option}: no such folder.")
    return path
