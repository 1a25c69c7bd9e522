"""Text that others wrote, made fit to be shown: without secrets, on one line, unable to move what stands beside it."""

from __future__ import annotations

import html
import json
import re
from base64 import b64encode
from collections.abc import Iterable, Iterator
from urllib.parse import quote, quote_plus, unquote

HIDDEN = "***"

#: What is a secret by its looks alone. What stands in the group `name` is kept.
_LOOKS = tuple(
    map(
        re.compile,
        (
            # user and password of a URL, up to the last @: a password may hold any character
            r"(?P<name>://).+(?=@)",
            # what follows the name of a header, or the scheme of a credential
            r"(?P<name>(?i:auth-token|authorization|subject-token|service-token|cookie)\W{1,9}(?:(?:Basic|Bearer)\W+)?)[^\s'\",;\\]+",
            r"(?P<name>\b(?:Basic|Bearer) +)[\w.+/=~-]{6,}",
            r"(?P<name>(?i:password|passcode|secret)\w*\\*['\"]?\s*[:=]\s*)(?:\\*(?P<mark>['\"]).*?(?P=mark)|[^\s,;}]+)",
            # what PyYAML quotes of a line that cannot be read, in which a password may stand
            r"(?P<name>\b(?:alias|tag|tag handle) )'[^'\n]*'",
            # tokens of Fernet and JWS (keystone/token/token_formatters.py, keystone/token/providers/jws/core.py)
            r"(?P<name>)gAAAA[\w=-]{20,}",
            r"(?P<name>)\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*",
            # a long run of letters and digits: other tokens, keys, hashes; not a uuid, which has its dashes
            r"(?P<name>)\b(?=[A-Za-z0-9]*[a-z])(?=[A-Za-z0-9]*[0-9])[A-Za-z0-9]{32,}",
        ),
    )
)


def redact(text: str, secrets: Iterable[str] = ()) -> str:
    """Return a text without these secrets, in whatever way they are written, and without all that looks like one."""
    for secret in sorted(set(_writings(secrets)), key=len, reverse=True):
        text = text.replace(secret, HIDDEN)
    for looks in _LOOKS:
        text = looks.sub(rf"\g<name>{HIDDEN}", text)
    return text


def printable(text: str) -> str:
    """Return a text in which whatever breaks or turns a line, moves a cursor or cannot be seen is an escape."""
    return text if text.isprintable() else "".join(map(_visible, text))


def credentials_in(url: str) -> tuple[str, ...]:
    """Return the password in a URL, as it stands there and decoded, and both with the user as HTTP sends them."""
    user, colon, password = url.partition("://")[2].rpartition("@")[0].partition(":")
    if not colon:
        return ()
    pairs = (f"{user}:{password}", f"{unquote(user)}:{unquote(password)}")
    return (password, unquote(password), *(b64encode(pair.encode(errors="replace")).decode() for pair in pairs))


def without_credentials(url: str) -> str:
    """Return a URL without user, password, query and fragment; no URL, however odd, makes this raise."""
    scheme = url[: url.find("://") + 3] if "://" in url else ""
    return scheme + re.split("[?#]", url.removeprefix(scheme).rpartition("@")[2], maxsplit=1)[0]


def _visible(char: str) -> str:
    return char if char.isprintable() else _json(char)


def _writings(secrets: Iterable[str]) -> Iterator[str]:
    """Yield each secret as it may stand on one line, in JSON, in HTML, in a URL and in a Python literal."""
    for secret in filter(str.strip, secrets):
        for text in (secret, " ".join(secret.split())):
            yield from (text, repr(text)[1:-1], html.escape(text), html.escape(text, quote=False))
            for in_json in (_json(text), _json(text, ascii_only=False)):
                yield from (in_json, _json(in_json, ascii_only=False))
            sent = text.encode(errors="replace")
            yield from (quote(sent), quote(sent, safe=""), quote_plus(sent))


def _json(text: str, ascii_only: bool = True) -> str:
    return json.dumps(text, ensure_ascii=ascii_only)[1:-1]
