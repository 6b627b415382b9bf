"""What doctor says of the way to the brokers."""

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme

from streams.doctor import connection as judge
from streams.doctor.connection import Reached
from streams.kafka.cluster import Cluster
from streams.kafka.local import HOST, free_ports

NOW = datetime(2026, 11, 27, 3, 0, tzinfo=UTC)
PLAIN = Cluster("k:9092")
TLS = Cluster("k:9093", tls=True)
USER = Cluster("k:9093", tls=True, user="w1", password="secret-word")
CERTIFIED = replace(TLS, cert_file=Path("w1.pem"), key_file=Path("w1.key"))
OPEN = Reached("k:9092")
TRUSTED = Reached("k:9093", tls=True)


@pytest.mark.parametrize(
    ("cluster", "reached", "said", "says", "mend"),
    [
        (PLAIN, Reached("k:9092", named=False, opened=False), "", "name of k:9092 is not known", "DNS"),
        (PLAIN, Reached("k:9092", opened=False), "", "nobody takes connections at k:9092", "SERVERS"),
        (TLS, OPEN, "", "TLS is set, and k:9092 does not speak it", "unset BREACHWATCH_KAFKA_TLS"),
        (PLAIN, TRUSTED, "", "speaks TLS, and TLS is not set", "set BREACHWATCH_KAFKA_CA_FILE"),
        (PLAIN, OPEN, "", "does not answer as Kafka does", "SASL_PLAINTEXT"),
        (USER, TRUSTED, "the log-in as w1 was refused", "log-in as w1 was refused", "KAFKA_PASSWORD_FILE"),
        (TLS, TRUSTED, "", "hangs up on who is not logged in", "set BREACHWATCH_KAFKA_USER"),
        (CERTIFIED, TRUSTED, "", "hangs up on the holder of w1.pem", "still good"),
        (USER, TRUSTED, "", "does not answer w1's log-in", "SCRAM-SHA-512"),
        (TLS, replace(TRUSTED, refused_code=10, ends=NOW), "", "has expired, on 2026-11-27", "renew"),
        (TLS, replace(TRUSTED, refused_code=9), "", "is not valid yet", "clock of this machine"),
        (TLS, replace(TRUSTED, refused_code=62), "", "is for another name", "BREACHWATCH_BOOTSTRAP_SERVERS"),
        (TLS, replace(TRUSTED, refused_code=20), "", "not signed by an authority", "BREACHWATCH_KAFKA_CA_FILE"),
        (TLS, replace(TRUSTED, refused_code=3, refused="odd"), "", "not trusted: odd", "issue another"),
    ],
)
def test_why_no_broker_answers(cluster: Cluster, reached: Reached, said: str, says: str, mend: str) -> None:
    found = judge.diagnosis(cluster, [reached], said)
    assert (found.what, found.state) == ("connection", "fail")
    assert says in found.detail
    assert mend in found.mend
    assert "secret-word" not in found.detail + found.mend


def test_the_address_that_got_furthest_tells() -> None:
    found = judge.diagnosis(TLS, [Reached("a:1", named=False, opened=False), Reached("b:2"), TRUSTED], "")
    assert "hangs up" in found.detail


# -- real connections --------------------------------------------------------------------------------------


@contextmanager
def served(certificate: trustme.LeafCert | None) -> Iterator[str]:
    """Somebody who takes connections, with TLS where there is a certificate, and says nothing; the address."""
    context = None
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        certificate.configure_cert(context)
    with socket.create_server((HOST, 0)) as listening:

        def take() -> None:
            with suppress(OSError):
                while True:
                    opened, _ = listening.accept()
                    if context is None:
                        opened.close()
                        continue
                    with suppress(OSError), context.wrap_socket(opened, server_side=True) as secured:
                        secured.recv(1)

        thread = threading.Thread(target=take)
        thread.start()
        yield f"{HOST}:{listening.getsockname()[1]}"
        listening.shutdown(socket.SHUT_RDWR)
        thread.join()


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def trusting(authority: trustme.CA, tmp_path: Path) -> Cluster:
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    return Cluster("unused:1", tls=True, ca_file=tmp_path / "ca.pem")


def test_a_certificate_that_is_good(authority: trustme.CA, trusting: Cluster) -> None:
    ends = datetime.now(UTC) + timedelta(days=20)
    with served(authority.issue_cert(HOST, not_after=ends)) as address:
        reached = judge.reach(trusting, address)
        without = judge.reach(Cluster(address), address)
        [shown, ca] = list(judge.certificates(trusting, [address], datetime.now(UTC)))
    assert (reached.tls, reached.refused_code) == (True, 0)
    assert (without.tls, without.refused_code) == (True, 0)
    assert abs((reached.ends or NOW) - ends) < timedelta(seconds=2)
    assert (shown.state, ca.state) == ("warn", "ok")
    assert ends.date().isoformat() in shown.detail


@pytest.mark.parametrize(
    ("name", "days", "says"), [(HOST, -1, "has expired"), ("kafka.example", 90, "is for another name")]
)
def test_a_certificate_that_is_not(authority: trustme.CA, trusting: Cluster, name: str, days: int, says: str) -> None:
    ends = datetime.now(UTC) + timedelta(days=days)
    with served(authority.issue_cert(name, not_after=ends)) as address:
        reached = judge.reach(trusting, address)
    assert says in judge.diagnosis(trusting, [reached], "").detail


def test_a_certificate_of_an_authority_that_is_not_known(trusting: Cluster) -> None:
    with served(trustme.CA().issue_cert(HOST)) as address:
        reached = judge.reach(trusting, address)
    assert "not signed by an authority" in judge.diagnosis(trusting, [reached], "").detail


def test_who_speaks_no_tls_or_does_not_listen(trusting: Cluster) -> None:
    with served(None) as address:
        assert judge.reach(trusting, address) == Reached(address)
    (port,) = free_ports(1)
    assert judge.reach(PLAIN, f"{HOST}:{port}") == Reached(f"{HOST}:{port}", opened=False)
    assert judge.reach(PLAIN, "nobody.invalid:1") == Reached("nobody.invalid:1", named=False, opened=False)


@pytest.mark.parametrize(("days", "state"), [(31, "ok"), (29, "warn"), (6, "fail"), (-1, "fail")])
def test_when_a_certificate_ends(days: int, state: str) -> None:
    found = judge.certificate("k:9093", NOW + timedelta(days=days), NOW)
    assert (found.what, found.state) == ("certificate", state)
    assert ("renewed" in found.mend) == (state != "ok")


def test_a_broker_that_says_it_is_where_nobody_is() -> None:
    advertised = {1: "k1:9092", 2: "k2:9092"}
    (found,) = judge.elsewhere(advertised, [Reached("k2:9092", named=False, opened=False)])
    assert (found.what, found.state) == ("broker", "fail")
    assert "2 says that it is at k2:9092, and cannot be reached there" in found.detail
    assert "the name is not known here" in found.detail
    assert "advertised.listeners" in found.mend
