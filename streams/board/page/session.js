// Whose token it is: out of the address at once, and kept for this window alone.

const KEY = "breachwatch-token";
const TOKEN = /^#(?:token=)?([\w-]+\.[\w-]+\.[\w-]+)$/;

/** Takes a token out of the address, before anything else can see it there. */
export function takeFromAddress() {
  const found = TOKEN.exec(location.hash);
  if (found === null) return;
  sessionStorage.setItem(KEY, found[1]);
  history.replaceState(null, "", `${location.pathname}${location.search}#/`);
}

export const token = () => sessionStorage.getItem(KEY);
export const keep = (given) => sessionStorage.setItem(KEY, given.trim());
export const forget = () => sessionStorage.removeItem(KEY);
