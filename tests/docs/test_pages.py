"""The documentation against the program: nothing undocumented or gone, and no link that leads nowhere.

The blocks of the pages are run by ``tox -e docs``; here every command in them is parsed, which takes a moment.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from medbench import errors
from medbench.cli import cli
from medbench.glossary import TERMS
from medbench.planning import study
from medbench.publishing.refusals import CODES
from medbench.registry import hookspecs
from medbench.registry.catalogue import HOOKS

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
sys.path.append(str(DOCS))

import pages_from_code as code  # noqa: E402

PAGES = {str(path.relative_to(ROOT)): path.read_text(encoding="utf-8") for path in
         sorted([*DOCS.rglob("*.md"), ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md"])}  # fmt: skip
LINK = re.compile(r"(?<!`)\[[^\]\n]*\]\(([^)\s]+)\)")
FENCE = re.compile(r"^(?P<fence>```+)(?P<kind>[^\n]*)\n(?P<text>.*?)^(?P=fence)$", re.MULTILINE | re.DOTALL)
COMMANDS = dict(code.walk(cli, "medbench"))


def filled(page: str) -> str:
    """Return a page with what is written from the code."""
    return code.MARK.sub(lambda found: code.PARTS[found[1]](), PAGES[page])


def anchors(text: str) -> set[str]:
    """Return what a link can point to within a page."""
    named = set(re.findall(r"^\(([\w-]+)\)=$", text, re.MULTILINE))
    heads = re.findall(r"^#+ (.+)$", FENCE.sub("", text), re.MULTILINE)
    return named | {re.sub(r"[^\w -]", "", head.replace("\\", "").lower()).replace(" ", "-") for head in heads}


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    """Links within the project are followed, anchors too; others must be https addresses."""
    wrong = []
    for link in LINK.findall(FENCE.sub("", filled(page))):
        path, _, anchor = link.partition("#")
        if re.match(r"\w+:", link):
            if not re.fullmatch(r"https://[\w.-]+\.[a-z]{2,}(/\S*)?", link):
                wrong.append(link)
            continue
        target = Path(os.path.normpath((ROOT / page).parent / path)) if path else ROOT / page
        name = str(target.relative_to(ROOT))
        if not target.exists() or (anchor and name in PAGES and anchor not in anchors(filled(name))):
            wrong.append(link)

    assert not wrong


def shell_lines(page: str) -> Iterator[str]:
    """Yield the commands that a page shows: lines of its shell blocks, and what stands behind a ``$`` elsewhere."""
    for found in FENCE.finditer(PAGES[page]):
        for line in found["text"].replace("\\\n", " ").splitlines():
            typed = line.strip().removeprefix("$ ") if found["kind"] == "sh" or line.startswith("$ ") else ""
            if typed.startswith("medbench ") and "…" not in typed and "..." not in typed:
                yield typed


@pytest.mark.parametrize("page", PAGES)
def test_every_command_that_a_page_shows_can_be_typed(page: str) -> None:
    wrong = {}
    for line in shell_lines(page):
        words = shlex.split(line, comments=True)[1:]
        for stop in ("|", ">", ";", "&&", "2>&1"):
            words = words[: words.index(stop)] if stop in words else words
        if fault := parse_fault(words):
            wrong[line] = fault

    assert not wrong


def parse_fault(words: list[str]) -> str:
    """Return why the command line would not take these words; "" where it does."""
    command: click.Command = cli
    name = "medbench"
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        name, words = f"{name} {words[0]}", words[1:]
        if name not in COMMANDS:
            return f"there is no {name}"
        command = COMMANDS[name]
    try:
        command.make_context(name, list(words), resilient_parsing=False)
    except click.exceptions.Exit:
        return ""
    except click.ClickException as error:
        said = error.format_message()
        return "" if "does not exist" in said else said  # files of the reader
    return ""


def test_study_files_that_pages_show_are_read(tmp_path: Path) -> None:
    files = [found["text"] for text in PAGES.values() for found in FENCE.finditer(text) if found["kind"] == "toml"]
    studies = [text for text in files if re.search("^datasets = ", text, re.MULTILINE)]
    for number, text in enumerate(studies):
        (tmp_path / f"{number}.toml").write_text(text, encoding="utf-8")
        study.read(tmp_path / f"{number}.toml")

    assert len(studies) >= 3


OLD = re.compile(r"\b(arms?|rehears\w+|made (images?|rows?|ones)|can't tell|placebos?)\b", re.IGNORECASE)
OF_DEVELOPERS = ("design.md", "performance.md", "contributing.md", "CONTRIBUTING.md", "SECURITY.md", "glossary.md")


@pytest.mark.parametrize("page", [page for page in PAGES if not page.endswith(OF_DEVELOPERS)])
def test_pages_speak_in_the_words_of_the_glossary(page: str) -> None:
    """Words of former days stand in code, in files and in what old programs printed, never in a page's own text."""
    prose = re.sub(r"`[^`\n]+`|\]\([^)]*\)", "", FENCE.sub("", filled(page)))

    assert not OLD.findall(prose)


