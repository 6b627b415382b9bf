"""What requests to the board share: when another board is better asked, and a trail that cannot be written."""

import asyncio
import time
from typing import Any

import pytest

from streams.board.people import Person
from streams.board.service import Board
from streams.problems import ProblemError
from streams.settings import Settings
from streams.tokens import Tokens


class NoKeys:
    def key(self, _: str | None) -> Any:
        return None


@pytest.fixture
def board() -> Board:
    return Board(Settings(bootstrap_servers="127.0.0.1:1"), Tokens(NoKeys(), "a", None))


def test_a_blind_board_goes_on_to_show_what_it_has_and_leaves_the_rest_to_others(board: Board) -> None:
    board.follower.caught_up.set()
    board.follower._fresh_at = time.monotonic()
    assert (board.follower.ready(), board.follower.current()) == (None, None)
    board.follower._fresh_at -= 60
    assert board.follower.ready() is None
    assert "60 s old" in (board.follower.current() or "")


def test_a_list_that_could_not_be_put_on_the_trail_is_put_there_the_next_time(
    board: Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[str] = []

    async def record(entry: Any) -> None:
        tried.append(entry.decision)
        if len(tried) == 1:
            raise ProblemError(503, "The log cannot be written", "")

    monkeypatch.setattr(board.sending, "record", record)
    somebody = Person("op-7", "controller", None, 2e9)

    async def run() -> None:
        for _ in range(3):
            board.listed(somebody, "tasks, all")
            await asyncio.gather(*board._recording)

    asyncio.run(run())
    assert tried == ["listed", "listed"], "once in vain, once, and not again within ten minutes"
