// Puts the parts together: what the agent tells, what the keys do.

function onFrame(frame) {
  const at = Date.parse(frame.timestamp);
  if (Number.isNaN(at)) return;
  frameAt = at;
  awaiting = false;
  if (known(frame.interval_sec)) interval = frame.interval_sec;
  drawHost(frame.host, frame);
  const told = new Set();
  const list = $("cards");
  for (const vm of frame.vms) {
    const uuid = String(vm.uuid);
    told.add(uuid);
    let card = cards.get(uuid);
    if (!card) {
      card = newCard(uuid);
      list.append(card.li);
    }
    take(card, vm, at, interval);
    // The name alone is there for all, so that they can be found.
    put(card.name, plain(vm.name));
  }
  for (const card of [...cards.values()]) if (!told.has(card.uuid)) removeCard(card);
  if (document.hidden) return;
  arrange(false);
  for (const card of inView) draw(card);
  drawHealth();
  readPast();
}

function onStatus(told) {
  const at = Date.parse(told.timestamp);
  // An answer that an event has overtaken.
  if (status !== null && at < Date.parse(status.timestamp) && lostAt === null) return;
  status = told;
  if (!Number.isNaN(at)) ahead = at - Date.now();
  if (!running()) awaiting = true;
  if (known(told.collector?.poll_interval_sec)) interval = told.collector.poll_interval_sec;
  takeThresholds(told.thresholds);
  drawHealth();
}

function takeThresholds(told) {
  if (!known(told?.warn_percent) || !known(told?.critical_percent)) return;
  if (thresholds.warn === told.warn_percent && thresholds.critical === told.critical_percent) return;
  thresholds.warn = told.warn_percent;
  thresholds.critical = told.critical_percent;
  put($("warn-from"), `${thresholds.warn}\u00a0%`);
  put($("critical-from"), `${thresholds.critical}\u00a0%`);
  for (const card of inView) draw(card);
}

let quiet = null;
function say(text) {
  put($("said"), text);
  clearTimeout(quiet);
  quiet = setTimeout(() => put($("said"), ""), 6000);
}

function startOrStop() {
  if ($("startstop").disabled) return;
  if (collecting()) {
    $("ask-stop").showModal();
    $("stop-no").focus();
  } else command("start");
}

function stop() {
  $("ask-stop").close();
  command("stop");
}

const THEMES = ["system", "dark", "light"];
function theme(name) {
  if (name === "system") document.documentElement.removeAttribute("data-theme");
  else document.documentElement.dataset.theme = name;
  put($("theme"), `◐ ${name === "system" ? "auto" : name}`);
  attr($("theme"), "aria-label", `theme: ${name}`);
  try { localStorage.setItem("kvmscope.theme", name); } catch { /* for this time alone */ }
}
function nextTheme() {
  const now = document.documentElement.dataset.theme ?? "system";
  theme(THEMES[(THEMES.indexOf(now) + 1) % THEMES.length]);
}

function toggleCollector() {
  const list = $("collector");
  list.hidden = !list.hidden;
  $("more").setAttribute("aria-expanded", !list.hidden);
  drawHealth();
}

const toggleOff = () => showOff(!view.off);
const nextSort = () => sortBy(ORDERS[(ORDERS.indexOf(view.sort) + 1) % ORDERS.length], false);
function help() {
  $("forget-row").hidden = token === null;
  $("help-page").showModal();
}

const KEYS = {
  "/": () => { $("filter").focus(); $("filter").select(); },
  s: startOrStop, o: nextSort, O: () => sortBy(view.sort, !view.reverse), a: toggleOff, c: toggleCollector, t: nextTheme,
  "?": help, j: () => move(1), k: () => move(-1), ArrowDown: () => move(1), ArrowUp: () => move(-1),
  g: () => move("first"), G: () => move("last"),
};

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.altKey || event.metaKey || event.isComposing) return;
  if ($("ask-stop").open) {
    if (event.key === "y") stop();
    else if (event.key === "n") $("ask-stop").close();
    return;
  }
  if (document.querySelector("dialog[open]")) return;
  const field = event.target;
  if (field === $("filter")) {
    if (event.key === "Escape") { field.value = ""; filter(""); field.blur(); }
    else if (event.key === "Enter" || event.key === "ArrowDown") { event.preventDefault(); move("first"); }
    return;
  }
  if (field instanceof HTMLSelectElement) return;
  // Arrows scroll the page until somebody is among the cards.
  if (event.key.startsWith("Arrow") && !$("cards").contains(field)) return;
  const act = Object.hasOwn(KEYS, event.key) ? KEYS[event.key] : undefined;
  if (!act) return;
  event.preventDefault();
  act();
});

$("startstop").addEventListener("click", startOrStop);
$("stop-yes").addEventListener("click", stop);
$("stop-no").addEventListener("click", () => $("ask-stop").close());
$("help").addEventListener("click", help);
$("help-close").addEventListener("click", () => $("help-page").close());
$("forget").addEventListener("click", () => { keep(null); location.reload(); });
$("theme").addEventListener("click", nextTheme);
$("more").addEventListener("click", toggleCollector);
$("off").addEventListener("click", toggleOff);
$("filter").addEventListener("input", () => filter($("filter").value));
$("sort").addEventListener("change", () => sortBy($("sort").value, false));
$("reverse").addEventListener("click", () => sortBy(view.sort, !view.reverse));
$("retry").addEventListener("click", () => wake?.());
document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault();
  $("vms").focus();
});
window.addEventListener("hashchange", recall);
window.addEventListener("online", () => wake?.());
document.addEventListener("visibilitychange", () => {
  if (document.hidden) return;
  wake?.();
  poll();
  arrange(false);
  for (const card of inView) draw(card);
  readPast();
});

// What sticks below the banners stays below them.
new ResizeObserver(() => {
  document.documentElement.style.setProperty("--banners", `${$("banners").offsetHeight}px`);
}).observe($("banners"));

let chosen = "system";
try { chosen = localStorage.getItem("kvmscope.theme") ?? "system"; } catch { /* none is kept */ }
theme(THEMES.includes(chosen) ? chosen : "system");
recall();
setInterval(() => { if (!document.hidden) drawHealth(); }, 1000);
setInterval(poll, 2000);
drawHealth();
follow();
