"""One way to reach a cluster for administration: bounded, quiet, and with errors that are for people."""

import logging
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from kafka.admin import KafkaAdminClient
from kafka.errors import KafkaConnectionError, KafkaError, KafkaTimeoutError

from streams.errors import BreachwatchError
from streams.kafka.cluster import Cluster

CONNECT_TIMEOUT_S = 5.0
_REQUEST_TIMEOUT_S = 30.0


class KafkaUnavailableError(BreachwatchError):
    """No broker answered in time."""


class KafkaRequestError(BreachwatchError):
    """A broker answered a request with an error."""


@contextmanager
def connect(cluster: Cluster, timeout_s: float = CONNECT_TIMEOUT_S) -> Iterator[KafkaAdminClient]:
    """An admin client of the cluster, closed after the block.

    Raises KafkaUnavailableError when no broker answers within ``timeout_s``, and for the block's own
    requests KafkaUnavailableError or KafkaRequestError in place of kafka-python's errors.
    """
    refusals = _Refusals()
    deadline = time.monotonic() + timeout_s
    # A client that cannot bootstrap waits its whole timeout and leaves its thread behind (kafka-python
    # 3.0.12), so none is made before a port is open.
    if not any(_listens(address, timeout_s) for address in cluster.servers):
        raise _unavailable(cluster, refusals)
    left_ms = max(100, int((deadline - time.monotonic()) * 1000))
    options = cluster.options()
    try:
        with refusals.heard():
            client = KafkaAdminClient(
                **options,
                client_id="breachwatch-admin",
                bootstrap_timeout_ms=left_ms,
                request_timeout_ms=int(_REQUEST_TIMEOUT_S * 1000),
            )
    except (KafkaError, OSError, ValueError) as error:
        raise _unavailable(cluster, refusals) from error
    try:
        yield client
    except (KafkaConnectionError, KafkaTimeoutError) as error:
        raise _unavailable(cluster, refusals) from error
    except KafkaError as error:
        # Its own text holds the whole request and the whole response.
        reason = getattr(error, "description", None) or str(error)
        name = type(error).__name__
        raise KafkaRequestError(f"Kafka at {cluster} refused: {name}: {reason}") from error
    finally:
        client.close()


class _Refusals(logging.Handler):
    """Why kafka-python could not connect: it says so in its log, and raises a timeout (3.0.12)."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.log_in = False
        self.certificate = False
        self.ours = False
        """Of ours that we do not show, or that is not taken."""

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        self.log_in |= "SaslAuthenticationFailedError" in text
        self.certificate |= "CERTIFICATE_VERIFY_FAILED" in text
        # Whichever alert of TLS a broker chooses (RFC 8446 section 6.2): required, unknown, bad, expired.
        self.ours |= "_ALERT_" in text and ("CERTIFICATE" in text or "UNKNOWN_CA" in text)

    @contextmanager
    def heard(self) -> Iterator[None]:
        """Listen for the length of a block, and let nothing of it through to a person: each attempt is an error."""
        logger = logging.getLogger("kafka")
        before = logger.propagate
        logger.setLevel(logging.WARNING)
        logger.propagate = False
        logger.addHandler(self)
        try:
            yield
        finally:
            logger.removeHandler(self)
            logger.propagate = before
            logger.setLevel(logging.CRITICAL)


def _unavailable(cluster: Cluster, refusals: _Refusals) -> KafkaUnavailableError:
    if refusals.log_in:
        return KafkaUnavailableError(
            f"the log-in as {cluster.user} was refused at {cluster}: look at BREACHWATCH_KAFKA_USER and "
            "BREACHWATCH_KAFKA_PASSWORD_FILE"
        )
    if refusals.certificate:
        return KafkaUnavailableError(
            f"the certificate of {cluster} is not signed by an authority that is known here: set "
            "BREACHWATCH_KAFKA_CA_FILE to the PEM file of the one that signed it"
        )
    if refusals.ours:
        shown = (
            "wants a certificate of ours: set BREACHWATCH_KAFKA_CLIENT_CERT_FILE and its _KEY_FILE"
            if cluster.cert_file is None
            else f"does not take the certificate in {cluster.cert_file}: it must be signed by an authority that the "
            "brokers trust, and not have ended"
        )
        return KafkaUnavailableError(f"{cluster} {shown}")
    hint = (
        ""
        if cluster.tls
        else "; if it wants TLS or a log-in, set BREACHWATCH_KAFKA_CA_FILE and BREACHWATCH_KAFKA_USER"
    )
    return KafkaUnavailableError(
        f"no Kafka answers at {cluster}: start one with `breachwatch kafka start`, or set "
        f"BREACHWATCH_BOOTSTRAP_SERVERS to one that runs{hint}"
    )


def may_not(cluster: Cluster, what: str) -> KafkaRequestError:
    """The error for a user whom the cluster's access-control lists do not let do `what`."""
    return KafkaRequestError(
        f"{cluster.who} may not {what}: whoever administers the cluster can grant a role, "
        "see `breachwatch access roles`"
    )


def _listens(address: str, timeout_s: float) -> bool:
    host, _, port = address.strip().rpartition(":")
    with suppress(OSError, ValueError), socket.create_connection((host.strip("[]"), int(port)), timeout_s):
        return True
    return False
