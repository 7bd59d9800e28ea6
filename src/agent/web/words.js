// Numbers, times and reasons as text, as the screen writes them.

const UNITS = ["B", "KB", "MB", "GB", "TB", "PB", "EB"];
const $ = (id) => document.getElementById(id);
const known = (value) => typeof value === "number" && Number.isFinite(value);

/** The agent's own rule for names, once more: controls and invisible marks that
 * reorder text become `_`, whoever wrote them. */
function plain(text) {
  return String(text ?? "").replace(/[\p{Cc}\u2028\u2029\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu, "_");
}

/** Sets a text only where it is another one: what did not change is not drawn. */
function put(node, text) {
  if (node.data !== undefined) {
    if (node.data !== text) node.data = text;
  } else if (node.firstChild === null || node.firstChild.nodeType !== 3 || node.childNodes.length > 1) {
    node.textContent = text;
  } else if (node.firstChild.data !== text) {
    node.firstChild.data = text;
  }
}

function attr(node, name, value) {
  if (value === null) {
    if (node.hasAttribute(name)) node.removeAttribute(name);
  } else if (node.getAttribute(name) !== String(value)) node.setAttribute(name, value);
}

function bytes(value, fixed) {
  let unit = 0;
  while (Math.abs(value) >= 1023.995 && unit < UNITS.length - 1) { value /= 1024; unit += 1; }
  // Ten characters with `/s` at most, so that the digits stand still.
  const places = !fixed ? 2 : unit === 0 || value >= 999.95 ? 0 : value >= 99.995 ? 1 : 2;
  let text = value.toFixed(places);
  if (!fixed) text = text.replace(/\.?0+$/, "");
  return `${text === "-0" ? "0" : text} ${UNITS[unit]}`;
}
const kib = (value) => bytes(value * 1024);
const rate = (value) => `${bytes(value, true)}/s`;
const percent = (value) => `${value.toFixed(1)} %`;
const perSecond = (value) => (value < 9.95 ? value.toFixed(1) : count(Math.round(value)));
const milliseconds = (value) => `${value.toFixed(value < 0.995 ? 2 : 1)} ms`;
const count = (value) => String(value).replace(/\B(?=(\d{3})+$)/g, "\u00a0");

const rises = (degrees) => degrees >= 0.05;
const falls = (degrees) => degrees <= -0.05;
const arrow = (degrees) => (rises(degrees) ? "▲" : falls(degrees) ? "▼" : " ");
const degrees = (value) => `${arrow(value)}${Math.abs(value).toFixed(1).padStart(4)}°`;
function spokenDegrees(value) {
  if (!known(value)) return "no rate";
  const way = rises(value) ? "rising " : falls(value) ? "falling " : "";
  return `${way}${Math.abs(value).toFixed(1)} degrees`;
}

/** A span for people: `0.4 s`, `42 s`, `3 min`, `2 h 5 min`, `3 d 4 h`. */
function span(seconds) {
  if (!known(seconds)) return "–";
  seconds = Math.max(0, seconds);
  if (seconds < 1) return `${seconds.toFixed(1)} s`;
  if (seconds < 100) return `${Math.round(seconds)} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 100) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return `${hours} h ${minutes % 60} min`;
  return `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

const two = (number) => String(number).padStart(2, "0");
/** The time of day here; with its date where it is not today's. */
function clock(at) {
  const time = new Date(at);
  if (Number.isNaN(time.getTime())) return "–";
  const of = (t) => `${t.getFullYear()}-${two(t.getMonth() + 1)}-${two(t.getDate())}`;
  const day = `${two(time.getHours())}:${two(time.getMinutes())}:${two(time.getSeconds())}`;
  return of(time) === of(new Date()) ? day : `${of(time)} ${day}`;
}

/** So many milliseconds the agent's clock is ahead of this browser's. */
let ahead = 0;
const agentNow = () => Date.now() + ahead;
const age = (at) => (agentNow() - Date.parse(at)) / 1000;

/** An element with a class and children, which may be texts. */
function make(name, className, ...children) {
  const node = document.createElement(name);
  if (className) node.className = className;
  node.append(...children);
  return node;
}

/** Fills a list of terms in place: `rows` of [term, text, class]. */
function fill(list, rows) {
  while (list.children.length > rows.length) list.lastElementChild.remove();
  rows.forEach(([term, text, className], at) => {
    let row = list.children[at];
    if (!row) {
      row = make("div", "", make("dt"), make("dd"));
      list.append(row);
    }
    put(row.children[0], term);
    put(row.children[1], text);
    if (row.children[1].className !== (className ?? "")) row.children[1].className = className ?? "";
  });
}
