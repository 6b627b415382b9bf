// Whose token it is: out of the address at once, and kept for this window alone.

const KEY = "breachwatch-token";
const TOKEN = /^#(?:token=)?([\w-]+\.[\w-]+\.[\w-]+)$/;

/** Takes a token out of the address, before anything else can see it there; true where there was one. */
export function takeFromAddress() {
  const found = TOKEN.exec(location.hash);
  if (found === null) return false;
  sessionStorage.setItem(KEY, found[1]);
  history.replaceState(null, "", `${location.pathname}${location.search}#/`);
  return true;
}

export const token = () => sessionStorage.getItem(KEY);
export const keep = (given) => sessionStorage.setItem(KEY, given.trim());
export const forget = () => sessionStorage.removeItem(KEY);
