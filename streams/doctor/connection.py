"""The way to the brokers: names, ports, TLS, certificates, log-ins."""

import socket
import ssl
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography import x509

from streams.doctor.finding import Finding, State, listed
from streams.kafka.cluster import Cluster
from streams.lookout.certificates import end_of

CERTIFICATE_WARN = timedelta(days=30)
CERTIFICATE_FAIL = timedelta(days=7)
_STEP_S = 3.0


@dataclass(frozen=True)
class Reached:
    """How far one address of a broker could be reached, by itself: without Kafka's protocol."""

    address: str
    named: bool = True
    """Its name is known."""
    opened: bool = True
    """Something takes connections there."""
    tls: bool = False
    """It speaks TLS."""
    refused: str = ""
    """Why its certificate is not trusted, as OpenSSL puts it."""
    refused_code: int = 0
    """X509_V_ERR_* of OpenSSL; 0: trusted, or not asked for."""
    ends: datetime | None = None
    """When its certificate ends."""


def reach(cluster: Cluster, address: str) -> Reached:
    """Knock at an address; takes no longer than three times `_STEP_S` once its name is resolved."""
    host, _, port = address.rpartition(":")
    host = host.strip("[]")
    try:
        socket.getaddrinfo(host, int(port), type=socket.SOCK_STREAM)
    except (OSError, ValueError, UnicodeError):
        return Reached(address, named=False, opened=False)
    try:
        socket.create_connection((host, int(port)), _STEP_S).close()
    except OSError:
        return Reached(address, opened=False)
    ends = _certificate(cluster, host, int(port))
    if ends is None:
        return Reached(address)
    context = cluster.ssl_context()
    if context is not None:
        try:
            _shake_hands(context, host, int(port))
        except ssl.SSLCertVerificationError as error:
            return Reached(address, True, True, True, error.verify_message, error.verify_code, ends)
        except OSError as error:
            return Reached(address, True, True, True, str(error), -1, ends)
    return Reached(address, tls=True, ends=ends)


def _certificate(cluster: Cluster, host: str, port: int) -> datetime | None:
    """When the certificate that is shown there ends, trusted or not; None: no TLS is spoken."""
    context = cluster.ssl_context() or ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with suppress(OSError):
        shown = _shake_hands(context, host, port)
        return None if shown is None else x509.load_der_x509_certificate(shown).not_valid_after_utc
    return None


def _shake_hands(context: ssl.SSLContext, host: str, port: int) -> bytes | None:
    with (
        socket.create_connection((host, port), _STEP_S) as opened,
        context.wrap_socket(opened, server_hostname=host) as secured,
    ):
        return secured.getpeercert(binary_form=True)


# https://docs.openssl.org/3.0/man3/X509_STORE_CTX_get_error/
_NOT_YET_VALID, _EXPIRED = 9, 10
_OTHER_NAME = {62, 64}
_UNKNOWN_AUTHORITY = {2, 18, 19, 20, 21}


def diagnosis(cluster: Cluster, reached: Sequence[Reached], said: str) -> Finding:
    """Why no broker answers: the address that got furthest tells most. `said` is what the client made of it."""
    if not any(one.named for one in reached):
        return _unreachable(
            f"the name of {listed(one.address for one in reached)} is not known here",
            "set BREACHWATCH_BOOTSTRAP_SERVERS, or mend the DNS of this machine",
        )
    opened = [one for one in reached if one.opened]
    if not opened:
        return _unreachable(
            f"nobody takes connections at {listed(one.address for one in reached)}",
            "start the brokers (`breachwatch kafka start` for a local one), open the firewall, or set "
            "BREACHWATCH_BOOTSTRAP_SERVERS to where they are",
        )
    with_tls = [one for one in opened if one.tls]
    first = opened[0].address
    if cluster.tls and not with_tls:
        return _unreachable(
            f"TLS is set, and {first} does not speak it",
            "set BREACHWATCH_BOOTSTRAP_SERVERS to the listener with TLS, or unset BREACHWATCH_KAFKA_TLS, "
            "BREACHWATCH_KAFKA_CA_FILE and BREACHWATCH_KAFKA_USER",
        )
    if with_tls and not cluster.tls:
        return _unreachable(
            f"{first} speaks TLS, and TLS is not set",
            "set BREACHWATCH_KAFKA_CA_FILE, or BREACHWATCH_KAFKA_TLS=true for a certificate of a public authority; "
            "and BREACHWATCH_KAFKA_USER and _PASSWORD_FILE where it wants a log-in",
        )
    if with_tls and all(one.refused_code for one in with_tls):
        return _untrusted(with_tls[0])
    if cluster.tls and "log-in" in said:
        return _unreachable(
            f"the log-in as {cluster.user} was refused at {first}",
            "correct BREACHWATCH_KAFKA_PASSWORD_FILE, or have whoever administers the cluster set it anew "
            "(SCRAM-SHA-512)",
        )
    if cluster.tls and cluster.user is None and cluster.cert_file is None:
        return _unreachable(
            f"{first} hangs up on who is not logged in",
            "set BREACHWATCH_KAFKA_USER and _PASSWORD_FILE, or BREACHWATCH_KAFKA_CLIENT_CERT_FILE and _KEY_FILE",
        )
    if cluster.tls and cluster.user is None:
        return _unreachable(
            f"{first} hangs up on {cluster.who}",
            "look whether that certificate is still good, and whether this listener trusts who signed it",
        )
    if cluster.tls:
        return _unreachable(
            f"{first} speaks TLS, and does not answer {cluster.user}'s log-in",
            "have whoever administers the cluster look whether this listener is SASL_SSL with SCRAM-SHA-512",
        )
    return _unreachable(
        f"{first} takes connections, and does not answer as Kafka does",
        "look whether that is a broker's port, and whether the broker stands still; a listener that wants a log-in "
        "without TLS (SASL_PLAINTEXT) is not supported",
    )


