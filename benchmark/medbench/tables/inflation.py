"""Where a gain goes, a leak less in every row."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

from medbench.analyses.inflation import CAUSES, OTHER_DATA, OTHER_NETWORK, Inflation, Step, quoted_elsewhere
from medbench.registry.display_names import classifier_name, dataset_name, method_name
from medbench.statistics.verdicts import WORDS
from medbench.tables.blocks import Block, Heading, Notes, grid, notes
from medbench.tables.document import Document, write
from medbench.tables.wording import SYNTHETIC, barely_trained, gain_and_range, range_of
from medbench.tables.writers.terminal import PIPE, Screen, in_two_parts, name_column, under
from medbench.tables.writers.values import Values, gain_values, percent, verdict_values
from medbench.text import WIDTH, clean, columns, counted, pad, points, wrapped

TITLE_WIDTH = 47
NAMED = 22  # characters of a name that stands in the heading
RANGE = "95 % CI of the gain over the method above it"


def render(found: Sequence[Inflation], form: str, *, screen: Screen = PIPE) -> str:
    """Write staircases in one of :data:`medbench.tables.document.FORMATS`; shares are written in percent."""
    documents = [Document(partial(_lines, one), partial(_blocks, one), partial(values, one)) for one in found]
    return write(documents, form, screen)


def rows(found: Inflation) -> list[tuple[str, Step]]:
    """Return what every form prints: a title and its values, from what was published to the arm's own control."""
    chance = f"guessing {100 / found.n_classes:.0f}"
    listed = [("published, on its own data" if found.is_phantom else "published", found.published)]
    listed.append((found.own.title, found.own))
    listed += [(f"{step.number} {step.title}", step) for step in found.steps]
    for position, step in enumerate(found.ours):
        measure = f"balanced accuracy ({chance}), " if not position else ""
        listed.append((f"{step.number} {measure}compared with {method_name(step.title)}", step))
    return listed


def answers(found: Inflation) -> Iterator[str]:
    """Yield how much of the published gain is left, and which leak made the largest part of it."""
    arm = method_name(found.names[0])
    reported = found.own if found.is_phantom or found.published.gain is None else found.published
    source = "reported for" if reported is found.published else "that the study's own protocol gives"
    if reported.gain is not None and found.gain is not None:
        left = gain_and_range(found.gain)
        verdict = found.verdict
        word = WORDS[verdict.word].text if verdict is not None and verdict.word else "no verdict"
        if reported.gain > 0:
            yield (
                f"Of the {points(reported.gain)} points {source} {arm}, {left} are left compared with the method above "
                f"it: {word}."
            )
        else:
            gave = "Published are" if reported is found.published else "The study's own protocol gives"
            yield (
                f"{gave} {points(reported.gain)} points for {arm}: no gain of which something could be left. Compared "
                f"with the method above it: {left}: {word}."
            )
        if verdict is not None and verdict.withheld:
            yield verdict.withheld
    elif found.gain is None:
        yield "Not everything is done or defined: what is left of the gain cannot be said yet."
    if (largest := found.largest) is not None:
        step, fall = largest
        yield f"In this order, the largest part, {100 * fall:.1f}, was {CAUSES[step.leak]} (step {step.number})."


def sentences(found: Inflation) -> Iterator[str]:
    """Yield what stands under a staircase."""
    arm, against = map(method_name, found.names)
    if said := barely_trained(found.study.budget.steps):
        yield said
    if found.is_phantom:
        yield f"{SYNTHETIC} Compare our rows with each other only."
    yield from found.waived
    metric = found.table.metric
    yield (
        f"Rows to step {len(found.steps)}: {metric} by image, most probable class, as the study counted. Below: "
        "balanced accuracy by patient where labels allow, with the decision threshold that follows the class "
        "frequencies; intervals as in the leaderboard."
    )
    if any(step.error is not None for step in (found.own, *found.steps)):
        yield (
            "SE: standard error of a gain, both methods on the same patients. Which part is "
            "the largest depends on the order in which leaks are taken away."
        )
    if arm != method_name(found.table.arm):
        yield f"Both with {method_name(found.table.arm)}; the networks differ."
    sources = dict.fromkeys(
        p.source
        for p in found.study.published
        if p.arm in (found.table.arm, found.table.against) and p.metric == metric
    )
    if found.published.why == OTHER_DATA:
        sets = " and ".join(map(clean, quoted_elsewhere(found.study, found.table, of="dataset")))
        yield f"What was published of {arm} and {against} is of {sets}, and stands beside that data only."
    elif found.published.why == OTHER_NETWORK:
        networks = " and ".join(map(classifier_name, quoted_elsewhere(found.study, found.table, of="classifier")))
        yield f"What was published of {arm} and {against} is of {networks}, and stands beside that network only."
    elif found.published.why:
        of_pair = ((arm, found.published.arm), (against, found.published.against))
        missing = " and ".join(name for name, value in of_pair if value is None)
        yield f"A published {metric} of {missing} was not found."
    if not found.published.why or found.published.arm is not None:
        yield from (f"Source: {text}" for text in sources)
    if found.table.note:
        yield found.table.note


