"""``medbench glossary``: what the words of tables and pages mean."""

from __future__ import annotations

import sys

import click

from medbench.errors import UsageError
from medbench.glossary import TERMS, Term
from medbench.registry.recipes import did_you_mean
from medbench.registry.score_facts import SCORES
from medbench.tables.writers.terminal import screen_of, under


@click.command(short_help="Say what the words of tables and pages mean.")
@click.argument("words", nargs=-1)
def glossary(words: tuple[str, ...]) -> None:
    """Say what a word of the tables and pages means; without one, list them all.

    WORDS are a term or a part of one, such as: medbench glossary balanced accuracy
    """
    screen, sought = screen_of(sys.stdout), " ".join(words).lower()
    terms = [
        *TERMS.values(),
        *(Term(f.title, f"{f.text}.", (name,)) for name, f in SCORES.items() if f.title not in TERMS),
    ]
    found = [term for term in terms if any(sought in text.lower() for text in (term.name, *term.also))]
    if not found:
        hint = did_you_mean(sought, [term.name for term in terms])
        raise UsageError(f"{sought!r} is no word of the tables{hint}; `medbench glossary` lists all.")
    for term in found:
        click.echo(screen.bold(term.name) + (f" (also: {', '.join(term.also)})" if term.also else ""))
        for line in under([term.meaning], screen.width):
            click.echo(f"  {line}")
