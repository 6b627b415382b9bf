// Dark or light: the system's, until somebody chooses the other.

const KEY = "breachwatch-theme";
const { dataset } = document.documentElement;

export function restoreTheme() {
  const kept = localStorage.getItem(KEY);
  if (kept !== null) dataset.theme = kept;
}

export function changeTheme() {
  const system = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
  const next = (dataset.theme ?? system) === "dark" ? "light" : "dark";
  if (next === system) {
    // Back to what the system has: from here on it follows the system again.
    delete dataset.theme;
    localStorage.removeItem(KEY);
  } else {
    dataset.theme = next;
    localStorage.setItem(KEY, next);
  }
}
