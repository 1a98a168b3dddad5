"""What people type who have not read the documentation, and what to type instead."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Mapping
from pathlib import Path

from medbench.cli.commands import COMMANDS

OF_COMMANDS: Mapping[str, str] = {
    "train fit test evaluate eval benchmark start experiment resume continue": (
        "`medbench run` trains and tests; the same command again goes on where it stopped"
    ),
    "results result table scores ranking show board": "`medbench leaderboard` prints the results of a run",
    "html plot plots figures export": "`medbench report` writes the results as a page with plots",
    "ls methods augmenters augmentations classifiers generators metrics models studies": (
        "`medbench list augmenters` lists them; also datasets, generators, classifiers, metrics, scores, studies"
    ),
    "dataset data download fetch get": "`medbench list datasets` lists them, `medbench datasets fetch` downloads one",
    "check validate inspect duplicates leaks": (
        "`medbench audit` looks for duplicates and leaks, `medbench datasets check` for files that cannot be read"
    ),
    "new create setup import": "`medbench init FOLDER` makes a study of your own images",
    "plugin extend scaffold": "`medbench plugins new NAME` starts a plugin",
    "submit upload share": "`medbench bundle` packs a run, `medbench publish` adds it to the published entries",
    "log": "`medbench logs` shows what a training run printed",
    "progress": "`medbench status` says how far a run is",
    "info version help usage": "`medbench --help` lists the commands, `medbench --version` says the version",
    "dry-run forecast estimate power samplesize": (
        "`medbench plan` says what a run would do, how long it takes, and what gain it can detect"
    ),
    "stats compare-methods significance ttest": "`medbench compare A B` compares two methods",
    "install selftest": "`medbench doctor` checks the installation",
    "quickstart": "`medbench run` runs the quickstart",
}
"""Names of commands that do not exist, and the sentence that names the right one."""
OF_OPTIONS: Mapping[str, tuple[str, str]] = {
    "epochs epoch num-epochs n-epochs max-epochs iterations iters steps max-steps num-steps e n": (
        "--budget",
        "the length of training is given in steps, not epochs: --budget steps=600 (a step sees one batch)",
    ),
    "batch-size batch bs batchsize b": ("--budget", "the batch size is part of the budget: --budget batch=32"),
    "image-size img-size resolution imgsize size input-size": (
        "--budget",
        "the size of the images in pixels is part of the budget: --budget size=64",
    ),
    "lr learning-rate learningrate weight-decay optimizer optim momentum dropout": (
        "--set",
        "it is a parameter of the classifier, where it has one: --set timm.lr=0.001; `medbench plugins show timm` "
        "lists its parameters",
    ),
    "threads num-threads": ("--budget", "the CPU threads of a training run are part of the budget: --budget threads=2"),
    "gpu gpus cuda use-gpu g": (
        "--device",
        "a GPU is chosen by --device cuda; by default one is used where there is one",
    ),
    "cpu no-cuda no-gpu": ("--device", "the processor is chosen by --device cpu"),
    "num-workers n-jobs jobs j parallel processes procs": (
        "--workers",
        "the number of training runs at a time is --workers 2",
    ),
    "output out-file output-file file save o": ("--out", "the file is given by --out FILE"),
    "output outdir output-dir out out-dir o save save-dir result-dir results-dir log-dir logdir checkpoint-dir": (
        "--results",
        "the folder of the results is --results FOLDER; `medbench report --out FILE` writes a page",
    ),
    "model models network net backbone arch architecture m cnn": (
        "--classifier",
        "the network is -c NAME, such as -c 'timm[model=resnet18]'; see `medbench list classifiers`",
    ),
    "pretrained weights checkpoint ckpt": (
        "--classifier",
        "pretrained weights are a parameter of the classifier, as in "
        "-c 'timm[model=efficientnet_lite0,pretrained=imagenet]', or a file; see `medbench weights list`",
    ),
    "method methods aug augs augmentation augmentations augment transform transforms policy": (
        "--augmenter",
        "the method is -a NAME; see `medbench list augmenters`",
    ),
    "gan generator diffusion": (
        "--augmenter",
        "the generator is a parameter of the method: -a 'hybrid[generator=reacgan]'; see `medbench list generators`",
    ),
    "path folder dir directory data-dir datadir data-path root images image-dir input i train-dir dataset-path": (
        "--data",
        "the folder of the images is --data FOLDER; `medbench init FOLDER` makes a study of your own images",
    ),
    "csv labels metadata label-file annotations target": (
        "--data",
        "a CSV that names images and classes lies in the folder of the images: `medbench init FOLDER` reads it",
    ),
    "k-folds kfold kfolds n-folds num-folds k cv n-splits splits cross-validation": (
        "--folds",
        "the number of folds is --folds 5",
    ),
    "test-size val-size train-size split test-split val-split holdout": (
        "--protocol",
        "patients are split by cross-validation (--folds 5), or by the data set's own cut: --protocol official",
    ),
    "runs n-runs num-runs n-repeats num-repeats times": (
        "--repeats",
        "how often the cross-validation is repeated is --repeats 3",
    ),
    "seed random-state random-seed rng": (
        "--seeds",
        "every training run has its own fixed seed; the number of seeds is --seeds 3",
    ),
    "metric metrics score": (
        "--dataset",
        "every metric is computed in every run: `medbench leaderboard --wide` prints more of them",
    ),
    "margin delta mde effect min-gain": ("--worth", "the smallest gain that matters to you, in points, is --worth 2"),
    "alpha confidence ci level": ("--worth", "intervals hold at 95 % for all comparisons together; that is fixed"),
    "resume continue restart": ("--dataset", "nothing to add: the same command again goes on where it stopped"),
    "dry-run dry simulate": ("--dataset", "`medbench plan` with the same options says what a run would do"),
    "overwrite force f clean rerun": (
        "--retry-failed",
        "finished training runs are kept, never overwritten; --retry-failed tries failed ones again, another "
        "--results FOLDER starts anew",
    ),
    "timeout max-time walltime": (
        "--limit",
        "the most seconds that one training run may take is --limit 3600",
    ),
    "verbose v debug": (
        "--dataset",
        "`medbench logs '*'` shows what training runs printed; MEDBENCH_DEBUG=1 shows where a fault is",
    ),
    "quiet q silent no-progress": ("--dataset", "in a pipe a line a minute is printed, on stderr: add 2>/dev/null"),
    "fast quick smoke test debug-run": ("--budget", "a quick try is --budget smoke"),
    "synthetic fake toy demo": ("--phantom", "synthetic test images are used with --phantom"),
    "study config cfg configuration c-file yaml toml": (
        "--dataset",
        "the study is given without an option: `medbench run study.toml`",
    ),
    "title label tag run-name experiment exp experiment-name": ("--name", "the name of the run is --name NAME"),
    "patient-id patient-column group groups patient-regex": (
        "--patient",
        "how patients are found in file names is --patient 'REGULAR EXPRESSION'",
    ),
    "subset n-train train-patients fraction limit-patients": (
        "--protocol",
        "training on fewer patients is a protocol: --protocol 'patients[train=100]'",
    ),
    "latex csv-out json-out markdown tex": ("--format", "the format is --format latex, csv, json or md"),
}
"""Options that do not exist, without their dashes: the option that a command must have, and the sentence."""
SHORT = 3
"""Names shorter than this are no misspelling of anything."""


def guess_command(typed: str, *, directory: Path = Path()) -> str:
    """Return what to type in place of a command that does not exist, as a sentence; it may name a folder or a file."""
    for names, sentence in OF_COMMANDS.items():
        if typed.lower().lstrip("-") in names.split():
            return f"{sentence}."
    path = directory / typed
    if path.is_dir():
        return f"{typed} is a folder: `medbench init {_quoted(typed)}` makes a study of the images in it."
    if typed.endswith(".toml") or path.suffix == ".toml":
        return f"`medbench run {_quoted(typed)}` runs a study file."
    if path.is_file() or "/" in typed:
        return "`medbench init FOLDER` makes a study of a folder of images, `medbench run` runs one."
    if len(typed) >= SHORT and (near := difflib.get_close_matches(typed.lower(), COMMANDS, n=1)):
        return f"did you mean `medbench {near[0]}`? `medbench --help` lists the commands."
    return "`medbench --help` lists the commands."


def guess_option(typed: str, known: Collection[str]) -> str:
    """Return what to write in place of an option that a command does not have.

    Args:
        typed: With its dashes.
        known: The options that it has, with their dashes.
    """
    name = typed.lstrip("-").replace("_", "-").lower()
    if f"--{name}" in known:
        return f"write --{name}."
    for names, (needed, sentence) in OF_OPTIONS.items():
        if name in names.split() and needed in known:
            return f"{sentence}."
    near = difflib.get_close_matches(
        f"--{name}", [option for option in known if option.startswith("--")], n=1, cutoff=0.75
    )
    return f"did you mean {near[0]}?" if len(name) >= SHORT and near else ""


def _quoted(text: str) -> str:
    import shlex

    return shlex.quote(text)
