"""The Kubernetes manifests: valid by the real schemas, and in agreement with the program and the image."""

import json
import re
import tomllib
from collections.abc import Callable, Iterator
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import yaml
from deployment import DEPLOY, ROOT, Containerfile, accepted, files_named, needs, run, settings

from streams.kafka import access
from streams.kafka.topics import PARTITIONS

HERE = DEPLOY / "kubernetes"
IMAGE = Containerfile()
VERSION = "1.35"
PROCESSES = {"worker", "gate", "lookout", "adapters", "door", "board"}
Object = dict[str, Any]


def built(folder: Path) -> list[Object]:
    needs("kubectl")
    done = run("kubectl", "kustomize", folder)
    assert done.returncode == 0, done.stderr
    return list(yaml.safe_load_all(done.stdout))


@pytest.fixture(scope="module")
def objects() -> list[Object]:
    return built(HERE)


@pytest.fixture(scope="module")
def job() -> list[Object]:
    return built(HERE / "topics")


def of(objects: list[Object], kind: str) -> dict[str, Object]:
    return {one["metadata"]["name"]: one for one in objects if one["kind"] == kind}


def pods(objects: list[Object]) -> dict[str, Object]:
    """Name of each object that makes pods -> its pods' template."""
    made = {**of(objects, "StatefulSet"), **of(objects, "Deployment"), **of(objects, "Job")}
    return {name: one["spec"]["template"] for name, one in made.items()}


def container(pod: Object) -> Object:
    [only] = pod["spec"]["containers"]
    return dict(only)


# -- by the real schemas -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Extension:
    """Where the schema of a kind comes from that Kubernetes itself does not know."""

    module: str
    sum: str
    file: str


EXTENSIONS = {
    "ScaledObject": Extension(
        "github.com/kedacore/keda/v2@v2.21.0",
        "h1:R6z2HZvstK4RLUMxroNACzBj74xGxt3kG59b5Xc+Xps=",
        "config/crd/bases/keda.sh_scaledobjects.yaml",
    ),
    "PodMonitor": Extension(
        "github.com/prometheus-operator/prometheus-operator@v0.85.0",
        "h1:M5xLCLEoaW2IJfnuCwFzzpL+jSVQu3KGT84Pye+fW8s=",
        "example/prometheus-operator-crd/monitoring.coreos.com_podmonitors.yaml",
    ),
}


@pytest.fixture(scope="module")
def extension() -> Callable[[Object], jsonschema.Draft202012Validator]:
    """The schema of such an object, from the release that defines it."""
    needs("go")

    def schema(one: Object) -> jsonschema.Draft202012Validator:
        wanted = EXTENSIONS[one["kind"]]
        got = json.loads(run("go", "mod", "download", "-json", wanted.module, cwd="/").stdout)
        assert got.get("Sum") == wanted.sum, got
        definition = yaml.safe_load(Path(got["Dir"], wanted.file).read_text("utf-8"))["spec"]
        [version] = [each for each in definition["versions"] if each["name"] == one["apiVersion"].split("/")[1]]
        return jsonschema.Draft202012Validator(_closed(version["schema"]["openAPIV3Schema"]))

    return schema


def _closed(schema: Any) -> Any:
    """Kubernetes drops a field that a schema does not name; here it is an error, as `kubectl apply` warns of it."""
    if isinstance(schema, dict):
        found = {name: _closed(value) for name, value in schema.items()}
        if "properties" in schema and not schema.get("x-kubernetes-preserve-unknown-fields"):
            found.setdefault("additionalProperties", False)
        return found
    return [_closed(one) for one in schema] if isinstance(schema, list) else schema


def wrong(one: Object, extension: Callable[[Object], jsonschema.Draft202012Validator]) -> str | None:
    if one["kind"] in EXTENSIONS:
        # The API server's own fields are in every schema of its own, and in none of an extension's.
        stated = {name: value for name, value in one.items() if name != "metadata"}
        found = sorted(extension(one).iter_errors(stated | {"metadata": {}}), key=str)
        return "; ".join(error.message for error in found) or None
    try:
        kubernetes_validate.validate(one, VERSION, strict=True)
    except kubernetes_validate.ValidationError as error:
        return str(error)
    return None


