"""Bundles: the same run gives the same bytes, and nothing in them that must stay at home."""

from __future__ import annotations

import io
import json
import os
import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from _bundles import METHOD, ToyRun, in_json, replaced, sealed, spoilt
from medbench.cli.bundle import bundle as command
from medbench.errors import DataError, UsageError
from medbench.planning.arms import Checked
from medbench.planning.double_steps_trials import plan_double_steps
from medbench.publishing.bundle import (
    allowed_texts,
    bundle_members,
    canonical_json,
    predictions_csv,
    read_bundle,
    zip_container,
)
from medbench.publishing.bundle.brier_score import with_negative_brier
from medbench.publishing.bundle.planned_trials import planned_trials
from medbench.publishing.refusals import CODES, FIXES, Refused
from medbench.store.store import Store

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ToyRun]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MEDBENCH_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield ToyRun(tmp_path_factory.mktemp("toys") / "runs", failed=[1])


def test_the_same_run_gives_the_same_bytes_wherever_it_lies(run: ToyRun, tmp_path: Path) -> None:
    first = run.bundle()
    shutil.copytree(run.store.root, tmp_path / "copy")
    os.utime(tmp_path / "copy", (0, 0))
    moved = bundle_members.members_of(Store(tmp_path / "copy"), run.record, METHOD)

    assert run.bundle() == first
    assert sealed(moved) == first


def test_other_programs_can_open_it(run: ToyRun) -> None:
    with zipfile.ZipFile(io.BytesIO(run.bundle())) as opened:
        names = opened.namelist()

        assert opened.testzip() is None
        assert names[0] == "manifest.json"
        assert {i.date_time for i in opened.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        assert {n for n in names if "/" not in n} == {zip_container.MANIFEST, *zip_container.DOCUMENTS}


def test_every_refusal_says_what_to_do() -> None:
    assert set(FIXES) == set(CODES)
    assert str(Refused("MB930", "auroc is 0.5, the bundle says 0.6.")) == (
        "MB930: auroc is 0.5, the bundle says 0.6; bundle the whole run of the study again."
    )
    assert Refused("MB901", "it is gone; restore it.").message == "it is gone; restore it."
    again = Refused("MB960", "other predictions.")
    assert Refused(again.code, again.message).message == again.message  # it comes back from another process


def test_the_brier_score_of_a_bundle_is_the_one_that_tables_print(run: ToyRun) -> None:
    data = run.bundle()
    found = read_bundle.read_members(data, zip_container.find(data))

    for key, told in found.results.items():
        stored = run.store.find(found.trials[key])
        assert stored is not None
        assert "brier" not in told.metrics
        assert 0 <= told.metrics["brier-score"] == -stored.metrics["brier"] <= 2  # type: ignore[operator]
        assert with_negative_brier(told.metrics) == dict(stored.metrics)  # older bundles hold them like this
        assert with_negative_brier(stored.metrics) == dict(stored.metrics)


def test_what_is_read_back_is_what_was_stored(run: ToyRun) -> None:
    data = run.bundle()
    found = read_bundle.read_members(data, zip_container.find(data))

    assert set(found.trials) == {trial.id for trial in run.plan.trials}
    assert len(found.failures) == 1
    for key, predicted in found.predictions():
        stored = run.store.find(found.trials[key])
        assert stored is not None
        assert list(predicted.ids) == stored.predictions().ids.tolist()
        assert np.array_equal(predicted.probabilities, stored.predictions().probabilities)
        assert found.results[key].frequencies == list(stored.frequencies)
        watched = found.watched_of(key)
        assert watched is not None
        assert list(watched.ids) == stored.watched().ids.tolist()
        assert np.array_equal(watched.probabilities, stored.watched().probabilities)


@given(st.text(st.sampled_from("a[=] +<;-"), max_size=12))
def test_words_about_recipes_keep_what_recipes_are_written_with(text: str) -> None:
    kept = allowed_texts.keep_allowed(text)

    assert allowed_texts.check_text(kept) == kept
    assert not kept.startswith("=")
    named = allowed_texts.keep_allowed(f"{text} / hybrid[generator=resample]")
    assert allowed_texts.check_text(named) == named
    assert named.endswith("hybrid[generator=resample]")


def test_a_recipe_that_is_cut_loses_what_it_is_written_with() -> None:
    kept = allowed_texts.keep_allowed(f"{'x' * 190} hybrid[generator=resample]")

    assert allowed_texts.check_text(kept) == kept
    assert "=" not in kept


@pytest.mark.parametrize("text", ["=1", " =cmd()", "a =A1", "[link=x]y", "a[link=https://b]", "a[b=c]d[/b]", "a=b"])
def test_outside_recipes_an_equals_sign_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"U\+003D"):
        allowed_texts.check_text(text)


