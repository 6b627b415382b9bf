"""Who has which roles, as a file says, against what the cluster's access-control lists let them do.

The file is TOML; a user is named as the brokers know them, by a log-in or by the subject of a certificate:

    [users]
    courts = ["publish-orders"]
    "CN=worker-1,O=Norfolk Constabulary" = ["worker"]

``compare`` decides and is pure; ``plan`` and ``apply`` talk to the cluster.
"""

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from kafka.admin import (
    ACL,
    ACLFilter,
    ACLOperation,
    ACLPermissionType,
    KafkaAdminClient,
    ResourcePatternFilter,
    ResourceType,
)
from kafka.admin import ACLResourcePatternType as Pattern
from pydantic import BaseModel, ConfigDict

from streams.kafka import access
from streams.kafka.admin import READY_TIMEOUT_S, cluster_of
from streams.kafka.client import KafkaRequestError, connect
from streams.kafka.cluster import Cluster
from streams.kafka.topics import TOPICS, full_name
from streams.settings import Settings
from streams.toml_file import read_toml

_POLL_S = 0.1
_GROUPS = "breachwatch"
"""What the names of all consumer groups of ours begin with, after the deployment's prefix."""


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    users: dict[str, list[str]]


@dataclass(frozen=True)
class AccessPlan:
    """What the access-control lists lack, and what they hold beyond the file; each in the order that is shown."""

    cluster: Cluster
    kept: int
    missing: tuple[ACL, ...]
    beyond: tuple[ACL, ...]
    """On our topics and groups alone."""
    wide: tuple[ACL, ...]
    """On our topics or groups and others' too, or on the cluster: for whoever administers it."""


def declared(file: Path, settings: Settings) -> set[ACL]:
    """Every entry that the roles in the file come to. Raises BreachwatchError for a file that does not hold."""
    users = read_toml(_File, file, "access file").users
    return {
        access.entry(user, one)
        for user, roles in users.items()
        for role in roles
        for one in access.grants(role, settings)
    }


def compare(cluster: Cluster, wanted: set[ACL], held: Iterable[ACL], settings: Settings) -> AccessPlan:
    """What is missing, and what is there and not wanted; what is no matter of this pipeline is left out."""
    there = set(held)
    unwanted = sorted(there - wanted, key=shown)
    names = {full_name(settings, topic.name) for topic in TOPICS}
    groups = settings.topic_prefix + _GROUPS
    beyond = [one for one in unwanted if _is_ours(one, names, groups)]
    wide = [one for one in unwanted if one not in beyond and _reaches(one, names, groups)]
    return AccessPlan(
        cluster, len(there & wanted), tuple(sorted(wanted - there, key=shown)), tuple(beyond), tuple(wide)
    )


def _is_ours(one: ACL, names: set[str], groups: str) -> bool:
    resource = one.resource_pattern
    if resource.resource_type == ResourceType.GROUP:
        return bool(resource.resource_name.startswith(groups))
    literal = resource.pattern_type == Pattern.LITERAL
    return literal and resource.resource_type == ResourceType.TOPIC and resource.resource_name in names


def _reaches(one: ACL, names: set[str], groups: str) -> bool:
    resource = one.resource_pattern
    if resource.resource_type == ResourceType.CLUSTER:
        return True
    ours = {ResourceType.TOPIC: names, ResourceType.GROUP: {groups}}.get(resource.resource_type, set())
    if resource.pattern_type == Pattern.PREFIXED:
        return any(name.startswith(resource.resource_name) for name in ours)
    return bool(ours) and resource.resource_name == "*"


def plan(settings: Settings) -> AccessPlan | None:
    """Compare the cluster with the access file of the settings; None where there is none. Changes nothing."""
    if settings.access_file is None:
        return None
    wanted = declared(settings.access_file, settings)
    cluster = cluster_of(settings)
    with connect(cluster) as client:
        return compare(cluster, wanted, _held(client), settings)


def apply(plan: AccessPlan, *, prune: bool) -> None:
    """Add what is missing and, with ``prune``, take what is beyond; never what is wide.

    Added first, so that nobody is without a right that they have before and after. Returns when the brokers know it;
    raises BreachwatchError when the cluster refuses.
    """
    with connect(plan.cluster) as client:
        if plan.missing:
            access.add(client, plan.missing)
        if prune and plan.beyond:
            access.take(client, plan.beyond)
        gone = set(plan.beyond) if prune else set()
        deadline = time.monotonic() + READY_TIMEOUT_S
        while not set(plan.missing) <= (held := _held(client)) or gone & held:
            if time.monotonic() > deadline:
                raise KafkaRequestError(f"the access-control lists are not as was set after {READY_TIMEOUT_S:.0f} s")
            time.sleep(_POLL_S)


def _held(client: KafkaAdminClient) -> set[ACL]:
    anything = ACLFilter(
        principal=None,
        host=None,
        operation=ACLOperation.ANY,
        permission_type=ACLPermissionType.ANY,
        resource_pattern=ResourcePatternFilter(ResourceType.ANY, None, Pattern.ANY),
    )
    found, _ = client.describe_acls(anything)
    return set(found)


def render(plan: AccessPlan, *, prune: bool = False) -> str:
    """The plan as text: a line for each entry that is not as the file says, and a count of those that are."""
    lines = [f"{'grant':<8} {shown(one)}" for one in plan.missing]
    lines += [f"{'take' if prune else 'beyond':<8} {shown(one)}" for one in plan.beyond]
    lines += [f"{'by hand':<8} {shown(one)}: it reaches further than this pipeline" for one in plan.wide]
    counts: Mapping[str, int] = {
        "to grant": len(plan.missing),
        "beyond the access file": len(plan.beyond),
        "by hand": len(plan.wide),
        "as declared": plan.kept,
    }
    lines.append(f"access: {', '.join(f'{count} {what}' for what, count in counts.items() if count) or 'nothing'}")
    if plan.beyond and not prune:
        lines.append("what is beyond the access file goes with `breachwatch topics apply --prune`")
    return "\n".join(lines)


def shown(one: ACL) -> str:
    """An entry for people; sorts by user."""
    resource = one.resource_pattern
    may = "may" if one.permission_type == ACLPermissionType.ALLOW else "may not"
    wild = "*" if resource.pattern_type == Pattern.PREFIXED else ""
    host = "" if one.host == "*" else f" from {one.host}"
    return (
        f"{one.principal.removeprefix('User:')} {may} {one.operation.name} "
        f"{resource.resource_type.name.lower()} {resource.resource_name}{wild}{host}"
    )
