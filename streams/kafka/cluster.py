"""Which cluster, and as whom: what every client of it is made with."""

import ssl
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from streams.errors import BreachwatchError

MECHANISM = "SCRAM-SHA-512"
"""RFC 5802 with SHA-512: the broker keeps a salted hash, and no password crosses the wire."""


@dataclass(frozen=True)
class Cluster:
    """``addresses`` are ``host:port[,host:port]``; a user logs in by SCRAM, and never without TLS.

    ``ca_file`` (PEM) is what the brokers' certificates are checked against; None: the system's authorities. A client
    that shows a certificate of its own (``cert_file`` and ``key_file``, PEM) needs no user: it is its subject's name.
    """

    addresses: str
    tls: bool = False
    ca_file: Path | None = None
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    cert_file: Path | None = None
    key_file: Path | None = None
    key_password: str | None = field(default=None, repr=False)

    def __str__(self) -> str:
        return self.addresses

    @property
    def servers(self) -> list[str]:
        return [address.strip() for address in self.addresses.split(",")]

    def at(self, address: str) -> "Cluster":
        """One of its brokers, with the same log-in."""
        return replace(self, addresses=address)

    def options(self) -> dict[str, Any]:
        """Arguments of a client; kafka-python and aiokafka name them alike.

        Raises BreachwatchError when the file of authorities cannot be read.
        """
        found: dict[str, Any] = {"bootstrap_servers": self.servers}
        context = self.ssl_context()
        if context is not None:
            found |= {"security_protocol": "SSL" if self.user is None else "SASL_SSL", "ssl_context": context}
        if self.user is not None:
            found |= {
                "sasl_mechanism": MECHANISM,
                "sasl_plain_username": self.user,
                "sasl_plain_password": self.password,
            }
        return found

    @property
    def who(self) -> str:
        """As whom we are there, for people."""
        if self.user is not None:
            return self.user
        return f"the holder of {self.cert_file}" if self.cert_file is not None else "somebody who is not logged in"

    def ssl_context(self) -> ssl.SSLContext | None:
        """None where the connection is not encrypted. Raises BreachwatchError for a file that cannot be used."""
        if not self.tls:
            return None
        try:
            context = ssl.create_default_context(cafile=self.ca_file)
        except (OSError, ssl.SSLError) as error:
            raise BreachwatchError(
                f"BREACHWATCH_KAFKA_CA_FILE: {self.ca_file} cannot be read as certificates: {error}"
            ) from None
        if self.cert_file is not None:
            try:
                # Without any password OpenSSL would ask for one at the terminal, and wait.
                context.load_cert_chain(self.cert_file, self.key_file, self.key_password or "")
            except (OSError, ssl.SSLError) as error:
                raise BreachwatchError(
                    f"BREACHWATCH_KAFKA_CLIENT_CERT_FILE and _KEY_FILE: {self.cert_file} and {self.key_file} are no "
                    f"certificate with its key (BREACHWATCH_KAFKA_KEY_PASSWORD_FILE, if it is encrypted): {error}"
                ) from None
        return context
