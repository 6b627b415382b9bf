"""Certificates for brokers and their clients, of an authority that lives as long as a test."""

from dataclasses import dataclass, field
from pathlib import Path

import trustme
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)


@dataclass(frozen=True)
class Authority:
    """Writes PEM files into a folder."""

    folder: Path
    _ca: trustme.CA = field(default_factory=trustme.CA)

    @property
    def file(self) -> Path:
        """The authority's own certificate."""
        file = self.folder / "ca.pem"
        self._ca.cert_pem.write_to_path(file)
        return file

    def broker(self) -> Path:
        """One file with the key and certificate of a broker on loopback."""
        cert, key = self._issued("127.0.0.1", None, None)
        file = self.folder / "broker.pem"
        file.write_bytes(key + cert)
        return file

    def client(self, name: str, password: str | None = None) -> tuple[Path, Path]:
        """The certificate of a client, whose subject has the common name `name`, and the file of its key."""
        cert, key = self._issued(f"{name}.test", name, password)
        files = self.folder / f"{name}.crt", self.folder / f"{name}.key"
        files[0].write_bytes(cert)
        files[1].write_bytes(key)
        return files

    def _issued(self, identity: str, name: str | None, password: str | None) -> tuple[bytes, bytes]:
        issued = self._ca.issue_cert(
            identity, common_name=name, organization_name="Test Force", organization_unit_name="Breaches"
        )
        key = load_pem_private_key(issued.private_key_pem.bytes(), password=None)
        # Java reads keys as PKCS #8 (RFC 5208) alone.
        encryption = NoEncryption() if password is None else BestAvailableEncryption(password.encode())
        return (
            b"".join(part.bytes() for part in issued.cert_chain_pems),
            key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption),
        )


AUTHORIZED = {
    "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
    # The brokers themselves, and the tests as the administrator, by the listener that is not for clients.
    "super.users": "User:ANONYMOUS",
}
"""Of a broker: nobody may do what no access-control list says."""
