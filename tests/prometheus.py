"""A real Prometheus and a real Alertmanager with the configuration of `deploy/`, and whom they page.

The rules, their `for` and Alertmanager's waits are those that are shipped. Changed are where things are, and how
often Prometheus looks: a test need not wait for ten seconds where two will do.
"""

import json
import re
import shutil
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import watched
import yaml
from harness import WITHIN_S, Process, eventually

from streams.kafka.local import free_ports
from streams.settings import Settings

PROGRAMS = ("prometheus", "prometheus-alertmanager", "promtool", "amtool")
installed = pytest.mark.skipif(
    any(shutil.which(program) is None for program in PROGRAMS),
    reason="Debian's packages prometheus and prometheus-alertmanager are not there",
)
OPTIONS = re.findall(r"^#\s+(--\S+)", (watched.PROMETHEUS / "prometheus.yml").read_text(), re.MULTILINE)
"""What Prometheus is to be started with, as its file says."""
EVERY_S = 2.0
"""How often Prometheus scrapes and evaluates here; 10 s where it is deployed."""

Labels = dict[str, str]
Change = Callable[[dict[str, Any]], None]


@dataclass(frozen=True)
class Notice:
    """One alert of one notification, as a receiver got it; `at` is seconds since 1970."""

    receiver: str
    status: str
    labels: Labels
    annotations: Labels
    at: float

    @property
    def name(self) -> str:
        return self.labels["alertname"]


class Receivers:
    """The services that Alertmanager tells: they keep what they are sent, if it comes with the receiver's token."""

    TOKEN = "a token of the tests"

    def __init__(self) -> None:
        self.notices: list[Notice] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, self))
        threading.Thread(target=self._server.serve_forever, name="receivers", daemon=True).start()

    def url(self, receiver: str) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/{receiver}"

    def named(self, alert: str, receiver: str | None = None) -> list[Notice]:
        """What came of one alert that was firing, the oldest first."""
        return [
            notice
            for notice in self.notices
            if notice.name == alert and notice.status == "firing" and receiver in (None, notice.receiver)
        ]

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    def __init__(self, receivers: Receivers, *request: Any) -> None:
        self._receivers = receivers
        super().__init__(*request)

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        known = self.headers["Authorization"] == f"Bearer {Receivers.TOKEN}"
        if known:
            self._receivers.notices += [
                Notice(self.path[1:], alert["status"], alert["labels"], alert["annotations"], time.time())
                for alert in body["alerts"]
            ]
        self.send_response(200 if known else 401)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """What is received is in `notices`."""


class Alertmanager:
    """A real Alertmanager whose receivers are these; `change` is made to its configuration before it starts."""

    def __init__(self, directory: Path, receivers: Receivers, change: Change | None = None) -> None:
        (directory / "secrets").mkdir(parents=True)
        self.port = free_ports(1)[0]
        config = yaml.safe_load((watched.ALERTMANAGER / "alertmanager.yml").read_text())
        for receiver in config["receivers"]:
            for hook in receiver["webhook_configs"]:
                hook["url"] = receivers.url(receiver["name"])
                (directory / hook["http_config"]["authorization"]["credentials_file"]).write_text(Receivers.TOKEN)
        if change:
            change(config)
        file = directory / "alertmanager.yml"
        file.write_text(yaml.safe_dump(config))
        self.process = _started(
            directory,
            "prometheus-alertmanager",
            f"--config.file={file}",
            f"--storage.path={directory / 'data'}",
            f"--web.listen-address=127.0.0.1:{self.port}",
            "--cluster.listen-address=",
            "--log.level=warn",
        )
        eventually(lambda: _answers(f"http://127.0.0.1:{self.port}/-/ready"), "Alertmanager is ready")

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def post(self, *alerts: Labels) -> None:
        """Alerts that fire from now on, as Prometheus posts them."""
        body = json.dumps([{"labels": labels} for labels in alerts]).encode()
        request = urllib.request.Request(f"{self.url}/api/v2/alerts", body, {"Content-Type": "application/json"})
        urllib.request.urlopen(request, timeout=10).close()

    def alerts(self) -> list[dict[str, Any]]:
        """All that fire, with `status.state`: active or suppressed, and by what."""
        found: list[dict[str, Any]] = _json(f"{self.url}/api/v2/alerts")
        return found


