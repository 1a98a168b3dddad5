"""Reports as LaTeX and Markdown: they hold the tables, stay inside the margins, and nothing of others is obeyed."""

from __future__ import annotations

import re
import shutil
import subprocess
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from _hostile_texts import PAYLOADS, everywhere
from _synthetic_store import SyntheticRun
from medbench.report.inputs import gather
from medbench.report.report import Report, report
from medbench.report.write_paper import latex, markdown
from medbench.tables.blocks import Cell, Fold, Section, Table, cell, heading, table
from medbench.tables.writers.latex_table import ROOM, shared
from medbench.tables.writers.latex_text import CHARACTER, ems, pieces, tex
from medbench.text import clean

MADE_BY_US = set(
    """
    LTcapwidth allowbreak arraybackslash begin begingroup bottomrule caption dimexpr emergencystretch end
    endfirsthead endfoot endgroup endhead fi footnotesize hangafter hangindent hspace ifdim item label linewidth
    medbenchcharacter midrule newpage pagegoal pagetotal par penalty raggedleft raggedright relax section
    setlength subsection tabcolsep textasciicircum textasciigrave textasciitilde textbackslash textbar textgreater
    textheight textless textminus textquotedbl tolerance
    toprule uchyph
    """.split()  # noqa: SIM905
)
READ = {
    "textbackslash": "\\", "textasciitilde": "~", "textasciicircum": "^", "textasciigrave": "`", "textless": "<",
    "textgreater": ">", "textbar": "|", "textquotedbl": '"', "textminus": "\u2212", "allowbreak": "",
}  # fmt: skip
MARKS = "\\{}[]*%&$#_^~-'`\",<>|. a1"
WRAPPED = r"""\documentclass{article}
\usepackage[utf8]{inputenc}
\usepackage[T1]{fontenc}
\usepackage{textcomp,array,booktabs,longtable}
\begin{document}
\input{report.tex}
\end{document}
"""


def read(code: str) -> str:
    """Return what an engine would set of a text: commands of characters, escaped marks, and single marks in braces."""
    hidden = {name: chr(0xE000 + n) for n, name in enumerate(READ)}
    code = re.sub(r"\\([a-zA-Z]+)\{\}", lambda found: hidden[found[1]], code)
    code = re.sub(r"\{([\[\]*])\}", r"\1", code)
    code = re.sub(r"(?<!\\)\{\}", "", code)
    assert not re.search(r"(?<!\\)[{}$&#%_^~]", code)
    code = re.sub(r"\\([{}$&#%_])", r"\1", code)
    assert "\\" not in code
    for name, c in hidden.items():
        code = code.replace(c, READ[name])
    return code


def balanced(text: str) -> None:
    """Fail unless braces, environments and conditions fit, and every command is one that we write."""
    lines = [line for line in text.split("\n") if not line.startswith("%")]
    for c, number in re.findall(r"^\\medbenchcharacter\{(.)\}\{([0-9A-F]{4,6})\}$", text, re.MULTILINE):
        assert ord(c) == int(number, 16) > 127
    code = "\n".join(line for line in lines if line != CHARACTER)
    bare = re.sub(r"\\[\\{}%&$#_]", "", code)
    depth = 0
    for c in bare:
        depth += (c == "{") - (c == "}")
        assert depth >= 0
    assert depth == 0
    assert not re.search(r"[$#%^_~]", bare)
    assert sorted(re.findall(r"\\begin\{(\w+)\}", bare)) == sorted(re.findall(r"\\end\{(\w+)\}", bare))
    assert set(re.findall(r"\\([a-zA-Z]+)", bare)) <= MADE_BY_US


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Report:
    run = SyntheticRun(tmp_path_factory.mktemp("run"), patients=60, folds=5, repeats=3).fill()
    return report(gather(run.store, run.record()))


