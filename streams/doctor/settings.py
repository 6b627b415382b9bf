"""The settings: misspelt, contradictory, or of files that cannot be used."""

import difflib
import itertools
import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator
from pathlib import Path

from streams.doctor.finding import Finding, listed
from streams.errors import BreachwatchError
from streams.settings import PREFIX, Settings, is_loopback

# Not settings of a process: what a person says of themselves to `breachwatch tasks`, and where the tests find a file.
_ALSO_KNOWN = {"ACTOR", "ROLE", "REAL_FIXES"}
_STORES = ("rocksdb://", "memory://")
_ASK_S = 3.0


def variables(environment: Iterable[str]) -> Iterator[Finding]:
    """Names that look like settings and are none: a misspelt one would be ignored in silence."""
    known = {name.upper() for name in Settings.model_fields} | _ALSO_KNOWN
    for name in sorted(environment):
        rest = name.removeprefix(PREFIX)
        if name.startswith(PREFIX) and rest not in known:
            near = difflib.get_close_matches(rest, known, 1)
            meant = f"did you mean {PREFIX}{near[0]}? " if near else ""
            mend = f"{meant}Correct or unset it; the README has the table of settings"
            yield Finding("settings", "fail", f"{name} is no setting, and is ignored", mend)


def usable(settings: Settings) -> Iterator[Finding]:
    """What each setting names, and what several together mean."""
    found = [*contradictions(settings), *_sources(settings)]
    yield from found or [
        Finding("settings", "ok", f"{settings.environment}, prefix {settings.topic_prefix or 'none'}")
    ]
    yield _policy(settings)
    if settings.cameras_file is not None:
        yield _cameras(settings)
    for what, file in (("door", settings.door_jwks_file), ("board", settings.board_jwks_file)):
        if file is not None:
            yield _keys(what, file)
    yield from _metrics_port(settings)


def contradictions(settings: Settings) -> Iterator[Finding]:
    """What is valid one by one and cannot work, or is not safe, together."""
    yield from _addresses(settings.bootstrap_servers)
    yield from _times_and_sizes(settings)
    yield from _ports(settings)
    if settings.environment == "production":
        yield from _production(settings)


def _addresses(servers: str | None) -> Iterator[Finding]:
    for address in [] if servers is None else servers.split(","):
        host, _, port = address.strip().rpartition(":")
        if "://" in address or not host or not port.isdigit():
            yield _fail(
                f"BREACHWATCH_BOOTSTRAP_SERVERS: {address.strip() or 'nothing'} is not host:port",
                "write host:port[,host:port], without a protocol: TLS is BREACHWATCH_KAFKA_TLS",
            )


def _times_and_sizes(settings: Settings) -> Iterator[Finding]:
    from streams.kafka.topics import LARGE_MESSAGE_BYTES

    if not settings.table_store.startswith(_STORES):
        yield _fail(
            f"BREACHWATCH_TABLE_STORE is {settings.table_store}",
            f"set it to one of {', '.join(_STORES)}, or unset it",
        )
    if settings.commit_interval_s * 2 >= settings.stall_timeout_s:
        yield _fail(
            f"commits are {settings.commit_interval_s:g} s apart, and a process that has not committed for "
            f"{settings.stall_timeout_s:g} s ends itself; after half of that it is not ready",
            "set BREACHWATCH_COMMIT_INTERVAL_S far below BREACHWATCH_STALL_TIMEOUT_S, or unset both",
        )
    if settings.send_timeout_s >= settings.stall_timeout_s:
        yield _warn(
            f"a send may wait {settings.send_timeout_s:g} s, and a process that has not committed for "
            f"{settings.stall_timeout_s:g} s ends itself: it would never say that it was the send",
            "set BREACHWATCH_SEND_TIMEOUT_S below BREACHWATCH_STALL_TIMEOUT_S",
        )
    if settings.max_message_bytes > LARGE_MESSAGE_BYTES:
        yield _warn(
            f"BREACHWATCH_MAX_MESSAGE_BYTES is {settings.max_message_bytes:,}, and no inbound topic takes more than "
            f"{LARGE_MESSAGE_BYTES:,}",
            "set it lower, or unset it: larger messages cannot arrive",
        )