def values(found: Inflation) -> Iterator[Values]:
    """Yield the values of every row, shares in percent."""
    for title, step in rows(found):
        is_last = bool(found.ours) and step is found.ours[-1] and found.gain is not None
        ends = gain_values(found.gain if is_last else None)
        yield {
            "study": found.study.name,
            "dataset": found.dataset,
            "classifier": found.classifier,
            "arm": found.names[0],
            "against": step.title if step in found.ours else found.names[1],
            "metric": "balanced-accuracy" if step in found.ours else found.table.metric,
            "step": step.number,
            "title": title,
            "leak_removed": step.leak or None,
            "arm_value": percent(step.arm),
            "against_value": percent(step.against),
            **ends,
            "gain": percent(step.gain),
            "gain_standard_error": percent(step.error),
            "verdict": verdict_values(found.verdict if is_last else None)["verdict"],
            "status": step.why or "done",
        }


def _heading(found: Inflation) -> tuple[str, str]:
    left = f"{clean(found.study.name)}: {dataset_name(found.dataset)}, {classifier_name(found.classifier)}"
    right = f"{counted(found.images, 'image')}, {found.n_classes} classes, {found.table.metric} in %"
    return left, right


def _lines(found: Inflation, screen: Screen) -> Iterator[str]:
    yield from in_two_parts(*_heading(found), width=screen.width)
    if found.majority is not None:
        yield f'always answering "{clean(found.commonest)}" scores {100 * found.majority:.1f}'
    yield ""
    yield from (*map(screen.bold, under(answers(found), screen.width)), "")
    arm, against = map(method_name, found.names)
    if max(columns(arm), columns(against)) <= NAMED:
        yield f" where {arm}'s gain over {against} goes"
    else:
        yield " where the gain of the method over the other goes"
        yield from wrapped(f"method: {arm}", WIDTH)
        yield from wrapped(f"other: {against}", WIDTH)
    yield _line("", "method", "other", "gain")
    for title, step in rows(found):
        alone, text = name_column(f" {title}", TITLE_WIDTH + 1)
        yield from (*alone, _line(text, *_cells(step)))
    if found.gain is not None:
        yield f"{pad(f' {RANGE}', TITLE_WIDTH)}{range_of(found.gain):>33}"
    yield ""
    yield from under(sentences(found), screen.width)


def _line(title: str, arm: str, against: str, gain: str) -> str:
    return f"{pad(title, TITLE_WIDTH)}{arm:>9}{against:>9}{gain:>15}"


def _cells(step: Step) -> tuple[str, str, str]:
    def value(number: float | None) -> str:
        return "" if number is None else f"{100 * number:.1f}"

    error = "" if step.error is None or step.gain is None else f" (SE {100 * step.error:.1f})"
    gain = step.why if step.gain is None else f"{points(step.gain)}{error}"
    return value(step.arm), value(step.against), gain


def _blocks(found: Inflation) -> Iterator[Block]:
    left, right = _heading(found)
    listed = [(title, *_cells(step)) for title, step in rows(found)]
    if found.gain is not None:
        listed.append((RANGE, "", "", range_of(found.gain)))
    yield Heading(left)
    yield Notes((right,))
    yield notes(answers(found))
    yield grid(
        ("where the gain goes", *map(method_name, found.names), "gain"), listed, numeric=(False, True, True, True)
    )
    yield notes(sentences(found))
