"""What the web configuration file may say: its keys and the values they take, and what is said of any others.

The format is the exporter-toolkit's, https://github.com/prometheus/exporter-toolkit/blob/master/docs/web-configuration.md;
what we do not support of it is an error that names it. No fault shows a value that might be a secret.
"""

from __future__ import annotations

import difflib
import re
import ssl
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TypeVar

from exporter.web.auth import DEAREST, Users, cost_of
from exporter.web.tls import CIPHERS, CIPHERS_OF_TLS13, CLIENT_AUTH, VERSIONS, TlsSettings

_T = TypeVar("_T")

_NOT_HERE = "not supported here"
_UNVERIFIED = f"{_NOT_HERE}, for it takes certificates that nobody verified; write RequireAndVerifyClientCert"
_BROKEN = f"{_NOT_HERE}, for it is broken (RFC 8996); write TLS12 or TLS13"
_MAKE_ONE = "make one with: htpasswd -nBC 10 \"\" | tr -d ':\\n'"

#: Keys of the toolkit that we refuse, and why.
UNSUPPORTED: Mapping[str, str] = {
    "rate_limit": f"{_NOT_HERE}; remove it, and limit requests in a proxy where they must be",
    "tls_server_config.cert": f"{_NOT_HERE}; put the certificate into a file, and name that in cert_file",
    "tls_server_config.key": f"{_NOT_HERE}; put the key into a file, and name that in key_file",
    "tls_server_config.client_ca": f"{_NOT_HERE}; put the certificates into a file, and name that in client_ca_file",
    "tls_server_config.curve_preferences": f"{_NOT_HERE}, for Python's ssl cannot order curves; remove it",
}

#: Values of the toolkit that we refuse, and why.
UNSUPPORTED_VALUES: Mapping[str, str] = {
    "RequestClientCert": _UNVERIFIED,
    "RequireAnyClientCert": _UNVERIFIED,
    "RequireClientCert": _UNVERIFIED,
    "TLS10": _BROKEN,
    "TLS11": _BROKEN,
}

#: Headers that may be added to every answer, and the values they may have where these are few; the toolkit's own list.
HEADERS: Mapping[str, tuple[str, ...]] = {
    "Content-Security-Policy": (),
    "Strict-Transport-Security": (),
    "X-Content-Type-Options": ("nosniff",),
    "X-Frame-Options": ("deny", "sameorigin"),
    "X-XSS-Protection": (),
}

_FILES = ("cert_file", "key_file", "client_ca_file")
_TLS_KEYS = (
    *_FILES,
    "client_auth_type",
    "client_allowed_sans",
    "cipher_suites",
    "prefer_server_cipher_suites",
    "min_version",
    "max_version",
)


