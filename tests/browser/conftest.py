"""A board on a real Kafka, a worker and the system's Chromium, for tests that look at the page."""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from harness import Pipeline, Process, eventually
from listener import board_settings, is_ready, token
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from streams.settings import Settings


def needed(program: str) -> str:
    """Where a package of Debian's is: Playwright's own browser cannot be downloaded everywhere."""
    found = shutil.which(program)
    if found is None:
        # Where it was to be installed, a test that does not run is a failure.
        say = pytest.fail if os.environ.get("CI") else pytest.skip
        say(f"needs Debian's package {program}")
    return found


class Room:
    """The board's server and its pipeline; a test may kill the server and start it again."""

    def __init__(self, pipeline: Pipeline, settings: Settings) -> None:
        self.pipeline, self.settings = pipeline, settings
        self.url = f"http://127.0.0.1:{settings.board_port}"
        self.server: Process = pipeline.run("board", settings=settings)
        self.wait()

    def wait(self) -> None:
        eventually(lambda: is_ready(self.settings), "the board is ready")

    def kill(self) -> None:
        self.server.kill()

    def restart(self) -> None:
        self.server = self.pipeline.run("board", settings=self.settings)
        self.wait()


@pytest.fixture(scope="module")
def room(module_pipeline: Pipeline, tmp_path_factory: pytest.TempPathFactory) -> Room:
    settings = board_settings(
        module_pipeline.settings,
        tmp_path_factory.mktemp("jwks"),
        board_heartbeat_s=1.0,
        board_rate="100000/minute",
    )
    module_pipeline.worker()
    made = Room(module_pipeline, settings)
    module_pipeline.ready(workers=1)
    return made


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Playwright's own event loop runs as long as it does: other files of tests must be able to have theirs."""
    chromium = needed("chromium")
    with sync_playwright() as playwright:
        # CI is root in a container, where Chromium's sandbox cannot be had.
        started = playwright.chromium.launch(
            executable_path=chromium, args=["--no-sandbox", "--autoplay-policy=no-user-gesture-required"]
        )
        yield started
        started.close()


Open = Callable[..., Page]


@pytest.fixture
def page_of(room: Room, browser: Browser) -> Iterator[Open]:
    """Opens the board in a browser of its own, as somebody; an error of its scripts fails the test."""
    contexts: list[BrowserContext] = []
    errors: list[str] = []

    def page_of(given: str | None = None, follows: bool = True, before: str = "", **context: Any) -> Page:
        options = {"viewport": {"width": 1440, "height": 900}, "color_scheme": "light", **context}
        contexts.append(browser.new_context(**options))
        page = contexts[-1].new_page()
        # What watches the browser's own calls, before the page's scripts run.
        page.add_init_script(before)
        page.on("pageerror", lambda error: errors.append(str(error)))
        if not follows:
            page.route("**/api/v1/stream*", lambda route: route.abort())
        page.goto(f"{room.url}/#token={given or token()}")
        page.locator("#room").wait_for()
        return page

    yield page_of
    for context in contexts:
        context.close()
    assert errors == []


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where screenshots go, for people to look at."""
    return tmp_path_factory.mktemp("pictures")


@pytest.fixture(scope="session")
def axe(tmp_path_factory: pytest.TempPathFactory) -> str:
    """axe-core, as a script."""
    npm = needed("npm")
    folder = tmp_path_factory.mktemp("axe")
    for name in ("package.json", "package-lock.json"):
        shutil.copy(Path(__file__).with_name(name), folder)
    command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=200)
    assert done.returncode == 0, done.stderr
    return (folder / "node_modules/axe-core/axe.min.js").read_text("utf-8")
