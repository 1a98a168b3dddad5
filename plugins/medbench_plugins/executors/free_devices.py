"""Devices are given to whoever is free: a job waits for the device that has room for it first."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import CancelledError

ROUNDING = 1e-6


class FreeDevices:
    """How much of each device is free, and who waits for a part of one, in the order of asking.

    A job that no device has room for keeps the one that is freest for itself until it has: smaller ones that asked
    later go past it to the others only, so that it is not put off for ever.

    Args:
        devices: Torch devices; each is whole at first.
    """

    def __init__(self, devices: Sequence[str]) -> None:
        self._free = dict.fromkeys(devices, 1.0)
        self._asked: list[Turn] = []
        self._changed = threading.Condition()
        self._closed = False

    def ask(self, share: float) -> Turn:
        """Queue for a part of a device, 0 to 1; the order of these calls is the order of service."""
        turn = Turn(min(1.0, share))
        with self._changed:
            self._asked.append(turn)
        return turn

    def wait(self, turn: Turn) -> str:
        """Wait for the turn, and return the device.

        Raises:
            CancelledError: If :meth:`close` was called meanwhile.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._place_of(turn))
            if self._closed:
                raise CancelledError
            device = self._place_of(turn)
            self._asked.remove(turn)
            self._free[device] -= turn.share
            self._changed.notify_all()
            return device

    def give_back(self, turn: Turn, device: str) -> None:
        """Free what a turn had."""
        with self._changed:
            self._free[device] = min(1.0, self._free[device] + turn.share)
            self._changed.notify_all()

    def close(self) -> None:
        """Send away everybody who waits."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _place_of(self, wanted: Turn) -> str:
        """Return the device that a turn may have now; empty where it has to wait."""
        free = dict(self._free)
        for turn in self._asked:
            device = max(free, key=lambda name: free[name])
            has_room = free[device] + ROUNDING >= turn.share
            if turn is wanted:
                return device if has_room else ""
            free[device] = free[device] - turn.share if has_room else 0.0
        return ""


class Turn:
    """A place in the queue for devices.

    Args:
        share: Part of a device.
    """

    def __init__(self, share: float) -> None:
        self.share = share
