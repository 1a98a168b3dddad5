"""Arms of a board with their controls, and combinations that are left out."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Arm:
    """An augmenter with a classifier, under its control.

    Attributes:
        augmenter: Text of the augmenter.
        classifier: Text of the classifier.
        control: Text of the augmenter it is compared with; empty for the root of a tree and for the plain arm.
        over: Text of the classifier it is compared with; empty for the same one.
        board: Text of the classifier at the end of the classifier's controls: all of them share its board.
        plain: It leaves training as it is and stands in the footer.
        asked: Named by the user, not only run as somebody's control.
        outside: Its training starts from outside data: a file of weights, or another data set.
        unchecked: A plugin's recipe in it could not be checked before its first trial.
        made_by: SHA-256 over the recipes, the code they reach, the core's and the libraries'; the trials of another
            one are superseded.
    """

    augmenter: str
    classifier: str
    control: str = ""
    over: str = ""
    board: str = ""
    plain: bool = False
    asked: bool = True
    made_by: str = ""
    outside: bool = False
    unchecked: bool = False

    @property
    def key(self) -> tuple[str, str]:
        """Augmenter and classifier, which tell arms of a board apart."""
        return self.augmenter, self.classifier

    @property
    def control_key(self) -> tuple[str, str]:
        """Key of the arm it is compared with; its augmenter is empty for a root."""
        return self.control, self.over or self.classifier


@dataclass(frozen=True)
class Skipped:
    """A combination that makes no sense, with the reason.

    Attributes:
        dataset: Text of the data set.
        augmenter: Text of the augmenter; empty where a whole protocol is left out.
        classifier: Likewise.
        reason: Half a sentence.
        protocol: Text of the protocol that is left out; empty where it is an arm of all protocols.
    """

    dataset: str
    augmenter: str
    classifier: str
    reason: str
    protocol: str = ""


def is_primary(arm: Arm, primary: str) -> bool:
    """Say whether an arm's gain is a study's primary comparison: ``AUGMENTER``, or ``AUGMENTER / CLASSIFIER``."""
    augmenter, _, classifier = primary.partition(" / ")
    return bool(primary and arm.control) and arm.augmenter == augmenter and classifier in ("", arm.classifier)


@dataclass(frozen=True)
class TrainedOn:
    """How many patients a protocol trains on.

    Attributes:
        dataset: Text of the data set.
        protocol: Text of the protocol.
        patients: Mean over its cuts, validation left out; those who share pixels are one.
        overlap: Of an official cut: the part of them that two repeats share, mean over pairs; 0 of one repeat.
    """

    dataset: str
    protocol: str
    patients: float
    overlap: float = 0.0


@dataclass(frozen=True)
class Checked:
    """The arm of a board that is trained at twice the steps, with its control.

    Attributes:
        dataset: Text of the data set.
        protocol: Text of the protocol.
        board: Text of the board's classifier.
        augmenter: Of the arm.
        classifier: Of the arm.
        steps: Twice the study's.
    """

    dataset: str
    protocol: str
    board: str
    augmenter: str
    classifier: str
    steps: int

    @property
    def key(self) -> tuple[str, str]:
        """Augmenter and classifier of the arm."""
        return self.augmenter, self.classifier
