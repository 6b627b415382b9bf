"""What must not go wrong at a desk: a key for the wrong task, a task out of sight, a list that is not the present."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest
from harness import order, report
from listener import token
from looking import EXPECT_MS, breach, open_task, row, violations
from playwright.sync_api import Page, Route, expect

GET = """async (path) => {
  const headers = { Authorization: `Bearer ${sessionStorage.getItem("breachwatch-token")}` };
  return (await fetch(`/api/v1${path}`, { headers })).json();
}"""
IDS = "() => [...document.querySelectorAll('.row')].map((row) => row.dataset.task)"


def told(page: Page, *events: tuple[str, Any], once: str = "/api/v1/alerts?") -> None:
    """The page follows the board anew, and once that has been answered the stream has these events."""
    page.unroute("**/api/v1/stream*")
    waiting = held(page, "**/api/v1/stream*")
    exercises = page.get_by_label("Exercises")
    with page.expect_response(lambda response: once in response.url):
        exercises.select_option("with" if exercises.input_value() == "none" else "none")
    text = "".join(f"event: {name}\ndata: {orjson.dumps(data).decode()}\n\n" for name, data in events)
    one(page, waiting).fulfill(body=text, content_type="text/event-stream")


def held(page: Page, path: str) -> list[Route]:
    """Requests there wait until the test lets them go."""
    waiting: list[Route] = []
    page.route(path, lambda route: waiting.append(route))
    return waiting


def one(page: Page, waiting: list[Route]) -> Route:
    """The request that waits, once it does."""
    for _ in range(EXPECT_MS // 100):
        if waiting:
            return waiting[0]
        page.wait_for_timeout(100)
    pytest.fail("nothing was asked")


def test_after_a_reset_the_page_is_alive_and_what_is_open_is_new(room, page_of) -> None:
    """An event comes between the reset and the list that it calls for."""
    task = breach(room, "RS1")
    page = page_of()
    open_task(page, task)
    summary = next(each for each in page.evaluate(GET, "/tasks?limit=200")["tasks"] if each["subject_id"] == "RS1")
    lists: list[str] = []
    page.on("request", lambda request: lists.append(request.url) if "/api/v1/tasks?" in request.url else None)
    later = {**summary, "revision": summary["revision"] + 1, "subject_name": "Since the reset"}
    # One list is asked for since the page follows anew, the second since the reset; then what is open is asked for.
    opened = f"/api/v1/tasks/{task.task_id}"
    with page.expect_request(lambda request: request.url.endswith(opened) and len(lists) == 2, timeout=EXPECT_MS):
        told(page, ("reset", {}), ("task", later))
    expect(row(page, task)).to_contain_text("Since the reset")


def test_a_key_is_for_the_task_that_is_open_and_has_the_focus(room, page_of) -> None:
    force = "Force of Focus"
    first, second = (breach(room, subject, owning_force=force) for subject in ("FA1", "FB1"))
    page = page_of(token("controller", force))
    open_task(page, first)
    said = page.locator("#said")
    row(page, second).locator("a").focus()
    page.keyboard.press("a")
    expect(said).to_contain_text("Acknowledge: not done. Respondent FA1 is open, but the focus is on Respondent FB1")
    page.keyboard.press("m")
    expect(said).to_contain_text("Silenced: Respondent FB1")
    expect(row(page, first).locator(".holder")).to_have_text("nobody yet")
    # The answer for the first is slow, and comes while the second is on the screen: it is a refusal of the first.
    waiting = held(page, f"**/api/v1/tasks/{first.task_id}/updates")
    page.locator(".task h2").focus()
    page.keyboard.press("a")
    expect(said).to_have_text("Acknowledge, Respondent FA1: being sent")
    open_task(page, second)
    expect(page.locator(".task h2")).to_have_text("Respondent FB1")
    page.keyboard.press("a")
    expect(said).to_contain_text("Acknowledge, Respondent FB1: done.", timeout=EXPECT_MS)
    refusal = {"type": "about:blank", "title": "Refused", "status": 409, "detail": "too late"}
    one(page, waiting).fulfill(status=409, json=refusal)
    expect(said).to_have_text("Acknowledge, Respondent FA1: not done (too late).")


def test_where_no_answer_comes_nothing_is_said_to_be_undone(room, page_of) -> None:
    task = breach(room, "NA1")
    page = page_of()
    open_task(page, task)
    page.route("**/updates", lambda route: route.abort())
    page.keyboard.press("a")
    expect(page.locator("#said")).to_contain_text("Acknowledge, Respondent NA1: no answer", timeout=EXPECT_MS)
    expect(page.locator("#said")).to_contain_text("It may have been done")


def test_words_are_of_the_person_who_is_owed_them_by_then(room, page_of) -> None:
    people = [{"person_id": f"P-W{number}", "relation": "victim"} for number in (1, 2)]
    terms = [{"term_id": "T2", "kind": "no_contact", "protects": ["P-W1", "P-W2"]}]
    room.pipeline.publish("orders", order("GW1", protected_persons=people, terms=terms))
    room.pipeline.publish("breach-reports", report("O-GW1"))
    task = room.pipeline.until(lambda: room.pipeline.outputs.tasks_of("GW1"), "a task")[-1]
    page = page_of()
    open_task(page, task)
    expect(page.locator(".reached.owed")).to_have_count(2, timeout=EXPECT_MS)
    waiting = held(page, "**/api/v1/safeguarding/*/updates")
    title = page.locator("#ask-title")
    page.keyboard.press("g")
    expect(title).to_have_text("Told: P-W1")
    page.keyboard.type("of the contact")
    page.keyboard.press("Enter")
    route = one(page, waiting)
    page.keyboard.press("g")
    page.keyboard.press("g")
    route.continue_()
    expect(page.locator("#ask")).to_be_visible(timeout=EXPECT_MS)
    expect(title).to_have_text("Told: P-W2")
    standing = page.evaluate(GET, f"/tasks/{task.task_id}")["safeguarding"]
    removed = [("safeguarding_removed", {"safeguarding_id": each["safeguarding_id"]}) for each in standing]
    page.locator("#ask").get_by_role("button", name="Not now").click()
    # The third key has its turn now: one deed at a time, and each asks anew.
    expect(page.locator("#ask")).to_be_visible()
    expect(title).to_have_text("Told: P-W2")
    page.keyboard.press("Escape")
    told(page, *removed, once="/orders")
    expect(page.locator(".reached")).to_have_count(0, timeout=EXPECT_MS)
    assert "P-W2" not in page.locator("#task").inner_text()


def test_what_is_no_longer_theirs_does_not_stay_open(room, page_of) -> None:
    task = breach(room, "RM1")
    page = page_of()
    open_task(page, task)
    # Not even where nobody can say why.
    problem = {"type": "about:blank", "title": "Busy", "status": 503, "detail": "the board is busy"}
    page.route(f"**/api/v1/tasks/{task.task_id}", lambda route: route.fulfill(status=503, json=problem))
    told(page, ("task_removed", {"task_id": task.task_id}))
    expect(page.locator("#task .problem")).to_have_text("the board is busy", timeout=EXPECT_MS)
    assert "Respondent RM1" not in page.locator("#task").inner_text()


def test_no_filter_hides_a_critical_task_without_a_word(room, page_of, axe: str, pictures: Path) -> None:
    force = "Force of Filters"
    first = breach(room, "FI1", owning_force=force)
    page = page_of(token("controller", force))
    expect(row(page, first)).to_be_visible(timeout=EXPECT_MS)
    page.keyboard.press("/")
    page.keyboard.type("respondent fi1")
    page.keyboard.press("Enter")
    expect(page.locator("#list-title")).to_have_text("Tasks: 1 of 1 shown")
    expect(page.locator("#hidden")).to_be_hidden()
    stood = row(page, first).bounding_box()
    second = breach(room, "FI2", owning_force=force)
    hidden = page.locator("#hidden")
    expect(hidden).to_have_text(
        "The filter hides 1 immediate task that nobody has acted on: show all (f)", timeout=EXPECT_MS
    )
    expect(page.locator("#list-title")).to_have_text("Tasks: 1 of 2 shown")
    assert row(page, first).bounding_box() == stood, "what is being read does not move"
    page.screenshot(path=pictures / "hidden.png")
    assert violations(page, axe) == []
    page.emulate_media(media="print")
    expect(row(page, second)).to_be_visible()
    page.emulate_media(media="screen")
    expect(row(page, second)).to_have_count(0)
    page.keyboard.press("3")
    expect(hidden).to_be_in_viewport(ratio=1)
    page.keyboard.press("f")
    expect(row(page, second)).to_be_visible()
    expect(hidden).to_be_hidden()
    expect(page.locator("#list-title")).to_have_text("Tasks: 2")


TEXT_COLOUR = "() => getComputedStyle(document.querySelector('.row .who')).color"


def test_paper_has_all_that_is_known_and_the_screen_is_as_it_was(room, page_of, pictures: Path) -> None:
    force = "Force of Paper"
    first = breach(room, "PA1", owning_force=force)
    page = page_of(token("controller", force))
    row(page, first).locator("a").focus()
    page.keyboard.press("d")
    second = breach(room, "PA2", owning_force=force)
    expect(page.locator("#news")).to_contain_text("1 new, 1 immediate: show (n)", timeout=EXPECT_MS)
    before = page.evaluate(IDS)
    page.emulate_media(media="print")
    expect(row(page, second).locator(".by")).to_be_visible()
    assert page.evaluate(TEXT_COLOUR) == "rgb(22, 25, 31)", "dark on white, whatever theme was chosen"
    page.screenshot(path=pictures / "print-dark.png")
    page.emulate_media(media="screen")
    expect(row(page, second)).to_have_count(0)
    expect(page.locator("#news")).to_contain_text("1 new")
    assert page.evaluate(IDS) == before
    expect(row(page, first).locator("a")).to_be_focused()


def test_what_is_new_is_announced_in_every_view_and_waits_for_nobody_who_left(room, page_of, pictures: Path) -> None:
    force = "Force of Views"
    first = breach(room, "VW1", owning_force=force)
    page = page_of(token("controller", force), viewport={"width": 600, "height": 844})
    news = page.locator("#news")
    open_task(page, first)
    second = breach(room, "VW2", owning_force=force)
    expect(news).to_contain_text("1 new, 1 immediate", timeout=EXPECT_MS)
    expect(news).to_be_in_viewport(ratio=1)
    page.screenshot(path=pictures / "narrow-news.png")
    page.keyboard.press("3")
    expect(news).to_be_in_viewport(ratio=1)
    page.keyboard.press("n")
    expect(row(page, second)).to_contain_text("NEW")
    row(page, first).locator("a").focus()
    page.keyboard.press("j")
    third = breach(room, "VW3", owning_force=force)
    expect(news).to_contain_text("1 new", timeout=EXPECT_MS)
    assert row(page, third).count() == 0
    expect(row(page, third)).to_be_visible(timeout=40_000)
    left = row(page, third).locator(".deadline")
    expect(left).not_to_have_text(left.inner_text())
    # It is new from when somebody can see it.
    expect(row(page, third)).to_contain_text("NEW")


OVERLAPS = """() => {
  const parts = [".top h1", ".top nav", ".connection", ".clock", ".person", ".tools"];
  const boxes = parts.map((part) => [part, document.querySelector(part).getBoundingClientRect()]);
  const found = [];
  for (const [a, one] of boxes) for (const [b, other] of boxes) {
    const across = Math.min(one.right, other.right) - Math.max(one.left, other.left);
    const down = Math.min(one.bottom, other.bottom) - Math.max(one.top, other.top);
    if (a < b && across > 1 && down > 1) found.push(`${a} lies over ${b}`);
  }
  for (const part of document.querySelectorAll(".top *")) {
    if (part.getBoundingClientRect().right > innerWidth) found.push(`${part.outerHTML} is cut off`);
  }
  return found;
}"""
"""Which parts of the header lie over one another, or stick out of it."""


def test_whoever_comes_to_the_desk_finds_nothing_of_whoever_left(room, page_of, pictures: Path) -> None:
    ours, theirs = (
        breach(room, subject, owning_force=force) for subject, force in (("HO1", "Force of A"), ("HO2", "Force of B"))
    )
    page = page_of(token("controller", "Force of A", name="op-1"))
    row(page, ours).locator("a").focus()
    page.keyboard.press("m")
    page.keyboard.press("/")
    page.keyboard.type("nobody of this name")
    page.evaluate("(token) => { location.hash = `token=${token}`; }", token("supervisor", "Force of B", name="op-2"))
    expect(page.locator("#person")).to_have_text("op-2 (supervisor)", timeout=EXPECT_MS)
    expect(row(page, theirs)).to_be_visible(timeout=EXPECT_MS)
    assert page.locator("#find").input_value() == ""
    assert "HO1" not in page.content()
    for width in (1440, 1381, 1380, 1100, 901, 600, 390):
        page.set_viewport_size({"width": width, "height": 700})
        assert page.evaluate(OVERLAPS) == [], f"at {width}"
    page.screenshot(path=pictures / "header-narrow.png")
    page.get_by_role("button", name="Sign out").click()
    expect(page.locator("#signin-why")).to_have_text("You are signed out.")
    expect(page.locator("#token")).to_be_focused()
    assert "HO2" not in page.content()
    # What was silenced was so for whoever silenced it.
    page.keyboard.type(token("controller", "Force of A"))
    page.keyboard.press("Enter")
    open_task(page, ours)
    expect(page.locator(".task .silence")).to_have_text("Silence")


def test_tasks_that_the_board_could_not_read_are_told_of(room, page_of, axe: str, pictures: Path) -> None:
    page = page_of()
    lacking = page.locator("#lacking")
    expect(lacking).to_be_hidden()
    told(page, ("heartbeat", {"at": "2026-11-27T12:00:00Z", "data_age_s": 0.1, "unreadable": 2}))
    expect(lacking).to_have_text(
        "2 tasks cannot be shown here: they could not be read. "
        "Ask the platform team; look with: breachwatch tasks list",
        timeout=EXPECT_MS,
    )
    page.keyboard.press("3")
    expect(lacking).to_be_in_viewport(ratio=1)
    page.keyboard.press("1")
    page.screenshot(path=pictures / "unreadable.png")
    assert violations(page, axe) == []


PREVENTED = """() => new Promise((done) => addEventListener(
  "keydown", (event) => done(event.defaultPrevented), { once: true }))"""


def prevented(page: Page, key: str) -> Callable[[], Any]:
    """Whether the page takes the key from the browser."""
    page.evaluate(f"() => {{ window.prevented = ({PREVENTED})(); }}")
    page.keyboard.press(key)
    return page.evaluate("() => window.prevented")


def test_the_focus_and_the_keys_that_scroll_stay_where_they_are(room, page_of) -> None:
    task = breach(room, "AR1")
    page = page_of(viewport={"width": 800, "height": 600})
    open_task(page, task)
    assert not prevented(page, "ArrowDown"), "an opened task scrolls"
    expect(page.locator(".task h2")).to_be_focused()
    page.get_by_role("button", name="Silence").click()
    expect(page.get_by_role("button", name="Silenced")).to_be_focused()
    page.keyboard.press("Escape")
    expect(row(page, task).locator("a")).to_be_focused()
    assert prevented(page, "ArrowDown"), "in the list they move from row to row"
    page.keyboard.press("2")
    assert not prevented(page, "ArrowDown")
    page.keyboard.press("3")
    expect(page.locator(".counted-at")).to_contain_text("As of ", timeout=EXPECT_MS)
    page.keyboard.press("u")
    expect(page.locator(".counted-at")).to_contain_text("Z.")
