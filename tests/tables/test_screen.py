"""What a stream can show, and that colours say nothing which is not there without them."""

from __future__ import annotations

import io
import re

import pytest

from _board_rows import board, row
from medbench.tables.board_table import render
from medbench.tables.writers.terminal import Screen, screen_of

STYLE = re.compile(r"\x1b\[[0-9;]*m")
STEERING = "\x1b[2J\x1b]0;owned\x07\x9b31m\u202eevil"


class Stream(io.StringIO):
    def __init__(self, *, is_terminal: bool, encoding: str) -> None:
        super().__init__()
        self._is_terminal, self._encoding = is_terminal, encoding

    def isatty(self) -> bool:
        return self._is_terminal

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self._encoding


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NO_COLOR", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")


def test_a_terminal_has_colours_and_its_own_width_within_80_to_120(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Stream(is_terminal=True, encoding="UTF-8")
    for columns, width in (("60", 80), ("100", 100), ("200", 120)):
        monkeypatch.setenv("COLUMNS", columns)
        assert screen_of(terminal) == Screen(width, colour=True, plain=False)
        assert screen_of(terminal, plain=True).plain
    assert screen_of(Stream(is_terminal=True, encoding="latin-1")).plain


@pytest.mark.parametrize("value", ["1", "0", "yes"])
def test_no_color_is_honoured_whatever_it_says(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("NO_COLOR", value)

    assert not screen_of(Stream(is_terminal=True, encoding="utf-8")).colour


def test_a_pipe_and_a_dumb_terminal_have_no_colours(monkeypatch: pytest.MonkeyPatch) -> None:
    assert screen_of(Stream(is_terminal=False, encoding="utf-8")) == Screen(80, colour=False, plain=False)
    assert screen_of(io.BytesIO()) == Screen(80, colour=False, plain=True)
    for term in ("", "dumb"):
        monkeypatch.setenv("TERM", term)
        assert not screen_of(Stream(is_terminal=True, encoding="utf-8")).colour


@pytest.mark.parametrize("width", [80, 120])
def test_colours_add_nothing_but_styles_and_names_cannot_add_any(width: int) -> None:
    gains = {"better": (0.1, 0.05, 0.2), "worse": (-0.1, -0.2, -0.05), "inconclusive": (0.0, -0.1, 0.1)}
    rows = [row(name, control="balanced", gain=gain) for name, gain in gains.items()]
    nasty = row(f"mix[note={STEERING}]", control="balanced")
    one = board(row("balanced"), *rows, nasty, classes=(f"no{STEERING}", "yes"), warnings=(STEERING,))
    coloured, plain = (render([one], "table", wide=True, screen=Screen(width, colour=c)) for c in (True, False))

    # a style ends after the blanks that fill its cell, so these are compared line by line without them
    assert [line.rstrip() for line in STYLE.sub("", coloured).split("\n")] == plain.split("\n")
    assert "\x1b" not in STYLE.sub("", coloured)
    assert "\x1b" not in plain
    for word, style in (("better", "1;32"), ("worse", "1;31"), ("inconclusive", "2")):
        assert re.search(rf"\x1b\[{style}m *{word}", coloured)
