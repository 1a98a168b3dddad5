"""What a user wants to be run: options become a study, the plugins it names, and where its data lie."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypedDict, Unpack, cast

from medbench.data.find_phantom import PHANTOM
from medbench.errors import UsageError
from medbench.planning import study as studies
from medbench.planning.leak_staircase import staircase
from medbench.planning.study import Study
from medbench.planning.study_names import name_of_options
from medbench.planning.time_forecast import seconds_of
from medbench.protocols.protocol import protocol
from medbench.protocols.protocol_text import with_leaks
from medbench.registry import plugins
from medbench.registry.catalogue import Catalogue
from medbench.registry.guess_names import in_place_of_path, is_path
from medbench.registry.recipes import did_you_mean, parse, split_list

DEFAULT_STUDY = "quickstart"
DEFAULT_RESULTS = Path("results/runs")
_LISTS = ("datasets", "augmenters", "classifiers", "protocols")
_SEVERAL = (*_LISTS, "data", "leaks", "settings", "plugin_folders", "blocked")
"""Options that take several values; one alone need not be in a list."""
_VALUES = ("name", "folds", "repeats", "seeds", "worth", "yardsticks", "extractor", "positive")


class StudyOptions(TypedDict, total=False):
    """What changes a study; each is an option of ``medbench run`` too. What is left out, or None, is the study's own.

    Keys:
        name: What the run is called; made from what is compared where it is left out.
        datasets: Names, globs or ``name[parameter=value]``; ``phantom:NAME`` for drawn look-alikes.
        augmenters: Likewise.
        classifiers: Likewise.
        protocols: "patients", "official", or a leaky one.
        data: Folders of the data sets, ``FOLDER`` or ``NAME=FOLDER``; only read.
        phantom: Use drawn look-alikes instead of real images.
        leaks: Make the protocol leak; never ranked then.
        inflation: Take the study's gain apart, leak by leak, instead.
        folds: Parts of a partition.
        repeats: Partitions.
        seeds: Classifier seeds per cell.
        budget: "smoke", "quick", "standard", or ``steps=600,batch=32``.
        numerics: "exact", "portable" or "fast"; see :class:`medbench.Budget`.
        worth: Percentage points of balanced accuracy that matter.
        positive: Which of two classes is the disease, for sensitivity and specificity.
        settings: ``NAME.PARAMETER=VALUE``, such as ``hybrid.generator=resample``.
        extractor: What synthetic images are scored with.
        controls: Run the controls of the arms.
        companions: Run ``reacgan`` beside another GAN.
        yardsticks: Train the control with other seeds and on 3/4 of the patients as well.
        check_steps: At last train the best arm and its control at twice the steps.
        seed_block: Train arms with a generator on one fold with 3 x 3 seeds as well.
        time_limit: Wall-clock time that steps are fitted to, as ``2h``; see :mod:`medbench.planning.fitted_steps`.
        results: Folder of the store.
        plugin_folders: Folders of plugin files to load.
        blocked: Names of plugins to leave out.
    """

    name: str | None
    datasets: Sequence[str]
    augmenters: Sequence[str]
    classifiers: Sequence[str]
    protocols: Sequence[str]
    data: Sequence[str]
    phantom: bool
    leaks: Sequence[str]
    inflation: bool
    folds: int | None
    repeats: int | None
    seeds: int | None
    budget: str | None
    tries: int | None
    numerics: str | None
    worth: float | None
    positive: str | None
    settings: Sequence[str]
    extractor: str | None
    controls: bool
    companions: bool
    yardsticks: bool | None
    check_steps: bool
    seed_block: bool
    time_limit: str | None
    results: str | Path
    plugin_folders: Sequence[str | Path]
    blocked: Sequence[str]


@dataclass(frozen=True)
class Request:
    """What is to be run, or planned.

    Attributes:
        study: The study, with the options in it.
        catalogue: What is registered.
        data: ``FOLDER`` or ``NAME=FOLDER``.
        phantom: Use drawn look-alikes instead of real images.
        results: Folder of the store.
        plugin_folders: As workers load them.
        blocked: Plugins left out.
        file: Study file that was given; "" for none.
        time_limit_s: Seconds that steps are fitted to; None leaves them as they are.
    """

    study: Study
    catalogue: Catalogue
    data: tuple[str, ...]
    phantom: bool
    results: Path
    plugin_folders: tuple[str, ...]
    blocked: tuple[str, ...]
    file: str = ""
    time_limit_s: float | None = None


def build_request(
    study: str | Path | Study | None = None, *, default: str = DEFAULT_STUDY, **options: Unpack[StudyOptions]
) -> Request:
    """Turn a study and options into what is to be run.

    Args:
        study: Name of a registered study, a file of one, or a study; None for `default`, or for a study of the data
            sets in `options` alone.
        default: Name of a registered study.
        options: See :class:`StudyOptions`.

    Raises:
        UsageError: For an unknown study or option, or a value that does not fit.
    """
    options = _checked_options(options)
    folders, blocked = tuple(options.get("plugin_folders") or ()), tuple(options.get("blocked") or ())
    catalogue = plugins.load(folders=[Path(folder) for folder in folders], blocked=blocked)
    base = _base_study(catalogue, study, options, default)
    budget = options.get("budget")
    if "smoke" in split_list(budget or ""):
        base = studies.shrink(base)
    values = base.model_dump() | _overridden(base, options)
    if study is None and not options.get("name") and set(values["augmenters"]) != set(base.augmenters):
        chosen, data = options.get("classifiers") or (), options.get("data") or ()
        values["name"] = name_of_options(values["datasets"], values["augmenters"], chosen, data)
    if budget or options.get("time_limit"):
        values.pop("fitted", None)  # of a budget that is not that of this run
    if budget:
        values["budget"] = studies.budget(budget, base.budget, base.smoke).model_dump()
    if numerics := options.get("numerics"):
        values["budget"] = {**values["budget"], "numerics": numerics}
    if tries := options.get("tries"):
        values["budget"] = {**values["budget"], "tries": tries}
    _apply_settings(values, options.get("settings") or ())
    built = studies.build(values)
    if options.get("inflation"):
        built = staircase(built, lambda kind, text: catalogue.spec(catalogue.resolve(kind, text)))
    for text in (*built.datasets, *built.augmenters, *built.classifiers):
        if is_path(text, known=catalogue.names("dataset")):
            raise UsageError(f"{text} {in_place_of_path(text)}.")
        parse(text.removeprefix(PHANTOM))
    data, phantom = tuple(options.get("data") or ()), options.get("phantom", False)
    # A study on drawn images turns to the real ones as soon as it is told where they are.
    if data and not phantom:
        built = built.model_copy(update={"datasets": [text.removeprefix(PHANTOM) for text in built.datasets]})
    told = base.folder if not options.get("datasets") else ""
    data = data or tuple(filter(None, [told or os.environ.get("MEDBENCH_DATA", "")]))
    results = Path(options.get("results") or DEFAULT_RESULTS)
    file = "" if study is None or isinstance(study, Study) or not Path(study).is_file() else str(study)
    limit = options.get("time_limit")
    limit_s = seconds_of(limit) if limit else None
    return Request(built, catalogue, data, phantom, results, tuple(map(str, folders)), blocked, file, limit_s)


def _checked_options(options: StudyOptions) -> StudyOptions:
    """Return options with every list as a list; refuse a name that is none, which would change nothing in silence."""
    for name in options:
        if name not in StudyOptions.__annotations__:
            near = did_you_mean(name, sorted(StudyOptions.__annotations__))
            raise UsageError(f"there is no option {name!r}{near}; see medbench.running.request.StudyOptions.")
    values: dict[str, Any] = {**options}
    for name in _SEVERAL:
        if isinstance(given := values.get(name), str | Path):
            given = values[name] = [given]
        if name == "data" and given:
            values[name] = [str(folder) for folder in given]
    return cast("StudyOptions", values)


def _base_study(catalogue: Catalogue, study: str | Path | Study | None, options: StudyOptions, default: str) -> Study:
    if isinstance(study, Study):
        return study
    if study is None and (datasets := options.get("datasets")):
        name = name_of_options(datasets, (), options.get("classifiers") or (), options.get("data") or ())
        return studies.build({"name": name, "datasets": list(datasets)})
    if study is not None and (Path(study).suffix == ".toml" or _is_text(Path(study))):
        return studies.read(Path(study))
    name = str(study or default)
    if is_path(name, known=catalogue.names("study")):
        raise UsageError(f"{name} {in_place_of_path(name)}.")
    return studies.read(catalogue.registered("study", name))


def _is_text(path: Path) -> bool:
    """Say whether a file may be a study: images, archives and tables are not."""
    return path.is_file() and path.suffix.lower() not in (".csv", ".zip", ".npz", ".jpg", ".png", ".dcm", ".gz", ".nii")


def _overridden(base: Study, options: StudyOptions) -> dict[str, Any]:
    """Return the fields of a study that options give a value."""
    given: dict[str, Any] = {**options}
    values: dict[str, Any] = {key: list(given[key]) for key in _LISTS if given.get(key)}
    values |= {key: given[key] for key in _VALUES if given.get(key) is not None}
    if options.get("phantom") and not options.get("datasets") and base.phantom.datasets:
        values["datasets"] = list(base.phantom.datasets)
    if options.get("phantom") and not options.get("protocols") and base.phantom.protocols:
        values["protocols"] = list(base.phantom.protocols)
    if leaks := options.get("leaks"):
        rules = values.get("protocols", base.protocols)
        values["protocols"] = [with_leaks(text, {*protocol(text).switches, *leaks}) for text in rules]
    controls = options.get("controls", True) and base.controls
    if not options.get("controls", True):
        values["controls"] = values["companions"] = False
    if not options.get("companions", True):
        values["companions"] = False
    if options.get("yardsticks") and not controls:
        raise UsageError(
            "--yardsticks: they further train the reference, which --no-controls leaves out; leave one of the two out."
        )
    if options.get("check_steps"):
        values["check_steps"] = True
    if options.get("seed_block"):
        if not controls:
            raise UsageError(
                "--seed-block: it is of methods and those above them, which --no-controls leaves out; leave one of "
                "the two out."
            )
        values["seed_block"] = True
    return values


def _apply_settings(values: dict[str, Any], settings: Sequence[str]) -> None:
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
