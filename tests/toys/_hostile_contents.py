"""Hostile bundles whose zip is in order: JSON, texts, plans, numbers and predictions that are not."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np

from _bundles import Edit, Members, ToyRun, in_bytes, in_json, spoilt, trial_of
from _hostile_zips import CASES as CASES
from _hostile_zips import case, edited, first
from medbench.publishing.bundle import bundle_members, predictions_csv, zip_container
from medbench.publishing.bundle.canonical_json import dump
from medbench.publishing.bundle.zip_container import MANIFEST

# -- JSON -------------------------------------------------------------------------------------------------------------

JSON: dict[str, Callable[[bytes], bytes]] = {
    "a key twice": lambda d: d[:-1] + b',"study":1,"study":2}',
    "NaN": lambda d: d[:-1] + b',"zz":NaN}',
    "Infinity": lambda d: d[:-1] + b',"zz":-Infinity}',
    "1e999": lambda d: d[:-1] + b',"zz":1e999}',
    "5,000 digits": lambda d: d[:-1] + b',"zz":' + b"7" * 5000 + b"}",
    "depth 100": lambda d: d[:-1] + b',"zz":' + b"[" * 100 + b"]" * 100 + b"}",
    "depth 100,000": lambda d: d[:-1] + b',"zz":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "half a character": lambda d: d[:-1] + b',"zz":"\\ud800"}',
    "not UTF-8": lambda d: d[:-1] + b',"zz":"\xff"}',
    "a byte order mark": lambda d: b"\xef\xbb\xbf" + d,
    "blanks": lambda d: b" " + d,
    "a line feed": lambda d: d + b"\n",
    "escapes that need not be": lambda d: d.replace(b'"', b'"\\u0061', 1),
    "a list": lambda d: b"[]",
    "a number": lambda d: b"1",
    "null": lambda d: b"null",
    "nothing": lambda d: b"",
    "one more field": lambda d: d[:-1] + b',"zz":1}',
    "a comment": lambda d: d + b"/**/",
    "a decomposed letter": lambda d: d[:-1] + ',"zz":"e\u0301"}'.encode(),
}
for document in ("plan.json", "trials.json", "method.json"):
    for what, change in JSON.items():
        edited(f"{document}: {what}", "MB904 MB906 MB909", in_bytes(document, change))
for what in ("a key twice", "NaN", "depth 100", "a list", "one more field"):
    case(f"manifest: {what}", "MB906 MB907 MB908 MB909", lambda run, m, w=what: zip_container.write(
        {**m, MANIFEST: JSON[w](bundle_members.manifest_of(m))}))  # fmt: skip

# -- texts ------------------------------------------------------------------------------------------------------------

TEXTS = [
    "<script>alert(1)</script>", "<img src=x onerror=alert(1)>", "=cmd|' /C calc'!A0", "+1+1", "-2+3", "@SUM(A1)",
    "\x1b[2J\x1b]0;owned\x07", "a\x00b", "a\r\nb", "a\tb", "\u202egnp.exe", "zero\u200bwidth", "\u2066isolate\u2069",
    "p\u0430ypal", "A" * 201, "\u00a0", "\ufeffx", "[/] [link=https://evil]x[/link]", "$(id)",
    "`id`", "![x](https://evil/x.png)=", "ada@example.org", "see /home/ada/scans", "1.2.840.113619.2.55.3.604688",
    "born 1953-07-04", "\U000e0041tag", "\ud7ff\uffff", "x" + "\u0335" * 20,
]  # fmt: skip
for number, text in enumerate(TEXTS):
    edited(f"title {number}", "MB906 MB909 MB912", in_json("method.json", lambda v, t=text: v.update(title=t)))
    edited(f"study {number}", "MB906 MB909 MB912", in_json("plan.json", lambda v, t=text: v["study"].update(name=t)))
for link in ("javascript:alert(1)", "http://example.org", "data:text/html,x", "https://u:p@example.org",
             "//example.org", "https://example.org/<b>", 'https://example.org/"', "https://ex ample.org",
             "https://\u0415\u0425.org", "file:///etc"):  # fmt: skip
    edited(f"link {link}", "MB909 MB906", in_json("method.json", lambda v, x=link: v.update(links=[x])))
edited("a class that acts", "MB909", in_json("plan.json", lambda v: v["sources"][0].update(classes=["<b>", "yes"])))
edited("an arm that is a path", "MB909 MB912 MB920", in_json("plan.json", lambda v: _arm(v, "/etc/passwd")))
edited("an arm with blanks", "MB920 MB922", in_json("plan.json", lambda v: _arm(v, "adds now")))
edited("a fact with a tag", "MB909", in_json("trials.json", lambda v: v["trials"][0]["facts"].update({"<b>": 1.0})))
edited(
    "a device that steers", "MB909", in_json("trials.json", lambda v: v["trials"][0]["cost"].update(device="\x1b[2J"))
)
edited("a version that acts", "MB909", in_json("environment.json", lambda v: v["libraries"].update(x=["<b>"])))


def _arm(plan: Any, name: str) -> None:
    plan["arms"]["phantom:toy"][0]["augmenter"] = name


# -- what the numbers say ---------------------------------------------------------------------------------------------


def row(claims: Any, **values: Any) -> None:
    next(r for r in claims["boards"][0]["rows"] if r["gain"] is not None).update(values)


def claim(name: str, **values: Any) -> None:
    edited(f"claim: {name}", "MB930", in_json("claims.json", lambda v: row(v, **values)))


claim("accuracy", balanced_accuracy=0.99)
claim("AUROC", auroc=0.25)
claim("a gain of 1e-6 more", gain=0.5)
claim("a range", gain_low=0.001)
claim("a word", word="better")
claim("no failures", failed=0, done=2)
claim("seconds", seconds=0.5)
claim("no mark", marks="e")
edited("claim: 1e-8 more", "MB930", in_json("claims.json", lambda v: v["boards"][0]["rows"][0].update(
    accuracy=v["boards"][0]["rows"][0]["accuracy"] + 1e-8)))  # fmt: skip
edited("claim: fewer looks", "MB930", in_json("claims.json", lambda v: v["boards"][0].update(looks=1)))
edited("claim: no board", "MB930", in_json("claims.json", lambda v: v.update(boards=[])))
edited("claim: a board twice", "MB930", in_json("claims.json", lambda v: v.update(boards=v["boards"] * 2)))
edited("claim: an arm less", "MB930", in_json("claims.json", lambda v: v["boards"][0]["rows"].pop() and None))
for metric in ("balanced-accuracy", "macro-auroc", "mcc", "brier", "brier-score"):
    edited(
        f"metric {metric}",
        "MB930",
        in_json("trials.json", lambda v, k=metric: v["trials"][0]["metrics"].update({k: 0.987})),
    )


def without_trials(members: Members, **wanted: Any) -> None:
    """Leave out trials and their predictions, as if they had never been run; the plan stays."""
    value = json.loads(members["trials.json"])
    for trial in [t for t in value["trials"] if all(t["spec"][k] == v for k, v in wanted.items())]:
        value["trials"].remove(trial)
        del members[f"predictions/{trial['spec']['id']}.csv"]
        members.pop(f"validation/{trial['spec']['id']}.csv", None)
    members["trials.json"] = dump(value)


edited("a fold dropped", "MB921", lambda m: without_trials(m, fold=0))
edited("an arm dropped", "MB921", lambda m: without_trials(m, augmenter="adds"))
edited("a failure dropped", "MB921", in_json("failures.json", lambda v: v.update(failures=[])))
edited("a failure hidden as a skip", "MB930", in_json("failures.json", lambda v: v["failures"][0].update(kind="skip")))
edited("predictions dropped", "MB903", lambda m: m.pop(first(m)))
edited("watched predictions of nobody", "MB903", lambda m: m.update({f"validation/{'0' * 64}.csv": m[first(m)]}))
edited("predictions of nobody", "MB903", lambda m: m.update({f"predictions/{'0' * 64}.csv": m[first(m)]}))
edited("a trial twice", "MB922", in_json("trials.json", lambda v: v["trials"].append(v["trials"][0])))
edited("a trial that failed and ran", "MB922", lambda m: _both(m))
edited("fewer folds in the plan", "MB922 MB921", in_json("plan.json", lambda v: v["study"].update(folds=3)))
edited("one seed fewer", "MB921", in_json("plan.json", lambda v: v["study"].update(seeds=2)))
edited("another seed", "MB922", in_json("trials.json", lambda v: v["trials"][0]["spec"].update(seed=7)))
edited("another id", "MB922", in_json("trials.json", lambda v: v["trials"][0]["spec"].update(id="0" * 64)))
edited("another budget", "MB922", in_json("trials.json", lambda v: v["trials"][0]["spec"]["budget"].update(steps=9)))
edited("other code", "MB922", in_json("trials.json", lambda v: v["trials"][0]["spec"].update(arm="0" * 64)))


def _both(members: Members) -> None:
    trial = json.loads(members["trials.json"])["trials"][0]["spec"]
    in_json("failures.json", lambda v: v["failures"].append({"spec": trial, "kind": "diverged"}))(members)


def left_out_of_the_plan(run: ToyRun, members: Members, name: str) -> bytes:
    """An arm that nobody is told of: out of the plan, the trials and the claims."""

    def edit(m: Members) -> None:
        without_trials(m, augmenter=name)
        in_json(
            "failures.json", lambda v: v.update(failures=[f for f in v["failures"] if f["spec"]["augmenter"] != name])
        )(m)
        in_json("plan.json", lambda v: v["arms"].update(
            {k: [a for a in arms if a["augmenter"] != name] for k, arms in v["arms"].items()}))(m)  # fmt: skip
        trials = json.loads(m["trials.json"])["trials"]
        needed = {key for t in trials for key in t["stages"]}
        in_json("generators.json", lambda v: v.update(generators=[g for g in v["generators"] if g["key"] in needed]))(m)

    return spoilt(members, edit)


case("an arm left out of the plan", "MB925", lambda run, m: left_out_of_the_plan(run, m, "none"))
case("a control left out of the plan", "MB925", lambda run, m: left_out_of_the_plan(run, m, "plain-toy"))


def other_control(plan: Any) -> None:
    arms = plan["arms"]["phantom:toy"]
    next(a for a in arms if a["augmenter"] == "adds")["control"] = "none"


edited("a weaker control", "MB925", in_json("plan.json", other_control))
edited("an asked arm that was not", "MB925", in_json("plan.json", lambda v: [
    a.update(asked=True) for a in v["arms"]["phantom:toy"]] and None))  # fmt: skip
edited(
    "an arm twice",
    "MB920",
    in_json("plan.json", lambda v: v["arms"]["phantom:toy"].append(v["arms"]["phantom:toy"][0])),
)
edited("an arm of nobody", "MB921", in_json("plan.json", lambda v: v["arms"]["phantom:toy"].append(
    {**v["arms"]["phantom:toy"][0], "augmenter": "ghost"})))  # fmt: skip
edited("arms of another data set", "MB920", in_json("plan.json", lambda v: v["arms"].update(other=[])))
edited("no arms", "MB920", in_json("plan.json", lambda v: v["arms"].update({"phantom:toy": []})))
edited("a protocol of nobody", "MB920", in_json("plan.json", lambda v: v["study"].update(protocols=["magic"])))
edited("tries under a protocol of nobody", "MB909", in_json("plan.json", lambda v: (
    v["study"].update(protocols=["magic"]), v["study"]["budget"].update(tries=2))))  # fmt: skip
edited("an external test", "MB920", in_json("plan.json", lambda v: v["study"].update(protocols=["external[test=toy]"])))
edited("a protocol that scores made images", "MB920", in_json("plan.json", lambda v: v["study"].update(
    protocols=["augment-first"])))  # fmt: skip
edited("another data set", "MB909 MB920 MB922", in_json("plan.json", lambda v: v["sources"][0].update(dataset="ddti")))
edited("other bytes of the data", "MB922", in_json("plan.json", lambda v: v["sources"][0].update(data="0" * 64)))
edited("more patients", "MB926", in_json("plan.json", lambda v: v["sources"][0].update(patients=500)))
edited("classes turned round", "MB926", in_json("plan.json", lambda v: v["sources"][0].update(classes=["yes", "no"])))
edited("rarer classes", "MB926", in_json("plan.json", lambda v: v["sources"][0].update(class_patients=[100, 100])))
edited("images as units", "MB926", in_json("plan.json", lambda v: v["sources"][0].update(unit="image")))
edited("another dimension", "MB926", in_json("plan.json", lambda v: v["sources"][0].update(dimensions=3)))
edited("looks forgotten", "MB920", in_json("plan.json", lambda v: v.update(unseen={})))
edited("looks below nothing", "MB909", in_json("plan.json", lambda v: v["unseen"]["phantom:toy"].update(patients=-3)))
edited("looks without end", "MB909", in_json("plan.json", lambda v: v["unseen"]["phantom:toy"].update(patients=10**9)))
edited("yardsticks of nobody", "MB920", in_json("plan.json", lambda v: v["yardsticks"].append(
    {"dataset": "phantom:toy", "protocol": "patients", "board": "mean", "augmenter": "x", "classifier": "mean",
     "fewer": "patients", "seeds": 1, "trainings": 10**9})))  # fmt: skip
edited("a check of nobody", "MB920", in_json("plan.json", lambda v: v["checked"].append(
    {"dataset": "phantom:toy", "protocol": "patients", "board": "mean", "augmenter": "x", "classifier": "mean",
     "steps": 2})))  # fmt: skip
edited("a schema of tomorrow", "MB909", in_json("plan.json", lambda v: v.update(schema=2)))
case("a manifest of tomorrow", "MB908", lambda run, m: zip_container.write(
     {**m, MANIFEST: bundle_members.manifest_of(m).replace(b'"schema":1', b'"schema":2')}))  # fmt: skip
case("a schema in words", "MB908", lambda run, m: zip_container.write(
     {**m, MANIFEST: bundle_members.manifest_of(m).replace(b'"schema":1', b'"schema":"1"')}))  # fmt: skip
edited("a generator missing", "MB921", in_json("generators.json", lambda v: v["generators"].pop() and None))
edited("a generator too many", "MB922", in_json("generators.json", lambda v: v["generators"].append(
    {**v["generators"][0], "key": "9" * 64})))  # fmt: skip
edited("a generator twice", "MB922", in_json("generators.json", lambda v: v["generators"].append(v["generators"][0])))
edited(
    "a leak that the protocol has not", "MB925", in_json("trials.json", lambda v: v["trials"][0].update(leaks=["copy"]))
)
edited("frequencies of three classes", "MB927", in_json("trials.json", lambda v: v["trials"][0].update(
    frequencies=[0.2, 0.2, 0.6])))  # fmt: skip
edited(
    "frequencies that sum to 2",
    "MB927",
    in_json("trials.json", lambda v: v["trials"][0].update(frequencies=[1.0, 1.0])),
)
edited(
    "negative frequencies", "MB909", in_json("trials.json", lambda v: v["trials"][0].update(frequencies=[-0.5, 1.5]))
)
edited("frequencies shopped for", "MB927", lambda m: in_json("trials.json", lambda v: next(
    t for t in v["trials"] if t["spec"]["augmenter"] == "none").update(frequencies=[0.9, 0.1]))(m))  # fmt: skip
edited("frequencies of an arm with made rows shopped for", "MB927", lambda m: in_json("trials.json", lambda v: next(
    t for t in v["trials"] if t["spec"]["augmenter"] == "adds").update(frequencies=[0.9, 0.1]))(m))  # fmt: skip
edited("another test part", "MB927", in_json("trials.json", lambda v: v["trials"][0]["counts"].update(test=3)))
edited(
    "another validation part", "MB927", in_json("trials.json", lambda v: v["trials"][0]["counts"].update(validation=99))
)
edited(
    "trained on more than there is",
    "MB927",
    in_json("trials.json", lambda v: v["trials"][0]["counts"].update(real=10**6)),
)
edited("negative seconds", "MB909", in_json("trials.json", lambda v: v["trials"][0]["cost"].update(seconds=-1.0)))
edited("a budget below nothing", "MB909", in_json("plan.json", lambda v: v["study"]["budget"].update(steps=-1)))
edited("a budget in words", "MB909", in_json("plan.json", lambda v: v["study"]["budget"].update(steps="many")))
edited("an invented failure", "MB909", in_json("failures.json", lambda v: v["failures"][0].update(kind="magic")))

# -- predictions ------------------------------------------------------------------------------------------------------


def lines(change: Callable[[list[bytes]], list[bytes]]) -> Edit:
    def edit(members: Members) -> None:
        name = first(members)
        members[name] = b"\n".join(change(members[name].split(b"\n")))

    return edit


def numbers(*cells: bytes) -> Edit:
    return lines(lambda x: [x[0], b",".join([x[1].split(b",")[0], *cells]), *x[2:]])


for cells in ([b"nan", b"1.0"], [b"inf", b"0.0"], [b"2.0", b"-1.0"], [b"-0.0", b"1.0"], [b'"0,5"', b"0.5"], [b"0.5"],
              [b"0.5", b"0.5", b"0.0"], [b"0.4", b"0.5"], [b"0.50", b"0.5"], [b".5", b"0.5"], [b"1e400", b"0.5"],
              [b"0x1p-1", b"0.5"], [b"=cmd()", b"0.5"], [b"0.5 ", b"0.5"], [b"", b"1.0"], [b"1", b"0"],
              [b"5e-1", b"0.5"], [b"0.5\x00", b"0.5"], [b"0." + b"5" * 400, b"0.5"],
              ["\u0660.\u0665".encode(), b"0.5"]):  # fmt: skip
    edited(f"probabilities {cells!r}"[:60], "MB911 MB924", numbers(*cells))
edited("a row less", "MB923 MB927", lines(lambda x: [*x[:-2], x[-1]]))
edited("a row twice", "MB923", lines(lambda x: [*x[:-1], x[1], b""]))
edited("a row more", "MB923 MB927", lines(lambda x: [*x[:-1], b"phantom:toy/i999,0.5,0.5", b""]))
edited("rows turned round", "MB923", lines(lambda x: [x[0], *x[-2:0:-1], b""]))
edited("rows in another order", "MB923", lines(lambda x: [x[0], x[2], x[1], *x[3:]]))
edited("another head", "MB911", lines(lambda x: [b"id,p_1,p_0", *x[1:]]))
edited("labels beside", "MB911", lines(lambda x: [x[0] + b",label", *(r + b",1" for r in x[1:-1]), b""]))
edited("no rows", "MB911", lines(lambda x: [x[0], b""]))
edited("no last line feed", "MB911", lines(lambda x: x[:-1]))
edited("CR only", "MB911", lines(lambda x: [b"\r".join(x)]))
edited("CR LF", "MB911", lines(lambda x: [r + b"\r" for r in x]))
edited("an empty line", "MB911", lines(lambda x: [x[0], b"", *x[1:]]))
edited("a formula as an id", "MB911", lines(lambda x: [x[0], b"=1+1," + x[1].split(b",", 1)[1], *x[2:]]))
edited(
    "an id that is a path", "MB911 MB912", lines(lambda x: [x[0], b"/home/ada/i1," + x[1].split(b",", 1)[1], *x[2:]])
)
edited("an id that is an address", "MB911", lines(lambda x: [x[0], b"a@b.org," + x[1].split(b",", 1)[1], *x[2:]]))
edited(
    "an id with a DICOM identifier",
    "MB912",
    lines(lambda x: [x[0], b"1.2.840.113619.2.55," + x[1].split(b",", 1)[1], *x[2:]]),
)
edited("an id with a date", "MB912", lines(lambda x: [x[0], b"x/1953-07-04," + x[1].split(b",", 1)[1], *x[2:]]))


def fold_of(members: Members, **wanted: Any) -> str:
    return f"predictions/{trial_of(members, **wanted)['spec']['id']}.csv"


def swap_folds(members: Members) -> None:
    arms = [t["spec"]["augmenter"] for t in json.loads(members["trials.json"])["trials"]]
    arm = next(name for name in arms if arms.count(name) == 2)
    one, other = [fold_of(members, augmenter=arm, fold=k) for k in (0, 1)]
    members[one], members[other] = members[other], members[one]


def wrong_fold(members: Members) -> None:
    """Every arm claims fold 0 with predictions of fold 1, and the other way round: consistent, and not our cut."""
    value = json.loads(members["trials.json"])
    held = dict(members)
    by_arm: dict[str, dict[int, str]] = {}
    for trial in value["trials"]:
        by_arm.setdefault(trial["spec"]["augmenter"], {})[trial["spec"]["fold"]] = trial["spec"]["id"]
    for folds in by_arm.values():
        ids = {k: f"predictions/{folds[k]}.csv" for k in folds}
        if len(ids) == 2:
            members[ids[0]], members[ids[1]] = held[ids[1]], held[ids[0]]
        else:  # its other fold failed: take the images of the other fold from another arm
            (fold,) = ids
            other = next(f for f in by_arm.values() if len(f) == 2)
            images = [r.split(b",")[0] for r in held[f"predictions/{other[1 - fold]}.csv"].split(b"\n")[1:-1]]
            members[ids[fold]] = predictions_csv.write([i.decode() for i in images], np.full((len(images), 2), 0.5))
    in_json("trials.json", lambda v: [t["counts"].pop("test") for t in v["trials"]] and None)(members)


edited("folds swapped", "MB923 MB927", swap_folds)
edited("the wrong fold in every arm", "MB923", wrong_fold)


def of_another_data_set(members: Members) -> None:
    for name in members:
        if name.startswith("predictions/"):
            members[name] = members[name].replace(b"phantom:toy/i", b"phantom:toy/j")


edited("images of another data set", "MB923", of_another_data_set)


def repeated(members: Members) -> None:
    """One arm hands in another's predictions, with everything else as that one has it."""
    one, other = (trial_of(members, augmenter=a, fold=0) for a in ("none", "plain-toy"))
    members[f"predictions/{other['spec']['id']}.csv"] = members[f"predictions/{one['spec']['id']}.csv"]

    def change(value: Any) -> None:
        for trial in value["trials"]:
            if trial["spec"]["id"] == other["spec"]["id"]:
                trial.update(metrics={}, frequencies=one["frequencies"])

    in_json("trials.json", change)(members)


edited("predictions of another arm", "MB930", repeated)  # the claims still hold what was there before
