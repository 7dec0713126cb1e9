"""A front with TLS for a server that has none, as Temporal Cloud's, and the certificates for it."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.harness.relay import relay

SERVER_NAME = "temporal.test"


@dataclass(frozen=True)
class Certificates:
    """Files in PEM: an authority of our own, and whom it has signed."""

    authority: Path
    server: Path
    server_key: Path
    client: Path
    client_key: Path


def make_certificates(folder: Path, server_name: str = SERVER_NAME) -> Certificates:
    """Writes them into a folder."""
    authority_key = ec.generate_private_key(ec.SECP256R1())
    authority = _certificate("The tests' own authority", authority_key, None, authority_key)
    files = Certificates(
        *(
            folder / f"{name}.pem"
            for name in ("authority", "server", "server-key", "client", "client-key")
        )
    )
    _write(files.authority, authority)
    for name, file, key_file in (
        (server_name, files.server, files.server_key),
        ("worker.test", files.client, files.client_key),
    ):
        key = ec.generate_private_key(ec.SECP256R1())
        _write(file, _certificate(name, key, authority, authority_key))
        key_file.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
    return files


def _write(file: Path, certificate: x509.Certificate) -> None:
    file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))


def _certificate(
    name: str,
    key: ec.EllipticCurvePrivateKey,
    issuer: x509.Certificate | None,
    issuer_key: ec.EllipticCurvePrivateKey,
) -> x509.Certificate:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(issuer_key, hashes.SHA256())
    )


@dataclass
class TlsFront:
    """What came through it."""

    port: int = 0
    sent: bytearray = field(default_factory=bytearray)
    """What clients have sent, deciphered."""


@asynccontextmanager
async def tls_front(
    target: str, certificates: Certificates, *, client_certificate: bool
) -> AsyncIterator[TlsFront]:
    """Ends TLS before a server on this machine.

    Args:
        target: The server's host and port.
        certificates: What it shows, and whom it lets in.
        client_certificate: Whether clients have to show one of the same authority.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates.server, certificates.server_key)
    context.set_alpn_protocols(["h2"])
    if client_certificate:
        context.load_verify_locations(certificates.authority)
        context.verify_mode = ssl.CERT_REQUIRED
    host, _, port = target.rpartition(":")
    front = TlsFront()

    async def hand_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        to_reader, to_writer = await asyncio.open_connection(host, int(port))
        await asyncio.gather(relay(reader, to_writer, front.sent), relay(to_reader, writer))

    server = await asyncio.start_server(hand_on, "127.0.0.1", ssl=context)
    front.port = server.sockets[0].getsockname()[1]
    try:
        yield front
    finally:
        server.close()
