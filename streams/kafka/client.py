"""One way to reach a cluster for administration: bounded, quiet, and with errors that are for people."""

import logging
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from kafka.admin import KafkaAdminClient
from kafka.errors import KafkaConnectionError, KafkaError, KafkaTimeoutError

from streams.errors import BreachwatchError

CONNECT_TIMEOUT_S = 5.0
_REQUEST_TIMEOUT_S = 30.0


class KafkaUnavailableError(BreachwatchError):
    """No broker answered in time."""


class KafkaRequestError(BreachwatchError):
    """A broker answered a request with an error."""


@contextmanager
def connect(bootstrap_servers: str, timeout_s: float = CONNECT_TIMEOUT_S) -> Iterator[KafkaAdminClient]:
    """An admin client of the cluster at ``host:port[,host:port]``, closed after the block.

    Raises KafkaUnavailableError when no broker answers within ``timeout_s``, and for the block's own
    requests KafkaUnavailableError or KafkaRequestError in place of kafka-python's errors.
    """
    # It logs each failed attempt as an error; what matters comes as an exception.
    logging.getLogger("kafka").setLevel(logging.CRITICAL)
    deadline = time.monotonic() + timeout_s
    # A client that cannot bootstrap waits its whole timeout and leaves its thread behind (kafka-python
    # 3.0.12), so none is made before a port is open.
    if not any(_listens(address, timeout_s) for address in bootstrap_servers.split(",")):
        raise _unavailable(bootstrap_servers)
    left_ms = max(100, int((deadline - time.monotonic()) * 1000))
    try:
        client = KafkaAdminClient(
            bootstrap_servers=bootstrap_servers.split(","),
            client_id="breachwatch-admin",
            bootstrap_timeout_ms=left_ms,
            request_timeout_ms=int(_REQUEST_TIMEOUT_S * 1000),
        )
    except (KafkaError, OSError, ValueError) as error:
        raise _unavailable(bootstrap_servers) from error
    try:
        yield client
    except (KafkaConnectionError, KafkaTimeoutError) as error:
        raise _unavailable(bootstrap_servers) from error
    except KafkaError as error:
        # Its own text holds the whole request and the whole response.
        reason = getattr(error, "description", None) or str(error)
        name = type(error).__name__
        raise KafkaRequestError(f"Kafka at {bootstrap_servers} refused: {name}: {reason}") from error
    finally:
        client.close()


def _unavailable(bootstrap_servers: str) -> KafkaUnavailableError:
    return KafkaUnavailableError(
        f"no Kafka answers at {bootstrap_servers}: start one with `breachwatch kafka start`, "
        "or set BREACHWATCH_BOOTSTRAP_SERVERS to one that runs"
    )


def _listens(address: str, timeout_s: float) -> bool:
    host, _, port = address.strip().rpartition(":")
    with suppress(OSError, ValueError), socket.create_connection((host.strip("[]"), int(port)), timeout_s):
        return True
    return False
