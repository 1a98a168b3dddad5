"""Parts of pages that are written from the code: commands, built-ins, words, codes, hooks.

A page asks for one by a line ``<!-- from the code: NAME -->``; NAME is a key of :data:`PARTS`. So what the pages say of
an option, a parameter or a code is what the program has, and a page cannot fall behind.
"""

from __future__ import annotations

import inspect
import re
import textwrap
from collections.abc import Callable, Iterator
from typing import Any

import click

import medbench
from medbench import errors
from medbench.cli import cli
from medbench.glossary import TERMS
from medbench.protocols.corruptions import CORRUPTIONS
from medbench.publishing.refusals import CODES, Refused
from medbench.registry import display_names, hookspecs
from medbench.registry.catalogue import HOOKS, Catalogue
from medbench.registry.plugins import load
from medbench.registry.recipes import parameters_of, write_value
from medbench.statistics.verdicts import WORDS

MARK = re.compile(r"^<!-- from the code: ([\w-]+) -->$", re.MULTILINE)
COUNTED = {"sizes": False}
"""Whether networks are built to count their weights, which takes some seconds; the build of the site does so."""
_catalogue: list[Catalogue] = []


def fill_in(app: object, page: str, source: list[str]) -> None:
    """Put every part that a page asks for into its text; Sphinx calls this for each page it reads."""
    source[0] = MARK.sub(lambda found: PARTS[found[1]](), source[0])


def literal(text: str) -> str:
    """Write plain text so that Markdown shows it as it is."""
    return re.sub(r"([\\*_<>\[\]|#~$`])", r"\\\1", " ".join(text.split()))


def table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """Write a table; every text is Markdown already."""
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join("| " + " | ".join(row) + " |" for row in lines) + "\n"


def code(text: str) -> str:
    """Write a text as code; a bar would end a cell of a table."""
    return "`" + text.replace("|", r"\|") + "`"


# ---------------------------------------------------------------------------------------------------- the command line


def walk(command: click.Command, name: str) -> Iterator[tuple[str, click.Command]]:
    """Yield a command and all commands in it, with what is typed for each."""
    yield name, command
    if isinstance(command, click.Group):
        context = click.Context(command, info_name=name)
        for part in command.list_commands(context):
            inner = command.get_command(context, part)
            if inner is not None and not inner.hidden:
                yield from walk(inner, f"{name} {part}")


def options_of(command: click.Command) -> list[click.Option]:
    """Return the options of a command that are shown, without ``--help``."""
    return [p for p in command.params if isinstance(p, click.Option) and not p.hidden]


def commands() -> str:
    """Write every command with its options."""
    parts = []
    for name, command in walk(cli, "medbench"):
        if command is cli:
            continue
        context = click.Context(command, info_name=name)
        usage = " ".join(command.collect_usage_pieces(context))
        about = inspect.cleandoc(command.help or command.short_help or "").replace("\b\n", "")
        about = "\n\n".join(literal(paragraph) for paragraph in about.split("\n\n"))
        depth = "#" * name.count(" ")
        parts.append(f"{depth}# {name}\n\n```text\n{name} {usage}\n```\n\n{about}\n")
        rows = [(_option(option, context), literal(option.help or "") + _default(option)) for option in
                options_of(command)]  # fmt: skip
        if rows:
            parts.append(table(("option", "what it does"), rows))
    return "\n".join(parts)


def _option(option: click.Option, context: click.Context) -> str:
    names = " / ".join([*option.opts, *option.secondary_opts])
    kind = "" if option.is_flag or option.count else option.make_metavar(context)
    return code(f"{names} {kind}".strip())


def _default(option: click.Option) -> str:
    value = option.default
    if option.is_flag or value in (None, (), "") or callable(value) or isinstance(value, list | tuple):
        return ""
    plain = str(value)
    return "" if "UNSET" in plain.upper() else f" Default: {code(plain)}."


# ------------------------------------------------------------------------------------------------------- the built-ins


