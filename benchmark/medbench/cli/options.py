"""Options that several commands share, and what they amount to."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from medbench.data.find_phantom import PHANTOM
from medbench.errors import UsageError
from medbench.planning import study
from medbench.planning.leak_staircase import staircase
from medbench.planning.study import Study
from medbench.protocols.protocol import LEAKY, protocol, with_leaks
from medbench.registry import plugins
from medbench.registry.recipes import parse, split_list

DEFAULT_STUDY = "quickstart"
LIST_KEYS = {"dataset": "datasets", "augmenter": "augmenters", "classifier": "classifiers", "protocol": "protocols"}


def complete(*kinds: str) -> Callable[[click.Context, click.Parameter, str], list[str]]:
    """Offer registered names to the shell, those of a folder given before with ``--plugins-dir`` among them."""

    def offer(ctx: click.Context, parameter: click.Parameter, typed: str) -> list[str]:
        try:
            catalogue = plugins.load(folders=ctx.params.get("plugin_folders") or ())
        except Exception:  # noqa: BLE001  a shell that asks for names wants silence, not an error
            return []
        return [name for kind in kinds for name in catalogue.names(kind) if name.startswith(typed)]

    return offer


def plugin_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that say which plugins are loaded."""
    for option in (
        click.option(
            "--plugins-dir",
            "plugin_folders",
            multiple=True,
            type=click.Path(path_type=Path),
            metavar="FOLDER",
            help="Load every plugin file in a folder; may be repeated.",
        ),
        click.option(
            "-p", "plugin_switches", multiple=True, metavar="no:NAME", help="Leave a plugin out; may be repeated."
        ),
    ):
        command = option(command)
    return command