@pytest.mark.parametrize("page", PAGES)
def test_tables_and_records_that_a_page_shows_are_well_formed(page: str) -> None:
    for found in FENCE.finditer(PAGES[page]):
        if found["kind"] == "toml":
            tomllib.loads(found["text"])
        if found["kind"] == "json":
            for line in [found["text"]] if found["text"].startswith("{\n") else [" ".join(found["text"].split())]:
                json.loads(line)
        if found["kind"] == "python":
            compile(found["text"], page, "exec")


def test_every_command_and_option_is_documented() -> None:
    page = filled("docs/reference/commands.md")

    assert [name for name in COMMANDS if name != "medbench" and f"# {name}\n" not in page] == []
    for command in COMMANDS.values():
        for option in code.options_of(command):
            assert all(f"{name}" in page for name in option.opts)


def test_every_exit_code_is_documented_and_none_else() -> None:
    page = filled("docs/reference/exit-codes.md")
    codes = {e.exit_code for e in vars(errors).values() if isinstance(e, type) and issubclass(e, errors.MedbenchError)}
    listed = {int(number) for number in re.findall(r"^\| (\d+) \|", page, re.MULTILINE)}

    assert listed == codes | {0, 9, 130, 143}


def test_every_hook_is_documented_and_none_else() -> None:
    page = filled("docs/plugins/index.md")
    specified = {name for name in dir(hookspecs) if hasattr(getattr(hookspecs, name), "medbench_spec")}

    assert set(re.findall(r"`((?:register|trial)_\w+)\(", page)) == specified


def test_every_word_of_the_glossary_has_its_anchor() -> None:
    page = filled("docs/reference/glossary.md")

    assert [term.name for term in TERMS.values() if f"({term.anchor})=" not in page] == []


def test_every_code_of_a_refusal_is_documented() -> None:
    text = "".join(filled(page) for page in PAGES if "from the code: refusals" in PAGES[page])

    assert [number for number in CODES if text.count(f"| {number} |") != 1] == []


@pytest.mark.parametrize("kind", [kind for kind in HOOKS if kind != "study"])
def test_everything_built_in_is_described(kind: str) -> None:
    """Every name with a heading, and with what each of its parameters means."""
    text = "".join(filled(page) for page in PAGES if f"<!-- from the code: {kind}s -->" in PAGES[page])

    assert [n for n in code.catalogue().names(kind) if f"## {code.literal(n)}\n" not in text] == []
    blank = re.findall(r"^\| `(\w+)` \| `.*` \|  \|$", text, re.MULTILINE)
    assert not blank


def test_pages_that_code_and_tests_name_are_there() -> None:
    files = [path for folder in ("benchmark", "plugins", "datasets", "tests", ".github", "results") for path in
             (ROOT / folder).rglob("*") if path.suffix in (".py", ".toml", ".yml", ".sh", ".md", ".html", ".txt")
             and "runs" not in path.parts]  # fmt: skip
    files += [ROOT / name for name in ("CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "README.md", "pyproject.toml")]
    named = {name for path in files for name in
             re.findall(r"\bdocs/[\w/-]+\.(?:md|py|ipynb|png|svg|sh)\b", path.read_text(encoding="utf-8"))}  # fmt: skip

    assert [name for name in sorted(named) if not (ROOT / name).exists()] == []