def test_a_seed_block_is_left_out_of_the_bundle_and_of_what_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEDBENCH_CACHE", str(tmp_path / "cache"))
    made = ToyRun(tmp_path / "runs", seed_block=True)
    block = {trial.id for trial in made.plan.trials if (trial.seed, trial.stage_seed) != (0, 0)}
    assert len(block) == 16  # an arm and its control, nine pairs of seeds but the first
    report = made.judge(made.bundle(), tmp_path / "check")

    assert planned_trials(made.record) == {trial.id: trial for trial in made.plan.trials if trial.id not in block}
    assert report.tier == "recomputed"
    assert made.bundle().find(next(iter(block)).encode()) < 0


def test_a_trial_that_is_missing_is_named_in_words(run: ToyRun, tmp_path: Path) -> None:
    left_out = in_json("plan.json", lambda plan: plan["study"].update(augmenters=["adds", "overwrites"]))

    with pytest.raises(
        Refused,
        match=r"MB925: 2 training runs of the study are not in the bundle, 0 are no part of it, the first: "
        r"overwrites / mean on phantom:toy, patients, repeat 0, fold 0 of 2, seed 0, \d+ steps; "
        r"bundle the whole run of the study again\.",
    ):
        run.judge(spoilt(run.members(), left_out), tmp_path / "check")


def test_a_record_alone_gives_the_ids_of_all_that_was_planned(run: ToyRun) -> None:
    assert planned_trials(run.record) == {trial.id: trial for trial in run.plan.trials}


def test_yardsticks_and_other_protocols_are_planned_from_the_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEDBENCH_CACHE", str(tmp_path / "cache"))
    more = ToyRun(
        tmp_path / "runs", yardsticks=True, seeds=2, protocols=["patients", "official", "images"], patients=25
    )

    assert planned_trials(more.record) == {trial.id: trial for trial in more.plan.trials}
    data = more.bundle()
    assert len(read_bundle.read_members(data, zip_container.find(data)).plan.yardsticks) == 2  # of the honest protocols


def test_what_is_trained_at_twice_the_steps_is_planned_from_the_record(run: ToyRun) -> None:
    checked = Checked("phantom:toy", "patients", "mean", "adds", "mean", 2 * run.study.budget.steps)
    more = plan_double_steps(run.plan, [checked], run.catalogue).trials
    record = run.record | {"checked": [vars(checked)]}

    assert len(more) == 4  # the arm and its control, two folds
    assert planned_trials(record) == {trial.id: trial for trial in (*run.plan.trials, *more)}


def test_no_label_no_patient_and_no_words_of_recipes_are_in_it(run: ToyRun) -> None:
    members = run.members()
    whole = b"".join(members.values())

    for told in (b"said in words", b"label", str(run.store.root).encode(), b"phantom:toy/p"):
        assert told not in whole
    assert members[next(n for n in members if n.startswith("predictions/"))].startswith(b"id,p_0,p_1\nphantom:toy/i")


def test_every_planned_trial_must_have_an_end(run: ToyRun, tmp_path: Path) -> None:
    shutil.copytree(run.store.root, tmp_path / "copy")
    store = Store(tmp_path / "copy")
    shutil.rmtree(store.place(run.plan.trials[0]))

    with pytest.raises(UsageError, match=f"1 of {len(run.plan.trials)} planned training runs have no result yet"):
        bundle_members.members_of(store, run.record, METHOD)


def test_a_data_set_that_lets_nothing_be_published_is_refused_and_its_phantom_is_not(run: ToyRun) -> None:
    record = run.record
    for source in record["sources"]:
        source["publish"] = "nothing"
    assert bundle_members.members_of(run.store, record, METHOD)

    record["sources"][0]["dataset"] = "folder"
    with pytest.raises(DataError, match='folder: its recipe says publish = "nothing"'):
        bundle_members.members_of(run.store, record, METHOD)


def test_made_images_that_are_scored_cannot_be_bundled(run: ToyRun) -> None:
    record = run.record
    record["study"]["protocols"] = ["augment-first"]

    with pytest.raises(UsageError, match="scores generated images"):
        bundle_members.members_of(run.store, record, METHOD)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("kept in /home/ada/images", "a path"), ("C:\\scans", "a path"), ("~/scans", "a path"),
        ("at \\\\server\\share", "a path"), ("ask ada@example.org", "an e-mail address"),
        ("study 1.2.840.113619.2.55.3", "a DICOM identifier"), ("born 1953-07-04", "a date"),
        ("born 4.7.1953", "a date"), ("scan 19530704", "a date"),
    ],
)  # fmt: skip
def test_what_must_stay_at_home_is_found_and_only_its_field_is_named(text: str, what: str) -> None:
    with pytest.raises(Refused, match=rf"MB912: plan.json: study.name holds {what}") as refused:
        allowed_texts.scan("plan.json", {"study": {"name": text}})
    assert text not in str(refused.value)