def test_every_object_is_valid(objects: list[Object], job: list[Object], extension: Any) -> None:
    assert {one["kind"] for one in objects} >= {"StatefulSet", "Deployment", "NetworkPolicy", *EXTENSIONS}
    for one in [*objects, *job]:
        assert wrong(one, extension) is None, one["metadata"]["name"]


@pytest.mark.parametrize(
    ("kind", "path", "value"),
    [
        ("StatefulSet", ("spec", "serviceNames"), "worker"),
        ("StatefulSet", ("spec", "minReadySeconds"), "ten"),
        ("Deployment", ("spec", "template", "spec", "containers"), None),
        ("ScaledObject", ("spec", "maxReplicas"), 12),
        ("ScaledObject", ("spec", "triggers", 0, "metricType"), 1),
        ("PodMonitor", ("spec", "podMetricsEndpoints", 0, "intervall"), "10s"),
    ],
)
def test_what_is_not_valid_is_found(
    objects: list[Object], extension: Any, kind: str, path: tuple[Any, ...], value: object
) -> None:
    one = deepcopy(next(iter(of(objects, kind).values())))
    place: Any = one
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    assert wrong(one, extension) is not None


# -- the processes -----------------------------------------------------------------------------------------


def environment(objects: list[Object], pod: Object) -> dict[str, str]:
    """What a container is given; a field of its own object by the name of the field."""
    found: dict[str, str] = dict(IMAGE.environment)
    for source in container(pod).get("envFrom", []):
        found |= of(objects, "ConfigMap")[source["configMapRef"]["name"]]["data"]
    for one in container(pod).get("env", []):
        found[one["name"]] = one.get("value", "worker-0")
    return found


def files(objects: list[Object], pod: Object) -> set[Path]:
    """The files that are mounted: of a ConfigMap as it is, of a secret as it must be."""
    secret = {"kafka": ("ca.crt", "tls.crt", "tls.key"), "door": ("jwks.json",), "board": ("jwks.json",)}
    places = {one["name"]: Path(one["mountPath"]) for one in container(pod)["volumeMounts"]}
    return {
        places[volume["name"]] / name
        for volume in pod["spec"]["volumes"]
        if "secret" in volume or "configMap" in volume
        for name in (
            secret[volume["name"]]
            if "secret" in volume
            else of(objects, "ConfigMap")[volume["configMap"]["name"]]["data"]
        )
    }


def test_every_command_and_setting_exists_and_every_file_is_mounted(objects: list[Object], job: list[Object]) -> None:
    assert set(pods(objects)) == PROCESSES
    for among in (objects, job):
        for name, pod in pods(among).items():
            words = [word.replace("$(POD_NAME)", "worker-0") for word in container(pod)["args"]]
            assert words[0] == name
            assert "command" not in container(pod)
            accepted(words)
            stated = settings(environment(among, pod))
            keys = {"door": stated.door_jwks_file, "board": stated.board_jwks_file}
            others = {file for process, file in keys.items() if process != name}
            assert files_named(stated) - others <= files(among, pod), name
            assert stated.environment == "production"


def test_the_job_and_the_processes_are_told_the_same(objects: list[Object], job: list[Object]) -> None:
    [told] = [environment(job, pod) for pod in pods(job).values()]
    shared = environment(objects, pods(objects)["gate"])
    both = {name for name in told if name.startswith("BREACHWATCH_")} & set(shared)
    assert {name: told[name] for name in both} == {name: shared[name] for name in both}
    assert len({container(pod)["image"] for pod in [*pods(objects).values(), *pods(job).values()]}) == 1


def test_a_worker_is_named_after_its_pod(objects: list[Object]) -> None:
    assert container(pods(objects)["worker"])["args"] == ["worker", "--name", "$(POD_NAME)"]
    [name] = [one for one in container(pods(objects)["worker"])["env"] if one["name"] == "POD_NAME"]
    assert name["valueFrom"]["fieldRef"]["fieldPath"] == "metadata.name"
    claim = of(objects, "StatefulSet")["worker"]["spec"]["volumeClaimTemplates"][0]
    assert claim["metadata"]["name"] == "data"


