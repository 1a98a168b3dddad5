"""Fill the templates of ``medbench plugins new``: one file a kind, whole, kept true by a test that runs each."""

from __future__ import annotations

from importlib import resources

CONTRACTS = {
    "augmenter": "check_augmenter",
    "transform": "check_augmenter",
    "generator": "check_generator",
    "classifier": "check_classifier",
    "dataset": "check_dataset",
    "metric": "check_metric",
    "score": "check_score",
    "extractor": "check_extractor",
    "executor": "check_executor",
    "study": "check_study",
}
"""Kinds of plugins, each with the function of :mod:`medbench.testing` that its test calls."""


def plugin_files(kind: str, name: str) -> dict[str, str]:
    """Return the files of a plugin package called ``medbench-NAME`` by their paths in it.

    Args:
        kind: Key of CONTRACTS; its template is ``plugin_templates/KIND.py.txt``.
        name: Of the plugin: lower-case letters, digits and hyphens.
    """
    function = name.replace("-", "_")
    module = f"medbench_{function}"
    cls = "".join(part.capitalize() for part in name.split("-"))
    item, call = {"metric": (function, function), "study": ("register_studies", "register_studies()[0]")}.get(
        kind, (cls, f"{cls}()")
    )
    words = {
        "CONTRACT": CONTRACTS[kind],
        "MODULE": module,
        "CLASS": cls,
        "FUNCTION": function,
        "TITLE": name.capitalize().replace("-", " "),
        "MORE": f', "{name}.toml"' if kind == "study" else "",
        "ITEM": item,
        "CALL": call,
        "NAME": name,
    }
    templates = {f"{module}.py": f"{kind}.py", "pyproject.toml": "pyproject.toml", f"tests/test_{module}.py": "test.py"}
    if kind == "study":
        templates[f"{name}.toml"] = "study.toml"
    return {path: _fill(template, words) for path, template in templates.items()}


def _fill(template: str, words: dict[str, str]) -> str:
    text = resources.files("medbench.cli").joinpath("plugin_templates", f"{template}.txt").read_text(encoding="utf-8")
    for word, value in words.items():
        text = text.replace(word, value)
    return text
