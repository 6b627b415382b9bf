"""When certificates end, as a server on loopback presents them and as files have them."""

import asyncio
import ssl
from contextlib import aclosing
from datetime import UTC, datetime
from pathlib import Path

import pytest
import trustme

from streams import metrics
from streams.kafka.cluster import Cluster
from streams.lookout.certificates import Certificates, CertificateUnreadableError, end_of, presented_end

SOON, LATER = datetime(2030, 1, 1, tzinfo=UTC), datetime(2040, 1, 1, tzinfo=UTC)
PAST = datetime(2020, 1, 1, tzinfo=UTC)


def presented(authority: trustme.CA, not_after: datetime, context: ssl.SSLContext) -> float:
    """What is seen of a server whose certificate ends then."""

    async def run() -> float:
        server_context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("127.0.0.1", not_after=not_after).configure_cert(server_context)
        server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0, ssl=server_context)
        async with server:
            return await presented_end("127.0.0.1", server.sockets[0].getsockname()[1], context)

    return asyncio.run(run())


@pytest.mark.parametrize("not_after", [SOON, PAST])
def test_the_end_of_what_is_presented_is_seen_also_when_it_has_passed(not_after: datetime, tmp_path: Path) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    context = Cluster("127.0.0.1:1", tls=True, ca_file=tmp_path / "ca.pem").ssl_context()
    assert context is not None
    assert presented(authority, not_after, context) == not_after.timestamp()


def test_one_of_an_authority_that_is_not_known_here_is_seen_too() -> None:
    assert presented(trustme.CA(), SOON, ssl.create_default_context()) == SOON.timestamp()


def test_a_server_without_tls_is_an_error_that_is_tried_again() -> None:
    async def run() -> None:
        server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0)
        async with server:
            port = server.sockets[0].getsockname()[1]
            await presented_end("127.0.0.1", port, ssl.create_default_context())

    with pytest.raises(OSError):  # noqa: PT011 - what it is called is the machine's affair
        asyncio.run(run())


def test_of_several_in_a_file_the_first_to_end_counts(tmp_path: Path) -> None:
    authority = trustme.CA()
    issued = [authority.issue_cert("a.example", not_after=at).cert_chain_pems[0].bytes() for at in (LATER, SOON)]
    (tmp_path / "ca.pem").write_bytes(b"".join(issued))
    assert end_of(tmp_path / "ca.pem") == SOON.timestamp()


def test_files_are_shown_by_whose_they_are_and_nothing_where_none_is_set(tmp_path: Path) -> None:
    trustme.CA().issue_cert("me.example", not_after=SOON).cert_chain_pems[0].write_to_path(tmp_path / "me.pem")
    certificates = Certificates(Cluster("127.0.0.1:1"), {"client": tmp_path / "me.pem", "ca": None})

    async def look() -> None:
        async with aclosing(certificates.looks()) as looks:
            await anext(looks)

    metrics.CERTIFICATE_EXPIRY.clear()
    asyncio.run(look())
    [metric] = metrics.CERTIFICATE_EXPIRY.collect()
    assert {sample.labels["whose"]: sample.value for sample in metric.samples} == {"client": SOON.timestamp()}


@pytest.mark.parametrize("text", [b"", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"])
def test_a_file_without_a_certificate_is_named(text: bytes, tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_bytes(text)
    with pytest.raises(CertificateUnreadableError, match=r"ca\.pem has no certificate that can be read"):
        end_of(tmp_path / "ca.pem")
