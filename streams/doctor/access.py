"""What the broker's authorizer lets us do, by the roles of a deployment. Nothing is written to find out."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from kafka.admin import KafkaAdminClient
from kafka.errors import GroupAuthorizationFailedError, KafkaError, UnknownTopicOrPartitionError

from streams.doctor.finding import Finding, listed
from streams.kafka.access import ROLES, Grant, grants
from streams.kafka.topics import topic_specs
from streams.settings import Settings

# What the authorizer takes a right for another to give along.
# https://kafka.apache.org/documentation/#operations_in_kafka
_GIVES = {"READ": {"DESCRIBE"}, "WRITE": {"DESCRIBE"}, "ALTER_CONFIGS": {"DESCRIBE_CONFIGS"}, "ALTER": {"DESCRIBE"}}


@dataclass(frozen=True)
class Allowed:
    """What we may do: full name -> operations, None where the broker does not tell."""

    topics: Mapping[str, Iterable[str] | None]
    """Without those that are not there."""
    groups: Mapping[str, Iterable[str] | None]
    """None for a group that nobody has joined yet."""
    cluster: Iterable[str] | None


def ask(client: KafkaAdminClient, settings: Settings) -> Allowed:
    """Raises KafkaError where the broker does not answer."""
    names = [spec.name for spec in topic_specs(settings)]
    topics = {
        # Without any right on it a topic comes back as an error and with no operations.
        topic["name"]: () if topic["error_code"] else topic.get("authorized_operations")
        for topic in client.describe_topics(names)
        if topic["error_code"] != UnknownTopicOrPartitionError.errno
    }
    wanted = {one.name for role in ROLES for one in grants(role, settings) if one.kind == "GROUP"}
    # Of all that begin so, one that nobody has joined: who may join them all may see it.
    groups = {name: _group(client, name.removesuffix("*")) for name in sorted(wanted)}
    return Allowed(topics, groups, client.describe_cluster().get("authorized_operations"))


def _group(client: KafkaAdminClient, name: str) -> Iterable[str] | None:
    try:
        described = client.describe_groups([name])[name]
    except GroupAuthorizationFailedError:
        return ()
    except KafkaError:
        return None
    if described["error"]:
        return () if "GroupAuthorization" in described["error"] else None
    found: Iterable[str] | None = described.get("authorized_operations")
    return found


def lacking(allowed: Allowed, wanted: Iterable[Grant]) -> list[Grant]:
    """Of the wanted grants those that we certainly have not."""
    missing = []
    for one in wanted:
        have = {"TOPIC": allowed.topics, "GROUP": allowed.groups}.get(one.kind, {}).get(one.name)
        if one.kind == "CLUSTER":
            have = allowed.cluster
        if have is None:
            continue
        may = set(have)
        may |= {given for operation in may for given in _GIVES.get(operation, ())}
        if one.operation not in may:
            missing.append(one)
    return missing


def permissions(allowed: Allowed, settings: Settings, who: str, role: str | None = None) -> Finding:
    """Judge the role of which we have the most, or the one that is meant; `who` we are there, for people."""
    if any(operations is None for operations in allowed.topics.values()):
        return Finding("permissions", "warn", "the broker does not tell what is allowed", "ask its administrator")
    wanted = {name: grants(name, settings) for name in ([role] if role else ROLES)}
    missing = {name: lacking(allowed, found) for name, found in wanted.items()}
    # A user who was forgotten one right of a worker still has in full some role that needs little.
    most = max(wanted, key=lambda name: (len(wanted[name]) - len(missing[name]), not missing[name]))
    if not missing[most]:
        whole = [name for name, found in missing.items() if not found]
        return Finding("permissions", "ok", f"{who} may do what these roles may: {listed(whole)}")
    shown = listed(f"{one.operation} on {one.kind.lower()} {one.name}" for one in missing[most])
    user, log_in = settings.kafka_user or "USER", ""
    if not settings.kafka_user:
        log_in = "USER is its subject: " if settings.kafka_client_cert_file else "set BREACHWATCH_KAFKA_USER; "
    return Finding(
        "permissions",
        "fail",
        f"{who} cannot work as {most}: may not {shown}",
        f"{log_in}whoever administers the cluster runs `breachwatch access grant {most} {user}`",
    )
