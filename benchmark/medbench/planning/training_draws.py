"""How many patients a protocol trains on, and what part of them the repeats of an official cut share."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

from medbench.errors import MedbenchError
from medbench.interfaces import TrainingSet
from medbench.planning.arms import TrainedOn
from medbench.protocols.folds import Cut
from medbench.protocols.protocol import EvaluationProtocol, protocol
from medbench.samples import Samples


def describe_draws(dataset: str, text: str, draws: Sequence[set[str]]) -> TrainedOn:
    """Describe what a protocol trains on.

    Args:
        dataset: Text of the data set.
        text: Text of the protocol.
        draws: Groups that every cut trains on; of an official cut one for each repeat.
    """
    overlap = _overlap(draws) if protocol(text).has_one_cut else 0.0
    return TrainedOn(dataset, text, sum(map(len, draws)) / len(draws), overlap)


def find_draws(samples: Samples, dataset: str, text: str, repeats: int) -> TrainedOn | None:
    """Arrange every repeat of an official cut and describe what is trained on; None of another one, or an unfit one."""
    rule = protocol(text)
    if not rule.has_one_cut:
        return None
    try:
        return describe_draws(dataset, text, [_trained(samples, rule, Cut(0, 1, repeat)) for repeat in range(repeats)])
    except MedbenchError:
        return None


def _trained(samples: Samples, rule: EvaluationProtocol, cut: Cut) -> set[str]:
    seen: list[Samples] = []

    def prepare(train: Samples, *held_out: Samples) -> tuple[Any, ...]:
        seen.append(train)
        return TrainingSet(train), *held_out

    rule.arrange(samples, cut, prepare)
    return set(seen[0].groups.tolist())


def _overlap(draws: Sequence[set[str]]) -> float:
    """Return the part of their patients that two draws share, mean over pairs; 0 of one draw."""
    shared = [2 * len(a & b) / (len(a) + len(b)) for a, b in itertools.combinations(draws, 2)]
    return sum(shared) / len(shared) if shared else 0.0
