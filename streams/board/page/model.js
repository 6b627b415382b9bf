// What the board knows of tasks, and in which order they are shown. Pure: no element, no request.

const OVER = new Set(["closed", "merged", "withdrawn"]);
const SEARCHING = new Set(["open", "acknowledged", "assigned", "en_route", "attempted"]);
const LIVE = new Set([...SEARCHING, "withdrawal_recommended"]);
const WAITING = new Set(["open", "withdrawal_recommended"]);
/** What a revision is marked with, and whether it calls for somebody, beyond a detail. */
const MARKS = {
  opened: { text: "NEW", isLoud: true },
  breach: { text: "NEW BREACH", isLoud: true },
  wanted_again: { text: "WANTED AGAIN", isLoud: true },
  escalated: { text: "ESCALATED", isLoud: true },
  correction: { text: "CORRECTED", isLoud: false },
  moved: { text: "CHANGED", isLoud: false },
};

export const isOver = (task) => OVER.has(task.state);
export const isOverdue = (task, now) => SEARCHING.has(task.state) && Date.parse(task.deadline) < now;
/** It gets louder until somebody does something: acts on it, or decides whether it stands. */
export const isWaiting = (task) => WAITING.has(task.state);
/** Somebody must act at once and nobody has: it sounds. */
export const isCritical = (task, grades) => task.state === "open" && grades.indexOf(task.grade) < 1;

/** Sorted as the board's list is: who is looked for, then grade, deadline, id. */
export function byUrgency(tasks, grades) {
  // Made once a task, not once a comparison: 500 tasks are sorted many times a second.
  const key = (task) => [LIVE.has(task.state) ? 0 : 1, grades.indexOf(task.grade), Date.parse(task.deadline)];
  const keyed = tasks.map((task) => [key(task), task]);
  keyed.sort(([first, a], [second, b]) => {
    for (let part = 0; part < first.length; part += 1) {
      if (first[part] !== second[part]) return first[part] - second[part];
    }
    return a.task_id < b.task_id ? -1 : 1;
  });
  return keyed.map(([, task]) => task);
}

/** Which tasks of all are asked for. */
export function wanted({ text, which }, now) {
  const needle = text.trim().toLowerCase();
  const names = (task) => [task.task_id, task.subject_id, task.subject_name ?? "", ...task.incidents];
  return (task) =>
    !isOver(task) &&
    (which !== "waiting" || isWaiting(task)) &&
    (which !== "unassigned" || task.assigned_to === null) &&
    (which !== "overdue" || isOverdue(task, now)) &&
    (needle === "" || names(task).some((name) => name.toLowerCase().includes(needle)));
}

/** The tasks, each in its newest revision, whatever order they come in. */
export class Tasks {
  constructor() {
    this.known = new Map();
  }

  /** Takes in a task; true where it is news. */
  put(task) {
    const before = this.known.get(task.task_id);
    if (before !== undefined && before.revision >= task.revision) return false;
    this.known.set(task.task_id, task);
    return true;
  }

  remove(taskId) {
    return this.known.delete(taskId);
  }

  /** The list was loaded again: nothing but what it has, and what came meanwhile. */
  replace(tasks) {
    this.known = new Map(tasks.map((task) => [task.task_id, task]));
  }
}

/** What stands on the page: it changes when it is arranged, and not under the eyes of whoever reads. */
export class Arrangement {
  constructor() {
    this.ids = [];
  }

  /** What would change if it were arranged now: tasks that are new, and whether any would move or go. */
  pending(ordered) {
    const standing = new Set(this.ids);
    const fresh = ordered.filter((task) => !standing.has(task.task_id));
    const moved = ordered.length !== this.ids.length || ordered.some((task, at) => task.task_id !== this.ids[at]);
    return { fresh, moved };
  }

  arrange(ordered) {
    this.ids = ordered.map((task) => task.task_id);
  }
}

/** An alert that cannot wait for somebody to look. */
export const isUrgent = (alert) => alert.severity === "critical";

/** The mark of this revision; undefined: it is a detail. */
export const markOf = (task) => MARKS[task.change];
export const isLoud = (task) => markOf(task)?.isLoud === true;

/** Which critical tasks are not among those that are shown. */
export function hiddenCritical(tasks, shown, grades) {
  const isShown = new Set(shown);
  return tasks.filter((task) => isCritical(task, grades) && !isShown.has(task));
}