class Reading:
    """Reads the tree of a file; `faults` are the lines about what is wrong with it, in the file's order where it has one."""

    def __init__(self, directory: Path) -> None:
        """Read relative paths as from a directory, that of the file itself."""
        self.faults: list[str] = []
        self._directory = directory
        self._meant: set[str] = set()

    def document(self, tree: object) -> tuple[TlsSettings | None, Users, Mapping[str, str]]:
        """Return what the whole file says of TLS, of users, and of headers; it means nothing where there are faults."""
        top = self._section(tree, "", ("tls_server_config", "http_server_config", "basic_auth_users"))
        tls = self._tls(self._section(top.get("tls_server_config"), "tls_server_config", _TLS_KEYS))
        http = self._section(top.get("http_server_config"), "http_server_config", ("http2", "headers"))
        headers = self._http(http)
        return tls, self._users(top.get("basic_auth_users")), headers

    def fault(self, path: str, words: str) -> None:
        """Take note of a fault."""
        self.faults.append(f"{path}: {words}")

    def _section(self, value: object, path: str, known: Sequence[str]) -> dict[str, object]:
        """Return the values of a section's known keys; one without a value is as if it were not there."""
        if value is not None and not isinstance(value, dict):
            self.fault(path or "the file", f"{_kind(value)} is not a mapping; write `key: value` lines")
        found = value if isinstance(value, dict) else {}
        for key in found:
            self._require_known(key, path, known)
        return {key: each for key, each in found.items() if key in known and each is not None}

    def _require_known(self, key: object, path: str, known: Sequence[str]) -> None:
        at = _below(path, key)
        if not isinstance(key, str):
            self.fault(at, "a key must be text; put it in quotes")
        elif at in UNSUPPORTED:
            self.fault(at, UNSUPPORTED[at])
        elif key not in known:
            self.fault(at, f"unknown key; {_nearest(key, known)}")
            self._meant.update(difflib.get_close_matches(key, known, n=1))

    def _tls(self, section: Mapping[str, object]) -> TlsSettings | None:
        if not section:
            return None
        files = {key: self._file(section, key) for key in _FILES}
        auth = self._one(section, "client_auth_type", CLIENT_AUTH, ssl.CERT_NONE)
        oldest = self._one(section, "min_version", VERSIONS, ssl.TLSVersion.TLSv1_2)
        newest = self._one(section, "max_version", VERSIONS, ssl.TLSVersion.TLSv1_3)
        if oldest > newest:
            self.fault("tls_server_config.min_version", "is above max_version; change one of them")
        self._require_fitting(section, auth)
        names = self._texts(section, "client_allowed_sans")
        return TlsSettings(
            cert_file=files["cert_file"] or "",
            key_file=files["key_file"] or "",
            client_ca_file=files["client_ca_file"],
            client_auth=auth,
            allowed_names=None if names is None else frozenset(names),
            ciphers=self._ciphers(section, oldest),
            prefer_own_ciphers=self._truth(section, "tls_server_config", "prefer_server_cipher_suites", True),
            oldest=oldest,
            newest=newest,
        )

    def _file(self, section: Mapping[str, object], key: str) -> str | None:
        """Return a path, as from the directory of the file."""
        at, value = f"tls_server_config.{key}", section.get(key)
        if isinstance(value, str) and value and "\0" not in value:
            return str(self._directory / value)
        if value is not None:
            self.fault(at, f"{_kind(value)} is not the name of a file; write one")
        elif key != "client_ca_file" and key not in self._meant:
            self.fault(at, "missing; TLS needs cert_file and key_file")
        return None

    def _require_fitting(self, section: Mapping[str, object], auth: ssl.VerifyMode) -> None:
        """Report what would have no effect, where somebody might rely on it."""
        asked = section.get("client_auth_type")
        if auth is not ssl.CERT_NONE and "client_ca_file" not in section:
            self.fault("tls_server_config.client_auth_type", f"{asked} needs client_ca_file; name one")
        for key in ("client_ca_file", "client_allowed_sans"):
            if auth is ssl.CERT_NONE and key in section and asked in (None, "NoClientCert"):
                self.fault(
                    f"tls_server_config.{key}", "without effect; add client_auth_type: RequireAndVerifyClientCert"
                )

    def _one(self, section: Mapping[str, object], key: str, known: Mapping[str, _T], default: _T) -> _T:
        """Return what the name at a key stands for."""
        value = section.get(key)
        if isinstance(value, str) and value in known:
            return known[value]
        if value is not None:
            self.fault(f"tls_server_config.{key}", _no_choice(value, known))
        return default

    def _truth(self, section: Mapping[str, object], path: str, key: str, default: bool) -> bool:
        value = section.get(key, default)
        if isinstance(value, bool):
            return value
        self.fault(f"{path}.{key}", f"{_kind(value)} is neither true nor false; write one of them")
        return default

    def _texts(self, section: Mapping[str, object], key: str) -> tuple[str, ...] | None:
        """Return a list of texts, None where there is none."""
        at, value = f"tls_server_config.{key}", section.get(key)
        if value is None:
            return None
        if not isinstance(value, list) or not value:
            self.fault(
                at, f"{'it' if value == [] else _kind(value)} is not a list of one or more; write `- ` before each"
            )
            return None
        for index, each in enumerate(value):
            if not isinstance(each, str) or not each:
                self.fault(f"{at}[{index}]", f"{_kind(each)} is no name; write one, in quotes if need be")
        return tuple(each for each in value if isinstance(each, str))

    def _ciphers(self, section: Mapping[str, object], oldest: ssl.TLSVersion) -> tuple[str, ...]:
        """Return OpenSSL's names of the ciphers for TLS 1.2; those of TLS 1.3 are all allowed always, as in Go."""
        names, at = self._texts(section, "cipher_suites"), "tls_server_config.cipher_suites"
        known = (*CIPHERS, *CIPHERS_OF_TLS13)
        for index, name in enumerate(names or ()):
            if name and name not in known:
                self.fault(f"{at}[{index}]", f"{name:.60} is no cipher that is known here; {_nearest(name, known)}")
        chosen = tuple(CIPHERS[name] for name in names or () if name in CIPHERS)
        if names and set(names) <= set(CIPHERS_OF_TLS13) and oldest < ssl.TLSVersion.TLSv1_3:
            self.fault(at, "names none for TLS 1.2; add one, or write min_version: TLS13")
        return chosen

    def _http(self, section: Mapping[str, object]) -> Mapping[str, str]:
        if self._truth(section, "http_server_config", "http2", False):
            self.fault("http_server_config.http2", f"HTTP/2 is {_NOT_HERE}; write false, or remove it")
        at = "http_server_config.headers"
        values = self._section(section.get("headers"), at, tuple(HEADERS))
        texts = {name: self._header(f"{at}.{name}", value, HEADERS[name]) for name, value in values.items()}
        return MappingProxyType({name: text for name, text in texts.items() if text})

    def _header(self, at: str, value: object, allowed: Sequence[str]) -> str:
        """Return the value of a header; an empty one is not sent."""
        text = str(value).strip() if isinstance(value, str | int) and not isinstance(value, bool) else None
        if text is None or not re.fullmatch("[ -~]*", text):
            self.fault(at, f"{_kind(value)} that no header can bear; write one line of ASCII, in quotes")
            return ""
        if text and allowed and text not in allowed:
            self.fault(at, f"{text:.60} is none of {', '.join(allowed)}; write one of them")
        return text

    def _users(self, value: object) -> Users:
        if value is not None and not isinstance(value, dict):
            self.fault("basic_auth_users", f"{_kind(value)} is not a mapping; write `name: hash` lines")
        found = value if isinstance(value, dict) else {}
        for name, hashed in found.items():
            for words in _faults_of_user(name, hashed):
                self.fault(_below("basic_auth_users", name), words)
        return Users(MappingProxyType(dict(found)))