class Prometheus:
    """A real Prometheus that scrapes these ports of loopback, by job."""

    def __init__(self, directory: Path, targets: Mapping[str, Sequence[int]], alertmanager: Alertmanager) -> None:
        shutil.copytree(watched.PROMETHEUS, directory)
        self.port = free_ports(1)[0]
        self._targets = directory / "targets"
        for job in watched.JOBS:
            self.scrape(job, *targets.get(job, ()))
        self.scrape("prometheus", self.port)
        self.scrape("alertmanager", alertmanager.port)
        file = directory / "prometheus.yml"
        config = yaml.safe_load(file.read_text())
        every = f"{EVERY_S:g}s"
        config["global"] |= {"scrape_interval": every, "scrape_timeout": every, "evaluation_interval": every}
        file.write_text(yaml.safe_dump(config))
        self.process = _started(
            directory,
            "prometheus",
            f"--config.file={file}",
            f"--storage.tsdb.path={directory / 'data'}",
            f"--web.listen-address=127.0.0.1:{self.port}",
            "--log.level=warn",
            *OPTIONS,
        )
        eventually(lambda: _answers(f"http://127.0.0.1:{self.port}/-/ready"), "Prometheus is ready")

    def scrape(self, job: str, *ports: int) -> None:
        """From now on these are the job's targets; Prometheus reads the file again by itself."""
        file = self._targets / f"{job}.yml"
        new = file.with_suffix(".new")
        new.write_text(yaml.safe_dump([{"targets": [f"127.0.0.1:{port}" for port in ports]}]))
        new.replace(file)

    def query(self, expr: str) -> list[tuple[Labels, float]]:
        """What an expression gives now: labels and value of each; fails with Prometheus's error."""
        found = _json(f"http://127.0.0.1:{self.port}/api/v1/query?{urllib.parse.urlencode({'query': expr})}")
        assert found["status"] == "success", f"{expr}: {found['error']}"
        assert found["data"]["resultType"] == "vector", expr
        return [(series["metric"], float(series["value"][1])) for series in found["data"]["result"]]

    def rules(self) -> list[dict[str, Any]]:
        """Each rule as Prometheus has it, with `health` and `lastError`."""
        groups = _json(f"http://127.0.0.1:{self.port}/api/v1/rules")["data"]["groups"]
        return [rule for group in groups for rule in group["rules"]]


class Watch:
    """Prometheus, Alertmanager and the receivers, for the length of a block."""

    def __init__(self, directory: Path, targets: Mapping[str, Sequence[int]]) -> None:
        self.receivers = Receivers()
        self.alertmanager = Alertmanager(directory / "alertmanager", self.receivers)
        self.prometheus = Prometheus(directory / "prometheus", targets, self.alertmanager)
        self.query = self.prometheus.query

    def up(self, *jobs: str) -> None:
        """Return when each of these jobs has been scraped."""
        eventually(
            lambda: {labels["job"] for labels, value in self.query("up") if value} >= set(jobs), f"{jobs} are scraped"
        )

    def wait_for(self, alert: str, since: float, within_s: float = 180.0) -> Notice:
        """The first notice of an alert at or after `since`, seconds since 1970; its annotations are rendered."""

        def found() -> list[Notice]:
            return [notice for notice in self.receivers.named(alert) if notice.at >= since]

        def state() -> str:
            firing = sorted({labels["alertname"] for labels, _ in self.query('ALERTS{alertstate="firing"}')})
            told = sorted({notice.name for notice in self.receivers.notices})
            return f"{alert} is received; firing are {firing}, and received were {told}"

        deadline = time.monotonic() + within_s
        while not found():
            assert time.monotonic() < deadline, f"not within {within_s:g} s: {state()}"
            time.sleep(0.1)
        return found()[0]

    def close(self) -> None:
        for process in (self.prometheus.process, self.alertmanager.process):
            if process.running:
                process.stop()
        self.receivers.close()


@contextmanager
def watching(directory: Path, targets: Mapping[str, Sequence[int]]) -> Iterator[Watch]:
    """Watch these ports, by job, for the length of a block."""
    watch = Watch(directory, targets)
    try:
        yield watch
    finally:
        watch.close()


@contextmanager
def alertmanager(directory: Path, change: Change | None = None) -> Iterator[tuple[Alertmanager, Receivers]]:
    """An Alertmanager alone, for the length of a block."""
    receivers = Receivers()
    started = Alertmanager(directory / "alertmanager", receivers, change)
    try:
        yield started, receivers
    finally:
        started.process.stop()
        receivers.close()


def _started(directory: Path, *command: str) -> Process:
    name, *options = command
    return Process(Settings(), directory / "log", *options, program=(name,)).start()


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5):
            return True
    except OSError:
        return False


def _json(url: str) -> Any:
    try:
        with urllib.request.urlopen(url, timeout=WITHIN_S) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        return json.load(error)
