"""Certificates for the tests, made anew for each run: of the server, of its clients, and of strangers."""

from __future__ import annotations

import ssl
from functools import cache
from pathlib import Path

import trustme
from cryptography.hazmat.primitives import serialization

#: Whose certificates everybody here trusts, and whose nobody does.
OURS = trustme.CA(organization_name="ours")
STRANGER = trustme.CA(organization_name="stranger")

#: The names that clients' certificates bear; of each there is NAME.crt and NAME.key.
CLIENT = "prometheus.example.com"
OTHER_CLIENT = "grafana.example.com"


@cache
def issued(name: str, authority: trustme.CA = OURS) -> trustme.LeafCert:
    """Return a certificate; the same one for the same name."""
    return authority.issue_cert(name)


def write_pair(directory: Path, name: str, certificate: trustme.LeafCert) -> None:
    """Write a certificate with its chain as NAME.crt, and its key as NAME.key."""
    chain = b"".join(each.bytes() for each in certificate.cert_chain_pems)
    (directory / f"{name}.crt").write_bytes(chain)
    (directory / f"{name}.key").write_bytes(certificate.private_key_pem.bytes())


def write_all(directory: Path) -> None:
    """Write every file that the web configurations of the tests name."""
    write_pair(directory, "server", issued("localhost"))
    write_pair(directory, "other", issued("other.example.com"))
    (directory / "ca.crt").write_bytes(OURS.cert_pem.bytes())
    (directory / "empty.pem").write_bytes(b"")
    (directory / "notes.txt").write_text("the certificate is on the other machine")
    key = serialization.load_pem_private_key(issued("localhost").private_key_pem.bytes(), None)
    locked = serialization.BestAvailableEncryption(b"a password")
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, locked)
    (directory / "encrypted.key").write_bytes(pem)


def client_context(name: str | None = None, authority: trustme.CA = OURS) -> ssl.SSLContext:
    """Return what a client connects with: it trusts our authority, and shows a certificate where it has a name."""
    context = ssl.create_default_context(cadata=OURS.cert_pem.bytes().decode())
    context.check_hostname = False
    if name is not None:
        issued(name, authority).configure_cert(context)
    return context


def serial_of(certificate: trustme.LeafCert) -> bytes:
    """Return the certificate itself as it goes over the wire."""
    return ssl.PEM_cert_to_DER_cert(certificate.cert_chain_pems[0].bytes().decode())
