"""A table that can take back what was done to it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

V = TypeVar("V")


class Revocable(dict[str, V]):
    """A dict by uuid that can take back every change since `mark` was called; changed only by `[...] =` and `del`."""

    def __init__(self, values: Mapping[str, V]) -> None:
        super().__init__(values)
        self._before: dict[str, V | None] = {}

    def __setitem__(self, key: str, value: V) -> None:
        self._before.setdefault(key, self.get(key))
        super().__setitem__(key, value)

    def __delitem__(self, key: str) -> None:
        self._before.setdefault(key, self[key])
        super().__delitem__(key)

    def mark(self) -> None:
        """Note how everything is now, to come back to that."""
        self._before.clear()

    def take_back(self) -> None:
        """Make everything as it was when it was marked; what was removed since comes back behind the others."""
        for key, value in self._before.items():
            if value is not None:
                super().__setitem__(key, value)
            elif key in self:
                super().__delitem__(key)
        self._before.clear()
