"""What must not go wrong at a desk: a key for the wrong task, or an answer that says too much."""

import pytest
from harness import order, report
from listener import token
from looking import EXPECT_MS, breach, open_task, row
from playwright.sync_api import Page, Route, expect


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
    page.locator("#ask").get_by_role("button", name="Not now").click()
    # The third key has its turn now: one deed at a time, and each asks anew.
    expect(page.locator("#ask")).to_be_visible()
    expect(title).to_have_text("Told: P-W2")
