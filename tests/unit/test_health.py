"""What a process answers about itself."""

import json
import urllib.error
import urllib.request

import pytest

from streams.errors import BreachwatchError
from streams.health import Health, serve
from streams.kafka.local import free_ports


def get(port: int, path: str, host: str = "127.0.0.1") -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://{host}:{port}{path}", timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def test_it_is_alive_but_not_ready_until_it_can_work() -> None:
    health, port = Health("worker"), free_ports(1)[0]
    assert health.asked("/readyz") == {"start": "the process is starting"}
    why: dict[str, str | None] = {"loop": None, "tables": "tables are being recovered"}
    health.alive["loop"] = lambda: why["loop"]
    health.ready["tables"] = lambda: why["tables"]
    serve("127.0.0.1", port, health)
    assert get(port, "/healthz")[0] == 200
    code, body = get(port, "/readyz")
    assert (code, json.loads(body)) == (503, {"ok": False, "wrong": {"tables": "tables are being recovered"}})
    why["tables"] = None
    assert get(port, "/readyz")[0] == 200
    why["loop"] = "the event loop stands still for 70 s"
    assert get(port, "/healthz")[0] == get(port, "/readyz")[0] == 503
    shown = get(port, "/metrics")[1]
    assert 'breachwatch_ready{check="loop"} 0.0' in shown
    assert 'breachwatch_ready{check="tables"} 1.0' in shown
    assert 'breachwatch_alive{check="loop"} 0.0' in shown
    assert 'role="worker"' in shown
    with pytest.raises(BreachwatchError, match="needs one of its own"):
        serve("127.0.0.1", port, Health("worker"))


def test_it_is_served_on_the_address_that_is_set_and_on_no_other() -> None:
    [port] = free_ports(1)
    serve("127.0.0.2", port, Health("worker"))
    assert get(port, "/healthz", "127.0.0.2")[0] == 200
    with pytest.raises(urllib.error.URLError, match="refused"):
        get(port, "/healthz")
    with pytest.raises(BreachwatchError, match=r"metrics port 80 of 192\.0\.2\.1 cannot be used"):
        serve("192.0.2.1", 80, Health("worker"))
