"""A broker with TLS, log-ins and rights: as in production, with a user for each role."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from authority import AUTHORIZED, Authority
from kafka.admin import ScramMechanism, UserScramCredentialUpsertion

from streams.kafka import access, admin, local
from streams.kafka.client import connect
from streams.kafka.cluster import Cluster
from streams.settings import Settings

PASSWORD, WRONG_PASSWORD = "only-on-loopback", "as-secret-as-the-right-one"
USERS = {
    "courts": "publish-orders",
    "calls": "publish-breach-reports",
    "board": "dashboard",
    "control-room": "board",
    "w1": "worker",
    "g1": "gate",
    "searcher": "searcher",
    "records": "reconciler",
    "erasures": "eraser",
    "l1": "lookout",
    "mender": "dead-letters",
    "nobody": None,
}


@dataclass(frozen=True)
class Secured:
    inside: Settings
    """By the brokers' own listener, where everything is allowed."""
    outside: Settings
    """By the listener for clients; who nobody is logged in as."""

    def user(self, name: str, password: str = PASSWORD) -> Settings:
        file = self.outside.data_dir / f"password-{len(password)}"
        file.write_text(f"{password}\n")
        return self.outside.model_copy(update={"kafka_user": name, "kafka_password_file": file})


@contextmanager
def running(folder: Path) -> Iterator[Secured]:
    """A broker whose second listener speaks SASL_SSL, with topics, users and their grants."""
    authority = Authority(folder)
    door = local.Door(
        "SASL_SSL",
        properties=AUTHORIZED
        | {
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": str(authority.broker()),
            "sasl.enabled.mechanisms": "SCRAM-SHA-512",
            "listener.name.door.scram-sha-512.sasl.jaas.config": (
                "org.apache.kafka.common.security.scram.ScramLoginModule required;"
            ),
        },
    )
    with local.running(folder / "kafka", door=door) as kafka:
        inside = Settings(bootstrap_servers=kafka.bootstrap_servers, data_dir=folder)
        admin.apply(admin.plan(inside))
        with connect(Cluster(kafka.bootstrap_servers)) as client:
            client.alter_user_scram_credentials(
                [UserScramCredentialUpsertion(user, ScramMechanism.SCRAM_SHA_512, PASSWORD) for user in USERS]
            )
            for user, role in USERS.items():
                if role is not None:
                    access.grant(client, user, access.grants(role, inside))
        yield Secured(
            inside,
            Settings(bootstrap_servers=kafka.door_servers, kafka_ca_file=authority.file, data_dir=folder),
        )
