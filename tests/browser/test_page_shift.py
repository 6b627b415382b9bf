"""A shift at the board: what is heard, what keys alone do, who is told, what is printed, and a token that ends."""

import csv
import time
from pathlib import Path

import pytest
from harness import ago, order, report, task_update
from listener import token
from looking import EXPECT_MS, breach, open_task, overdue, row, violations
from playwright.sync_api import Page, expect

from schemas.tasks import Alert

TONES = """
  window.tones = [];
  const start = AudioScheduledSourceNode.prototype.start;
  AudioScheduledSourceNode.prototype.start = function (...when) {
    if (this.context.state === "running") window.tones.push(this.frequency.value);
    return start.apply(this, when);
  };
"""
"""Every tone that the browser is told to sound."""
SOUNDS_AGAIN_MS = 10_000
"""A critical task that nobody acts on is heard again after so long (`sound.js`)."""


def heard(page: Page) -> int:
    return int(page.evaluate("() => tones.length"))


def hears_more(page: Page, than: int, within_ms: int = EXPECT_MS) -> None:
    page.wait_for_function("(than) => tones.length > than", arg=than, timeout=within_ms)


def time_for_another(page: Page) -> None:
    """Until the page has had its chance to sound again: that nothing comes can be told only by then."""
    page.evaluate("() => { window.from = performance.now(); }")
    page.wait_for_function(f"() => performance.now() - from > {SOUNDS_AGAIN_MS + 1500}")


def silence(page: Page, subject: str) -> None:
    page.keyboard.press("n")
    page.locator(".row", has_text=subject).locator("a").focus()
    page.keyboard.press("m")
    expect(page.locator("#said")).to_contain_text(f"Silenced: Respondent {subject}")


def listener(page_of, force: str) -> Page:
    page = page_of(token("controller", force), before=TONES)
    page.locator("#sound").click()
    expect(page.locator("#sound")).to_have_text("Sound on")
    return page


def test_a_critical_task_sounds_until_that_one_is_silenced(room, page_of) -> None:
    page = listener(page_of, "Force of Sound")
    assert heard(page) == 0
    breach(room, "H1", owning_force="Force of Sound")
    hears_more(page, 0)
    expect(page.locator("#critical")).to_contain_text("immediate: Respondent H1")
    silence(page, "H1")
    before = heard(page)
    time_for_another(page)
    assert heard(page) == before, "the one that is silenced is silent"
    breach(room, "H2", owning_force="Force of Sound")
    hears_more(page, before)
    before = heard(page)
    hears_more(page, before, SOUNDS_AGAIN_MS + 5000)
    silence(page, "H2")
    before = heard(page)
    time_for_another(page)
    assert heard(page) == before


def test_a_critical_alert_is_heard_said_and_waits_to_be_seen(room, page_of) -> None:
    page = listener(page_of, "Force of Alerts")
    for severity in ("high", "critical"):
        alert = Alert(
            alert_id=f"test-{severity}",
            kind="test",
            severity=severity,
            at=ago(),
            text=f"a {severity} one",
            forces=["Force of Alerts"],
        )
        room.pipeline.publish("alerts", alert.model_dump_json().encode())
    hears_more(page, 0)
    expect(page.locator("#critical")).to_contain_text("critical alert: a critical one")
    expect(page.locator("#critical")).not_to_contain_text("a high one")
    expect(page.locator("#unseen")).to_contain_text("1")
    page.keyboard.press("2")
    for severity in ("high", "critical"):
        expect(page.locator(".alerts li", has_text=f"a {severity} one")).to_have_count(1)
    expect(page.locator("#unseen")).to_be_empty()


def said(page: Page, text: str) -> None:
    expect(page.locator("#said")).to_contain_text(text, timeout=EXPECT_MS)


def test_keys_alone_work_a_task_from_breach_to_close(room, page_of) -> None:
    task = breach(room, "K1")
    # Of somebody whose risk is high or not assessed it is a supervisor's to close it.
    page = page_of(token("supervisor"))
    expect(row(page, task)).to_be_visible(timeout=EXPECT_MS)
    keys = page.keyboard
    keys.press("/")
    keys.type("respondent k1")
    expect(page.locator(".row")).to_have_count(1)
    keys.press("Enter")
    expect(row(page, task).locator("a")).to_be_focused()
    keys.press("Enter")
    expect(page.locator(".task h2")).to_be_focused()
    keys.press("a")
    said(page, "Acknowledge, Respondent K1: done.")
    keys.press("s")
    expect(page.locator("#ask-assignee")).to_be_focused()
    keys.type("Car 7")
    keys.press("Enter")
    said(page, "Assign, Respondent K1: done.")
    expect(row(page, task).locator(".holder")).to_have_text("Car 7 (assigned)", timeout=EXPECT_MS)
    keys.press("e")
    said(page, "En route, Respondent K1: done.")
    keys.press("r")
    expect(page.locator("#ask .final")).to_contain_text("ends the search")
    keys.press("Enter")
    said(page, "Arrested, Respondent K1: done.")
    keys.press("c")
    expect(page.locator("#ask-outcome")).to_be_focused()
    keys.type("charged")
    keys.press("Tab")
    keys.press("Enter")
    said(page, "Close, Respondent K1: done. The task is closed.")
    expect(page.locator(".timeline")).to_contain_text("arrested")
    keys.press("Escape")
    expect(page.locator("#task")).to_be_hidden()
    expect(row(page, task)).to_have_count(0)


