"""Take turns where not all can be asked for at once."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterator


class Turns:
    """Whose turn it is: that of those who were asked for longest ago, `most` at a time; `monotonic` never jumps."""

    def __init__(self, most: int, monotonic: Callable[[], float]) -> None:
        self._most = most
        self._monotonic = monotonic
        self._had: dict[str, float] = {}

    def of(self, names: Collection[str], first: Collection[str] = ()) -> Iterator[str]:
        """Yield whose turn it is among names, those before the others that are among `first`; forget everybody else.

        One has had its turn when the next is asked for: not if it fails meanwhile.
        """
        order = sorted(names, key=lambda name: (name not in first, self._had.get(name, -math.inf), name))
        for name in order[: self._most]:
            yield name
            self._had[name] = self._monotonic()
        self._had = {name: when for name, when in self._had.items() if name in names}