def test_pods_may_do_nothing_that_they_need_not(objects: list[Object], job: list[Object]) -> None:
    [namespace] = of(objects, "Namespace").values()
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    for name, pod in {**pods(objects), **pods(job)}.items():
        whole, own = pod["spec"]["securityContext"], container(pod)["securityContext"]
        assert (whole["runAsNonRoot"], whole["runAsUser"], whole["fsGroup"]) == (True, IMAGE.uid, IMAGE.uid), name
        assert whole["seccompProfile"] == {"type": "RuntimeDefault"}, name
        assert own == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }, name
        assert pod["spec"]["automountServiceAccountToken"] is False, name
        assert {"requests", "limits"} == set(container(pod)["resources"]), name
        writable = [m["mountPath"] for m in container(pod)["volumeMounts"] if not m.get("readOnly")]
        assert writable == [IMAGE.environment["BREACHWATCH_DATA_DIR"]], name


def test_probes_ask_what_is_served_and_wait_for_a_recovery(objects: list[Object]) -> None:
    for name, pod in pods(objects).items():
        one, stated = container(pod), settings(environment(objects, pod))
        ports = {port["name"]: port["containerPort"] for port in one["ports"]}
        assert ports["metrics"] == stated.metrics_port
        assert stated.metrics_host == "0.0.0.0"
        paths = {kind: one[f"{kind}Probe"]["httpGet"]["path"] for kind in ("startup", "readiness", "liveness")}
        assert paths == {"startup": "/readyz", "readiness": "/readyz", "liveness": "/healthz"}, name
        assert {one[f"{kind}Probe"]["httpGet"]["port"] for kind in paths} == {"metrics"}
        start = one["startupProbe"]
        if name == "worker":
            assert start["periodSeconds"] * start["failureThreshold"] > stated.recovery_timeout_s
        if name == "door":
            assert (ports["http"], stated.door_host) == (stated.door_port, "0.0.0.0")
        if name == "board":
            assert (ports["http"], stated.board_host) == (stated.board_port, "0.0.0.0")


def test_secrets_are_by_reference_and_each_process_has_its_own_user(objects: list[Object], job: list[Object]) -> None:
    assert not of([*objects, *job], "Secret")
    users = tomllib.loads((HERE / "topics" / "access.toml").read_text("utf-8"))["users"]
    assert users == {name: [name] for name in PROCESSES}
    assert set(users) <= set(access.ROLES)
    for name, pod in {**pods(objects), **pods(job)}.items():
        [kafka] = [v["secret"]["secretName"] for v in pod["spec"]["volumes"] if v["name"] == "kafka"]
        assert kafka == ("kafka-admin" if name == "topics" else f"kafka-{name}")


# -- what stands round them --------------------------------------------------------------------------------


def matched(objects: list[Object], selector: Object) -> set[str]:
    wanted = selector.get("matchLabels", selector)
    return {name for name, pod in pods(objects).items() if wanted.items() <= dict(pod["metadata"]["labels"]).items()}


def test_disruptions_take_one_at_a_time_and_hosts_are_shared_out(objects: list[Object]) -> None:
    budgets = of(objects, "PodDisruptionBudget")
    # One of one: a budget would only keep its host from being emptied.
    assert set(budgets) == PROCESSES - {"lookout"}
    for name, budget in budgets.items():
        assert budget["spec"]["maxUnavailable"] == 1
        assert matched(objects, budget["spec"]["selector"]) == {name}
    for name, pod in pods(objects).items():
        apart = pod["spec"].get("affinity", {}).get("podAntiAffinity", {})
        apart = apart.get("requiredDuringSchedulingIgnoredDuringExecution", [])
        spread = pod["spec"].get("topologySpreadConstraints", [])
        hosts = [each for each in [*apart, *spread] if each["topologyKey"] == "kubernetes.io/hostname"]
        assert bool(hosts) == (name != "lookout"), name
        for each in [*apart, *spread]:
            assert matched(objects, each["labelSelector"]) == {name}
    lookout = of(objects, "Deployment")["lookout"]["spec"]
    assert (lookout["replicas"], lookout["strategy"]["type"]) == (1, "Recreate")