def catalogue() -> Catalogue:
    """Load medbench's own plugins, once."""
    if not _catalogue:
        _catalogue.append(load(installed=False))
    return _catalogue[0]


def document_of(recipe: Any) -> str:
    """Return the docstring of what was registered, as it is written in the source."""
    described = type(recipe) if hasattr(recipe, "name") else recipe
    text = inspect.cleandoc(described.__doc__ or "")
    if other := re.search(r"attributes and source as :class:`(\w+)`", text):  # a sister in the same file
        sister = inspect.cleandoc(getattr(inspect.getmodule(described), other[1]).__doc__ or "")
        text = text.split(";")[0] + "." + sister[sister.index("\n") :]
    return "" if text.startswith(f"{described.__name__}(") else text


def section_of(text: str, title: str) -> str:
    """Return one section of a docstring, as ``Source:``, without its indentation."""
    found = re.search(rf"^{title}:\n((?:[ ]+.*\n?|\n)+)", text + "\n", re.MULTILINE)
    return textwrap.dedent(found[1]).strip() if found else ""


def body_of(text: str) -> str:
    """Return a docstring down to its first section."""
    return re.split(r"^(?:Attributes|Args|Source|Returns|Raises):$", text, maxsplit=1, flags=re.MULTILINE)[0].strip()


def meanings_of(text: str) -> dict[str, str]:
    """Return what the ``Attributes:`` of a docstring say, by name."""
    found: dict[str, str] = {}
    for line in section_of(text, "Attributes").splitlines():
        if named := re.match(r"(\w+): (.*)", line):
            name = named[1]
            found[name] = named[2]
        elif found:
            found[name] += " " + line.strip()
    return found


def marked_up(text: str) -> str:
    """Write the prose of a docstring as Markdown: double back-ticks and roles become code."""
    pieces = re.split(r"(``[^`]+``|:\w+:`[^`]+`|`[^`]+`)", " ".join(text.split()))
    return "".join(literal(p) if n % 2 == 0 else code(p.rpartition("`")[0].rpartition("`")[2].strip("~."))
                   if not p.startswith("``") else code(p.strip("`")) for n, p in enumerate(pieces))  # fmt: skip


SHOWN_AS: dict[str, Callable[[str], str]] = {
    "augmenter": display_names.method_name,
    "generator": display_names.generator_name,
    "classifier": display_names.classifier_name,
    "dataset": display_names.dataset_name,
}


def cost_of(kind: str, recipe: Any) -> str:
    """Say what a recipe adds to a study, as far as its fields say."""
    if kind == "generator":
        if not getattr(recipe, "stored", True):
            return "Nothing to train."
        trained = f"Trained once a fold and repeat, {_steps(recipe)}; shared by all methods that use it."
        return f"{trained} {_size_of(kind, recipe)}".strip()
    if kind == "augmenter":
        generator = parameters_of(recipe).get("generator")
        if generator is not None and getattr(generator, "stored", True):
            return f"One training of the classifier, and of the generator {code(generator.name)}: {_steps(generator)}."
        if bags := getattr(recipe, "bags", None):
            return f"{bags} networks that share the steps of one."
        return "One training of the classifier."
    if kind == "classifier":
        return f"The budget's `steps`, whatever the method. {_size_of(kind, recipe)}".strip() + (
            " The pretraining takes as many again, once for all folds." if hasattr(recipe, "source")
            and hasattr(recipe, "augmenter") else "")  # fmt: skip
    return ""


def _size_of(kind: str, recipe: Any) -> str:
    if not COUNTED["sizes"]:
        return ""
    import network_sizes

    return network_sizes.classifier_size(recipe) if kind == "classifier" else network_sizes.generator_size(recipe)


def _steps(generator: Any) -> str:
    if not hasattr(generator, "steps"):
        inner = [value for value in parameters_of(generator).values() if hasattr(value, "steps")]
        return _steps(inner[0]) if inner else "as its parts"
    critic = getattr(generator, "critic_steps", 0)
    steps = "the budget's steps" if generator.steps is None else f"at most {generator.steps:,} steps"
    return steps + (f" with {critic} of the critic each" if critic else "")


