"""Make an authority, and a certificate for each broker and each role: certificates.py DIRECTORY

For one host, where nobody else hands certificates out; elsewhere they come from the authority that there is. What is
there and ends in more than 30 days is kept, so that to run it again is to renew. The authority's key is needed for
that alone: keep it somewhere else.

Written, in PEM: `ca.pem`, `ca.key`; for a broker `NAME.pem`, its key and certificate as Kafka reads them; for a role
`NAME.crt` and `NAME.key`. Group may read, which is how a container is let at the files that are mounted into it.
"""

import ipaddress
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

BROKERS = ("kafka-1", "kafka-2", "kafka-3")
# The administrator's is a user of its own: no process has the rights to change rights.
ROLES = ("admin", "worker", "gate", "adapters", "door", "board", "lookout")
AUTHORITY_DAYS = 3650
DAYS = 365
RENEW_DAYS = 30
# A broker is met by its name, and by its health check as localhost.
_LOCAL = (x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1")))


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _begun(subject: str, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, days: int) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(_name(subject))
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        # Clocks of containers' hosts differ by a little.
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


class Authority:
    """The authority of a directory, made where there is none."""

    def __init__(self, directory: Path) -> None:
        self._certificate_file, self._key_file = directory / "ca.pem", directory / "ca.key"
        if not self._key_file.exists():
            self._make()
        key = load_pem_private_key(self._key_file.read_bytes(), password=None)
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        self._key = key
        self.certificate = x509.load_pem_x509_certificate(self._certificate_file.read_bytes())

    def _make(self) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        signed = (
            _begun("breachwatch authority", _name("breachwatch authority"), key, AUTHORITY_DAYS)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(signs=True), critical=True)
            .sign(key, hashes.SHA256())
        )
        _write(self._key_file, _pem(key), mode=0o600)
        _write(self._certificate_file, signed.public_bytes(Encoding.PEM), mode=0o644)

    def issue(self, name: str, *, broker: bool) -> tuple[bytes, bytes]:
        """A key and a certificate for it. A broker is a client of the other brokers too."""
        key = ec.generate_private_key(ec.SECP256R1())
        uses = [ExtendedKeyUsageOID.CLIENT_AUTH, *([ExtendedKeyUsageOID.SERVER_AUTH] if broker else [])]
        names = (x509.DNSName(name), *(_LOCAL if broker else ()))
        signed = (
            _begun(name, self.certificate.subject, key, DAYS)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_usage(signs=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage(uses), critical=False)
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        return _pem(key), signed.public_bytes(Encoding.PEM)


def _usage(*, signs: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs,
        key_cert_sign=signs,
        crl_sign=signs,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    """PKCS #8 (RFC 5208), the one form that Java reads."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _write(file: Path, content: bytes, mode: int) -> None:
    """Whole or not at all; nobody else may read it for a moment."""
    scratch = file.with_name(f".{file.name}")
    scratch.unlink(missing_ok=True)
    scratch.touch(mode=0o600)
    scratch.write_bytes(content)
    scratch.chmod(mode)
    scratch.replace(file)


def _lasts(file: Path) -> bool:
    if not file.exists():
        return False
    ends = x509.load_pem_x509_certificates(file.read_bytes())[0].not_valid_after_utc
    return ends - datetime.now(UTC) > timedelta(days=RENEW_DAYS)


def make(directory: Path) -> list[str]:
    """Whose certificates were made or renewed."""
    directory.mkdir(parents=True, exist_ok=True)
    authority = Authority(directory)
    made = []
    for name in BROKERS:
        if not _lasts(directory / f"{name}.pem"):
            _write(directory / f"{name}.pem", b"".join(authority.issue(name, broker=True)), mode=0o640)
            made.append(name)
    for name in ROLES:
        if not _lasts(directory / f"{name}.crt"):
            key, certificate = authority.issue(name, broker=False)
            _write(directory / f"{name}.key", key, mode=0o640)
            _write(directory / f"{name}.crt", certificate, mode=0o640)
            made.append(name)
    return made


if __name__ == "__main__":
    [where] = sys.argv[1:]
    print("made or renewed:", ", ".join(make(Path(where))) or "none")  # noqa: T201 - a command's job is to print
