"""What a study published beside what its own protocol and an honest one give here."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from medbench.analyses.published_figures import Comparison, Cost, Figure, Line, Remainder
from medbench.boards.board import Row
from medbench.planning.arm_names import arm_name
from medbench.planning.study_schema import PublishedTable
from medbench.protocols.protocol import protocol
from medbench.registry.display_names import classifier_name, dataset_name, method_name
from medbench.registry.score_facts import score_facts
from medbench.statistics.verdicts import LEAK_NAMES, WORDS
from medbench.tables.blocks import Block, Heading, grid, notes
from medbench.tables.board_notes import UNKNOWN_PATIENTS, knows_patients
from medbench.tables.document import Document, write
from medbench.tables.wording import SYNTHETIC, gain_and_range
from medbench.tables.writers.terminal import PIPE, Screen, name_column, under
from medbench.tables.writers.values import Values, gain_values, percent, rounded, verdict_values
from medbench.text import WIDTH, clean, pad, points, wrapped

NAME_WIDTH = 18
NOT_FOUND = "not found"
CAVEAT = (
    "Published figures are the authors', on their data by their protocol: they are quoted, never a bar to reach. "
    "Nothing here was computed on their data unless a note says so."
)
TITLES = (
    "method",
    "published",
    "rerun",
    "95 % CI",
    "honest",
    "balanced accuracy: rerun",
    "honest",
    "inflation",
    "honest gain over the method above it",
    "verdict",
)
CONSTANT = "always the commonest class"
UNKNOWN = "by image"
"""What the honest column is called where patients are not known: it cannot keep them apart."""


def render(comparison: Comparison, form: str, *, screen: Screen = PIPE) -> str:
    """Write a comparison in one of :data:`medbench.tables.document.FORMATS`; shares are written in percent.

    Args:
        comparison: What to write.
        form: Member of FORMATS.
        screen: What a terminal can show.
    """
    document = Document(partial(_lines, comparison), partial(_blocks, comparison), partial(_values, comparison))
    return write([document], form, screen)


def _lines(comparison: Comparison, screen: Screen) -> Iterator[str]:
    yield from wrapped(f"{comparison.study.name}: published, rerun by its own protocol, and by an honest one", WIDTH)
    if comparison.chain:
        yield from ("", " No figure was found published; each row under what it is compared with:")
        yield f" {'':46}{'balanced':>9}  gain over the row"
        yield f" {'':46}{'accuracy':>9}  above it, 95 % CI"
        for row in comparison.chain:
            alone, name = name_column(f" {'  ' * row.depth}{row_name(row)}", 47)
            value = "" if row.scores is None else f"{100 * row.scores.balanced_accuracy:.1f}"
            gain = gain_and_range(row.gain) if row.gain is not None else "" if row.arm.control else "reference"
            yield from (*alone, f"{pad(name, 47)}{value:>9}  {gain}".rstrip())
    for title, lines in () if comparison.chain else groups(comparison):
        yield ""
        yield from (f" {line}" for line in wrapped(title, WIDTH - 2))
        if lines[0].published.is_share:
            yield from _shares(comparison, lines)
        else:
            yield _row(" score", "published", "ours", "", "", "", "")
            for line in lines:
                alone, name = name_column(f" {measure_name(line.published)}", NAME_WIDTH)
                ours = cells(line)
                yield from (*alone, _row(name, ours[0], ours[1] if line.honest.value is None else ours[3], *[""] * 4))
    yield ""
    yield from map(screen.bold, under(answers(comparison), screen.width))
    yield from under(_sentences(comparison), screen.width)


def _shares(comparison: Comparison, lines: list[Line]) -> Iterator[str]:
    """Yield the heading and the lines of accuracies and recalls; what a constant answer scores where it changes."""
    honest = honest_column(comparison)
    yield f"{'':{NAME_WIDTH}}{'its order,':>24}{honest:>10}{'balanced accuracy':>19}"
    yield _row(" method", "published", "our rerun", "test", "rerun", honest, "infl.")
    for line, (title, published, rerun, interval, fair, own, balanced, inflation, gain, word) in listed(
        comparison, lines
    ):
        alone, name = name_column(f" {title}", NAME_WIDTH)
        yield from (*alone, _row(name, published, rerun, fair, own, balanced, inflation))
        said = [f"rerun 95 % CI {interval}"] * bool(interval)
        if line is not None and line.gain is not None:
            said.append(f"{gain} over the method above it, {honest}{f': {word}' if word else ''}")
        yield from (f"   {text}" for part in said for text in wrapped(part, WIDTH - 4))


def listed(comparison: Comparison, lines: list[Line]) -> Iterator[tuple[Line | None, tuple[str, ...]]]:
    """Yield the rows of one measure, named: each method, and a constant answer wherever what it scores changes.

    What is scored may differ from method to method: where synthetic images are scored they are another mix of classes.
    """
    before: tuple[float | None, float | None] = (None, None)
    for line in lines:
        constants = line.rerun.constant, line.honest.constant
        if line.published.metric == "accuracy" and constants not in (before, (None, None)):
            shown = ["" if value is None else f"{100 * value:.1f}" for value in constants]
            n = next((len(s["classes"]) for s in comparison.sources if s["dataset"] == line.dataset), 0)
            even = [f"{100 / n:.1f}" if n and text else "" for text in shown]
            yield None, (CONSTANT, "", shown[0], "", shown[1], *even, points(0) if all(even) else "", "", "")
            before = constants
        p = line.published
        yield line, (method_name(p.arm) if p.is_share else measure_name(p), *cells(line))


def honest_column(comparison: Comparison) -> str:
    """Return what the column of the honest protocol is called: "honest" only where patients are known."""
    return "honest" if all(knows_patients(source) for source in comparison.sources) else UNKNOWN


def _row(name: str, published: str, rerun: str, honest: str, own: str, balanced: str, inflation: str) -> str:
    return f"{pad(name, NAME_WIDTH)}{published:>11}{rerun:>13}{honest:>10}{own:>9}{balanced:>10}{inflation:>7}".rstrip()


def cells(line: Line) -> tuple[str, str, str, str, str, str, str, str, str]:
    """Return what every form prints of a line.

    Returns:
        Published; rerun and its interval; honest; balanced accuracy of the rerun and the honest one; inflation; honest
        gain; verdict.
    """
    share = line.published.is_share

    def shown(figure: Figure) -> str:
        return figure.why if figure.value is None else _number(figure.value, share)

    value = line.published.value
    quoted = NOT_FOUND if value is None else f"{round(100 * value if share else value, 6):g}"  # every digit of it
    inflation = "" if line.inflation is None else points(line.inflation)
    ends = line.rerun.interval
    interval = "" if ends is None else f"{100 * ends[0]:.1f} to {100 * ends[1]:.1f}"
    balanced = ["" if f.balanced is None else f"{100 * f.balanced:.1f}" for f in (line.rerun, line.honest)]
    gain = gain_and_range(line.gain) if line.gain is not None else "reference" if line.is_control else ""
    word = WORDS[line.verdict.word].text if line.verdict is not None and line.verdict.word else ""
    return quoted, shown(line.rerun), interval, shown(line.honest), balanced[0], balanced[1], inflation, gain, word


def _number(value: float, share: bool) -> str:
    return f"{100 * value:.1f}" if share else f"{value:.4g}"


def groups(comparison: Comparison) -> Iterator[tuple[str, list[Line]]]:
    """Yield the lines of each data set, classifier and measure, or of all scores of a method, under a title."""
    found: dict[str, list[Line]] = {}
    for line in comparison.lines:
        p = line.published
        parts = [
            dataset_name(line.dataset),
            classifier_name(p.classifier) if p.classifier else "",
            measure_name(p) if p.is_share else method_name(p.arm),
        ]
        found.setdefault(", ".join(filter(None, parts)), []).append(line)
    yield from found.items()


def measure_name(published: PublishedTable) -> str:
    """Name a measure; the floor of a score is what real images reach."""
    if published.is_share:
        return f"{published.metric}, %"
    score, is_floor, _ = published.metric.partition("-floor")
    return score_facts(score).title + (", real images" if is_floor else "")


def row_name(row: Row) -> str:
    """Name a row of a chain: the network, where that is what differs, else the method."""
    return classifier_name(row.arm.classifier) if row.arm.over else arm_name(row.arm)


def answers(comparison: Comparison) -> Iterator[str]:
    """Yield what is left of the study's claim, and what its two methods cost."""
    fair = "the honest test" if honest_column(comparison) == "honest" else "a cut that keeps near copies together"
    for left in comparison.remainders:
        arm, over = (_name_of(one, left) for one in (left.line, left.over))
        claim = f"The gain of {arm} over {over}"
        if left.published is not None:
            claim += f": published {points(left.published)} points of {left.line.published.metric}"
        else:
            claim += ": as published, not found"
        gain, verdict = left.line.gain, left.line.verdict
        if left.rerun is None or left.honest is None:
            yield f"{claim}; not everything is done or defined here, so what is left cannot be said."
            continue
        ours = f"in balanced accuracy {points(left.rerun)} in our rerun of its own order and {points(left.honest)} in"
        if gain is None:
            yield f"{claim}; {ours} {fair}. There is no gain over the method above it, which was not run or not scored."
            continue
        word = WORDS[verdict.word].text if verdict is not None and verdict.word else "no verdict"
        yield (
            f"{claim}; {ours} {fair}. What is left compared with the method above it: {gain_and_range(gain)}: {word}."
        )
    yield from _score_sentences(comparison)
    yield from map(cost_sentence, comparison.costs)


