"""Evaluation protocols: in which order samples are cut and training sets prepared.

The order is the whole difference between an honest number and a leaky one. Honest protocols cut first and prepare the
training part; leaky ones, kept to rerun published studies, prepare first or cut what belongs together. Every protocol
declares its leaks; anything found beyond them stops the run.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from medbench.errors import DataError, UsageError
from medbench.interfaces import TrainingSet
from medbench.protocols.corruptions import corruptions_of
from medbench.protocols.external import parse_mapping
from medbench.protocols.folds import VALIDATION_FOLDS, Cut, assign_folds, cut_samples, official_cut, without_overlap
from medbench.protocols.subsets import draw_images, draw_patients, draw_share
from medbench.registry.recipes import configure, did_you_mean, listing, parse
from medbench.samples import Samples

Prepare = Callable[..., tuple[Any, ...]]
"""``prepare(train, *held_out) -> (training set, *held_out)``."""

LEAKY: Mapping[str, tuple[str, ...]] = {
    "synthetic-scored": ("synthetic-scored",),
    "copies": ("copy", "fitted-on-test"),
    "fitted-on-all": ("copy", "fitted-on-test"),
    "scaler-on-all": ("fitted-on-test",),
    "encoder-on-all": ("fitted-on-test",),
    "generator-on-all": ("copy", "fitted-on-test"),
    "images": ("same-patient",),
    "steps": ("unequal-steps",),
    "selection": ("selected-on-test",),
}
"""Switches of a protocol, each a mistake known from published work, by what :data:`.LEAKS` calls it.

