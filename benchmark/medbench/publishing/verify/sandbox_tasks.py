"""What the confined process does: read a bundle, or check it against our data set."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from medbench.protocols.protocol import protocol
from medbench.publishing.bundle.read_bundle import Bundle, read_bundle
from medbench.publishing.bundle.signatures import signer_of
from medbench.publishing.refusals import Refused
from medbench.publishing.verify import our_data, signs_of_invention
from medbench.publishing.verify.check_against_data import check_against_data, note_structure
from medbench.publishing.verify.near_copies import near_copies
from medbench.publishing.verify.outcome import Check, Report, entry_json
from medbench.registry import plugins


def read_task(given: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Read a bundle.

    Args:
        given: ``bundle`` (a path), ``allowed`` (allowed signers as text, or None), ``accept_repeated``.
        folder: Unused.

    Returns:
        ``checks``, and either ``refused`` or what :func:`needed_data` says.
    """
    report = Report()
    try:
        bundle = read_bundle(Path(given["bundle"]))
        note_structure(bundle, report, accept_repeated=given["accept_repeated"])
        signer = signer_of(bundle.manifest, bundle.signature, given["allowed"])
    except Refused as refused:
        return _refusal(report, refused)
    if signer is None:
        report.add("signature", "not signed; nothing says who made it", "note")
    elif not signer:
        report.add("signature", "it fits, of a key nobody here knows; give --allowed-signers", "note")
    else:
        report.add("signature", f"of {signer}")
    return {"checks": _checks(report), "flags": report.flags, "signer": signer, **needed_data(bundle)}


def needed_data(bundle: Bundle) -> dict[str, Any]:
    """Say which data sets the bundle speaks of, as :class:`medbench.publishing.verify.our_data.NeededData` needs it."""
    study = bundle.plan.study
    kinds = ("augmenter", "classifier")
    recipes = {
        source.dataset: sorted({(k, getattr(arm, k)) for arm in bundle.plan.arms[source.dataset] for k in kinds})
        for source in bundle.plan.sources
    }
    return {
        "sha256": bundle.sha256,
        "recipes": recipes,
        "drawing": study.phantom.model_dump(),
        "size": study.budget.size,
        "tests": [text for text in study.protocols if protocol(text).is_external],
    }


def check_task(given: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Check a bundle against our data sets.

    Args:
        given: What :func:`read_task` was given and gave, ``truth`` (a folder), ``missing``, ``plugin_folders``,
            ``blocked``, and ``others`` (ids and bundles of earlier entries, or None).
        folder: An empty one, for a store that is thrown away.

    Returns:
        ``checks``, and either ``refused`` or ``entry``.
    """
    report = Report()
    try:
        bundle = read_bundle(Path(given["bundle"]))
        if bundle.sha256 != given["sha256"]:
            raise Refused("MB901", "the file was changed while it was checked; check it again.")
        note_structure(bundle, report, accept_repeated=given["accept_repeated"])
        report.checks += [Check(**value) for value in given["checks"] if value["name"] == "signature"]
        if given["others"] is not None:
            _copies(bundle, [(entry, Path(path)) for entry, path in given["others"]], report)
        catalogue = plugins.load(folders=[Path(f) for f in given["plugin_folders"]], blocked=given["blocked"])
        check_against_data(bundle, our_data.load(Path(given["truth"])), given["missing"], catalogue, folder, report)
    except Refused as refused:
        return _refusal(report, refused)
    return {"checks": _checks(report), "entry": entry_json(bundle, report, given["signer"])}


def _copies(bundle: Bundle, others: list[tuple[str, Path]], report: Report) -> None:
    found, unread = signs_of_invention.exact_copies(bundle.manifest, others)
    found += near_copies(bundle, [(entry_json, path) for entry_json, path in others if entry_json not in unread])
    for sentence in found:
        report.add("other entries", sentence, "flagged")
    if not found:
        left = f", {len(unread)} could not be read" if unread else ""
        n = len(others)
        said = f"predictions of {n} compared, none is the same{left}" if n else "none was published before"
        report.add("other entries", said)


def _refusal(report: Report, refused: Refused) -> dict[str, Any]:
    report.add("bundle", refused.message, "failed", code=refused.code)
    return {"checks": _checks(report), "refused": {"code": refused.code, "message": refused.message}}


def _checks(report: Report) -> list[dict[str, Any]]:
    return [dataclasses.asdict(check_task) for check_task in report.checks]


TASKS: Mapping[str, Callable[[Mapping[str, Any], Path], dict[str, Any]]] = {"read": read_task, "check": check_task}