def test_latex_and_markdown_hold_the_tables(made: Report) -> None:
    whole = [block for section in made.sections for block in section.blocks]
    parts = [inner for block in whole for inner in (block.blocks if isinstance(block, Fold) else (block,))]
    tables = [block for block in parts if isinstance(block, Table)]
    assert made.headline is not None
    tables += [one.steps for one in made.headline.answers if one.steps is not None]

    code, md = latex(made), markdown(made)

    balanced(code)
    labels = re.findall(r"\\label\{([a-z0-9-]+)\}", code)
    assert len(labels) == len(set(labels)) >= len(tables) > 4
    for part in re.findall(r"\\endfoot\n(.*?)\\end\{longtable\}", code, re.DOTALL):
        assert len({len(re.findall(r"(?<!\\)&", line)) for line in part.strip().split("\n")}) == 1
    (board,) = (block for block in tables if block.label == "board-1")
    rows = [[read(re.sub(r"\\hangindent.*?\\hspace\*\{.*?\}", "", c)) for c in re.split(r"(?<!\\) & ", line[:-3])]
            for line in code.split("\n") if line.endswith(r" \\") and " & " in line]  # fmt: skip
    for row in board.rows:
        said = [c.text.replace("-", "\u2212") if re.match(r"-\d", c.text) else c.text for c in row]
        assert any(set(filter(None, said)) <= set(found) for found in rows), said
    lines = [line for line in md.split("\n") if line.startswith("|")]
    assert len(lines) == sum(len(t.rows) + 2 for t in tables)


@pytest.mark.parametrize("text", PAYLOADS)
def test_a_hostile_text_is_set_and_never_obeyed(text: str) -> None:
    cleaned = clean(text)

    balanced(latex(everywhere(text)))
    assert read(tex(cleaned)) == re.sub(
        r"(?<![\w.)\]}-])-(?=\.?\d)", "\u2212", unicodedata.normalize("NFC", cleaned).replace("\u00a0", " ")
    )


@given(
    text=st.text(st.characters(exclude_categories=["Co"]), max_size=60)
    | st.text("\\{}[]*%&$#_^~-'`\",<>|. a1", max_size=40)
)
@settings(max_examples=100, deadline=None)
def test_any_text_can_be_read_back(text: str) -> None:
    cleaned = unicodedata.normalize("NFC", clean(text)).replace("\u00a0", " ")

    found = tex(clean(text))

    assert read(found).replace("\u2212", "-") == cleaned.replace("\u2212", "-")
    assert not re.search(r"--|''|,,|``|<<|\\\\", found)


def test_a_minus_is_one_only_before_a_number() -> None:
    assert tex("(-5.8 to +2) -.3") == r"(\textminus{}5.8 to +2) \textminus{}.3"
    for text in ("class-weight", "2020-01-31", "a -b", "1-2"):
        assert tex(text) == text


def test_short_words_stay_whole_and_long_ones_can_be_broken() -> None:
    assert pieces("hybrid,(x)=1") == ["hybrid,(x)=1"]
    assert pieces("phantom:ddti:benign-malignant") == ["phantom:", "ddti:", "benign-", "malignant"]
    assert pieces("doi:10.1117/12.2073532") == ["doi:", "10.1117/", "12.2073532"]
    assert max(map(len, pieces("f" * 64))) == 8


@given(st.lists(st.tuples(st.floats(0, 50), st.floats(0, 1)), min_size=1, max_size=8), st.floats(1, 100))
def test_room_is_shared_without_taking_what_must_be(asked: list[tuple[float, float]], room: float) -> None:
    wishes, least = [w for w, _ in asked], [w * share for w, share in asked]

    given_ = shared(wishes, least, room)

    assert all(low - 1e-9 <= got <= wish + 1e-9 for low, got, wish in zip(least, given_, wishes, strict=True))
    assert sum(given_) <= max(room, sum(least)) + 1e-6
    assert sum(given_) >= min(room, sum(wishes)) - 1e-6


def test_a_wide_table_is_cut_and_keeps_its_first_column() -> None:
    names = [f"an-arm-with-a-name-{n}" for n in range(15)]
    rows = [[cell("kid"), *(cell(f"{n / 7:.3f} (0.123)", n / 7) for n in range(15))]]
    code = latex(Report("t", (Section("s", "S", (table("Scores.", ("score", *names), rows, label="w"),)),)))

    parts = re.findall(r"\\caption\[\]\{Scores\. Part (\d) of (\d)\.\}\\label\{t-w-\1\}", code)
    assert [int(n) for n, _ in parts] == list(range(1, int(parts[0][1]) + 1))
    assert len(parts) > 1
    heads = [part.split("\n")[0] for part in code.split("\\toprule\n")[1:]]
    assert all(head.startswith("score & ") for head in heads)
    assert [
        n for head in heads[::2] for n in map(read, head[:-3].split(" & ")[1:])
    ] == names  # each twice: on later pages


