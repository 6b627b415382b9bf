"""When certificates end: those that brokers present, and those in our own files."""

import asyncio
import ssl
from collections.abc import AsyncGenerator, Iterable, Mapping
from contextlib import closing
from pathlib import Path

from cryptography import x509

from streams import metrics
from streams.errors import BreachwatchError
from streams.kafka.cluster import Cluster
from streams.lookout.reading import admin

# Four looks before what was seen is old, so that one broker that starts anew is no news.
_EVERY_S = 15.0
_CONNECT_S = 5.0


class CertificateUnreadableError(BreachwatchError):
    """A file has no certificate that can be read, or a broker presents none."""


class Certificates:
    """The gauge of expiry; without TLS it has no series."""

    def __init__(self, cluster: Cluster, files: Mapping[str, Path | None]) -> None:
        """`files`: whose -> PEM file, None where none is set."""
        self._cluster = cluster
        self._files = {whose: file for whose, file in files.items() if file is not None}

    async def looks(self) -> AsyncGenerator[None]:
        while True:
            for whose, file in self._files.items():
                metrics.CERTIFICATE_EXPIRY.labels(whose).set(end_of(file))
            if self._cluster.tls:
                metrics.CERTIFICATE_EXPIRY.labels("broker").set(await self._first_of_brokers())
            yield
            await asyncio.sleep(_EVERY_S)

    async def _first_of_brokers(self) -> float:
        """Of every broker that there is now: the earliest end."""
        async with admin(self._cluster) as client:
            brokers = (await client.describe_cluster())["brokers"]
        ends = [self._presented(broker["host"], broker["port"]) for broker in brokers]
        return min(await asyncio.gather(*ends))

    async def _presented(self, host: str, port: int) -> float:
        context = self._cluster.ssl_context()
        assert context is not None
        return await presented_end(host, port, context)


async def presented_end(host: str, port: int, context: ssl.SSLContext) -> float:
    """When the certificate that is presented there ends, seconds since 1970.

    It is not checked, and nothing is sent: one that has expired is the one that must be seen. Raises OSError.
    """
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    async with asyncio.timeout(_CONNECT_S):
        _, writer = await asyncio.open_connection(host, port, ssl=context, server_hostname=host)
    with closing(writer):
        der = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    if der is None:
        raise CertificateUnreadableError(f"{host}:{port} presents no certificate")
    return _first_end([x509.load_der_x509_certificate(der)])


def end_of(file: Path) -> float:
    """When the first of the certificates in a PEM file ends, seconds since 1970. Raises OSError, and
    CertificateUnreadableError where it has none."""
    try:
        return _first_end(x509.load_pem_x509_certificates(file.read_bytes()))
    except ValueError:
        raise CertificateUnreadableError(f"{file} has no certificate that can be read (PEM)") from None


def _first_end(certificates: Iterable[x509.Certificate]) -> float:
    return min(certificate.not_valid_after_utc for certificate in certificates).timestamp()