def built_ins(kind: str) -> str:
    """Write everything medbench registers of a kind: what it does, cost, parameters, source."""
    parts = []
    for name in catalogue().names(kind):
        recipe = catalogue().registered(kind, name)
        document = document_of(recipe)
        shown = SHOWN_AS[kind](name) if kind in SHOWN_AS else name
        anchor = re.sub(r"\W+", "-", f"{kind}-{name}")
        parts.append(f"({anchor})=\n\n## {literal(name)}\n")
        if shown != name:
            parts.append(f"Shown as: *{literal(shown)}*\n")
        parts += [marked_up(paragraph) + "\n" for paragraph in body_of(document).split("\n\n")]
        if cost := cost_of(kind, recipe):
            parts.append(f"**Cost.** {cost}\n")
        if hasattr(recipe, "__dataclass_fields__") and (parameters := parameters_of(recipe)):
            meanings = meanings_of(document)
            rows = [(code(key), code(write_value(value) or '""'), marked_up(meanings.get(key, ""))) for key, value in
                    parameters.items()]  # fmt: skip
            parts.append(table(("parameter", "default", "meaning"), rows))
        if source := section_of(document, "Source"):
            parts.append(f"**Source.** {marked_up(source)}\n")
    return "\n".join(parts)


def data_sets() -> str:
    """Write the card of every data set."""
    parts = []
    for name in catalogue().names("dataset"):
        recipe = catalogue().registered("dataset", name)
        card, meanings = recipe.card, meanings_of(document_of(recipe))
        parts.append(f"({re.sub(chr(92) + 'W+', '-', 'dataset-' + name)})=\n\n## {literal(name)}\n")
        parts.append(f"{literal(card.title)}. Shown as: *{literal(display_names.dataset_name(name))}*\n")
        holds = {"nothing": "no predictions, so it cannot be published", "predictions": "predictions",
                 "pictures": "predictions and images"}[card.publish]  # fmt: skip
        rows = [
            ("licence", literal(card.licence)),
            ("how to get it", literal(card.access)),
            ("files", literal(card.layout)),
            ("scored by", card.unit),
            ("a published result holds", holds),
            ("working size", f"{recipe.size} pixels along every axis"),
            ("citation", literal(card.citation)),
        ]
        parts.append(table(("", ""), [(a, b) for a, b in rows if b]))
        rows = [(code(key), code(write_value(value) or '""'), marked_up(meanings.get(key, ""))) for key, value in
                parameters_of(recipe).items()]  # fmt: skip
        parts.append(table(("parameter", "default", "meaning"), rows) if rows else "")
    return "\n".join(parts)


def studies() -> str:
    """Write a line for every study that comes with medbench."""
    from medbench.planning.study import read

    rows = []
    for name in catalogue().names("study"):
        study = read(catalogue().registered("study", name))
        rows.append((code(name), literal(study.about)))
    return table(("study", "what it asks"), rows)


# ------------------------------------------------------------------------------------------------- words, codes, hooks


def glossary() -> str:
    """Write every word with its meaning, each with the anchor that tables and pages link to."""
    parts = []
    for term in sorted(TERMS.values(), key=lambda term: term.name.lower()):
        also = f" Also: {literal(', '.join(term.also))}." if term.also else ""
        place = "" if term.anchor[0].isalpha() else f'<span id="{term.anchor}"></span>\n\n'  # Sphinx drops the number
        parts.append(f"{place}({term.anchor})=\n\n## {literal(term.name)}\n\n{literal(term.meaning)}{also}\n")
    return "\n".join(parts)


def verdicts() -> str:
    """Write every verdict as people read it, as files store it, and what it means."""
    rows = [(f"**{literal(style.text)}**", code(word), literal(style.meaning)) for word, style in WORDS.items()]
    return table(("verdict", "in files", "meaning"), rows)


