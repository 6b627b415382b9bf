"""How the lookout begins: it is not ready before there is anything that it watches."""

import asyncio
from typing import Any

import pytest

from streams.health import Health
from streams.lookout import running
from streams.settings import Settings


class BegunError(Exception):
    pass


def test_nothing_is_ready_before_there_is_a_watch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Making the watches asks the brokers, and /readyz answers meanwhile."""

    def services(_: Settings, health: Health) -> list[Any]:
        assert health.asked("/readyz") == {"start": "the process is starting"}
        raise BegunError

    monkeypatch.setattr(running, "services", services)
    with pytest.raises(BegunError):
        asyncio.run(running.run(Settings(), Health("lookout")))
