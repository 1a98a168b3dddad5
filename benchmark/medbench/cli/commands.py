"""The commands in the order in which a user meets them, with a line each; none is imported here."""

from __future__ import annotations

from collections.abc import Mapping

JOURNEY: Mapping[str, Mapping[str, tuple[str, str]]] = {
    "Start": {
        "init": ("init", "Make a study of your own folder of images."),
        "list": ("list", "List data sets, methods, classifiers and scores to choose from."),
        "doctor": ("doctor", "Check that everything is installed and works."),
    },
    "Data": {
        "datasets": ("datasets", "Show, check, download or draw a data set."),
        "audit": ("audit", "Look for duplicates, leaks and shortcuts in a data set."),
        "weights": ("weights", "List, download and check pretrained weights."),
    },
    "Run": {
        "plan": ("plan", "Say what a run would do, and what gain it can detect."),
        "run": ("run", "Train and test the methods of a study, and print the results."),
        "calibrate": ("calibrate", "Measure how long a study's training runs take on this machine."),
        "status": ("status", "Say how far a run is."),
        "logs": ("status", "Show what a training run printed."),
    },
    "Results": {
        "leaderboard": ("leaderboard", "Print the results of a run."),
        "compare": ("compare", "Compare two methods, or plot every gain of a run."),
        "report": ("report", "Write the results as one web page, Markdown or LaTeX."),
        "inception": ("inception", "Inception score of real and generated images at equal numbers."),
        "claim": ("claim", "Say how far to believe a published gain, from its figures alone."),
        "glossary": ("glossary", "Say what the words of tables and pages mean."),
        "store": ("store", "Check and repair stored results."),
    },
    "Publish": {
        "bundle": ("bundle", "Pack a run into one file that others can check."),
        "verify": ("verify", "Check a bundle: compute every number again."),
        "publish": ("publish", "Verify a bundle and add it to the published entries."),
        "withdraw": ("publish", "Take a published entry back, with a reason."),
        "reproduce": ("publish", "Run a part of a published entry again and compare."),
        "site": ("site", "Write web pages of the published entries."),
    },
    "Extend": {
        "plugins": ("plugins", "List, show, start and check plugins."),
    },
}
"""Groups of commands: name to the module in this package, and the line of ``--help``."""
COMMANDS: Mapping[str, tuple[str, str]] = {name: row for group in JOURNEY.values() for name, row in group.items()}
BEGINS: Mapping[str, str] = {
    "run": "Loading methods and data ...",
    "reproduce": "Loading the entry and its data ...",
}
"""What a command that takes long says at once."""
FIRST = """\
Compare data augmentation methods for medical image classification.

  medbench run --augmenter hybrid    try it: 2 minutes, synthetic images
  medbench init FOLDER               your own images
  medbench list datasets             public data sets

medbench --help shows every command."""
"""What ``medbench`` alone prints."""
