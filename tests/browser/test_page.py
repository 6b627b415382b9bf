"""The board's page in a real browser, on a real Kafka, a real worker and a real server."""

import re
from pathlib import Path

import pytest
from harness import ago, order, tag_fix, task_update
from listener import token
from looking import EXPECT_MS, breach, open_task, overdue, row, violations
from playwright.sync_api import expect

from schemas.tasks import ArrestTask


def test_acknowledged_in_one_browser_it_shows_in_another(room, page_of) -> None:
    first, second = page_of(token(name="op-1")), page_of(token(name="op-2"))
    task = breach(room, "A1")
    open_task(first, task)
    first.keyboard.press("a")
    expect(row(second, task).locator(".holder")).to_have_text("op-1 (acknowledged)", timeout=EXPECT_MS)
    done = "Acknowledge, Respondent A1: done. The task is acknowledged."
    expect(first.locator("#said")).to_have_text(done, timeout=EXPECT_MS)


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
        expect(page.locator("#said")).to_have_text(re.compile("W1: (not )?done"), timeout=EXPECT_MS)
    said = sorted(page.locator("#said").inner_text() for page in pages)
    assert said[0].startswith("Acknowledge, Respondent W1: done.")
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
    page.get_by_label("Exercises").select_option("with")
    exercise, late = breach(room, "S3", exercise=True), overdue(room, breach(room, "S4"))
    before = breach(room, "S1")
    expect(row(page, before)).to_be_visible(timeout=EXPECT_MS)
    expect(row(page, exercise)).to_contain_text("EXERCISE", timeout=EXPECT_MS)
    expect(row(page, late)).to_contain_text("late", timeout=EXPECT_MS)
    stood = row(page, before).bounding_box()
    room.kill()
    missed = breach(room, "S2")
    expect(page.locator("#stale")).to_be_visible(timeout=EXPECT_MS)
    expect(page.locator("#as-of")).to_contain_text("NOT LIVE")
    assert row(page, before).bounding_box() == stood, "what is being read does not move"
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


BOTTOM = "(part) => document.querySelector(part).getBoundingClientRect().bottom"


@pytest.mark.parametrize("width", [390, 800, 950, 1260, 1440])
def test_what_tells_whether_this_is_the_present_is_always_in_view(room, page_of, width: int) -> None:
    force = f"Force of {width}"
    for number in range(3):
        breach(room, f"N{width}-{number}", owning_force=force)
    somebody = token("controller", force, name="somebody-whose-name-is-as-long-as-a-name-can-be-in-a-token")
    page = page_of(somebody, viewport={"width": width, "height": 300})
    page.locator(".row").last.scroll_into_view_if_needed(timeout=EXPECT_MS)
    assert page.evaluate("() => scrollY") > 0
    assert page.evaluate("() => document.documentElement.scrollWidth <= innerWidth"), "nothing is cut off at the side"
    assert page.evaluate(BOTTOM, ".tools") <= page.evaluate(BOTTOM, ".top"), "what is always there has its room"
    for part in ("#connection", "#age", "#clock"):
        expect(page.locator(part)).to_be_in_viewport(ratio=1)
        box = page.locator(part).bounding_box()
        assert box is not None
        top = "([x, y]) => document.elementFromPoint(x, y)?.closest('.status') !== null"
        assert page.evaluate(top, [box["x"] + 3, box["y"] + box["height"] / 2]), f"{part} lies under something"


FORCE = "Norfolk Constabulary"


def shift(room) -> list[ArrestTask]:
    """Tasks as a night has them: one with a track, one that is late, one that somebody has, one that can wait."""

    def of(subject: str, name: str, **data) -> dict:
        return {"owning_force": FORCE, "respondent": {"subject_id": subject, "name": name}, **data}

    gravest = of("M1", "Simon Sample", tag="TAG-M1", markers=["weapons", "violence"])
    room.pipeline.publish("orders", order("M1", **gravest))
    places = [(51.5205 - n * 0.0025, -0.1 + n * 0.0006) for n in range(9)]
    fixes = [tag_fix("TAG-M1", ago(600 - 60 * n), where) for n, where in enumerate(places)]
    room.pipeline.publish("sightings", *fixes)
    first = room.pipeline.until(lambda: room.pipeline.outputs.tasks_of("M1"), "the breach")[-1]
    late = overdue(room, breach(room, "M2", **of("M2", "Robin Example", risk="standard")), 754)
    sent = breach(room, "M3", **of("M3", "Alexandra Featherstone-Specimen"))
    room.pipeline.publish("task-updates", task_update(sent, "assign", assignee="Car NN12"))
    return [first, late, sent, breach(room, "M4", **of("M4", "Jo Trial", risk="standard"))]


def test_it_looks_as_it_should(room, page_of, axe: str, pictures: Path) -> None:
    tasks = shift(room)
    page = page_of(token("controller", FORCE, name="J. Clerk"))
    expect(row(page, tasks[2])).to_contain_text("Car NN12", timeout=EXPECT_MS)
    expect(row(page, tasks[1])).to_contain_text("late", timeout=EXPECT_MS)
    open_task(page, tasks[0])
    page.locator(".map").wait_for()
    page.screenshot(path=pictures / "task.png")
    found = {"task": violations(page, axe)}
    page.keyboard.press("d")
    page.screenshot(path=pictures / "task-dark.png")
    found["task in the dark"] = violations(page, axe)
    page.keyboard.press("d")
    page.keyboard.press("Escape")
    page.screenshot(path=pictures / "light.png")
    found["light"] = violations(page, axe)
    page.keyboard.press("d")
    page.screenshot(path=pictures / "dark.png")
    found["dark"] = violations(page, axe)
    page.set_viewport_size({"width": 390, "height": 844})
    page.evaluate("() => scrollTo(0, 0)")
    page.screenshot(path=pictures / "narrow.png")
    found["narrow"] = violations(page, axe)
    page.keyboard.press("Enter")
    page.locator(".map").wait_for()
    page.screenshot(path=pictures / "narrow-task.png")
    found["narrow task"] = violations(page, axe)
    page.keyboard.press("2")
    page.locator(".alerts li").first.wait_for()
    found["alerts"] = violations(page, axe)
    page.goto(f"{room.url}/#/statistics")
    page.locator(".chart").first.wait_for()
    page.set_viewport_size({"width": 1440, "height": 900})
    page.screenshot(path=pictures / "statistics.png", full_page=True)
    found["statistics"] = violations(page, axe)
    print(f"pictures: {pictures}")
    assert found == {what: [] for what in found}
