"""What tests of the page do again and again: a breach that is a task, its row, the task opened, what axe finds."""

from typing import Any

from harness import ago, order, report
from playwright.sync_api import Locator, Page

from schemas.base import EXERCISE
from schemas.tasks import ArrestTask

EXPECT_MS = 30_000
AXE_RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


def breach(room: Any, subject: str, **data: Any) -> ArrestTask:
    """The task of a breach that is reported now."""
    exercise = bool(data.get("exercise"))
    known = f"{EXERCISE}{subject}" if exercise else subject
    room.pipeline.publish("orders", order(subject, **data))
    room.pipeline.publish("breach-reports", report(f"O-{subject}", exercise=exercise))
    return room.pipeline.until(lambda: room.pipeline.outputs.tasks_of(known), f"a task for {subject}")[-1]


def overdue(room: Any, task: ArrestTask, by_s: float = 600) -> ArrestTask:
    """The same task, its deadline so long past."""
    late = task.model_copy(update={"revision": task.revision + 1, "deadline": ago(by_s)})
    room.pipeline.publish("arrest-tasks", late.model_dump_json().encode(), key=task.task_id.encode())
    return late


def row(page: Page, task: ArrestTask) -> Locator:
    return page.locator(f'.row[data-task="{task.task_id}"]')


def open_task(page: Page, task: ArrestTask) -> None:
    row(page, task).locator("a").click(timeout=EXPECT_MS)
    page.locator(".task h2").wait_for()


def violations(page: Page, axe: str) -> list[str]:
    """What axe-core finds. It is evaluated by the debugger, which the page's CSP does not bind."""
    page.evaluate(axe)
    found = page.evaluate("(rules) => axe.run({ runOnly: rules })", AXE_RULES)
    return [f"{v['id']}: {node['html'][:200]}" for v in found["violations"] for node in v["nodes"]]
