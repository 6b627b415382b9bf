"""The board's page in a real browser, on a real Kafka, a real worker and a real server."""

import time
from pathlib import Path

from harness import ago, order, report, tag_fix
from listener import token
from playwright.sync_api import Locator, Page, expect

from schemas.tasks import ArrestTask

EXPECT_MS = 30_000


def breach(room, subject: str, **data) -> ArrestTask:
    """The task of a breach that is reported now."""
    room.pipeline.publish("orders", order(subject, **data))
    room.pipeline.publish("breach-reports", report(f"O-{subject}"))
    return room.pipeline.until(lambda: room.pipeline.outputs.tasks_of(subject), f"a task for {subject}")[-1]


def row(page: Page, task: ArrestTask) -> Locator:
    return page.locator(f'.row[data-task="{task.task_id}"]')


def open_task(page: Page, task: ArrestTask) -> None:
    row(page, task).locator("a").click(timeout=EXPECT_MS)
    page.locator(".task h2").wait_for()


def test_a_breach_appears(room, page_of) -> None:
    page = page_of()
    room.pipeline.publish("orders", order("P1"))
    room.pipeline.drained()
    page.evaluate(
        """() => new Promise((ready) => {
          window.appeared = new Promise((done) => {
            const seen = () => [...document.querySelectorAll(".who")].some((e) => e.textContent === "Respondent P1");
            const watch = new MutationObserver(() => seen() && requestAnimationFrame(() => done(Date.now())));
            watch.observe(document.body, { childList: true, subtree: true, characterData: true });
            ready();
          });
        })"""
    )
    began = time.time()
    room.pipeline.publish("breach-reports", report("O-P1"))
    appeared = page.evaluate("() => window.appeared") / 1000
    print(f"published to pixel: {(appeared - began) * 1000:.0f} ms")
    assert appeared - began < 5
    assert "token" not in page.url


def test_acknowledged_in_one_browser_it_shows_in_another(room, page_of) -> None:
    first, second = page_of(token(name="op-1")), page_of(token(name="op-2"))
    task = breach(room, "A1")
    open_task(first, task)
    first.keyboard.press("a")
    expect(row(second, task).locator(".holder")).to_have_text("op-1 (acknowledged)", timeout=EXPECT_MS)
    expect(first.locator("#said")).to_have_text("Acknowledge: done. The task is acknowledged.", timeout=EXPECT_MS)


def test_of_two_controllers_one_is_told(room, page_of) -> None:
    task = breach(room, "W1")
    # Without the stream neither can know of the other in time.
    pages = [page_of(token(name=name), follows=False) for name in ("op-1", "op-2")]
    for page in pages:
        open_task(page, task)
        page.get_by_role("button", name="Acknowledge").wait_for()
    for page in pages:
        page.keyboard.press("a")
    for page in pages:
        expect(page.locator("#said")).to_contain_text("Acknowledge:", timeout=EXPECT_MS)
    said = sorted(page.locator("#said").inner_text() for page in pages)
    assert said[0].startswith("Acknowledge: done.")
    assert "acknowledged already by" in said[1]


def test_a_viewer_has_no_buttons_and_is_told(room, page_of) -> None:
    task = breach(room, "V1")
    page = page_of(token("viewer"))
    open_task(page, task)
    assert page.locator("[data-action]").count() == 0
    page.keyboard.press("a")
    expect(page.locator("#said")).to_contain_text("Your role is to look")
    expect(row(page, task).locator(".holder")).to_have_text("nobody yet")


def test_another_forces_task_is_not_shown_by_its_address(room, page_of) -> None:
    task = breach(room, "F1", owning_force="Norfolk Constabulary")
    page = page_of(token("controller", "Essex Police"))
    page.goto(f"{room.url}/#/tasks/{task.task_id}")
    expect(page.locator("#task .problem")).to_contain_text("there is no task of that id")
    assert "F1" not in page.locator("body").inner_text()


def test_a_dead_server_is_stale_and_nothing_is_lost(room, page_of, axe: str, pictures: Path) -> None:
    page = page_of()
    before = breach(room, "S1")
    expect(row(page, before)).to_be_visible(timeout=EXPECT_MS)
    room.kill()
    missed = breach(room, "S2")
    expect(page.locator("#stale")).to_contain_text("STALE", timeout=EXPECT_MS)
    expect(page.locator("#as-of")).to_contain_text("NOT LIVE")
    page.screenshot(path=pictures / "stale.png")
    assert violations(page, axe) == []
    assert row(page, missed).count() == 0
    room.restart()
    expect(row(page, missed)).to_be_visible(timeout=EXPECT_MS)
    expect(page.locator("#stale")).to_be_hidden(timeout=EXPECT_MS)


def test_what_is_read_does_not_move(room, page_of) -> None:
    first = breach(room, "R1")
    page = page_of()
    row(page, first).locator("a").focus()
    ids = "() => [...document.querySelectorAll('.row')].map((row) => row.dataset.task)"
    before = page.evaluate(ids)
    fresh = breach(room, "R2")
    expect(page.locator("#news")).to_contain_text("1 new", timeout=EXPECT_MS)
    assert page.evaluate(ids) == before
    page.keyboard.press("n")
    expect(row(page, fresh)).to_be_visible()


RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


def violations(page: Page, axe: str) -> list[str]:
    """What axe-core finds. It is evaluated by the debugger, which the page's CSP does not bind."""
    page.evaluate(axe)
    found = page.evaluate("(rules) => axe.run({ runOnly: rules })", RULES)
    return [f"{v['id']}: {node['html'][:200]}" for v in found["violations"] for node in v["nodes"]]


def test_it_looks_as_it_should(room, page_of, axe: str, pictures: Path) -> None:
    room.pipeline.publish("orders", order("M1", tag="TAG-M1", markers=["weapons", "violence"]))
    places = [(51.5205 - n * 0.0025, -0.1 + n * 0.0006) for n in range(9)]
    fixes = [tag_fix("TAG-M1", ago(600 - 60 * n), where) for n, where in enumerate(places)]
    room.pipeline.publish("sightings", *fixes)
    tasks = room.pipeline.until(lambda: room.pipeline.outputs.tasks_of("M1"), "the breach")
    page = page_of()
    open_task(page, tasks[-1])
    page.locator(".map").wait_for()
    page.screenshot(path=pictures / "task.png")
    found = {"task": violations(page, axe)}
    page.keyboard.press("Escape")
    page.screenshot(path=pictures / "light.png")
    found["light"] = violations(page, axe)
    page.keyboard.press("d")
    page.screenshot(path=pictures / "dark.png")
    found["dark"] = violations(page, axe)
    page.set_viewport_size({"width": 390, "height": 844})
    page.screenshot(path=pictures / "narrow.png")
    found["narrow"] = violations(page, axe)
    page.goto(f"{room.url}/#/statistics")
    page.locator(".chart").first.wait_for()
    page.set_viewport_size({"width": 1440, "height": 900})
    page.screenshot(path=pictures / "statistics.png", full_page=True)
    found["statistics"] = violations(page, axe)
    print(f"pictures: {pictures}")
    assert found == {what: [] for what in found}