def test_what_would_be_empty_is_left_out() -> None:
    blank = Table("C.", ("arm", "marks", "gain"), ((Cell("a"), Cell(""), Cell("1")),), label="b")
    code = latex(Report("t", (Section("s", "Only a heading", (heading("H"),)), Section("u", "T", (blank,)))))

    assert "Only a heading" not in code
    assert "arm & gain" in code
    assert "marks" not in code


# -- a real engine ----------------------------------------------------------------------------------------------------


def compiled(code: str, folder: Path) -> str:
    """Run pdfLaTeX over a report until its tables have their widths; return the log of the last run."""
    found = shutil.which("pdflatex")
    if found is None:
        pytest.skip("pdflatex is not installed")
    (folder / "report.tex").write_text(code, encoding="utf-8")
    (folder / "paper.tex").write_text(WRAPPED, encoding="utf-8")
    command = [found, "-draftmode", "-halt-on-error", "-interaction=nonstopmode", "-no-shell-escape", "paper"]
    for _ in range(3):
        done = subprocess.run(command, cwd=folder, capture_output=True, check=False, timeout=120)
        log = (folder / "paper.log").read_text(encoding="latin-1")
        if b"File `" in done.stdout and b"not found" in done.stdout:
            pytest.skip("a LaTeX package that a report needs is not installed")
        assert done.returncode == 0, log[-3000:]
    return log


def in_order(log: str) -> None:
    """Fail where an engine had something to say: what stands out of the margin, or a reference that is not there."""
    wide = [float(points) for points in re.findall(r"Overfull \\[hv]box \(([\d.]+)pt too", log)]
    assert wide == [], re.findall(r"Overfull[^\n]*\n[^\n]*", log)
    assert "Warning" not in log
    assert "Missing character" not in log


def test_a_report_compiles_inside_its_margins(made: Report, tmp_path: Path) -> None:
    in_order(compiled(latex(made), tmp_path))


def test_hostile_texts_compile_inside_the_margins(tmp_path: Path) -> None:
    sections = []
    for number, text in enumerate(PAYLOADS):
        (section,) = everywhere(text).sections
        blocks = tuple(
            Table(b.caption, b.columns, b.rows, label=f"t{number}") if isinstance(b, Table) else b
            for b in section.blocks
        )
        sections.append(Section(f"s{number}", section.title, blocks))

    in_order(compiled(latex(Report(clean(PAYLOADS[0]), tuple(sections))), tmp_path))


def test_an_engine_would_tell_of_what_is_wrong(tmp_path: Path) -> None:
    """The two checks above cannot pass by accident: an unbroken line is told of, an unescaped mark stops the engine."""
    told = compiled(r"\noindent\hbox to 2\linewidth{\hfil}", tmp_path)

    with pytest.raises(AssertionError):
        in_order(told)
    with pytest.raises(AssertionError, match="Misplaced alignment"):
        compiled("a & b", tmp_path)


def test_widths_are_hardly_below_those_of_an_engine(tmp_path: Path) -> None:
    """Estimates of texts in the size of tables are compared with the boxes that the engine makes of them."""
    texts = ["hybrid (resample)", "+14.4", "0.753 (0.753)", "WWW MMM", "phantom:ddti:benign-malignant", "chance 50.0"]
    boxes = "".join(rf"\setbox0=\hbox{{\footnotesize {tex(text)}}}\typeout{{WIDTH \the\wd0}}" for text in texts)

    log = compiled(boxes + "x", tmp_path)

    for text, points in zip(texts, re.findall(r"WIDTH ([\d.]+)pt", log), strict=True):
        assert 0.99 * float(points) / 8 <= ems(text) <= 1.15 * float(points) / 8
    assert ROOM * 8 <= 345
