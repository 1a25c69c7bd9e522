"""Basic authentication: passwords checked against bcrypt's hashes, in constant time, and not anew for every scrape."""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import hmac
import re
import secrets
from collections import Counter, OrderedDict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from enum import Enum
from types import MappingProxyType

import bcrypt

#: The dearest hash that is allowed: one second on a usual machine, and twice that for each step more. A check cannot be
#: stopped, and the exporter must.
DEAREST = 14

#: Bytes of a password, beyond which bcrypt would not look.
LONGEST_PASSWORD = 72

#: Credentials that wait to be checked at the same time, in all and for one address. A scraper brings one.
MOST_WAITING = 16
MOST_WAITING_PER_ADDRESS = 4

#: Verdicts kept, of each kind. There is one good password for a user, and no end of bad ones.
MOST_VERDICTS = 1000

_HASH = re.compile(r"\$2[aby]\$(0[4-9]|[12][0-9]|3[01])\$[./A-Za-z0-9]{53}")

Check = Callable[[bytes, bytes], bool]


def cost_of(hashed: str) -> int | None:
    """Return the cost of a bcrypt hash, the binary logarithm of its rounds; None where it is none."""
    match = _HASH.fullmatch(hashed)
    return int(match[1]) if match else None


@dataclass(frozen=True, slots=True)
class Users:
    """Who may come in: bcrypt hashes by name; nobody means that everybody may."""

    hashes: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}), repr=False)

    @property
    def dearest(self) -> int:
        """Return the highest cost of all."""
        return max(cost_of(each) or 0 for each in self.hashes.values())


class Verdict(Enum):
    """What comes of credentials; BUSY: too many others are being checked."""

    GOOD = "good"
    BAD = "bad"
    BUSY = "busy"


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a client says of itself."""

    user: str
    password: bytes = field(repr=False)


def credentials(headers: Sequence[str]) -> Credentials | None:
    """Return the credentials in the Authorization headers of a request (RFC 7617); None for any others than one pair."""
    if len(headers) != 1:
        return None
    scheme, _, coded = headers[0].partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        user, colon, password = base64.b64decode(coded.strip(" "), validate=True).partition(b":")
        return Credentials(user.decode("utf-8"), password) if colon else None
    except (binascii.Error, ValueError):
        return None


class Passwords:
    """Checks passwords, one after the other in a thread of its own, and remembers the verdicts.

    A verdict is kept under an HMAC, with a key of this process, of name, password and hash: no password stays in memory,
    and none outlives its hash. Everything but `close` belongs to the thread of the loop.
    """

    def __init__(self, check: Check = bcrypt.checkpw) -> None:
        self._check = check
        self._secret = secrets.token_bytes(32)
        self._nobody = (bcrypt.gensalt(4) + b"." * 31).decode()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="passwords")
        self._verdicts: Mapping[bool, OrderedDict[bytes, None]] = {True: OrderedDict(), False: OrderedDict()}
        self._under_way: dict[bytes, asyncio.Future[bool]] = {}
        self._waiting: Counter[str] = Counter()

    async def verdict(self, users: Users, claimed: Credentials, address: str) -> Verdict:
        """Return what comes of credentials from an address."""
        if len(claimed.password) > LONGEST_PASSWORD or b"\0" in claimed.password:
            return Verdict.BAD  # bcrypt would take it for a shorter one
        key = self._key(claimed, users.hashes.get(claimed.user, self._nobody))
        known = self._recall(key)
        if known is None:
            checking = self._under_way.get(key) or self._begin(key, users, claimed, address)
            if checking is None:
                return Verdict.BUSY
            # Others may wait for the same check; this client's end must not be theirs.
            known = await asyncio.shield(checking)
        return Verdict.GOOD if known else Verdict.BAD

    def close(self) -> None:
        """Begin no further check."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _key(self, claimed: Credentials, hashed: str) -> bytes:
        parts = (claimed.user.encode(), hashed.encode(), claimed.password)
        text = b"".join(len(part).to_bytes(8, "big") + part for part in parts)
        return hmac.digest(self._secret, text, hashlib.sha256)

    def _recall(self, key: bytes) -> bool | None:
        for good, keys in self._verdicts.items():
            if key in keys:
                keys.move_to_end(key)
                return good
        return None

    def _remember(self, key: bytes, good: bool) -> None:
        keys = self._verdicts[good]
        keys[key] = None
        if len(keys) > MOST_VERDICTS:
            keys.popitem(last=False)

    def _begin(self, key: bytes, users: Users, claimed: Credentials, address: str) -> asyncio.Future[bool] | None:
        """Put a check into the queue, if there is room in it."""
        if len(self._under_way) >= MOST_WAITING or self._waiting[address] >= MOST_WAITING_PER_ADDRESS:
            return None
        hashed, dearest = users.hashes.get(claimed.user), users.dearest
        checking = asyncio.get_running_loop().run_in_executor(
            self._thread, self._matches, claimed.password, hashed, dearest
        )
        self._under_way[key] = checking
        self._waiting[address] += 1
        checking.add_done_callback(lambda done: self._end(key, address, done))
        return checking

    def _end(self, key: bytes, address: str, done: asyncio.Future[bool]) -> None:
        del self._under_way[key]
        self._waiting[address] -= 1
        self._waiting += Counter()  # forgets addresses of which nothing waits
        if not done.cancelled() and done.exception() is None:
            self._remember(key, done.result())

    def _matches(self, password: bytes, hashed: str | None, dearest: int) -> bool:
        """Tell whether a password is that of a hash, None for a user whom nobody knows.

        Whoever asks, it takes as long as the dearest hash: one of cost c takes 2^c rounds, and the false ones from c on
        add up to the rest.
        """
        own = hashed or self._false_hash(dearest)
        good = self._check(password, own.encode())
        for cost in range(cost_of(own) or dearest, dearest):
            self._check(password, self._false_hash(cost).encode())
        return good and hashed is not None

    def _false_hash(self, cost: int) -> str:
        """Return a hash that no password has, but by a chance of 2^-184."""
        return f"{self._nobody[:4]}{cost:02}{self._nobody[6:]}"