def test_the_help_keeps_the_focus_and_gives_it_back(room, page_of) -> None:
    task = breach(room, "K2")
    page = page_of()
    link = row(page, task).locator("a")
    link.focus()
    page.keyboard.press("?")
    dialog = page.locator("#keys")
    expect(dialog).to_be_visible()
    where = "() => document.activeElement.closest('#keys') !== null || document.activeElement === document.body"
    within = "() => document.activeElement.closest('#keys') !== null"
    seen = []
    for _ in range(8):
        page.keyboard.press("Tab")
        assert page.evaluate(where), "the focus never gets behind the dialog"
        seen.append(page.evaluate(within))
    assert sum(seen) >= 4
    page.keyboard.press("m")
    assert page.locator("#said").inner_text() == "", "no key does anything behind a dialog"
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(link).to_be_focused()


def test_exercises_are_hidden_shown_beside_or_alone_and_marked(room, page_of) -> None:
    real, exercise = breach(room, "Y1"), breach(room, "Y2", exercise=True)
    page = page_of()
    expect(row(page, real)).to_be_visible(timeout=EXPECT_MS)
    assert row(page, exercise).count() == 0
    page.get_by_label("Exercises").select_option("with")
    expect(row(page, exercise)).to_contain_text("EXERCISE", timeout=EXPECT_MS)
    expect(row(page, real)).to_be_visible()
    expect(row(page, real)).not_to_contain_text("EXERCISE")
    breach(room, "Y3", exercise=True)
    expect(page.locator("#critical")).to_contain_text("EXERCISE, immediate: ", timeout=EXPECT_MS)
    page.get_by_label("Exercises").select_option("only")
    expect(row(page, real)).to_have_count(0, timeout=EXPECT_MS)
    open_task(page, exercise)
    expect(page.locator(".task .exercise")).to_have_text("EXERCISE: this is not real")


def test_when_a_token_ends_nothing_stays_on_the_screen(room, page_of, axe: str) -> None:
    task = breach(room, "T1")
    page = page_of(token(exp=time.time() + 8))
    expect(row(page, task)).to_be_visible(timeout=EXPECT_MS)
    open_task(page, task)
    why = page.locator("#signin-why")
    expect(why).to_have_text("The token has ended. A new one opens the board again.", timeout=EXPECT_MS)
    expect(page.locator("#token")).to_be_focused()
    assert "Respondent" not in page.content()
    assert page.locator(".row").count() == 0
    expect(page.locator("#connection")).to_have_text("Not signed in")
    assert violations(page, axe) == []
    page.emulate_media(media="print")
    assert "Respondent" not in page.locator("body").inner_text()
    page.emulate_media(media="screen")
    page.keyboard.type(token())
    page.keyboard.press("Enter")
    expect(page.locator(".task h2")).to_have_text("Respondent T1", timeout=EXPECT_MS)


def test_the_printed_list_has_its_age_and_no_countdown(room, page_of, pictures: Path) -> None:
    task = breach(room, "Q1")
    page = page_of()
    expect(row(page, task)).to_be_visible(timeout=EXPECT_MS)
    expect(row(page, task).locator(".deadline")).to_be_visible()
    page.keyboard.press("3")
    page.emulate_media(media="print")
    expect(page.locator("#paper")).to_contain_text("Last known list, as of ")
    expect(page.locator("#paper")).to_contain_text(" old; printed ")
    expect(row(page, task).locator(".by")).to_have_text(f"by {london(page, task)}")
    for countdown in (".deadline", ".ago", "#clock", "#news"):
        expect(page.locator(countdown).first).to_be_hidden()
    page.screenshot(path=pictures / "print.png")


def london(page: Page, task) -> str:
    """The task's deadline as the page's own browser has it in London."""
    clock = "{ timeZone: 'Europe/London', hour: '2-digit', minute: '2-digit', second: '2-digit' }"
    return str(page.evaluate(f"(at) => new Date(at).toLocaleTimeString('en-GB', {clock})", task.deadline.isoformat()))


def test_statistics_are_saved_for_a_spreadsheet(room, page_of) -> None:
    breach(room, "C1", owning_force="Force of Counts")
    page = page_of(token("controller", "Force of Counts"))
    page.keyboard.press("3")
    with page.expect_download() as saved:
        page.get_by_role("button", name="CSV").click()
    assert saved.value.suggested_filename == "breachwatch-statistics.csv"
    with Path(saved.value.path()).open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [(each["grade"], each["force"], each["tasks"]) for each in rows] == [("immediate", "Force of Counts", "1")]


