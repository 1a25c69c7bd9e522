"""TLS: what the web configuration says of it, as Python's ssl understands it."""

from __future__ import annotations

import ipaddress
import ssl
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

_IANA = "TLS_ECDHE_{}_WITH_{}"
_OPENSSL = "ECDHE-{}-{}"
_BULK = {
    "AES_128_GCM_SHA256": "AES128-GCM-SHA256",
    "AES_256_GCM_SHA384": "AES256-GCM-SHA384",
    "CHACHA20_POLY1305_SHA256": "CHACHA20-POLY1305",
    "AES_128_CBC_SHA": "AES128-SHA",
    "AES_256_CBC_SHA": "AES256-SHA",
}

#: Cipher suites of TLS 1.2, by the names of Go and IANA and those of OpenSSL: the ones that Go calls secure.
CIPHERS: Mapping[str, str] = {
    _IANA.format(kind, bulk): _OPENSSL.format(kind, name) for bulk, name in _BULK.items() for kind in ("ECDSA", "RSA")
}

#: Those of TLS 1.3, which neither Go nor Python's ssl lets anyone choose from.
CIPHERS_OF_TLS13 = ("TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256")

VERSIONS = {"TLS12": ssl.TLSVersion.TLSv1_2, "TLS13": ssl.TLSVersion.TLSv1_3}

#: What is asked of clients; the toolkit's other policies take certificates that nobody verified, which ssl cannot.
CLIENT_AUTH = {
    "NoClientCert": ssl.CERT_NONE,
    "VerifyClientCertIfGiven": ssl.CERT_OPTIONAL,
    "RequireAndVerifyClientCert": ssl.CERT_REQUIRED,
}


@dataclass(frozen=True, slots=True)
class TlsSettings:
    """What the file says, with absolute paths; `allowed_names` is None where every verified certificate will do."""

    cert_file: str
    key_file: str
    client_ca_file: str | None = None
    client_auth: ssl.VerifyMode = ssl.CERT_NONE
    allowed_names: frozenset[str] | None = None
    ciphers: tuple[str, ...] = ()
    prefer_own_ciphers: bool = True
    oldest: ssl.TLSVersion = ssl.TLSVersion.TLSv1_2
    newest: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3

    @property
    def files(self) -> Mapping[str, str]:
        """Return the files that are named, by their keys."""
        named = {"cert_file": self.cert_file, "key_file": self.key_file, "client_ca_file": self.client_ca_file}
        return {key: path for key, path in named.items() if path}


@dataclass(frozen=True, slots=True)
class Tls:
    """What connections are made with."""

    context: ssl.SSLContext = field(repr=False)
    allowed_names: frozenset[str] | None = None

    def require_allowed(self, certificate: Mapping[str, object] | None) -> None:
        """Raise PermissionError where a client's certificate bears none of the allowed names.

        A client without a certificate got past the handshake, so none is required (crypto/tls, processCertsFromClient).
        """
        if certificate and self.allowed_names is not None and self.allowed_names.isdisjoint(names_of(certificate)):
            raise PermissionError("the client's certificate bears none of client_allowed_sans")


class TlsError(Exception):
    """Files that no TLS can be made with; `faults` holds (key, what is wrong with its file)."""

    def __init__(self, faults: list[tuple[str, str]]) -> None:
        super().__init__("; ".join(f"{key}: {words}" for key, words in faults))
        self.faults = tuple(faults)


def names_of(certificate: Mapping[str, object]) -> frozenset[str]:
    """Return the subject alternative names of a certificate as ssl's getpeercert() gives it: DNS, IP, e-mail, URI."""
    names = certificate.get("subjectAltName", ())
    assert isinstance(names, tuple)  # noqa: S101  # as ssl documents it
    return frozenset(_address(name) if kind == "IP Address" else str(name) for kind, name in names)


def _address(name: str) -> str:
    """Return an address in its usual form: OpenSSL writes all eight groups of one of IPv6."""
    try:
        return str(ipaddress.ip_address(name.strip()))
    except ValueError:
        return name


def build(settings: TlsSettings) -> Tls:
    """Return what connections are made with; raises TlsError where the files do not allow it."""
    faults = [(key, words) for key, path in settings.files.items() for words in _unreadable(path)]
    readable = settings.files.keys() - {key for key, _ in faults}
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    if {"cert_file", "key_file"} <= readable:
        faults += _load_pair(context, settings)
    if settings.client_ca_file and "client_ca_file" in readable:
        faults += _load_authorities(context, settings.client_ca_file)
    if faults:
        raise TlsError(faults)
    _choose(context, settings)
    return Tls(context, settings.allowed_names)


def _choose(context: ssl.SSLContext, settings: TlsSettings) -> None:
    context.minimum_version, context.maximum_version = settings.oldest, settings.newest
    context.verify_mode = settings.client_auth
    # As in Go, whatever is in the file is trusted, be it the root or not.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    if not settings.prefer_own_ciphers:
        context.options &= ~ssl.OP_CIPHER_SERVER_PREFERENCE
    if settings.ciphers:
        context.set_ciphers(":".join(settings.ciphers))


def _unreadable(path: str) -> Iterator[str]:
    try:
        if not stat.S_ISREG(Path(path).stat().st_mode):
            yield f"{path} is not a file; name one"
            return
        with Path(path).open("rb") as file:
            file.read(1)
    except OSError as error:
        yield f"{path} cannot be read ({error.strerror}); name a file that the exporter may read"


def _load_pair(context: ssl.SSLContext, settings: TlsSettings) -> Iterator[tuple[str, str]]:
    try:
        # Without a password ssl would ask for one at the terminal.
        context.load_cert_chain(settings.cert_file, settings.key_file, _no_password)
    except _EncryptedKeyError:
        yield "key_file", "the key is encrypted, and there is nobody to ask for its password; decrypt it (openssl pkey)"
    except ssl.SSLError as error:
        yield _pair_fault(settings, error)


class _EncryptedKeyError(Exception):
    pass


def _no_password() -> str:
    raise _EncryptedKeyError


def _pair_fault(settings: TlsSettings, error: ssl.SSLError) -> tuple[str, str]:
    """Tell which of the two files is at fault, which OpenSSL does not say."""
    if error.reason == "KEY_VALUES_MISMATCH":
        return "key_file", "the key does not belong to the certificate in cert_file; name the one it was made with"
    if not _holds_certificates(settings.cert_file):
        return "cert_file", f"{settings.cert_file} holds no certificate; write one in PEM, the chain below it"
    if error.reason in ("EE_KEY_TOO_SMALL", "CA_KEY_TOO_SMALL", "CA_MD_TOO_WEAK"):
        return "cert_file", f"OpenSSL refuses the certificate ({error.reason}); make one of today's strength"
    return "key_file", f"{settings.key_file} holds no private key; write one in PEM, without a password"


def _holds_certificates(path: str) -> bool:
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_verify_locations(path)
    except ssl.SSLError:
        return False
    return True


def _load_authorities(context: ssl.SSLContext, path: str) -> Iterator[tuple[str, str]]:
    try:
        context.load_verify_locations(path)
    except ssl.SSLError:
        yield "client_ca_file", f"{path} holds no certificate; write those of your authorities in PEM"