def _ports(settings: Settings) -> Iterator[Finding]:
    if not is_loopback(settings.door_host) and settings.door_jwks_file is None:
        yield _fail(
            f"the door is to listen on {settings.door_host}, and nothing says whose tokens open it",
            "set BREACHWATCH_DOOR_JWKS_FILE, or unset BREACHWATCH_DOOR_HOST",
        )
    if settings.board_jwks_file is not None and settings.board_jwks_url is not None:
        yield _fail(
            "BREACHWATCH_BOARD_JWKS_FILE and BREACHWATCH_BOARD_JWKS_URL are both set: the board does not start",
            "unset one of them",
        )
    elif not is_loopback(settings.board_host) and not (settings.board_jwks_file or settings.board_jwks_url):
        yield _fail(
            f"the board is to listen on {settings.board_host}, and nothing says whose tokens are valid there",
            "set BREACHWATCH_BOARD_JWKS_FILE or BREACHWATCH_BOARD_JWKS_URL, or unset BREACHWATCH_BOARD_HOST",
        )
    ports = {"METRICS": settings.metrics_port, "DOOR": settings.door_port, "BOARD": settings.board_port}
    for (one, port), (other, same) in itertools.combinations(ports.items(), 2):
        if port and port == same:
            yield _fail(
                f"BREACHWATCH_{one}_PORT and BREACHWATCH_{other}_PORT are both {port}", "give each a port of its own"
            )


def _production(settings: Settings) -> Iterator[Finding]:
    if settings.bootstrap_servers is None:
        yield _fail(
            "production, and BREACHWATCH_BOOTSTRAP_SERVERS is not set: the local Kafka would be used",
            "set it to the addresses of the brokers",
        )
    elif not (settings.kafka_tls or settings.kafka_ca_file or settings.kafka_user or settings.kafka_client_cert_file):
        yield _warn(
            "production without TLS: whoever sees the network reads who is sought, and who is protected",
            "set BREACHWATCH_KAFKA_CA_FILE and a log-in: BREACHWATCH_KAFKA_USER and _PASSWORD_FILE",
        )
    if settings.replication in (1, 2):
        yield _warn(
            f"production with BREACHWATCH_REPLICATION={settings.replication}: it stops or loses with one broker",
            "unset it: 3 is the default there",
        )
    if settings.table_store.startswith("memory:"):
        yield _warn(
            "production with tables in memory: each restart reads every changelog from its beginning",
            "unset BREACHWATCH_TABLE_STORE",
        )


def _fail(detail: str, mend: str) -> Finding:
    return Finding("settings", "fail", detail, mend)


def _warn(detail: str, mend: str) -> Finding:
    return Finding("settings", "warn", detail, mend)


def _sources(settings: Settings) -> Iterator[Finding]:
    from streams.adapters.routes import FORMATS

    unknown = sorted(settings.adapter_sources.keys() - FORMATS.keys())
    if unknown:
        yield _fail(
            f"BREACHWATCH_ADAPTER_SOURCES names formats that there are not: {listed(unknown)}",
            f"name some of {', '.join(FORMATS)}",
        )


def _policy(settings: Settings) -> Finding:
    from streams.core.policy import load_policy

    try:
        return Finding("policy", "ok", load_policy(settings.policy_file).version)
    except BreachwatchError as error:
        mend = (
            "mend it; `breachwatch policy check FILE` tells when it is sound. Unset BREACHWATCH_POLICY_FILE meanwhile"
        )
        return Finding("policy", "fail", str(error), mend)


def _cameras(settings: Settings) -> Finding:
    from streams.adapters.cameras import read_cameras

    try:
        return Finding("cameras", "ok", f"{len(read_cameras(settings.cameras_file))} cameras")
    except BreachwatchError as error:
        return Finding(
            "cameras", "fail", str(error), "mend the file that BREACHWATCH_CAMERAS_FILE names, or unset it"
        )


def _keys(what: str, file: Path) -> Finding:
    from streams.tokens import KeyFile

    try:
        KeyFile(file)
    except BreachwatchError as error:
        mend = f"set BREACHWATCH_{what.upper()}_JWKS_FILE to a JWKS file (RFC 7517)"
        return Finding(what, "fail", str(error), mend)
    return Finding(what, "ok", "its keys can be read")


def _metrics_port(settings: Settings) -> Iterator[Finding]:
    """Who has the port of this machine that a process of these settings would serve on; doctor itself serves none."""
    port = settings.metrics_port
    if not port:
        return
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=_ASK_S) as answer:
            ours = b"breachwatch_" in answer.read()
    except urllib.error.URLError as error:
        yield metrics_port(port, None if isinstance(error.reason, ConnectionRefusedError) else False)
    except (OSError, ValueError):
        yield metrics_port(port, False)
    else:
        yield metrics_port(port, ours)


def metrics_port(port: int, ours: bool | None) -> Finding:
    """`ours`: who has it is a process of breachwatch; None: nobody listens there."""
    if ours is None:
        return Finding("metrics port", "ok", f"{port} is free")
    if ours:
        return Finding("metrics port", "ok", f"{port} is a process of breachwatch; each further one needs its own")
    return Finding(
        "metrics port",
        "fail",
        f"another program has port {port}: no process of these settings starts",
        "set BREACHWATCH_METRICS_PORT to a free one, for each process its own",
    )