def _score_sentences(comparison: Comparison) -> Iterator[str]:
    """Say of published scores what generated and real images reach here, both at equal numbers."""
    scores = {(one.dataset, one.published.arm, one.published.metric): one for one in comparison.lines}
    for (dataset, arm, metric), line in scores.items():
        floor = scores.get((dataset, arm, f"{metric}-floor"))
        if floor is None or None in (line.published.value, floor.published.value):
            continue
        ours = [one.rerun.value if one.honest.value is None else one.honest.value for one in (line, floor)]
        if None not in ours:
            yield (
                f"{score_facts(metric).title.capitalize()} of {method_name(arm)}, at equal numbers: {ours[0]:.2f}, and "
                f"{ours[1]:.2f} of real images; published {line.published.value:g} and {floor.published.value:g}."
            )


def _name_of(line: Line, left: Remainder) -> str:
    if left.line.published.arm == left.over.published.arm:
        return classifier_name(line.published.classifier)
    return method_name(line.published.arm)


def cost_sentence(cost: Cost) -> str:
    """Say what two methods cost that train on equally many images."""
    unit = "seconds of computing" if cost.device == "CPU" else f"GPU-seconds ({cost.device})"
    each = [
        f"{method_name(name)} {seconds:,.0f} {unit} with {added:,.0f} images added"
        for name, seconds, added in zip(cost.names, cost.seconds, cost.added, strict=True)
    ]
    share = cost.seconds[0] / cost.seconds[1] if cost.seconds[1] else float("nan")
    claim = f" Published: {cost.claim}." if cost.claim else ""
    return (
        f"Cost with {classifier_name(cost.classifier)}, all training runs and generators: {'; '.join(each)}: "
        f"{share:.2f} times as much.{claim}"
    )


