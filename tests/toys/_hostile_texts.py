"""Texts that try to become a part of a page, a paper or a table, and what holds one in every field."""

from __future__ import annotations

import dataclasses
from typing import Any

from medbench.report.report import Report
from medbench.site.read_entries import Published
from medbench.tables.blocks import Picture, Section, Source, cell, heading, say, table
from medbench.text import clean

SCRIPT = "<script>alert(1)</script>"
OF_REPORTS = [
    SCRIPT,
    "</title>" + SCRIPT,
    "</style>" + SCRIPT,
    "</script>" + SCRIPT,
    "<!--" + SCRIPT,
    "-->" + SCRIPT,
    "<img src=x onerror=alert(1)>",
    '"><img src=x onerror=alert(1)>',
    "'><svg onload=alert(1)>",
    "<svg/onload=alert(1)>",
    '" onmouseover="alert(1)',
    "' onfocus='alert(1)' autofocus='",
    '" autofocus onfocus=alert(1) x="',
    "` onclick=alert(1)",
    "<a href=javascript:alert(1)>x</a>",
    "javascript:alert(1)",
    '<a href="data:text/html,x">',
    "<iframe src=//evil.example>",
    "<object data=//evil.example>",
    "<embed src=//evil.example>",
    "<base href=//evil.example>",
    "<form action=//evil.example>",
    "<link rel=stylesheet href=//evil.example>",
    "<meta http-equiv=refresh content=0>",
    "<body onload=alert(1)>",
    "<input autofocus onfocus=alert(1)>",
    "<details open ontoggle=alert(1)>",
    "<video><source onerror=alert(1)></video>",
    "<audio src=x onerror=alert(1)>",
    "<marquee onstart=alert(1)>",
    "<math><mi xlink:href=javascript:alert(1)>",
    "<style>*{}</style>",
    "{{ 7 * 7 }}",
    "{% for x in y %}",
    "{{ ''.__class__.__mro__ }}",
    "${7*7}",
    "#{7*7}",
    "<%= 7 %>",
    "&lt;script&gt;",
    "&#60;script&#62;",
    "\x00<script>",
    "<scr\x00ipt>alert(1)</script>",
    "<scr\u200bipt>",
    "\u202e<script>",
    "\x1b[2J<script>",
    "\ufeff<script>",
    "\ud800<script>",
    "<script\n>alert(1)</script\n>",
    "<SCRIPT SRC=//evil.example></SCRIPT>",
    "<<script>>",
    "]]><script>",
    "<?php x ?>",
    '<!DOCTYPE x [<!ENTITY y "z">]>',
    '\\"><script>',
    "%3Cscript%3E",
    "+ADw-script+AD4-",
    '=HYPERLINK("//e")',
    "| a | [x](javascript:alert(1)) `",
    "\\input{/etc/passwd} $x$ & % # _ { } ~ ^",
    "\u2028alert(1)\u2029",
]
OF_ENTRIES = [
    *(f"{quote}>{tag}" for quote in ("", '"', "'") for tag in (
        "<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "<svg/onload=alert(1)>", "<iframe src=//e>",
        "<a href=javascript:alert(1)>x</a>", "<style>*{display:none}</style>", "<base href=//e.example>",
        "</title></head><body onload=alert(1)>", "</bdi></td></table><h1>first</h1>",
    )),
    '" onmouseover="alert(1)', "' onfocus='alert(1)' autofocus='", "` onload=`alert(1)`", "javascript:alert(1)",
    "data:text/html,<script>alert(1)</script>", "vbscript:msgbox(1)", "https://e.example/\"><script>", "//e.example",
    "https://e.example\\@evil.example", "http://e.example", "{{ 7*7 }}", "{% include '/etc/passwd' %}",
    "{{ ''.__class__.__mro__ }}", "${7*7}", "<!--", "--><script>1</script>", "]]><script>1</script>",
    "<![CDATA[<script>1</script>]]>", "&lt;script&gt;", "&#60;script&#62;", "\x00<script>", "<scr\x00ipt>",
    "<scr\u200bipt>alert(1)</scr\u200bipt>", "\u202egnp.exe", "\u2066\u202etpircs\u2069", "\x1b[2J\x1b]0;x\x07",
    "a" + "\u0301" * 500, "<" * 3000, "\ud800<script>", "=HYPERLINK(\"https://e.example\")", "+1+1", "-1+1", "@SUM(1)",
    "\t=1+1", "\u2028<script>\u2029", "\uff1cscript\uff1e", "../../../etc/passwd", "..\\..\\x", "%3Cscript%3E",
    "\ufeff<script>", "+ADw-script+AD4-", "<math><mtext></form><form><mglyph><style></math><img src onerror=1>",
]  # fmt: skip
OF_PAPERS = [
    "100 % of A & B, #3, $4, x_1^2, ~5, {a}, \\end{document}",
    "\\\\*[1em] *starred* [bracketed] & unbalanced }}} {{{",
    "\\def\\x{\\x}\\x \\csname x\\endcsname \\write18{ls} ^^41 ^^M",
    "--no-pictures ,,quoted'' ``quoted'' <<quoted>> ?` !`",
    "\u00c5ngstr\u00f6m \u4e2d\u6587 \u05e9\u05dc\u05d5\u05dd \U0001f600 \u2265 \u2212 \u2192 a\u0301 q\u0323\u0307",
    "a" * 300,
    "/".join(["folder"] * 60),
    "0123456789abcdef" * 8,
    "W" * 90 + " " + "\u4e2d" * 90,
]
PAYLOADS = list(dict.fromkeys([*OF_REPORTS, *OF_ENTRIES, *OF_PAPERS]))


def everywhere(text: str) -> Report:
    """A report with a text in every field that a text of others can reach."""
    blocks = (
        heading(text),
        say(text, text),
        say(text, is_list=True),
        Source(clean(text)),
        table(
            text,
            (text, text),
            [(cell(text, text, kind=text), text), (cell(text, 1.0, depth=2), "")],
            label="t",
            sortable=True,
        ),
        Picture(clean(text), clean(text), "svg", text.encode("utf-8", "replace"), b"x"),
    )
    return Report(clean(text), (Section("answer", clean(text), blocks),))


def replaced(value: Any, text: str, key: str = "") -> Any:
    """Return a JSON value with `text` for every string that is no choice of a fixed set and no hash."""
    fixed = ("word", "outcome", "kind", "unit", "tier", "id", "sha256", "data")
    if isinstance(value, dict):
        return {k: replaced(inner, text, k) for k, inner in value.items()}
    if isinstance(value, list | tuple):
        return [replaced(inner, text, key) for inner in value]
    return text if isinstance(value, str) and key not in fixed else value


def hostile(found: Published, text: str) -> Published:
    rows = tuple(row.model_copy(update={"detail": text}) for row in found.history.rows)
    value = {**replaced(found.entry, text), "flags": [text]}
    value["study"]["budget"] = {text: 1}
    value["environment"]["libraries"] = {text: [text]}
    for of_board in value["boards"]:
        of_board["rows"][0]["scores"] = {text: 1.0}
    return dataclasses.replace(found, entry=value, history=dataclasses.replace(found.history, rows=rows))