synthetic-scored  synthetic images are scored too; needs `copies`, since after the cut there are none to score
copies            training sets are prepared before the cut: a synthetic image and its source may lie on both sides
fitted-on-all     generators and encoders learn from all images; copies of one test image stay out
scaler-on-all     features are standardised by all images; changes nothing of methods on pixels
encoder-on-all    encoders learn from all images; changes nothing of methods on pixels
generator-on-all  generators learn from all images, encoders do not; copies of one test image stay out
images            images are cut, not patients
steps             training lasts as many times longer as synthetic samples make the training set larger
selection         weights are chosen by their accuracy on the scored images
"""
PREPARE_FIRST = frozenset({"copies", "fitted-on-all", "generator-on-all"})
"""Switches under which training sets are prepared before the cut."""
_ORDERS: dict[str, tuple[str, ...]] = {
    "patients": (),
    "official": (),
    "external": (),
    "images": ("images",),
    "select-on-test": ("selection",),
    "augment-first": ("synthetic-scored", "copies", "images"),
}
PROTOCOLS = tuple(_ORDERS)
MADE_FOLDS = 5  # parts into which synthetic rows are cut where an official cut has no folds


@dataclass(frozen=True)
class EvaluationProtocol:
    """An order of cutting and preparing, with switches that make it leak.

    Attributes:
        name: What it is called on the command line.
        train: Subsample of the training part, wanted images a class in the order of the classes, as in
            "1000/140/52"; drawn by group, another draw each repeat. Empty: all.
        leak: Switches of LEAKY with slashes, as in "copies/images", besides those that the name stands for.
        share: Of the training patients, above 0 to 1: drawn by group within their class, another draw each repeat and
            fold, what is tested stays the same. The yardstick "3/4 of the patients" is ``patients[share=0.75]``.
        patients: Training patients, classes in their proportion: drawn by group after the cut, another draw each
            repeat and fold. Those of an official cut are disjoint while its training part lasts, and all repeats watch
            the same tenth of it. 0: all. ``official[patients=50]``.
        overlap: What becomes of training rows of an official cut whose group also stands in its test part: "refuse"
            keeps them, so that the run stops, or "drop" trains without them. Of an external test likewise.
        test: Of an external test: text of the data set that is tested; the study's own is trained on, all of it.
        classes: Of an external test: classes of the tested data set by those trained on, as
            ``theirs:ours/theirs:ours``, where their names differ; see :mod:`.external`.
        corrupted: Kinds of :mod:`.corruptions` with slashes, or "all": the trained classifier is tested on corrupted
            test images too. Training, seeds and clean predictions are those without it.
    """

    name: Literal["patients", "official", "external", "images", "select-on-test", "augment-first"] = "patients"
    train: str = ""
    leak: str = ""
    share: float = 1.0
    patients: int = 0
    overlap: Literal["refuse", "drop"] = "refuse"
    test: str = ""
    classes: str = ""
    corrupted: str = ""

    @property
    def has_one_cut(self) -> bool:
        """Whether one test part serves all repeats: an official cut, or another data set."""
        return self.name in ("official", "external")

    @property
    def is_external(self) -> bool:
        """Whether another data set is tested."""
        return self.name == "external"

    @property
    def switches(self) -> frozenset[str]:
        """Members of LEAKY that are on."""
        return frozenset((*_ORDERS[self.name], *filter(None, self.leak.split("/"))))

    @property
    def leaks(self) -> frozenset[str]:
        """Leaks that this protocol is known for; empty for an honest one."""
        return frozenset(leak for switch in self.switches for leak in LEAKY[switch])

    @property
    def is_honest(self) -> bool:
        """Whether the protocol declares no leak, so that its numbers may be ranked."""
        return not self.switches

    @property
    def cuts_images(self) -> bool:
        """Whether images and not patients are cut."""
        return "images" in self.switches

    @property
    def selects(self) -> bool:
        """Whether classifiers keep the weights that were best on the validation part, here the scored one."""
        return "selection" in self.switches

    @property
    def prepares_first(self) -> bool:
        """Whether training sets are prepared of all images, before the cut."""
        return bool(self.switches & PREPARE_FIRST)

    def encoder_rows(self, samples: Samples, cut: Cut, train: Samples) -> Samples:
        """Return what encoders learn from: what generators learn from, but where a switch is of one of them alone.

        Args:
            samples: All labelled samples of the data set.
            cut: Fold and repeat.
            train: What is prepared.
        """
        if "encoder-on-all" in self.switches:
            return samples
        if "generator-on-all" not in self.switches or self.switches & {"copies", "fitted-on-all"}:
            return train
        left = [switch for switch in self.leak.split("/") if switch != "generator-on-all"]
        made, _, _ = replace(self, leak="/".join(left)).arrange(samples, cut, lambda t, *held: (TrainingSet(t), *held))
        return made.samples

    def folds(self, of_study: int) -> int:
        """Return the number of folds: one for an official cut and an external test, else the study's."""
        return 1 if self.has_one_cut else of_study

    def steps(self, steps: int, training_set: TrainingSet) -> int:
        """Return how long a classifier is trained: `steps`, or in proportion to the rows where that is the leak."""
        real = int(training_set.samples.is_real.sum())
        if "steps" not in self.switches or not real:
            return steps
        return round(steps * len(training_set.samples) / real)

    def arrange(
        self, samples: Samples, cut: Cut, prepare: Prepare, *, nested: bool = False
    ) -> tuple[TrainingSet, Samples, Samples]:
        """Cut samples and prepare the training set, in this protocol's order.

        Args:
            samples: All labelled samples of the data set; of an external test with those of the tested one, as
                :func:`.external.join_test_set` joins them.
            cut: Fold and repeat.
            prepare: Called once, with the samples to learn from first and held-out samples behind them.
            nested: Draw `patients` of an official cut as medbench 0.1 did, for results of then: each repeat its own
                tenth to watch, and a draw of what is left, which overlaps those of other repeats.

        Returns:
            Training set, validation, test.
        """
        by: Literal["groups", "ids"] = "ids" if self.cuts_images else "groups"
        if self.overlap == "drop":
            samples = without_overlap(samples)
        cutter = official_cut if self.has_one_cut else cut_samples
        if self.prepares_first:
            if self.train:
                samples = draw_images(samples, self.train, salt=str(cut.repeat))
            samples = draw_share(samples, self.share, salt=str(cut.repeat))
            parts = [set(part.ids.tolist()) for part in cutter(samples, cut, by=by)]
            made, every = prepare(samples, samples)
            training_set, validation, test = self._cut_made(made, every, parts, cut)
            return training_set, test if self.selects else validation, test
        # Disjoint draws need one pool for all repeats.
        of_pool = self.is_external or (self.name == "official" and self.patients > 0 and not nested)
        train, validation, test = cutter(samples, replace(cut, repeat=0) if of_pool else cut, by=by)
        if self.train:
            train = draw_images(train, self.train, salt=f"{cut.repeat}|{cut.fold}")
        if of_pool and self.patients:
            train = draw_patients(train, self.patients, salt="official", draw=cut.repeat)
        elif self.patients:
            train = draw_patients(train, self.patients, salt=f"{cut.repeat}|{cut.fold}")
        train = draw_share(train, self.share, salt=f"{cut.repeat}|{cut.fold}")
        if self.selects:
            validation = test
        training_set, validation, test = prepare(train, validation, test)
        return training_set, validation, test

    def _cut_made(
        self, made: TrainingSet, every: Samples, parts: list[set[str]], cut: Cut
    ) -> tuple[TrainingSet, Samples, Samples]:
        """Part what was prepared: real rows as in any cut; synthetic rows by themselves, or with the part of a source.

        Args:
            made: Training set of all samples.
            every: All samples, as held-out ones are handed over.
            parts: Ids of training, validation and test.
            cut: Fold and repeat.
        """
        rows = made.samples
        train, validation, test = parts
        others = np.flatnonzero(~rows.is_real)
        if "copies" in self.switches:
            folds = cut.folds if cut.folds > 1 else MADE_FOLDS
            part_of = assign_folds(rows.ids[others], rows.labels[others], folds, salt=f"{cut.repeat}|made")
            learnt = others[part_of != cut.fold]
            watched = assign_folds(
                rows.ids[learnt], rows.labels[learnt], VALIDATION_FOLDS, salt=f"{cut.repeat}|watched"
            )
            train = train | set(rows.ids[learnt[watched != 0]].tolist())
            if "synthetic-scored" in self.switches:
                every = rows  # what was prepared is what is scored
                validation = validation | set(rows.ids[learnt[watched == 0]].tolist())
                test = test | set(rows.ids[others[part_of == cut.fold]].tolist())
        else:
            known: dict[int, bool] = {}  # synthetic rows often share one tuple of sources: checked once
            of_train = [n for n in others if known.setdefault(id(s := rows.sources[n]), not train.isdisjoint(s))]
            train = train | set(rows.ids[of_train].tolist())
        return _restrict(made, _those(rows, train)), _those(every, validation), _those(every, test)