def _sentences(comparison: Comparison) -> Iterator[str]:
    """Yield what every table says, then what was run instead, sources and notes."""
    yield CAVEAT
    if not comparison.lines:
        yield "No published figure of this study is about these data."
    if comparison.is_phantom:
        yield f"{SYNTHETIC} Compare rerun with {honest_column(comparison)} only."
    if comparison.own:
        leaks = ", ".join(LEAK_NAMES.get(leak, leak) for leak in sorted(protocol(comparison.own).leaks))
        yield f"rerun: protocol {comparison.own}, which is leaky ({leaks}), so it gets no verdict."
    if comparison.honest:
        yield (
            f"{honest_column(comparison)}: protocol {comparison.honest}. Both columns count images and their most "
            "probable class, as the study did. infl.: inflation, rerun minus the other in balanced accuracy: what is "
            "scored under its own order may be another mix of classes. The gain is the "
            "leaderboard's: balanced accuracy by patient where labels allow."
        )
    if any(line.rerun.interval for line in comparison.lines):
        together = "images of a patient together" if honest_column(comparison) == "honest" else "images as independent"
        made = comparison.own and "synthetic-scored" in protocol(comparison.own).switches
        copied = "; generated and copied images count one by one, so it is too narrow" if made else ""
        yield f"The rerun's CI takes {together}{copied}."
    if honest_column(comparison) != "honest":
        yield UNKNOWN_PATIENTS
    columns = {"rerun": "rerun", "honest": honest_column(comparison)}
    yield from dict.fromkeys(
        f"{title}: {name_of(asked)} was run as {name_of(ran)}."
        for column, title in columns.items()
        for line in comparison.lines
        for name_of, asked, ran in zip(
            (method_name, classifier_name),
            (line.published.arm, line.published.classifier),
            getattr(line, column).ran,
            strict=True,
        )
        if asked and ran and asked != ran
    )
    yield from dict.fromkeys(
        f"{title}: {method_name(figure.ran[0])} with {classifier_name(figure.ran[1])}: {figure.failed}, counted with "
        "the predictions of the method above it."
        for column, title in columns.items()
        for line in comparison.lines
        if (figure := getattr(line, column)).failed
    )
    yield from sources_and_notes(comparison)