def test_services_lead_to_ports_that_there_are(objects: list[Object]) -> None:
    for name, service in of(objects, "Service").items():
        assert matched(objects, service["spec"]["selector"]) == {name}
        named = {port["name"] for port in container(pods(objects)[name])["ports"]}
        assert {port["targetPort"] for port in service["spec"]["ports"]} <= named
    worker = of(objects, "StatefulSet")["worker"]["spec"]
    assert worker["serviceName"] in of(objects, "Service")


def test_the_network_lets_through_what_is_needed_and_nothing_else(objects: list[Object]) -> None:
    policies = of(objects, "NetworkPolicy")
    everything = [one["spec"] for one in policies.values() if one["spec"]["podSelector"] == {}]
    assert {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]} in everything
    stated = settings(environment(objects, pods(objects)["door"]))
    rules = {
        (way, name, port["port"])
        for name, one in policies.items()
        for way in ("ingress", "egress")
        for rule in one["spec"].get(way, [])
        for port in rule["ports"]
        if rule["from" if way == "ingress" else "to"]
    }
    kafka = int(str(stated.bootstrap_servers).rpartition(":")[2])
    assert rules == {
        ("egress", "names", 53),
        ("egress", "kafka", kafka),
        ("ingress", "scraping", stated.metrics_port),
        ("ingress", "door", stated.door_port),
        ("ingress", "board", stated.board_port),
    }
    for name in ("door", "board"):
        assert matched(objects, policies[name]["spec"]["podSelector"]) == {name}


def test_there_are_never_more_workers_than_partitions(objects: list[Object]) -> None:
    [scaled] = [one["spec"] for one in of(objects, "ScaledObject").values()]
    target = scaled["scaleTargetRef"]
    assert target["name"] in of(objects, target["kind"])
    assert "replicas" not in of(objects, target["kind"])[target["name"]]["spec"]
    stated = settings(environment(objects, pods(objects)["worker"]))
    partitions = stated.partitions or PARTITIONS[stated.environment]
    assert 2 <= scaled["minReplicaCount"] <= scaled["maxReplicaCount"] <= partitions


def test_the_canary_has_been_to_every_partition_within_a_minute(objects: list[Object]) -> None:
    stated = settings(environment(objects, pods(objects)["lookout"]))
    assert stated.canary_interval_s * (stated.partitions or PARTITIONS[stated.environment]) <= 60


def test_the_autoscaler_asks_for_a_metric_that_there_is(objects: list[Object]) -> None:
    from prometheus_client import REGISTRY

    from streams import metrics  # noqa: F401 - registers them

    [scaled] = [one["spec"] for one in of(objects, "ScaledObject").values()]
    query = scaled["triggers"][0]["metadata"]["query"]
    [name] = re.findall(r"\bbreachwatch_\w+", query)
    assert name in {family.name for family in REGISTRY.collect()}
    assert set(re.findall(r"(\w+)!?=", query)) <= {"job", "group", "topic", "partition"}


def scraped_jobs() -> Iterator[str]:
    configuration = yaml.safe_load((DEPLOY / "prometheus" / "prometheus.yml").read_text("utf-8"))
    yield from (one["job_name"] for one in configuration["scrape_configs"])


def test_prometheus_knows_each_process_by_the_name_that_the_rules_have(objects: list[Object]) -> None:
    [monitor] = [one["spec"] for one in of(objects, "PodMonitor").values()]
    assert matched(objects, monitor["selector"]) == PROCESSES
    names = {pod["metadata"]["labels"][monitor["jobLabel"]] for pod in pods(objects).values()}
    assert names == PROCESSES
    assert names == set(scraped_jobs()) - {"prometheus", "alertmanager"}
    assert [endpoint["port"] for endpoint in monitor["podMetricsEndpoints"]] == ["metrics"]


def test_the_policy_that_it_starts_with_is_the_one_that_is_shipped() -> None:
    shipped = ROOT / "streams" / "core" / "policy.toml"
    assert (HERE / "policy.toml").read_bytes() == shipped.read_bytes(), "copy the one that is shipped"
