"""The fields of a recipe that training loops of generators read."""

from __future__ import annotations

from typing import Protocol


class Settings(Protocol):
    """What every generator's recipe has."""

    @property
    def name(self) -> str: ...
    @property
    def steps(self) -> int: ...
    @property
    def batch(self) -> int: ...


class ImageSettings(Settings, Protocol):
    """What generators of images have."""

    @property
    def batch_3d(self) -> int: ...
    @property
    def ema(self) -> float: ...


class GANSettings(Settings, Protocol):
    """What GANs have."""

    @property
    def lr_g(self) -> float: ...
    @property
    def lr_d(self) -> float: ...
