"""A throw-away certificate authority: the client checks the service's certificate as ever, against this root."""

from __future__ import annotations

import os
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import NamedTuple

import certifi
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

DAYS = 30
PEM = serialization.Encoding.PEM


class Made(NamedTuple):
    """What the client trusts, the root alone or with the usual ones; what the service shows, with its key."""

    root: Path
    roots: Path
    certificate: Path
    key: Path


def make(folder: Path, hosts: list[str]) -> Made:
    """Write them, new ones each time."""
    made = Made(*(folder / name for name in ("root.pem", "roots.pem", "service.pem", "service.key")))
    root_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    root_name = named("aml-rehearsal throw-away root")
    root = (
        begun(root_name, root_name, root_key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage(certificates=True), critical=True)
        .sign(root_key, hashes.SHA256())
    )
    leaf = (
        begun(named("aml-rehearsal"), root_name, key.public_key())
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host) for host in hosts]), critical=False)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(usage(certificates=False), critical=True)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(root_key.public_key()), critical=False)
        .sign(root_key, hashes.SHA256())
    )
    made.root.write_bytes(root.public_bytes(PEM))
    made.roots.write_bytes(usual_roots() + b"\n" + root.public_bytes(PEM))
    made.certificate.write_bytes(leaf.public_bytes(PEM))
    made.key.touch(mode=0o600)
    made.key.write_bytes(
        key.private_bytes(PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()),
    )
    return made


def usual_roots() -> bytes:
    """The roots that were trusted before: what else runs in the rehearsal's shell still reaches its own servers."""
    own = {os.environ[name] for name in ("REQUESTS_CA_BUNDLE", "SSL_CERT_FILE") if name in os.environ}
    files = [Path(name) for name in (certifi.where(), *sorted(own))]
    return b"\n".join(file.read_bytes() for file in files if file.is_file())


def named(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def begun(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
    start = datetime.now(timezone.utc) - timedelta(days=1)  # clocks differ
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + timedelta(days=DAYS))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def usage(*, certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=certificates,
        crl_sign=certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
