"""Options that several commands share, and what they amount to."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import click

from medbench.errors import UsageError
from medbench.interfaces import Numerics
from medbench.planning import study as studies
from medbench.planning.plan_records import open_record, stored_runs
from medbench.planning.run_sessions import run_sessions
from medbench.protocols.protocol import LEAKY
from medbench.registry import plugins
from medbench.registry.catalogue import Catalogue
from medbench.registry.recipes import split_list
from medbench.running.request import DEFAULT_RESULTS, Request, build_request
from medbench.store.store import Store
from medbench.text import clean


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
    command = _many("--plugins-dir", "plugin_folders", type=click.Path(path_type=Path), metavar="FOLDER",
                    help="Load every plugin file in a folder; may be repeated.")(command)  # fmt: skip
    return _many("-p", "plugin_switches", metavar="no:NAME", help="Leave a plugin out; may be repeated.")(command)


def results_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the option that says where results are stored."""
    return click.option("--results", type=click.Path(path_type=Path), default=DEFAULT_RESULTS, show_default=True,
                        envvar="MEDBENCH_RESULTS", help="Where results are stored.")(command)  # fmt: skip


def given_results(results: Path) -> str:
    """Return the store where further commands have to be told of it; "" where they find it without."""
    return "" if str(results) == os.environ.get("MEDBENCH_RESULTS", str(DEFAULT_RESULTS)) else str(results)


def where_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that say where jobs run."""
    for option in reversed(_WHERE):
        command = option(command)
    return command


time_limit_option = click.option(
    "--time-limit",
    metavar="TIME",
    help="Fit the steps of all methods alike so that the run ends in time, as 2h, 1h30m or 45m.",
)


def record_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add what says which run is shown: a study, and where results are stored."""
    return click.argument("study_name", metavar="[STUDY]", required=False)(results_option(command))


def open_run(results: Path, study_name: str | None, *, suffix: str = "") -> tuple[Store, dict[str, Any]]:
    """Open a store and the record of a run; where none is named, take the latest and say which others there are.

    Args:
        results: Folder of the store.
        study_name: Name or file; None for the latest of all.
        suffix: What the names of wanted records end with.
    """
    store, record = open_record(results, study_name, suffix=suffix)
    if study_name is None:
        name = record["study"]["name"]
        others = [run for run in stored_runs(store) if run.name != name]
        if others:
            click.echo(f"Latest run: {clean(str(name))}. Others here, by name:", err=True)
            width = max(len(run.name) for run in others[:OTHERS])
            for run in others[:OTHERS]:
                click.echo(f"  {clean(run.name):<{width}}  {run.title}", err=True)
            if len(others) > OTHERS:
                click.echo(f"  and {len(others) - OTHERS} more: medbench status --json", err=True)
    return store, record


@dataclass(frozen=True)
class KnownPlaces:
    """Where the latest session of a run found its images, as far as it is still there.

    Attributes:
        file: Study file that says where they lie; "" for none.
        data: Folders as ``--data`` takes them; empty where MEDBENCH_DATA stands for them, None where nobody knows.
    """

    file: str = ""
    data: tuple[str, ...] | None = None


def known_places(store: Store, record: Mapping[str, Any]) -> KnownPlaces:
    """Return what commands on the images of a run need to find them again."""
    sessions = run_sessions(store, record)
    last = sessions[-1] if sessions else None
    if last is not None and last.file and Path(last.file).is_file():
        folder = studies.read(Path(last.file)).folder
        if folder and Path(folder).is_dir():
            return KnownPlaces(_from_here(last.file))
    folders = last.data if last is not None else ()
    if folders and all(Path(one).is_dir() or Path(one.partition("=")[2]).is_dir() for one in folders):
        standing = os.environ.get("MEDBENCH_DATA", "")
        if len(folders) == 1 and standing and os.path.abspath(standing) == folders[0]:
            return KnownPlaces(data=())
        return KnownPlaces(data=tuple(map(_from_here, folders)))
    return KnownPlaces(data=() if os.environ.get("MEDBENCH_DATA") else None)


def _from_here(place: str) -> str:
    """Write a place below the working folder as it is typed there."""
    name, equals, path = place.partition("=") if not Path(place).exists() else ("", "", place)
    inside = Path(path).is_relative_to(Path.cwd()) and Path(path) != Path.cwd()
    return f"{name}{equals}{os.path.relpath(path) if inside else path}"