def test_who_is_overdue_is_named_and_stands_out(room, page_of, pictures: Path) -> None:
    task = overdue(room, breach(room, "O1", owning_force="Force of Delay"))
    page = page_of(token("controller", "Force of Delay"))
    expect(row(page, task).locator(".deadline")).to_contain_text("late", timeout=EXPECT_MS)
    expect(page.locator("#list-title")).to_have_text("Tasks: 1, 1 overdue")
    page.screenshot(path=pictures / "overdue.png")
    page.keyboard.press("3")
    expect(page.get_by_role("region", name="Overdue now")).to_contain_text("Respondent O1")
    assert "10 min" in page.get_by_role("region", name="Overdue now").inner_text()


def test_a_viewer_reads_an_opened_task(room, page_of, axe: str) -> None:
    task = breach(room, "B1")
    page = page_of(token("viewer"))
    open_task(page, task)
    expect(page.locator("#task")).to_contain_text("Your role does not see this.")
    assert "P-B1" not in page.content()
    assert violations(page, axe) == []


def test_times_are_londons_or_utc_everywhere_at_once(room, page_of) -> None:
    task = breach(room, "U1")
    page = page_of()
    open_task(page, task)
    shown = [page.locator(each).first for each in ("#clock", ".timeline time", ".facts dd:nth-of-type(2)")]
    room.pipeline.publish("task-updates", task_update(task, "assign", assignee="Car 8"))
    changed = page.locator(".task .news")
    expect(changed).to_contain_text("It has changed", timeout=EXPECT_MS)
    page.keyboard.press("u")
    expect(page.locator("#utc")).to_have_attribute("aria-pressed", "true")
    expect(changed).to_contain_text("Z): show (v)")
    for each in shown:
        expect(each).to_contain_text("Z")
    page.keyboard.press("u")
    for each in shown:
        expect(each).not_to_contain_text("Z")


@pytest.mark.parametrize(("system", "other"), [("light", "dark"), ("dark", "light")])
def test_the_theme_is_the_systems_until_somebody_chooses(page_of, system: str, other: str) -> None:
    page = page_of(color_scheme=system)
    is_dark = "() => getComputedStyle(document.body).backgroundColor.match(/\\d+/g).every((part) => part < 100)"
    assert page.evaluate(is_dark) == (system == "dark")
    page.keyboard.press("d")
    assert page.evaluate(is_dark) == (other == "dark")
    page.reload()
    page.locator("#room").wait_for()
    assert page.evaluate(is_dark) == (other == "dark"), "it is remembered"
    page.keyboard.press("d")
    assert page.evaluate(is_dark) == (system == "dark")
    page.emulate_media(color_scheme=other)
    assert page.evaluate(is_dark) == (other == "dark"), "it follows the system again"


def test_who_was_told_and_who_could_not_be_reached_is_seen_by_all(room, page_of, axe: str, pictures: Path) -> None:
    people = [{"person_id": f"P-{n}", "relation": "victim"} for n in (1, 2)]
    room.pipeline.publish("orders", order("G1", protected_persons=people, terms=TERMS))
    room.pipeline.publish("breach-reports", report("O-G1"))
    task = room.pipeline.until(lambda: room.pipeline.outputs.tasks_of("G1"), "a task")[-1]
    first, second = page_of(token(name="op-1")), page_of(token(name="op-2"))
    for page in (first, second):
        open_task(page, task)
        expect(page.locator(".reached.owed")).to_have_count(2, timeout=EXPECT_MS)
    owed = first.locator(".reached", has_text="P-2 (victim)")
    owed.get_by_role("button", name="Could not reach").click()
    first.keyboard.type("no answer, again at noon")
    first.keyboard.press("Enter")
    expect(second.locator(".tried")).to_contain_text("no answer, again at noon", timeout=EXPECT_MS)
    said(first, "Could not reach, P-2: done.")
    first.keyboard.press("g")
    expect(first.locator("#ask-title")).to_have_text("Told: P-1")
    first.keyboard.type("of the contact; is with her sister")
    first.keyboard.press("Enter")
    told = second.locator(".reached", has_text="P-1 (victim)")
    expect(told).to_contain_text("has been told", timeout=EXPECT_MS)
    expect(told).to_contain_text("by op-1 (controller): of the contact; is with her sister")
    expect(second.locator(".reached.owed")).to_have_count(1)
    second.locator(".reach").scroll_into_view_if_needed()
    second.screenshot(path=pictures / "safeguarding.png")
    assert violations(second, axe) == []


TERMS = [{"term_id": "T2", "kind": "no_contact", "protects": ["P-1", "P-2"]}]
