"""Which trials a plan's record amounts to, with their ids, from the record alone."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

from medbench.data.external_test import tested_facts
from medbench.identity.identity import digest
from medbench.planning.arms import Arm, Checked
from medbench.planning.double_steps_trials import with_double_steps
from medbench.planning.leak_staircase import arms_under
from medbench.planning.study import Study
from medbench.planning.yardsticks import Yardsticks
from medbench.protocols.protocol import protocol
from medbench.trial.trial import Trial


def planned_trials(record: Mapping[str, Any]) -> dict[str, Trial]:
    """Return every trial of a plan by its id: of arms, of yardsticks, and of the check at twice the steps.

    The seed block (:mod:`medbench.planning.seed_block`) is left out: no number of a board is made of it.

    Args:
        record: As :meth:`.Plan.record` gives it. Extractors are no part of a trial's id and are left
            out here.
    """
    found = {}
    for trial in _trials(record):
        made = dataclasses.replace(trial, id=digest(trial.to_json()))
        found[made.id] = made
    return found


def _trials(record: Mapping[str, Any]) -> Iterator[Trial]:
    study = Study.model_validate(record["study"])
    longer = with_double_steps(study)
    for source in record["sources"]:
        name = source["dataset"]
        arms = [Arm(**arm) for arm in record["arms"][name]]
        of_key = {arm.key: arm for arm in arms}
        left_out = {s.get("protocol") for s in record["skipped"] if s["dataset"] == name}

        def trials(arm: Arm, text: str, seeds: range, of: Study = study, source: Mapping[str, Any] = source) -> Any:
            folds, data = protocol(text).folds(of.folds), tested_facts(source, protocol(text))["data"]
            for repeat in range(of.repeats):
                for fold in range(folds):
                    for seed in seeds:
                        yield Trial(
                            source["dataset"], text, repeat, fold, folds, seed, seed, arm.augmenter, arm.classifier,
                            of.spending, data=data, arm=arm.made_by,
                        )  # fmt: skip

        for text in dict.fromkeys(study.protocols):
            for arm in arms_under(study, text, arms) if text not in left_out else ():
                yield from trials(arm, text, range(study.seeds))
        for yardstick in (Yardsticks(**y) for y in record.get("yardsticks", ())):
            if yardstick.dataset == name:
                yield from trials(of_key[yardstick.key], yardstick.protocol, yardstick.more)
                yield from trials(of_key[yardstick.key], yardstick.fewer, range(study.seeds))
        for checked in (Checked(**c) for c in record.get("checked", ())):
            if checked.dataset == name:
                for key in (checked.key, of_key[checked.key].control_key):
                    yield from trials(of_key[key], checked.protocol, range(study.seeds), longer)
