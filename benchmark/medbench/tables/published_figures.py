"""What a study published beside what its own protocol and an honest one give here."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from medbench.analyses.published_figures import Comparison, Figure, Line
from medbench.protocols.protocol import protocol
from medbench.registry.display_names import classifier_name, dataset_name, method_name
from medbench.statistics.verdicts import LEAK_NAMES, WORDS
from medbench.tables.blocks import Block, Heading, grid, notes
from medbench.tables.document import Document, write
from medbench.tables.wording import SYNTHETIC, gain_and_range
from medbench.tables.writers.terminal import PIPE, Screen, name_column, under
from medbench.tables.writers.values import Values, gain_values, percent, rounded, verdict_values
from medbench.text import WIDTH, clean, columns, pad, points, wrapped

NAME_WIDTH = 18
NOT_FOUND = "not found"
CAVEAT = (
    "Published figures are the authors', on their data by their protocol: they are quoted, never a bar to reach. "
    "Nothing here was computed on their data unless a note says so."
)
TITLES = ("method", "published", "rerun", "honest", "inflation", "honest gain over the method above it", "verdict")


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
    for title, lines in _groups(comparison):
        yield ""
        yield from (f" {line}" for line in wrapped(title, WIDTH - 2))
        yield _row("", "", "its protocol,", "honest", "", "honest gain over the")
        yield _row(" method", "published", "our rerun", "test", "infl.", "method above, CI")
        for line in lines:
            alone, name = name_column(f" {method_name(line.published.arm)}", NAME_WIDTH)
            yield from alone
            texts = cells(line)[:5]
            if columns(_row(name, *texts)) <= WIDTH:
                yield _row(name, *texts)
            else:  # a range of three digits a number
                yield _row(name, *texts[:4], "")
                yield f"{texts[4]:>{WIDTH}}"
    yield ""
    yield from under(_sentences(comparison), screen.width)


def _row(name: str, published: str, rerun: str, honest: str, inflation: str, gain: str) -> str:
    return f"{pad(name, NAME_WIDTH)}{published:>9}{rerun:>14}{honest:>9}{inflation:>7}  {gain}"


def cells(line: Line) -> tuple[str, str, str, str, str, str]:
    """Return what every form prints of a line: published, rerun, honest, inflation, honest gain, verdict."""
    share = line.published.is_share

    def shown(figure: Figure) -> str:
        return figure.why if figure.value is None else _number(figure.value, share)

    value = line.published.value
    quoted = NOT_FOUND if value is None else f"{round(100 * value if share else value, 6):g}"  # every digit of it
    inflation = "" if line.inflation is None else points(line.inflation)
    gain = gain_and_range(line.gain) if line.gain is not None else "reference" if line.is_control else ""
    word = WORDS[line.verdict.word].text if line.verdict is not None and line.verdict.word else ""
    return quoted, shown(line.rerun), shown(line.honest), inflation, gain, word


def _number(value: float, share: bool) -> str:
    return f"{100 * value:.1f}" if share else f"{value:.4g}"


def _groups(comparison: Comparison) -> Iterator[tuple[str, list[Line]]]:
    """Yield the lines of each data set, classifier and measure under a title."""
    groups: dict[str, list[Line]] = {}
    for line in comparison.lines:
        p = line.published
        parts = [
            dataset_name(line.dataset),
            classifier_name(p.classifier) if p.classifier else "",
            p.metric + (", %" if p.is_share else ""),
        ]
        groups.setdefault(", ".join(filter(None, parts)), []).append(line)
    yield from groups.items()


def _sentences(comparison: Comparison) -> Iterator[str]:
    """Yield what every table says, then what was run instead, sources and notes."""
    yield CAVEAT
    if not comparison.lines:
        yield "No published figure of this study is about these data."
    if comparison.is_phantom:
        yield f"{SYNTHETIC} Compare rerun with honest only."
    if comparison.own:
        leaks = ", ".join(LEAK_NAMES.get(leak, leak) for leak in sorted(protocol(comparison.own).leaks))
        yield f"rerun: protocol {comparison.own}, which is leaky ({leaks}), so it gets no verdict."
    if comparison.honest:
        yield (
            f"honest: protocol {comparison.honest}. rerun and honest count images and their most probable "
            "class, as the study did. infl.: inflation, rerun minus honest. The gain is the leaderboard's: balanced "
            "accuracy by patient where labels allow."
        )
    yield from dict.fromkeys(
        f"{column}: {name_of(asked)} was run as {name_of(ran)}."
        for column in ("rerun", "honest")
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
        f"{column}: {method_name(figure.ran[0])} with {classifier_name(figure.ran[1])}: {figure.failed}, counted with "
        "the predictions of the method above it."
        for column in ("rerun", "honest")
        for line in comparison.lines
        if (figure := getattr(line, column)).failed
    )
    yield from sources_and_notes(comparison)


def sources_and_notes(comparison: Comparison) -> list[str]:
    """Return where the figures were published, and what the study notes of them."""
    published = [line.published for line in comparison.lines]
    sources = [f"Source: {p.source}" for p in published]
    return list(
        dict.fromkeys([*sources, *(f"{method_name(p.arm)}, {p.metric}: {p.note}" for p in published if p.note)])
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
    for title, lines in _groups(comparison):
        rows = [(method_name(line.published.arm), *cells(line)) for line in lines]
        yield grid(TITLES, rows, numeric=[False, *[True] * (len(TITLES) - 1)], caption=title)
    yield notes(_sentences(comparison))