EXITS = {
    0: "Everything is done.",
    1: "A fault of medbench; `MEDBENCH_DEBUG=1` shows where. Please report it.",
    130: "Interrupted by Ctrl-C. The same command goes on from there.",
    143: "Interrupted by SIGTERM, as by a cluster's time limit. The same command goes on from there.",
}


def weights() -> str:
    """Write where pretrained weights are got, with licence, needs and how a recipe names them."""
    items = [item for kind in ("classifier", "extractor") for item in catalogue().items(kind)]
    rows = [row for item in items if hasattr(item, "list_weights") for row in item.list_weights()]
    return table(
        ("weights", "licence", "needs", "got by", "written"),
        [
            (*(literal(row[key]) for key in ("name", "licence", "needs")), code(row["get"]), code(row["recipe"]))
            for row in rows
        ],
    )


def corruptions() -> str:
    """Write the kinds of corrupted test images and the strengths of their severities."""
    rows = [
        (
            code(kind),
            one.name + " (2-D)" * one.flat,
            code(one.group),
            one.unit,
            ", ".join(f"{s:g}" for s in one.strengths),
        )
        for kind, one in CORRUPTIONS.items()
    ]
    return table(("kind", "what it does", "group", "strength", "severity 1 to 5"), rows)


def exit_codes() -> str:
    """Write every exit code, from the errors that end a command with it."""
    said = dict(EXITS)
    for error in [*vars(errors).values(), Refused]:
        if inspect.isclass(error) and issubclass(error, errors.MedbenchError) and error is not errors.MedbenchError:
            first = inspect.cleandoc(error.__doc__ or "").split("\n\n")[0]
            said.setdefault(error.exit_code, literal(re.sub(r" \(exit code \d+\)", "", first)))
    said[7] = "Some training runs failed; the others are stored. `medbench logs` shows why."
    said[9] = "A bundle, an entry or a ledger that is refused; the message begins with [a code](publishing.md#codes)."
    return table(("exit code", "meaning"), [(str(number), said[number]) for number in sorted(said)])


def refusals() -> str:
    """Write why a bundle is refused, by code."""
    return table(("code", "refused because"), [(number, literal(said)) for number, said in CODES.items()])


def hooks() -> str:
    """Write every hook with what it is for."""
    registering = {hook: kind for kind, (hook, _) in HOOKS.items()}
    rows = []
    for name, hook in vars(hookspecs).items():
        if hasattr(hook, "medbench_spec"):
            arguments = ", ".join(inspect.signature(hook).parameters)
            first = inspect.cleandoc(hook.__doc__ or "").split("\n\n")[0]
            kind = registering.get(name)
            rows.append((code(f"{name}({arguments})"), marked_up(first), f"[{kind}]({kind}.md)" if kind else
                         "[observer](observer.md)"))  # fmt: skip
    return table(("hook", "what it does", "an example"), rows)


def public_names() -> str:
    """Write what is public in `import medbench`, each from its docstring."""
    said = []
    for name in vars(medbench)["__all__"]:
        value = getattr(medbench, name)
        if inspect.isclass(value):
            said.append(f".. autoclass:: medbench.{name}\n   :members:\n   :no-index-entry:\n")
        elif inspect.isfunction(value):
            said.append(f".. autofunction:: medbench.{name}\n")
    return "```{eval-rst}\n" + "\n".join(said) + "```\n"


PARTS: dict[str, Callable[[], str]] = {
    "commands": commands,
    "exit-codes": exit_codes,
    "weights": weights,
    "corruptions": corruptions,
    "refusals": refusals,
    "glossary": glossary,
    "verdicts": verdicts,
    "hooks": hooks,
    "datasets": data_sets,
    "studies": studies,
    "public-names": public_names,
    **{f"{kind}s": (lambda kind=kind: built_ins(kind)) for kind in
       ("augmenter", "generator", "classifier", "metric", "score", "extractor", "executor")},
}  # fmt: skip
"""What a page may ask for."""