@pytest.mark.parametrize(
    "text",
    [
        "phantom:ddti:benign-malignant", "official[train=1000/140/52]", "phantom:vindr-spinexr/0a1953070400ff",
        "brain-tumour/12/07", "hybrid[generator=reacgan[steps=500],fill=equal]", "2.15.0", "1.2.3.4", "torch 2.15.0",
        "NVIDIA H200", "patients[leak=copies/images]", "12345678",
    ],
)  # fmt: skip
def test_names_of_recipes_samples_and_versions_are_no_secrets(text: str) -> None:
    allowed_texts.scan("plan.json", [text])


def test_names_of_this_machine_are_found_in_all_but_the_card() -> None:
    with pytest.raises(Refused, match="a name of this machine or its user"):
        allowed_texts.scan("plan.json", {"study": {"name": "runs of Ada-PC"}}, names=["ada-pc"])
    allowed_texts.scan("method.json", {"authors": ["Ada-PC"]}, names=["ada-pc"])


def test_the_command_says_what_it_made_and_refuses_what_others_would(run: ToyRun, tmp_path: Path) -> None:
    def call(*more: str) -> Any:
        out = str(tmp_path / "toys.medbench.zip")
        given = ["--results", str(run.store.root), "--out", out, "--author", "Ada Lovelace", *more]
        return CliRunner().invoke(command, given)

    card = tmp_path / "card.toml"
    card.write_text('title = "Toys"\nauthors = ["Nobody"]\nlinks = ["https://example.org"]\ncontact = "a@b.org"\n')
    made = call("--method", str(card))

    assert made.exit_code == 0, made.output
    assert "18 files in" in made.output
    method = read_bundle.read_bundle(tmp_path / "toys.medbench.zip").method
    assert (method.title, method.authors, method.contact) == ("Toys", ["Ada Lovelace"], "a@b.org")
    assert isinstance(call().exception, UsageError)
    assert "--title" in str(call().exception)
    assert "formula" in str(call("--title", "@cmd()").exception)
    assert isinstance(call("--title", "kept in /home/ada/x").exception, Refused)
    no_run = CliRunner().invoke(command, ["nosuch", "--results", str(run.store.root)]).exception
    assert "no run of nosuch here" in str(no_run)  # before anything is said of a title
    card.write_text('links = ["http://example.org"]\n')
    assert "links" in str(call("--title", "x", "--method", str(card)).exception)


@given(
    st.lists(
        st.lists(st.floats(0, 1, allow_subnormal=True), min_size=2, max_size=4).filter(lambda r: sum(r) > 1e-3),
        min_size=1, max_size=20,
    ).filter(lambda rows: len({len(r) for r in rows}) == 1)
)  # fmt: skip
def test_predictions_keep_every_bit(rows: list[list[float]]) -> None:
    values = np.array(rows) / np.array(rows).sum(1, keepdims=True)
    ids = [f"toy/image ({n}) [a].png" for n in range(len(rows))]  # as people call their files
    found = predictions_csv.read(predictions_csv.write(ids, values), "x.csv", values.shape[1], {})

    assert found.probabilities.tobytes() == values.tobytes()
    assert list(found.ids) == ids


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**18), 10**18) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8"), max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text("abé", max_size=3), inner, max_size=4),
    max_leaves=20,
)  # fmt: skip


@given(json_values)
def test_canonical_json_is_read_back_and_has_one_form(value: Any) -> None:
    data = canonical_json.dump(value)
    again = canonical_json.load(data, "x")

    assert canonical_json.dump(again) == data
    for other in (b" " + data, data + b"\n", json.dumps(value, indent=1).encode() if value else b"{ }"):
        if other != data:
            with pytest.raises(Refused):
                canonical_json.load(other, "x")


def test_one_field_that_is_no_plain_text_is_named(run: ToyRun) -> None:
    data = spoilt(run.members(), in_json("plan.json", lambda plan: plan["study"].update(name="<b>")))
    with pytest.raises(Refused, match=r"MB909: plan.json: study.name: a text holds U\+003C"):
        read_bundle.read_members(data, zip_container.find(data))


def test_a_card_takes_https_links_only() -> None:
    for link in (
        "http://a.org",
        "https://u@a.org/x",
        "https://a.org/<b>",
        "javascript:alert(1)",
        "https://",
        "ftp://a",
    ):
        with pytest.raises(ValueError, match="https link"):
            replaced(METHOD, links=[link])
