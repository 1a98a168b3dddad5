"""One stage of a trial, such as a generator: the samples it is fitted on, and its fit."""

from __future__ import annotations

from typing import Any, cast

from medbench.errors import ContractError
from medbench.interfaces import State, TrainingSet
from medbench.protocols.folds import Cut
from medbench.protocols.protocol import EvaluationProtocol
from medbench.samples import Samples
from medbench.trial.context import TrialContext, measure_cost
from medbench.trial.stages import save_state
from medbench.trial.tamper_check import unchanged


class _Arranged(Exception):  # noqa: N818  not an error
    """Ends the arrangement of a protocol once the training samples are known, and carries them."""

    def __init__(self, train: Samples) -> None:
        self.train = train


def training_part(protocol: EvaluationProtocol, samples: Samples, cut: Cut) -> Samples:
    """Return the samples that a protocol hands to `prepare`, without preparing anything."""

    def stop(train: Samples, *held_out: Samples) -> tuple[TrainingSet, ...]:
        raise _Arranged(train)

    try:
        protocol.arrange(samples, cut, stop)
    except _Arranged as planned:
        return planned.train
    raise AssertionError("a protocol prepares exactly once")


def fit_stage(stage: Any, train: Samples, context: TrialContext, *, key: str, text: str) -> None:
    """Fit a stage and write it into the context's folder."""
    expected, inner = context.stage_context(stage, train)
    if expected != key:
        raise ContractError(f"stage {stage.name!r} is not what was planned: the code or the data changed meanwhile.")
    with measure_cost(context.device) as cost, unchanged("training samples", train, f"stage {stage.name!r}"):
        fitted = stage.fit(train, inner)
        state = cast("State", fitted.state())
    record = {
        "key": key,
        "stage": text,
        "cost": cost,
        "fitted_on": len(train),
        "facts": {**context.reported, **getattr(fitted, "facts", {})},
        "stages": context.stages,
    }
    save_state(context.folder, state, record)