def _named(published: PublishedTable) -> str:
    return published.metric if published.is_share else measure_name(published)


def sources_and_notes(comparison: Comparison) -> list[str]:
    """Return where the figures were published, and what the study notes of them."""
    published = [line.published for line in comparison.lines]
    sources = [f"Source: {p.source}" for p in published]
    return list(
        dict.fromkeys([*sources, *(f"{method_name(p.arm)}, {_named(p)}: {p.note}" for p in published if p.note)])
    )


def _values(comparison: Comparison) -> Iterator[Values]:
    for line in comparison.lines:
        p = line.published
        number = percent if p.is_share else partial(rounded, digits=4)
        yield {
            "study": comparison.study.name,
            "dataset": line.dataset,
            "augmenter": p.arm,
            "classifier": p.classifier or None,
            "metric": p.metric,
            "published": p.value if p.value is None or not p.is_share else round(100 * p.value, 6),
            "rerun": number(line.rerun.value),
            "rerun_status": line.rerun.why or "done",
            "rerun_protocol": comparison.own or None,
            "honest": number(line.honest.value),
            "honest_status": line.honest.why or "done",
            "honest_protocol": comparison.honest or None,
            "rerun_low": percent(line.rerun.interval[0] if line.rerun.interval else None),
            "rerun_high": percent(line.rerun.interval[1] if line.rerun.interval else None),
            "rerun_balanced_accuracy": percent(line.rerun.balanced),
            "honest_balanced_accuracy": percent(line.honest.balanced),
            "rerun_commonest_class": percent(line.rerun.constant),
            "honest_commonest_class": percent(line.honest.constant),
            "inflation": percent(line.inflation),
            **gain_values(line.gain),
            "verdict": verdict_values(line.verdict)["verdict"],
            "run_as": " / ".join(filter(None, line.honest.ran)) or " / ".join(filter(None, line.rerun.ran)) or None,
            "source": p.source,
            "note": p.note or None,
            "caveat": CAVEAT,
        }


def _blocks(comparison: Comparison) -> Iterator[Block]:
    yield Heading(f"{clean(comparison.study.name)}: published, rerun, honest")
    for title, lines in groups(comparison):
        rows = [texts for _, texts in listed(comparison, lines)]
        yield grid(TITLES, rows, numeric=[False, *[True] * (len(TITLES) - 1)], caption=title)
    yield notes(answers(comparison))
    yield notes(_sentences(comparison))