def protocol(text: str) -> EvaluationProtocol:
    """Resolve ``patients``, ``official[train=1000/140/52]``, ``patients[leak=copies/images]`` and so on.

    Raises:
        UsageError: For an unknown protocol, parameter or leak.
    """
    spec = parse(text)
    if spec.name not in _ORDERS:
        raise UsageError(
            f"no protocol is named {spec.name!r}{did_you_mean(spec.name, PROTOCOLS)}; there are: {listing(PROTOCOLS)}."
        )

    def no_recipes(kind: str, name: str) -> Any:
        raise UsageError(f"a protocol has no {kind}: {name!r}.")

    found: EvaluationProtocol = configure(EvaluationProtocol(spec.name), spec.parameters, no_recipes)  # type: ignore[arg-type]
    if found.train and not re.fullmatch(r"[0-9]{1,9}(/[0-9]{1,9})*", found.train):
        raise UsageError(f"{text}: train={found.train!r} is not counts with slashes; write train=1000/140/52.")
    if not 0 < found.share <= 1:
        raise UsageError(f"{text}: share={found.share:g} is no share of the patients; write share=0.75.")
    if found.patients < 0 or (not found.patients and any(key == "patients" for key, _ in spec.parameters)):
        raise UsageError(
            f"{text}: patients={found.patients} is no number of patients; write patients=50, or leave it out."
        )
    if found.overlap == "drop" and not found.has_one_cut:
        raise UsageError(
            f"{text}: only an official cut parts groups; write official[overlap=drop], or leave overlap= out."
        )
    _check_external(text, found)
    corruptions_of(found.corrupted)
    if found.corrupted and found.switches:
        raise UsageError(f"{text}: corrupted= belongs to a protocol that leaks nothing; leave one out.")
    if found.patients and found.train:
        raise UsageError(f"{text}: train= and patients= both say how many are trained on; leave one out.")
    for switch in filter(None, found.leak.split("/")):
        if switch not in LEAKY:
            has = listing(list(LEAKY))
            raise UsageError(f"{text}: no leak is named {switch!r}{did_you_mean(switch, LEAKY)}; there are: {has}.")
    if "synthetic-scored" in found.switches and "copies" not in found.switches:
        raise UsageError(f"{text}: synthetic-scored needs copies, since images are made before the cut or not scored.")
    if found.patients and found.prepares_first:
        early = " and ".join(switch for switch in LEAKY if switch in found.switches & PREPARE_FIRST)
        raise UsageError(f"{text}: patients= draws after the cut, {early} prepare before it; leave one out.")
    return found


def _check_external(text: str, found: EvaluationProtocol) -> None:
    if not found.is_external:
        if found.test or found.classes:
            raise UsageError(f"{text}: test= and classes= belong to an external test; write external[test=DATASET].")
        return
    if not found.test:
        raise UsageError(f"{text}: which data set is tested? Write external[test=DATASET].")
    if found.switches:
        raise UsageError(f"{text}: leaks are rerun within one data set; leave leak= out.")
    parse_mapping(found.classes)


def _those(samples: Samples, ids: set[str]) -> Samples:
    return samples.take(np.array([name in ids for name in samples.ids.tolist()], dtype=bool))


def _restrict(made: TrainingSet, train: Samples) -> TrainingSet:
    sampling = made.sampling
    if sampling is not None:
        position = {name: row for row, name in enumerate(made.samples.ids.tolist())}
        kept = sampling[[position[name] for name in train.ids.tolist()]]
        sampling = kept / kept.sum()
    bags = made.bags
    if bags is not None:
        place = {name: row for row, name in enumerate(train.ids.tolist())}
        there = np.array([place.get(name, -1) for name in made.samples.ids.tolist()], dtype=np.int64)
        left = [there[rows][there[rows] >= 0] for rows in bags]
        bags = tuple(rows for rows in left if len(rows))
        if not bags:
            raise DataError("the cut left no row in any bag of the training set; use fewer folds.")
    return TrainingSet(train, made.transform, sampling, made.loss, made.frequencies, bags, made.pretrain)
