"""Calls of metrics and scores, which are plugins: none can harm a trial, and each has a key by the code it reaches.

A metric is computed after everything was trained and predicted, so nothing that goes wrong in it may cost a trial: the
value is then missing, with a word that says why, and is computed again from what is stored once the metric is mended.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import io
import math
import numbers
import os
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from medbench.identity.code_reach import place_of, reach
from medbench.identity.identity import digest, identity
from medbench.interfaces import Metric, outside_identity
from medbench.machine_faults import find_machine_fault
from medbench.redact import without_paths

CORE_PLACES = {"scoring": "medbench.trial.generator_scores"}
"""Modules of the core that are part of how a score comes about, by the name that stands in its key."""

UNDEFINED = "gave nan"
"""What a metric says that is not defined on the labels it was given."""


@dataclass(frozen=True)
class Measurement:
    """What a metric or score gave.

    Attributes:
        value: A finite number; None where there is none.
        why: Why not: the type of what was raised, or what was returned instead; empty beside a number.
        passing: The machine was at fault (memory, disk): the same call may well work later.
    """

    value: float | None
    why: str = ""
    passing: bool = False


@outside_identity
def metric_name(metric: Metric) -> str:
    """Return the name a metric is registered, stored and shown under."""
    return metric.__name__.replace("_", "-")


@outside_identity
def measure(metric: Metric, labels: np.ndarray, probabilities: np.ndarray, *, quiet: bool = False) -> Measurement:
    """Call a metric on copies of labels and probabilities.

    Args:
        metric: What a plugin registered.
        labels: ``int64 (n,)``.
        probabilities: ``float64 (n, n_classes)``, prior-corrected.
        quiet: Swallow what it prints: its caller's output is read by people or programs.
    """
    return compute_number(lambda: metric(_read_only_copy(labels), _read_only_copy(probabilities)), quiet=quiet)


@outside_identity
def compute_number(compute: Callable[[], Any], *, quiet: bool = False) -> Measurement:
    """Return what `compute` gives if that is a finite number; whatever it raises costs no more than this number.

    Args:
        compute: A metric or score with its arguments.
        quiet: As in :func:`measure`; otherwise the lines it was raised from are printed, which a trial's log takes.
    """
    try:
        with isolate_plugin(quiet=quiet):
            given = compute()
    except Exception as error:  # noqa: BLE001  a plugin's call; nothing it raises is worth a trained trial
        return measurement_of_error(error, quiet=quiet)
    value = plain_number(given)
    if value is None:
        return Measurement(None, f"gave {type(given).__name__}, not a number")
    return Measurement(value) if math.isfinite(value) else Measurement(None, f"gave {value}")


@outside_identity
def measurement_of_error(error: BaseException, *, quiet: bool = False) -> Measurement:
    """Say what was raised by its type alone, in the log with the lines it came from: a message may name patients."""
    if not quiet:
        where = without_paths("".join(traceback.format_tb(error.__traceback__)))
        print(f"{where}{type(error).__name__}: the number is left out", file=sys.stderr)
    return Measurement(None, type(error).__name__, passing=find_machine_fault(error) is not None)


@outside_identity
class Ended(Exception):  # noqa: N818  what happened
    """A metric or score tried to end the process."""


@contextlib.contextmanager
def isolate_plugin(*, quiet: bool) -> Iterator[None]:
    """Restore the working directory, the environment and numpy's error handling after a plugin's call.

    Raises:
        Ended: Where ``sys.exit`` was called.
    """
    variables, folder = dict(os.environ), None
    with contextlib.suppress(OSError):  # somebody may have deleted it
        folder = os.getcwd()
    with contextlib.ExitStack() as stack:
        stack.enter_context(np.errstate())
        if quiet:
            stack.enter_context(contextlib.redirect_stdout(io.StringIO()))
            stack.enter_context(contextlib.redirect_stderr(io.StringIO()))
            stack.enter_context(warnings.catch_warnings())
            warnings.simplefilter("ignore")
        try:
            yield
        except SystemExit as error:
            raise Ended("sys.exit") from error
        finally:
            if os.environ != variables:
                os.environ.clear()
                os.environ.update(variables)
            if folder is not None:
                with contextlib.suppress(OSError):
                    os.chdir(folder)


@outside_identity
def measure_key(item: Any, *core: str) -> str:
    """Return a SHA-256 of a metric or score: its name, its parameters and the code that it reaches.

    Args:
        item: A function, or a recipe.
        core: Core modules whose code is part of how the number comes about.

    Returns:
        Empty where that cannot be said; what has no key is computed again whenever it is shown.
    """
    try:
        return _digest_of(item, {name: core_key(name) for name in core})
    except Exception:  # noqa: BLE001  it reads what a plugin is made of, and costs no trial
        return ""


def _digest_of(item: Any, code: Mapping[str, str]) -> str:
    if dataclasses.is_dataclass(item) and not isinstance(item, type):
        return digest([identity(item), code])
    return digest([metric_name(item), _describe_function(item), code])


def _describe_function(item: Any) -> list[Any]:
    """Describe a callable: the modules it reaches, its own byte code where it has no file, what it closed over."""
    if isinstance(item, functools.partial):
        return [
            _describe_function(item.func),
            [_plain_value(a) for a in item.args],
            {k: _plain_value(v) for k, v in item.keywords.items()},
        ]
    function = item if hasattr(item, "__code__") else type(item)
    reached = reach(place_of(function))
    inside = getattr(function, "__code__", None)
    own = inside.co_code.hex() if inside is not None and not reached.definitions else ""
    held = [_plain_value(_cell_content(cell)) for cell in getattr(item, "__closure__", None) or ()]
    held += [_plain_value(value) for value in getattr(item, "__defaults__", None) or ()]
    held += [
        [name, _plain_value(value)] for name, value in sorted((getattr(item, "__kwdefaults__", None) or {}).items())
    ]
    return [getattr(function, "__qualname__", ""), reached.digest, reached.libraries, own, held]


def _plain_value(value: Any) -> Any:
    """Return a value that a function was made with, as JSON; a function stands as its name."""
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, list | tuple):
        return [_plain_value(part) for part in value]
    return getattr(value, "__qualname__", type(value).__qualname__)


def _cell_content(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # named in the function and never set
        return None


def core_key(name: str) -> str:
    """Return the SHA-256 of a core module's code and of all it reaches."""
    return reach((CORE_PLACES[name], "*")).digest


def _read_only_copy(rows: np.ndarray) -> np.ndarray:
    """Return a copy that refuses to be written to; who forces it changes the copy alone."""
    copied = np.array(rows)
    copied.flags.writeable = False
    return copied


@outside_identity
def plain_number(given: Any) -> float | None:
    """Return a number as a float; None for what is none, as an array of several, a text or a truth value."""
    if isinstance(given, bool | np.bool_ | str | bytes):
        return None
    if isinstance(given, numbers.Real):
        return float(given)
    if getattr(given, "shape", None) == () and hasattr(given, "item"):  # an array or tensor without axes
        return plain_number(given.item())
    return None