def study_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that make up a study."""
    options = (
        click.argument("study_name", metavar="[STUDY]", required=False, shell_complete=complete("study")),
        click.option(
            "-d",
            "--dataset",
            multiple=True,
            metavar="NAME",
            shell_complete=complete("dataset"),
            help="Data set; may be repeated, takes globs and name[p=v].",
        ),
        click.option(
            "-a",
            "--augmenter",
            multiple=True,
            metavar="NAME",
            shell_complete=complete("augmenter"),
            help="Augmenter, likewise.",
        ),
        click.option(
            "-c",
            "--classifier",
            multiple=True,
            metavar="NAME",
            shell_complete=complete("classifier"),
            help="Classifier, likewise.",
        ),
        click.option(
            "--data",
            multiple=True,
            metavar="[NAME=]FOLDER",
            help="Where the data set lies; only read. MEDBENCH_DATA may stand for it.",
        ),
        click.option("--phantom", is_flag=True, help="Use drawn look-alikes instead of real images."),
        click.option(
            "--protocol", multiple=True, metavar="NAME", help="Evaluation protocol: patients, official, or a leaky one."
        ),
        click.option(
            "--leak", metavar="NAME,...", help=f"Make the protocol leak: {', '.join(LEAKY)}; never ranked then."
        ),
        click.option("--inflation", is_flag=True, help="Take the study's gain apart, leak by leak, instead."),
        click.option("--folds", type=int, help="Parts of a partition."),
        click.option("--repeats", type=int, help="Partitions."),
        click.option("--seeds", type=int, help="Classifier seeds a cell."),
        click.option("--budget", metavar="NAME|k=v,...", help="smoke, quick, standard, or steps=600,batch=32,..."),
        click.option("--worth", type=float, help="Points of balanced accuracy that matter."),
        click.option(
            "--set",
            "settings",
            multiple=True,
            metavar="NAME.PARAMETER=VALUE",
            help="Set a parameter of a recipe, as in hybrid.generator=resample.",
        ),
        click.option(
            "--extractor",
            metavar="NAME",
            shell_complete=complete("extractor"),
            help="What made images are scored with, as in inception[weights=FILE]; random-convolutions by default.",
        ),
        click.option("--no-controls", is_flag=True, help="Run only what is named, without controls and companions."),
        click.option("--no-companions", is_flag=True, help="Do not run reacgan beside another GAN."),
        click.option(
            "--yardsticks/--no-yardsticks",
            default=None,
            help="Also train the control with other seeds and on 3/4 of the patients, or do not.",
        ),
        click.option(
            "--check-steps", is_flag=True, help="At last train the best arm and its control at twice the steps."
        ),
        click.option(
            "--seed-block",
            is_flag=True,
            help="Also train arms with a generator, and their controls, on one fold with 3 x 3 seeds.",
        ),
        click.option(
            "--results",
            type=click.Path(path_type=Path),
            default=Path("results/runs"),
            show_default=True,
            envvar="MEDBENCH_RESULTS",
            help="Where results are stored.",
        ),
    )
    for option in reversed(options):
        command = option(command)
    return plugin_options(command)


@dataclass(frozen=True)
class Asked:
    """What the options amount to."""

    study: Study
    catalogue: plugins.Catalogue
    data: tuple[str, ...]
    phantom: bool
    results: Path
    plugin_folders: tuple[str, ...]
    blocked: tuple[str, ...]


def load_catalogue(plugin_folders: tuple[Path, ...], plugin_switches: tuple[str, ...]) -> plugins.Catalogue:
    """Load plugins as the options say."""
    return plugins.load(folders=plugin_folders, blocked=blocked(plugin_switches))


def blocked(switches: tuple[str, ...]) -> tuple[str, ...]:
    """Read ``-p no:NAME``."""
    for switch in switches:
        if not switch.startswith("no:"):
            raise UsageError(f"-p {switch}: write -p no:NAME to leave a plugin out.")
    return tuple(switch.removeprefix("no:") for switch in switches)


def understand(*, default: str = DEFAULT_STUDY, **options: Any) -> Asked:
    """Turn options into a study; a study file or a built-in study gives what they leave out.

    Raises:
        UsageError: For an unknown study or a value that does not fit.
    """
    catalogue = load_catalogue(options["plugin_folders"], options["plugin_switches"])
    base = _base_study(catalogue, options["study_name"], options["dataset"], default)
    if "smoke" in split_list(options["budget"] or ""):
        base = study.shrunk(base)
    values = base.model_dump()
    for option, key in LIST_KEYS.items():
        if options[option]:
            values[key] = list(options[option])
    if options["phantom"] and not options["dataset"] and base.phantom.datasets:
        values["datasets"] = list(base.phantom.datasets)
    for key in ("folds", "repeats", "seeds", "worth"):
        if options[key] is not None:
            values[key] = options[key]
    if options["leak"]:
        given = split_list(options["leak"])
        values["protocols"] = [with_leaks(text, {*protocol(text).switches, *given}) for text in values["protocols"]]
    if options["no_controls"]:
        values["controls"] = False
    if options["no_controls"] or options["no_companions"]:
        values["companions"] = False
    if options["yardsticks"] is not None:
        values["yardsticks"] = options["yardsticks"]
    if options["yardsticks"] and not values["controls"]:
        raise UsageError(
            "--yardsticks: they are measured against controls, and none are run; leave one of the two out."
        )
    if options["check_steps"]:
        values["check_steps"] = True
    if options["seed_block"] and not values["controls"]:
        raise UsageError("--seed-block: it is of arms and their controls, and none are run; leave one of the two out.")
    if options["seed_block"]:
        values["seed_block"] = True
    if options["extractor"]:
        values["extractor"] = options["extractor"]
    if options["budget"]:
        values["budget"] = study.budget(options["budget"], base.budget, base.smoke).model_dump()
    _apply_settings(values, options["settings"])
    asked = study.build(values)
    if options["inflation"]:
        asked = staircase(asked, lambda kind, text: catalogue.spec(catalogue.resolve(kind, text)))
    for text in (*asked.datasets, *asked.augmenters, *asked.classifiers):
        parse(text.removeprefix(PHANTOM))
    data = tuple(options["data"]) or tuple(filter(None, [os.environ.get("MEDBENCH_DATA", "")]))
    # A study on drawn images turns to the real ones as soon as it is told where they are.
    if options["data"] and not options["phantom"]:
        asked = asked.model_copy(update={"datasets": [text.removeprefix(PHANTOM) for text in asked.datasets]})
    return Asked(
        asked,
        catalogue,
        data,
        options["phantom"],
        options["results"],
        tuple(str(f) for f in options["plugin_folders"]),
        blocked(options["plugin_switches"]),
    )


def _base_study(catalogue: plugins.Catalogue, name: str | None, datasets: tuple[str, ...], default: str) -> Study:
    if name is None and datasets:
        return study.build({"name": "options", "datasets": list(datasets)})
    if name is not None and (name.endswith(".toml") or Path(name).is_file()):
        return study.read(Path(name))
    return study.read(catalogue.registered("study", name or default))


def _apply_settings(values: dict[str, Any], settings: tuple[str, ...]) -> None:
    """Write ``hybrid.generator=resample`` into every text that names the recipe."""
    for setting in settings:
        path, equals, value = setting.partition("=")
        name, dot, key = path.rpartition(".")
        if not equals or not dot:
            raise UsageError(f"--set {setting}: write --set NAME.PARAMETER=VALUE, as in hybrid.generator=resample.")
        hit = False
        for kind in ("datasets", "augmenters", "classifiers", "protocols"):
            for position, text in enumerate(values[kind]):
                prefix = PHANTOM if text.startswith(PHANTOM) else ""
                spec = parse(text.removeprefix(PHANTOM))
                if spec.name == name:
                    parameters = dict(spec.parameters) | {key: value}
                    inner = ",".join(f"{k}={v}" for k, v in parameters.items())
                    values[kind][position] = f"{prefix}{name}[{inner}]"
                    hit = True
        if not hit:
            raise UsageError(f"--set {setting}: nothing named {name!r} takes part; name it with -d, -a or -c.")
