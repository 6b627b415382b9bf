// Times as people read them: Europe/London, or UTC where somebody asks for it.

const ZONES = { london: "Europe/London", utc: "UTC" };
let zone = "london";
let formats = made();

function made() {
  const timeZone = ZONES[zone];
  const time = { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" };
  return {
    time: new Intl.DateTimeFormat("en-GB", { timeZone, ...time }),
    day: new Intl.DateTimeFormat("en-GB", { timeZone, weekday: "short", day: "numeric", month: "short" }),
    year: new Intl.DateTimeFormat("en-GB", { timeZone, year: "numeric" }),
    zone: new Intl.DateTimeFormat("en-GB", { timeZone, timeZoneName: "short" }),
  };
}

export const isUtc = () => zone === "utc";

export function useUtc(utc) {
  zone = utc ? "utc" : "london";
  formats = made();
}

const HOUR_MS = 3_600_000;

/** Whether clocks show this reading twice, as in the night in which they are put back. */
const isRepeated = (at) =>
  [-HOUR_MS, HOUR_MS].some((beside) => formats.time.format(Number(at) + beside) === formats.time.format(at));

/** The name of the zone, BST or GMT. */
const nameOfZone = (at) => formats.zone.formatToParts(at).find(({ type }) => type === "timeZoneName").value;

function suffix(at) {
  if (zone === "utc") return "Z";
  return isRepeated(at) ? ` ${nameOfZone(at)}` : "";
}

/** The time of day, `12:03:11`; with a Z where it is UTC, and with BST or GMT where it could be either. */
export const clock = (at) => formats.time.format(at) + suffix(at);

/** With the day where it is not today, and the year where it is not this one. */
export function moment(at, now = Date.now()) {
  const date = new Date(at);
  if (formats.day.format(date) === formats.day.format(now) && Math.abs(now - date) < 2 * 86_400_000) {
    return clock(date);
  }
  const year = formats.year.format(date);
  const years = year === formats.year.format(now) ? "" : ` ${year}`;
  return `${formats.day.format(date)}${years} ${clock(date)}`;
}

/** A length of time in the two largest units that say something: `4 min 05 s`, `2 h 10 min`. */
export function length(seconds) {
  const whole = Math.floor(Math.abs(seconds));
  const two = (number) => String(number).padStart(2, "0");
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${two(whole % 60)} s`;
  if (whole < 86_400) return `${Math.floor(whole / 3600)} h ${two(Math.floor((whole % 3600) / 60))} min`;
  return `${Math.floor(whole / 86_400)} d ${Math.floor((whole % 86_400) / 3600)} h`;
}

/** The same to the minute, for what need not tick. */
export function roughly(seconds) {
  const whole = Math.floor(Math.abs(seconds));
  if (whole < 60) return "< 1 min";
  return whole < 3600 ? `${Math.floor(whole / 60)} min` : length(whole);
}