def _faults_of_user(name: object, hashed: object) -> Iterable[str]:
    if not isinstance(name, str):
        yield "a name must be text; put it in quotes"
    elif ":" in name or not name.isprintable():
        yield "such a name can never log in; write one of printable characters without a colon"
    cost = cost_of(hashed) if isinstance(hashed, str) else None
    if cost is None:
        yield f"its value is no bcrypt hash; {_MAKE_ONE}"
    elif cost > DEAREST:
        yield f"its hash has cost {cost}, at which a check takes many seconds, and {DEAREST} is the most; {_MAKE_ONE}"


def _kind(value: object) -> str:
    """Return what a value is, without showing it."""
    if value is None or value == "":
        return "nothing"
    kinds = {bool: "a truth value", dict: "a mapping", list: "a list", str: "text", int: "a number", float: "a number"}
    return kinds.get(type(value), "something else")


def _below(path: str, key: object) -> str:
    name = str(key) if str(key).isprintable() else repr(key)
    return f"{path}.{name:.60}" if path else f"{name:.60}"


def _no_choice(value: object, known: Iterable[str]) -> str:
    if isinstance(value, str) and value in UNSUPPORTED_VALUES:
        return f"{value} is {UNSUPPORTED_VALUES[value]}"
    shown = f"{value!r:.60}" if isinstance(value, str) else _kind(value)
    return f"{shown} is none of {', '.join(known)}; write one of them"


def _nearest(word: str, known: Sequence[str]) -> str:
    nearest = difflib.get_close_matches(word, known, n=1)
    return f"did you mean {nearest[0]}?" if nearest else f"known here are {', '.join(known)}"