def elsewhere(advertised: Mapping[int, str], unreachable: Iterable[Reached]) -> Iterator[Finding]:
    """Brokers that say that they are where nobody is: clients go there with all but their first request."""
    lost = {one.address: one for one in unreachable}
    for number, address in advertised.items():
        if address in lost:
            why = "nobody takes connections there" if lost[address].named else "the name is not known here"
            yield Finding(
                "broker",
                "fail",
                f"{number} says that it is at {address}, and cannot be reached there from here: {why}",
                "mend its advertised.listeners, or the network and the names between it and this machine; the rest "
                "was not looked at",
            )


def _untrusted(one: Reached) -> Finding:
    if one.refused_code == _EXPIRED:
        return _unreachable(
            f"the certificate of {one.address} has expired{_on(one.ends)}",
            "have whoever administers the cluster renew it; a broker reads it again without a restart",
        )
    if one.refused_code == _NOT_YET_VALID:
        return _unreachable(
            f"the certificate of {one.address} is not valid yet", "look at the clock of this machine: run NTP"
        )
    if one.refused_code in _OTHER_NAME:
        return _unreachable(
            f"the certificate of {one.address} is for another name",
            "set BREACHWATCH_BOOTSTRAP_SERVERS to the name that is in it, or have it issued for this one",
        )
    if one.refused_code in _UNKNOWN_AUTHORITY:
        return _unreachable(
            f"the certificate of {one.address} is not signed by an authority that is known here",
            "set BREACHWATCH_KAFKA_CA_FILE to the PEM file of the authority that signed it",
        )
    return _unreachable(
        f"the certificate of {one.address} is not trusted: {one.refused}",
        "have whoever administers the cluster issue another",
    )


def _on(ends: datetime | None) -> str:
    return "" if ends is None else f", on {ends:%Y-%m-%d}"


def _unreachable(detail: str, mend: str) -> Finding:
    return Finding("connection", "fail", detail, mend)


def certificate(whose: str, ends: datetime, now: datetime) -> Finding:
    """When a certificate ends that is still good, or a moment ago was."""
    left = ends - now
    if left < CERTIFICATE_WARN:
        shown = (
            f"that of {whose} ends on {ends:%Y-%m-%d}, in {max(0, left.days)} days: then nothing connects any more"
        )
        state: State = "fail" if left < CERTIFICATE_FAIL else "warn"
        return Finding("certificate", state, shown, "have it renewed before that day")
    return Finding("certificate", "ok", f"that of {whose} is good until {ends:%Y-%m-%d}")


def certificates(cluster: Cluster, addresses: Iterable[str], now: datetime) -> Iterator[Finding]:
    """Of each broker at the address that it is met at, and of those in our own files; nothing without TLS."""
    if not cluster.tls:
        return
    for address in addresses:
        ends = reach(cluster, address).ends
        if ends is not None:
            yield certificate(address, ends, now)
    for whose, file in (("the authority in", cluster.ca_file), ("ours in", cluster.cert_file)):
        if file is not None:
            yield certificate(f"{whose} {file}", datetime.fromtimestamp(end_of(file), tz=UTC), now)
