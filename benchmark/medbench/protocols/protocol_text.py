"""Texts of protocols made of other texts: with other leaks, fewer patients, or as seeds know them."""

from __future__ import annotations

from collections.abc import Iterable

from medbench.errors import UsageError
from medbench.protocols.protocol import LEAKY, protocol
from medbench.registry.recipes import parse


def with_leaks(text: str, switches: Iterable[str]) -> str:
    """Return the text of a protocol with exactly these switches, in the order of LEAKY.

    Raises:
        UsageError: If the text is no protocol, or the switches cannot be on together.
    """
    chosen = set(switches)
    found = protocol(text)
    if found.is_external:
        raise UsageError(f"{text}: leaks are rerun within one data set; name patients or official.")
    name = found.name if found.name == "official" else "patients"
    ordered = "/".join([switch for switch in LEAKY if switch in chosen] + sorted(chosen - set(LEAKY)))
    parameters = [f"train={found.train}"] * bool(found.train) + [f"leak={ordered}"] * bool(ordered)
    parameters += [f"share={found.share:g}"] * (found.share < 1)
    parameters += [f"patients={found.patients}"] * bool(found.patients)
    parameters += [f"overlap={found.overlap}"] * (found.overlap != "refuse")
    parameters += [f"corrupted={found.corrupted}"] * (bool(found.corrupted) and not ordered)
    made = f"{name}[{','.join(parameters)}]" if parameters else name
    protocol(made)
    return made


def with_share(text: str, share: float) -> str:
    """Return the text of a protocol that trains on a share of the patients it would train on, 0 to 1."""
    spec = parse(text)
    kept = [f"{key}={value}" for key, value in spec.parameters if key not in ("share", "corrupted")]
    left = protocol(text).share * share
    return f"{spec.name}[{','.join([*kept, f'share={left:g}'])}]"


def seeded_as(text: str) -> str:
    """Return the text that seeds are derived from: with leaks, corruptions or on fewer patients, of the bare one."""
    spec = parse(text)
    kept = [f"{key}={value}" for key, value in spec.parameters if key not in ("leak", "share", "patients", "corrupted")]
    return f"{spec.name}[{','.join(kept)}]" if kept else spec.name


def split_size(text: str) -> tuple[str, int]:
    """Part the text of a protocol into that on all patients and how many it trains on; 0 for all."""
    spec = parse(text)
    kept = [f"{key}={value}" for key, value in spec.parameters if key != "patients"]
    return f"{spec.name}[{','.join(kept)}]" if kept else spec.name, protocol(text).patients
