"""The methods of a plan, each below the one it is compared with."""

from __future__ import annotations

from medbench.planning.arms import Arm
from medbench.tables.plan_text import _tree

BEFORE = "pretrained-on[classifier=net,source=other]"
MADE = "pretrained-on[classifier=net,source=other,augmenter=copies]"


def test_classifiers_share_one_tree_of_methods() -> None:
    arms = tuple(
        arm
        for net in ("small-cnn", "vgg16")
        for arm in (Arm("balanced", net), Arm("copies", net, control="balanced"), Arm("none", net, plain=True))
    )

    assert list(_tree(arms)) == ["class balancing (reference)", "└ + copied images", "no augmentation"]


def test_what_differs_in_the_classifier_stands_below_the_other_classifier() -> None:
    arms = (
        Arm("balanced", "net"),
        Arm("balanced", BEFORE, control="balanced", over="net", board="net"),
        Arm("balanced", MADE, control="balanced", over=BEFORE, board="net"),
    )

    first, second, third = _tree(arms)
    assert first == "class balancing (reference)"
    assert second.startswith("└ class balancing with net pretrained on other")
    assert third.startswith("  └ class balancing with net pretrained on other")
    assert "not run" not in second + third


def test_a_reference_that_is_not_run_is_named() -> None:
    (line,) = _tree((Arm("hybrid", "net", control="copies"),))

    assert line.endswith("(to be compared with copied images, which is not run)")
