"""What a plan costs, as sentences: time, hours of each kind of device, memory."""

from __future__ import annotations

from collections.abc import Iterator

from medbench.planning.plan import Plan
from medbench.planning.stored_part import StoredPart
from medbench.planning.time_forecast import Timing, duration_text
from medbench.text import counted

CALIBRATE = "`medbench calibrate` measures it here"


def cost_lines(plan: Plan, stored: StoredPart, timed: Timing) -> Iterator[str]:
    """Yield the time, the device-hours and the memory of what is left of a plan, as far as they are known."""
    if stored.trials is not None and stored.trials == len(plan.trials):
        return
    threads = plan.study.budget.threads
    at_a_time = f"with {counted(timed.at_a_time, 'training run')} at a time"
    if timed.is_known:
        left = "What is left takes about" if timed.left < timed.whole else "About"
        where = _measured(timed)
        spent = device_time(timed.device, timed.busy * timed.share, threads)
        yield f"{left} {duration_text(timed.wall)} {at_a_time}: {spent}.{where}"
    elif timed.guessed:
        yield f"At least about {duration_text(timed.guessed)} {at_a_time}, as a first guess; {CALIBRATE}."
    else:
        yield f"How long it takes {'' if timed.device == 'cpu' else 'on a GPU '}is not known; {CALIBRATE}."
    for device, seconds in timed.others.items():
        yield f"All of it on the other device that was measured: {device_time(device, seconds, threads)}."
    if timed.host_mb:
        each = f"Memory: at most {gigabytes(timed.host_mb)} a training run"
        several = f", {gigabytes(timed.host_mb * timed.at_a_time)} for all at a time" * (timed.at_a_time > 1)
        gpu = f"; {gigabytes(timed.gpu_mb)} of GPU memory a training run" * bool(timed.gpu_mb)
        yield f"{each}{several}{gpu}."


def _measured(timed: Timing) -> str:
    """Say what times were measured with where that is another machine, or other numerics."""
    on = f" on another machine on {timed.elsewhere}" if timed.elsewhere else ""
    by = f" with numerics {timed.numerics}" if timed.numerics else ""
    return f" Measured{on}{by}; {CALIBRATE}." if on or by else ""


def device_time(device: str, seconds: float, threads: int) -> str:
    """Write how long devices are busy: ``1.5 GPU-hours (NVIDIA H100)``, ``3 min of one core``."""
    if device != "cpu":
        name = "" if device in ("any", "gpu") else f" ({device})"
        return f"{hours(seconds)} {'GPU' if device != 'any' else 'device'}-hours{name}"
    if seconds * threads < 3600:
        return f"{duration_text(seconds * threads)} of one core"
    return f"{hours(seconds * threads)} core-hours"


def hours(seconds: float) -> str:
    """Write hours with two digits."""
    return f"{seconds / 3600:.2g}" if seconds < 36_000 else f"{seconds / 3600:,.0f}"


def gigabytes(megabytes: float) -> str:
    """Write memory: ``0.9 GB``."""
    return f"{max(0.1, megabytes / 1024):.1f} GB"


def cost_facts(timed: Timing) -> dict[str, object]:
    """Return the same as JSON values; None where it is not known."""
    known = timed.is_known
    return {
        "seconds": timed.wall if known else None,
        "device": timed.device,
        "device_seconds": timed.busy * timed.share if known else None,
        "device_seconds_elsewhere": dict(timed.others),
        "at_a_time": timed.at_a_time,
        "memory_mb": timed.host_mb or None,
        "gpu_memory_mb": timed.gpu_mb or None,
        "guessed_seconds": timed.guessed or None,
        "measured_elsewhere": timed.elsewhere or None,
        "measured_with_numerics": timed.numerics or None,
    }
