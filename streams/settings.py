"""Every knob of a breachwatch process, with its unit; read from the environment.

Each field is set by the variable ``BREACHWATCH_<FIELD>``, for example ``BREACHWATCH_BOOTSTRAP_SERVERS``. No field
is a secret: where one is needed, a field names the file that holds it, so that no environment and no argument does.
"""

import ipaddress
import json
import os
from pathlib import Path
from typing import Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

PREFIX = "BREACHWATCH_"
MAX_MESSAGE_BYTES = 1_000_000


def is_loopback(host: str) -> bool:
    """Does only this machine reach it?"""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class Settings(BaseSettings):
    """Settings of one process."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="ignore", frozen=True)

    bootstrap_servers: str | None = Field(
        default=None,
        description="host:port[,host:port]; unset means the local Kafka started by `breachwatch kafka start`",
    )
    kafka_tls: bool = Field(
        default=False, description="encrypt connections to the brokers; implied by the settings that need it"
    )
    kafka_ca_file: Path | None = Field(
        default=None,
        description="PEM file of the authorities that sign the brokers' certificates; unset: the system's",
    )
    kafka_user: str | None = Field(default=None, description="name to log in with (SCRAM-SHA-512, always with TLS)")
    kafka_password_file: Path | None = Field(
        default=None, description="file that holds its password, and a line end at most"
    )
    kafka_client_cert_file: Path | None = Field(
        default=None,
        description="PEM file of our own certificate and those between it and the authority (mutual TLS)",
    )
    kafka_client_key_file: Path | None = Field(default=None, description="PEM file of its private key")
    kafka_key_password_file: Path | None = Field(
        default=None, description="file that holds the password of the private key, where it is encrypted"
    )
    access_file: Path | None = Field(
        default=None, description="TOML file of who has which roles, for `breachwatch topics plan` and `apply`"
    )
    environment: Literal["development", "production"] = Field(
        default="development",
        description="partition counts and replication: 4 and 1, or 48 and 3; permanent once tables exist",
    )
    replication: int | None = Field(
        default=None,
        ge=1,
        le=9,
        description="copies of each topic; unset means 1 in development, 3 in production",
    )
    partitions: int | None = Field(
        default=None,
        ge=1,
        le=1000,
        description="partitions of each topic; unset means 4 in development, 48 in production; permanent",
    )
    topic_prefix: str = Field(
        default="",
        pattern=r"^([A-Za-z0-9_-]{1,40}-)?$",
        description="put before every topic and group name, so that several pipelines share one cluster",
    )
    policy_file: Path | None = Field(
        default=None, description="the TOML policy of the force; unset means the default that is shipped"
    )
    data_dir: Path = Field(
        default=Path(".breachwatch"),
        description="local state: the development Kafka and the workers' table stores",
    )
    java: str | None = Field(
        default=None, description="the java to run the local Kafka with; unset means the packaged runtime"
    )

    freshness_timeout_s: float = Field(
        default=10.0, gt=0, description="seconds without a confirmed fresh identifier index before it is said"
    )
    commit_interval_s: float = Field(
        default=0.5, gt=0, description="seconds between commits; each waits for every send made before it"
    )
    send_timeout_s: float = Field(
        default=30.0, gt=0, description="seconds a send may stay unacknowledged before the process ends"
    )
    session_timeout_s: float = Field(
        default=30.0, gt=0, description="seconds without a heartbeat after which the group gives partitions away"
    )
    table_store: str = Field(
        default="rocksdb://", description="where tables are kept: `rocksdb://` on disk, or `memory://`"
    )
    decoded_subjects: int = Field(
        default=2000,
        ge=0,
        description="subjects whose row a worker keeps decoded (some 50 KB each), for their next event",
    )
    stall_timeout_s: float = Field(
        default=120.0, gt=0, description="seconds without progress after which a stuck process ends itself"
    )
    recovery_timeout_s: float = Field(
        default=600.0, gt=0, description="seconds a worker may take to recover its tables before it ends"
    )
    gate_lookback_s: float = Field(
        default=30.0,
        ge=0,
        description="seconds after a plate read within which an order that is published still finds it",
    )
    gate_lookback_reads: int = Field(
        default=250_000,
        gt=0,
        description="reads on no order remembered at most (some 0.8 KB each), however far behind workers are; half a "
        "minute of 5,000 a second are 150,000",
    )
    rescan_gate_lag_s: float = Field(
        default=60.0,
        gt=0,
        description="seconds that the gate may be behind its look-back before a search of retained reads waits",
    )
    gate_batch: int = Field(default=5000, gt=0, description="reads taken from the broker at a time")
    adapter_sources: dict[str, str] = Field(
        default={}, description="the `source` of events from raw messages that name none, by format, as JSON"
    )
    cameras_file: Path | None = Field(
        default=None, description="CSV of camera_id,latitude,longitude, for reads that do not say where they were"
    )
    cap_sender: str = Field(
        default="breachwatch",
        pattern=r"^[^\s,<&]+$",
        description="who alerts in CAP are from, as their readers know us",
    )
    door_jwks_file: Path | None = Field(
        default=None, description="JWKS file (RFC 7517) with the keys that sign the tokens of the HTTP door"
    )
    door_audience: str = Field(default="breachwatch", description="what a token's `aud` must name")
    door_issuer: str | None = Field(default=None, description="what a token's `iss` must be; unset: not looked at")
    door_host: str = Field(default="127.0.0.1", description="address that the HTTP door listens on")
    door_port: int = Field(default=8070, ge=0, le=65535, description="its port")
    door_batch: int = Field(default=500, gt=0, description="events of one request")
    door_max_bytes: int = Field(default=5_000_000, gt=0, description="bytes of one request")
    door_rate: str = Field(default="60000/minute", description="events of one sender at the HTTP door")
    board_jwks_file: Path | None = Field(
        default=None, description="JWKS file (RFC 7517) with the keys that sign the tokens of the board"
    )
    board_jwks_url: str | None = Field(
        default=None,
        description="or the address of such a JWKS, as an identity provider has it",
    )
    board_audience: str = Field(default="breachwatch-board", description="what a token's `aud` must name")
    board_issuer: str | None = Field(default=None, description="what a token's `iss` must be; unset: not looked at")
    board_host: str = Field(default="127.0.0.1", description="address that the board listens on")
    board_port: int = Field(default=8071, ge=0, le=65535, description="its port")
    board_rate: str = Field(default="600/minute", description="requests of one person at the board")
    board_clients: int = Field(default=500, gt=0, description="clients of its stream at a time")
    board_clients_each: int = Field(default=50, gt=0, description="of them, of one person")
    board_queue: int = Field(
        default=1000,
        gt=0,
        description="changes that wait for a client of the stream before it is dropped as too slow",
    )
    board_stuck_s: float = Field(
        default=15.0, gt=0, description="seconds that a client of the stream may take nothing before it is dropped"
    )
    board_heartbeat_s: float = Field(default=5.0, gt=0, description="seconds between signs of life on the stream")
    board_ring: int = Field(
        default=20_000, gt=0, description="changes kept for clients that come back, some 2 KB each"
    )
    board_ring_s: float = Field(default=900.0, gt=0, description="seconds that they are kept")
    board_alerts_h: float = Field(default=24.0, gt=0, description="hours of alerts that the board has")
    board_alerts: int = Field(default=5000, gt=0, description="alerts that it has at most, some 2 KB each")
    board_ended_days: float = Field(
        default=31.0, gt=0, description="days that tasks which are over count in statistics, some 10 KB each"
    )
    board_answer_timeout_s: float = Field(
        default=5.0, gt=0, description="seconds that the board waits for the answer to an update"
    )
    dead_letters_per_minute: int = Field(
        default=100,
        gt=0,
        description="dead letters of one topic and source that are kept one by one; the rest is counted",
    )
    max_message_bytes: int = Field(
        default=MAX_MESSAGE_BYTES, gt=0, description="bytes of a message value that an ingest agent still parses"
    )
    canary_interval_s: float = Field(
        default=5.0, ge=0, le=10, description="seconds between synthetic sightings, 1 to 10; 0: none"
    )
    canary_through_gate: bool = Field(
        default=True, description="each of them also as a plate read; off where no gate runs"
    )
    metrics_host: str = Field(
        default="127.0.0.1",
        description="address that /metrics, /healthz and /readyz are served on, to whoever asks: nothing personal is",
    )
    metrics_port: int = Field(default=0, ge=0, le=65535, description="their port; 0: none of them")

    @field_validator("board_jwks_url")
    @classmethod
    def _of_whom_it_says(cls, value: str | None) -> str | None:
        if value is not None:
            address = urlsplit(value)
            if address.scheme != "https" and not (address.scheme == "http" and is_loopback(address.hostname or "")):
                raise ValueError("an https:// address: whoever stands in between could else state keys of their own")
        return value

    @field_validator("canary_interval_s")
    @classmethod
    def _a_second_apart(cls, value: float) -> float:
        if 0 < value < 1:
            raise ValueError("synthetic sightings are a second apart at least; 0 is none")
        return value

    @model_validator(mode="after")
    def _log_in_whole(self) -> Self:
        for one, other in (
            ("kafka_user", "kafka_password_file"),
            ("kafka_client_cert_file", "kafka_client_key_file"),
        ):
            if (getattr(self, one) is None) != (getattr(self, other) is None):
                raise ValueError(f"{one} and {other} go together: set both, or neither")
        if self.kafka_key_password_file is not None and self.kafka_client_key_file is None:
            raise ValueError("kafka_key_password_file is of no use without kafka_client_key_file")
        return self

    def as_variables(self) -> dict[str, str]:
        """The settings that are not the defaults, as environment variables: for a child, or for a person to copy."""
        return {
            PREFIX + name.upper(): json.dumps(value) if isinstance(value, dict) else str(value)
            for name, value in self.model_dump(exclude_defaults=True).items()
        }

    def child_environment(self) -> dict[str, str]:
        """The environment of a child process: ours, with these settings and no others."""
        return {
            name: value for name, value in os.environ.items() if not name.startswith(PREFIX)
        } | self.as_variables()