OTHERS = 8
"""Other runs that are named."""
_many = functools.partial(click.option, multiple=True, metavar="NAME")
_flag = functools.partial(click.option, is_flag=True)
# fmt: off
_STUDY = (  # in the order in which --help lists them
    click.argument("study_name", metavar="[STUDY]", required=False, shell_complete=complete("study")),
    _many("-d", "--dataset", "datasets", shell_complete=complete("dataset"),
          help="Data set, see `medbench list datasets`; may be repeated, takes globs and name[p=v]."),
    _many("-a", "--augmenter", "augmenters", shell_complete=complete("augmenter"),
          help="Method, see `medbench list augmenters`; likewise."),
    _many("-c", "--classifier", "classifiers", shell_complete=complete("classifier"),
          help="Network, see `medbench list classifiers`; likewise."),
    _many("--data", metavar="[NAME=]FOLDER",
          help="Folder of the data set; only read. MEDBENCH_DATA may stand for it."),
    _flag("--phantom", help="Use synthetic test images instead of real ones: a result says nothing about patients."),
    _many("--protocol", "protocols",
          help="How images are split: patients (cross-validation by patient), official (the split of "
               "the authors), 'external[test=DATASET]' (another data set is tested), or a leaky one."),
    click.option("--leak", metavar="NAME,...",
                 help=f"Let the protocol leak, as many publications do: {', '.join(LEAKY)}; no verdict then."),
    _flag("--inflation", help="Measure instead how much of the study's published gain comes from leaks, leak by leak."),
    click.option("--name", metavar="NAME", help="What the run is called; made from what is compared by default."),
    click.option("--folds", type=int, help="Folds of the cross-validation; a verdict needs 5."),
    click.option("--repeats", type=int, help="How often the cross-validation is repeated; a verdict needs 3."),
    click.option("--seeds", type=int, help="Training runs of each fold and repeat, each with another seed."),
    click.option("--budget", metavar="NAME|k=v,...",
                 help="How long to train: smoke, quick, standard, or steps=600,batch=32,size=64,..."),
    click.option("--tries", type=click.IntRange(1, 64), metavar="N",
                 help="Tune every method equally: try N configurations on a part of the training part, train the best; "
                      "takes N + 1 times as long."),
    click.option("--numerics", type=click.Choice(get_args(Numerics)),
                 help="What gives the same numbers again: exact (the default; the same kind of processor), portable "
                 "(every x86 processor with AVX2; slower), or fast (nothing is promised; for GPUs)."),
    click.option("--positive", metavar="CLASS",
                 help="Which of two classes is the disease, for sensitivity and specificity; else by its name."),
    click.option("--worth", type=float,
                 help="Smallest gain that is relevant to you, in points of balanced accuracy; 2 by default."),
    _many("--set", "settings", metavar="NAME.PARAMETER=VALUE",
          help="Set a parameter, as in hybrid.generator=reacgan."),
    click.option("--extractor", metavar="NAME", shell_complete=complete("extractor"),
                 help="Network through which generated images are scored, as in inception[weights=FILE]; "
                 "random-convolutions by default."),
    _flag("--no-controls", help="Run only the methods that are named, not those they are compared with."),
    _flag("--no-companions",
          help="Do not run reacgan, the strongest GAN here, beside another GAN; saves half the generators."),
    click.option("--yardsticks/--no-yardsticks", default=None,
                 help="Also train the reference with other seeds and on 3/4 of the patients, to see how much "
                      "such things change; or do not."),
    _flag("--check-steps", help="At last train the best method, and the one above it, for twice the steps."),
    _flag("--seed-block",
          help="Also train methods with a generator, and those above them, on one fold with 3 x 3 seeds."),
)
_WHERE = (
    click.option("--workers", type=click.IntRange(1, 256),
                 help="Training runs at a time; by default one a core, or one a GPU."),
    click.option("--workers-per-gpu", type=click.IntRange(1, 64),
                 help="Training runs at a time on each GPU, which they share; 1."),
    click.option("--device", default="auto", show_default=True,
                 help="Where networks are trained: auto, cpu, cuda, or cuda:0,cuda:1."),
    click.option("--executor", default="local", show_default=True, shell_complete=complete("executor"),
                 help="What starts the processes; medbench list executors."),
)
# fmt: on


def study_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that make up a study."""
    command = results_option(command)
    for option in reversed(_STUDY):
        command = option(command)
    return plugin_options(command)


def load_catalogue(plugin_folders: tuple[Path, ...], plugin_switches: tuple[str, ...]) -> Catalogue:
    """Load plugins as the options say."""
    return plugins.load(folders=plugin_folders, blocked=blocked(plugin_switches))


def blocked(switches: tuple[str, ...]) -> tuple[str, ...]:
    """Read ``-p no:NAME``.

    Raises:
        UsageError: For another form.
    """
    for switch in switches:
        if not switch.startswith("no:"):
            raise UsageError(f"-p {switch}: write -p no:NAME to leave a plugin out.")
    return tuple(switch.removeprefix("no:") for switch in switches)


def read_request(
    *, study_name: str | None, plugin_switches: tuple[str, ...], leak: str | None, no_controls: bool,
    no_companions: bool, **options: Any,
) -> Request:  # fmt: skip
    """Turn what :func:`study_options` gives into what is to be run.

    Raises:
        UsageError: For an unknown study or a value that does not fit.
    """
    return build_request(
        study_name,
        blocked=blocked(plugin_switches),
        leaks=split_list(leak or ""),
        controls=not no_controls,
        companions=not no_companions,
        **options,
    )
