// Which cards are shown, and in which order.

const ORDERS = ["name", "cpu", "memory", "disk", "network"];
const view = { sort: "name", reverse: false, filter: "", off: true };
let sortedAt = 0;

const sum = (card, ...fields) => {
  const there = fields.map((field) => value(card, field).now).filter(known);
  return there.length ? there.reduce((one, other) => one + other, 0) : null;
};
const FIGURE = {
  cpu: (card) => sum(card, "cpu_usage_percent"),
  memory: (card) => sum(card, "memory_usage_percent"),
  disk: (card) => sum(card, "disk_read_bytes_per_sec", "disk_write_bytes_per_sec"),
  network: (card) => sum(card, "network_rx_bytes_per_sec", "network_tx_bytes_per_sec"),
};
const collator = new Intl.Collator(undefined, { numeric: true });

function isShown(vm) {
  if (!view.off && isOff(vm)) return false;
  return view.filter.toLowerCase().split(/\s+/).filter(Boolean).every((word) => {
    if (word.startsWith("state:")) {
      const wanted = word.slice(6);
      const state = String(vm.state).toLowerCase();
      return state.startsWith(wanted) || (WORDS[state] ?? "").startsWith(wanted)
        || (vm.health === "impaired" && "hung".startsWith(wanted));
    }
    return plain(vm.name).toLowerCase().includes(word) || String(vm.uuid).includes(word);
  });
}

/** Orders the cards. By a figure only every few seconds, and never under the
 * hand of somebody who is among them: what moves is lost. */
function arrange(now) {
  const list = $("cards");
  const live = [...cards.values()].filter((card) => card.vm);
  let shown = 0;
  for (const card of live) {
    const hide = !isShown(card.vm);
    if (card.li.hidden !== hide) card.li.hidden = hide;
    shown += hide ? 0 : 1;
  }
  tally(live, shown);
  const held = list.contains(document.activeElement) || list.matches(":hover");
  const still = view.sort !== "name" && (held || performance.now() - sortedAt < 3000);
  if (now || !still) {
    sortedAt = performance.now();
    reorder(list, sorted(live));
  } else {
    reorder(list, [...live].sort((one, other) => place(one) - place(other)));
  }
}

const place = (card) => card.place ?? Number.MAX_SAFE_INTEGER;

function sorted(live) {
  const names = new Map(live.map((card) => [card, plain(card.vm.name)]));
  const byName = (one, other) => collator.compare(names.get(one), names.get(other)) || (one.uuid < other.uuid ? -1 : 1);
  const turn = view.reverse ? -1 : 1;
  const figure = FIGURE[view.sort];
  const figures = figure && new Map(live.map((card) => [card, figure(card)]));
  return live.sort((one, other) => {
    // What is off is last, whatever the order.
    const off = Number(isOff(one.vm)) - Number(isOff(other.vm));
    if (off !== 0) return off;
    if (!figure) return turn * byName(one, other);
    const [a, b] = [figures.get(one), figures.get(other)];
    if (a === null || b === null) return a === b ? byName(one, other) : a === null ? 1 : -1;
    return turn * (b - a) || byName(one, other);
  });
}

function reorder(list, wanted) {
  const focused = document.activeElement;
  let at = list.firstElementChild;
  wanted.forEach((card, index) => {
    card.place = index;
    if (card.li === at) at = at.nextElementSibling;
    else list.insertBefore(card.li, at);
  });
  if (focused !== document.activeElement && list.contains(focused)) focused.focus({ preventScroll: true });
}

function tally(live, shown) {
  const counts = new Map();
  for (const { vm } of live) {
    const word = vm.health === "impaired" ? "not answering" : WORDS[vm.state] ?? plain(vm.state);
    counts.set(word, (counts.get(word) ?? 0) + 1);
  }
  const parts = [...counts].sort((one, other) => other[1] - one[1]).map(([word, number]) => `${number} ${word}`);
  const some = shown === live.length ? "" : ` · ${shown} of ${live.length} shown`;
  put($("tally"), live.length ? parts.join(" · ") + some : "");
  const empty = $("empty");
  empty.hidden = shown > 0 || frameAt === null;
  put(empty, live.length === 0 ? "There is no VM on this host. One that is defined or started appears here." : "No VM is as the filter asks. Esc in the filter ends it.");
}

function sortBy(order, reverse) {
  view.sort = order;
  view.reverse = reverse;
  $("sort").value = order;
  $("reverse").setAttribute("aria-pressed", reverse);
  put($("reverse"), reverse !== (order === "name") ? "▲" : "▼");
  remember();
  arrange(true);
}

function filter(text) {
  view.filter = text;
  remember();
  arrange(true);
}

function showOff(off) {
  view.off = off;
  $("off").setAttribute("aria-pressed", off);
  const word = off ? "shown" : "hidden";
  put($("off"), `off: ${word}`);
  attr($("off"), "aria-label", `VMs that are off: ${word}`);
  remember();
  arrange(true);
}

/** The view stands in the address, so that a reload or a bookmark brings it
 * back. It goes nowhere: what follows # is sent to nobody. */
function remember() {
  const kept = new URLSearchParams();
  if (view.filter) kept.set("find", view.filter);
  if (view.sort !== "name") kept.set("sort", view.sort);
  if (view.reverse) kept.set("reverse", "yes");
  if (!view.off) kept.set("off", "hidden");
  const hash = String(kept);
  if (location.hash.slice(1) === hash) return;
  history.replaceState(null, "", hash ? `#${hash}` : location.pathname + location.search);
}

function recall() {
  const kept = new URLSearchParams(location.hash.slice(1));
  const [order, text] = [kept.get("sort"), (kept.get("find") ?? "").slice(0, $("filter").maxLength)];
  Object.assign(view, { filter: text, off: kept.get("off") !== "hidden" });
  $("filter").value = text;
  sortBy(ORDERS.includes(order) ? order : "name", kept.get("reverse") === "yes");
  showOff(view.off);
}

/** Moves the focus by so many cards, or to the first or last. */
function move(step) {
  const shown = [...$("cards").children].filter((li) => !li.hidden);
  const at = shown.findIndex((li) => li.contains(document.activeElement));
  const to = step === "first" ? 0 : step === "last" ? shown.length - 1 : at < 0 ? 0 : at + step;
  const li = shown[Math.min(shown.length - 1, Math.max(0, to))];
  if (!li) return;
  li.querySelector(".name").focus({ preventScroll: true });
  li.scrollIntoView({ block: "nearest" });
}
