// A card for each VM. A card's figures exist only while it is in view: nothing
// out of sight is drawn, and nothing old waits there to be taken for new.

const COLUMNS = 48;
const METRICS = ["cpu_rate", "memory_rate", "disk_read_rate", "disk_write_rate", "network_rx_rate", "network_tx_rate"];
const SIGNS = { running: "●", blocked: "●", paused: "‖", shutdown: "◐", shutoff: "○", crashed: "✖", pmsuspended: "☾" };
const WORDS = { shutoff: "off", shutdown: "shutting down", pmsuspended: "suspended", nostate: "no state" };

const cards = new Map();
const inView = new Set();
const pool = [];
let ceilingOfCpu = 45;

const watcher = new IntersectionObserver((entries) => {
  for (const entry of entries) {
    const card = cards.get(entry.target.dataset.uuid);
    if (!card) continue;
    if (entry.isIntersecting) {
      inView.add(card);
      draw(card);
    } else {
      inView.delete(card);
      putAway(card);
    }
  }
  readPast();
}, { rootMargin: "300px 0px" });

function newCard(uuid) {
  const li = $("card").content.firstElementChild.cloneNode(true);
  li.dataset.uuid = uuid;
  const card = {
    uuid, li, vm: null, body: null, all: null, open: false, kept: new Map(), cycles: [], filled: -1,
    article: li.firstElementChild, button: li.querySelector(".name"), sign: li.querySelector(".sign"),
    name: li.querySelector("bdi"), word: li.querySelector(".word"), size: li.querySelector(".size"),
    note: li.querySelector(".note"),
  };
  card.article.setAttribute("aria-labelledby", `n-${uuid}`);
  card.name.id = `n-${uuid}`;
  card.button.addEventListener("click", () => {
    card.open = !card.open;
    draw(card);
  });
  watcher.observe(li);
  cards.set(uuid, card);
  return card;
}

function removeCard(card) {
  watcher.unobserve(card.li);
  inView.delete(card);
  putAway(card);
  card.li.remove();
  cards.delete(card.uuid);
}

function newBody() {
  const root = $("body").content.firstElementChild.cloneNode(true);
  const rows = [...root.children].map((row) => {
    for (const cell of row.children) if (!cell.classList.contains("meter")) cell.setAttribute("aria-hidden", "true");
    const [rising, falling] = row.querySelectorAll(".spark path");
    return {
      row, rising, falling, meter: row.querySelector(".meter"), num: row.querySelector(".num"),
      deg: row.querySelector(".deg"), needle: row.querySelector(".needle"),
    };
  });
  return { root, rows };
}

function putAway(card) {
  if (!card.body) return;
  card.body.root.remove();
  pool.push(card.body);
  card.body = null;
}

/** A value of this cycle, or that of an earlier one where this cycle did not ask. */
function value(card, field) {
  const now = card.vm[field];
  if (known(now)) return { now, old: false, why: "" };
  const why = reason(card.vm, field);
  const kept = card.kept.get(field);
  if (why.startsWith("not due") && kept !== undefined) return { now: kept, old: true, why };
  return { now: null, old: false, why };
}

const reason = (vm, field) => plain(vm.missing?.[field] ?? vm.missing?.health ?? "no reason is given");

/** Takes a VM's figures of the cycle that closed at `at`. */
function take(card, vm, at, interval) {
  card.vm = vm;
  // The same once more, as after a lost connection.
  if (at === card.cycles.at(-1)?.at) return;
  card.cycles.push({ at, interval, angles: METRICS.map((metric) => (vm.fresh ? angleOf(vm, metric) : null)) });
  if (card.cycles.length > COLUMNS) card.cycles.shift();
  for (const field of KEPT) {
    if (known(vm[field])) card.kept.set(field, vm[field]);
    else if (!reason(vm, field).startsWith("not due")) card.kept.delete(field);
  }
}

/** In tenths, as the record has it; null is a gap, undefined was not due. */
function angleOf(vm, metric) {
  const angle = vm[metric];
  if (known(angle)) return Math.sign(angle) * Math.round(Math.abs(angle) * 10) / 10;
  return reason(vm, metric).startsWith("not due") ? undefined : null;
}

const KEPT = [
  ...METRICS, "memory_usage_percent", "disk_read_bytes_per_sec", "disk_write_bytes_per_sec",
  "network_rx_bytes_per_sec", "network_tx_bytes_per_sec", "cpu_usage_percent",
];

const isOff = (vm) => vm.health === "inactive";

/** Draws what a card says now, if it is in view. */
function draw(card) {
  if (!inView.has(card) || card.vm === null) return;
  const { vm, li } = card;
  const off = isOff(vm);
  const impaired = vm.health === "impaired";
  const state = String(vm.state ?? "");
  put(card.name, plain(vm.name));
  put(card.sign, impaired ? "◌" : SIGNS[state] ?? "?");
  put(card.word, impaired && state === "running" ? "not answering" : WORDS[state] ?? plain(state));
  put(card.size, [known(vm.cpu_count) ? `${vm.cpu_count} vCPU` : "", known(vm.memory_max) ? kib(vm.memory_max) : ""]
    .filter(Boolean).join(" · "));
  const tone = impaired || state === "paused" || state === "pmsuspended" ? "warn"
    : state === "crashed" ? "crit" : off ? "is-off" : "ok";
  li.className = `card ${tone}${off ? "" : " live"}${card.open ? " open" : ""}`;
  attr(card.button, "aria-expanded", card.open);
  const note = impaired ? reason(vm, "health") : off ? (vm.state_reason ? plain(vm.state_reason) : "") : "";
  card.note.hidden = note === "";
  put(card.note, note);

  if (off) putAway(card);
  else {
    if (!card.body) {
      card.body = pool.pop() ?? newBody();
      card.article.insertBefore(card.body.root, card.all);
    }
    drawBody(card);
  }
  if (card.open) drawAll(card);
  else if (card.all) {
    card.all.remove();
    card.all = null;
  }
}

function drawBody(card) {
  const rows = card.body.rows;
  // Without the guest's report the balloon's size stands in: it says nothing of need.
  const balloon = card.vm.memory_source === "balloon";
  const above = card.note.hidden ? null : card.note.textContent;
  const fields = [
    ["cpu_usage_percent", percent], ["memory_usage_percent", balloon ? (number) => `~${percent(number)}` : percent],
    ["disk_read_bytes_per_sec", rate], ["disk_write_bytes_per_sec", rate],
    ["network_rx_bytes_per_sec", rate], ["network_tx_bytes_per_sec", rate],
  ];
  const told = fields.map(([field, write], at) => {
    const number = value(card, field);
    const angle = value(card, METRICS[at]);
    // What the card says above its rows is not said in each of them again.
    drawRow(rows[at], number, angle, write, number.why !== "" && number.why === above);
    return { number, angle, write };
  });
  for (const [first, second] of [[2, 3], [4, 5]]) {
    const [one, other] = [told[first].number, told[second].number];
    const both = one.now === null && other.now === null && one.why === other.why && one.why !== above;
    rows[first].row.classList.toggle("both", both);
    rows[second].row.classList.toggle("mute", both);
  }
  sparklines(card);
  for (const [at, name] of [[0, "CPU"], [1, "memory"]]) {
    const { number, angle } = told[at];
    meter(rows[at].meter, name, number.now === null ? null : number.now / 100, {
      now: number.now, max: 100, why: number.why, tone: at === 1 && balloon ? "balloon" : severity(number.now),
      text: number.now === null ? "" : `${percent(number.now)}, ${spokenDegrees(angle.now)}`,
    });
  }
  for (const [at, name, first, second] of [[2, "disk", "read", "written"], [4, "network", "received", "sent"]]) {
    const [one, other] = [told[at], told[at + 1]];
    const angles = [one.angle.now, other.angle.now].filter(known).map(Math.abs);
    const largest = angles.length ? Math.max(...angles) : null;
    const larger = largest !== null && Math.abs(other.angle.now ?? 0) === largest ? "out" : "in";
    const say = (word, { number, angle }) =>
      number.now === null ? `${word} not known: ${number.why}` : `${word} ${rate(number.now)}, ${spokenDegrees(angle.now)}`;
    meter(rows[at].meter, name, largest === null ? null : largest / 90, {
      now: largest, max: 90, why: one.angle.why, tone: `two ${larger}`,
      text: `${say(first, one)}; ${say(second, other)}`,
    });
  }
}

/** From how many percent a gauge warns: those of the agent's configuration. */
const thresholds = { warn: 70, critical: 90 };
const severity = (now) =>
  (!known(now) ? "" : now >= thresholds.critical ? "crit" : now >= thresholds.warn ? "warn" : "");

/** Only the drawing is clamped, never a number. */
function meter(node, name, fraction, { now, max, why, tone, text }) {
  const none = fraction === null;
  const className = `meter ${tone}${none ? " none" : ""}`;
  if (node.className !== className) node.className = className;
  const full = none ? 0 : Math.min(1, Math.max(0, fraction));
  node.firstElementChild.style.setProperty("--fill", (full > 0.005 ? Math.max(full, 0.02) : full).toFixed(3));
  attr(node, "role", none ? "img" : "meter");
  attr(node, "aria-label", none ? `${name}: not known: ${why}` : name);
  attr(node, "aria-valuemin", none ? null : 0);
  attr(node, "aria-valuemax", none ? null : max);
  attr(node, "aria-valuenow", none ? null : Math.min(max, Math.max(0, now)).toFixed(1));
  attr(node, "aria-valuetext", none ? null : text);
}

function drawRow(cells, number, angle, write, said) {
  const gone = number.now === null;
  const flat = angle.now === null;
  cells.row.classList.toggle("gone", gone && !said);
  cells.row.classList.toggle("flat", flat);
  cells.row.classList.toggle("old", number.old || angle.old);
  put(cells.num, gone ? (said ? "–" : `– ${number.why}`) : write(number.now));
  attr(cells.num, "title", gone ? number.why : number.old ? "read in an earlier cycle" : null);
  put(cells.deg, flat ? "–" : degrees(angle.now));
  attr(cells.deg, "title", flat ? angle.why : null);
  if (!flat) attr(cells.needle, "transform", `rotate(${-Math.round(angle.now)} 1 0)`);
}

/** What each column shows, the newest last: a cycle, or null for a gap. */
function columns(cycles) {
  const all = [];
  for (let at = cycles.length - 1; at >= 0 && all.length < COLUMNS; at -= 1) {
    const next = cycles[at + 1];
    // Cycles that nobody knows of are gaps.
    const lost = next ? Math.round((next.at - cycles[at].at) / 1000 / next.interval) - 1 : 0;
    for (let gap = 0; gap < lost && all.length < COLUMNS; gap += 1) all.push(null);
    if (all.length < COLUMNS) all.push(cycles[at].angles);
  }
  return all.reverse();
}

/** One metric of each column. In a cycle in which it was not due it is that of
 * the next reading, which spans that cycle, or else that of the one before. */
function line(all, metric) {
  const angles = all.map((cycle) => (cycle === null ? null : cycle[metric]));
  let next = null;
  for (let at = angles.length - 1; at >= 0; at -= 1) {
    if (angles[at] !== undefined) next = angles[at];
    else if (next !== null) angles[at] = next;
  }
  let before = null;
  return angles.map((angle) => {
    if (angle !== undefined) before = angle;
    return before;
  });
}

function sparklines(card) {
  const { cycles, body } = card;
  const all = columns(cycles);
  const start = COLUMNS - all.length;
  body.rows.forEach(({ rising, falling }, metric) => {
    const ceiling = metric === 0 ? ceilingOfCpu : 90;
    let up = "";
    let down = "";
    line(all, metric).forEach((angle, column) => {
      if (!known(angle)) return;
      const height = Math.max(1, Math.min(1, Math.abs(angle) / ceiling) * 16).toFixed(1);
      if (falls(angle)) down += `M${start + column} 0h1v${height}h-1z`;
      else up += `M${start + column} 16h1v-${height}h-1z`;
    });
    attr(rising, "d", up);
    attr(falling, "d", down);
  });
}

const cores = (number) => number.toFixed(2);
const ALL = [
  ["cpu", [["cpu_usage_percent", percent, "percent"], ["cpu_rate", degrees, "degrees"], ["cpu_cores", (n) => `${cores(n)} cores`, "cores"], ["overhead_cores", (n) => `${cores(n)} of them QEMU's own`, "QEMU's own"], ["steal_percent", (n) => `${n.toFixed(1)} % steal`, "steal"]]],
  ["memory", [["memory_used", kib, "used"], ["memory_max", (n) => `of ${kib(n)}`, "maximum"], ["memory_kb_per_sec", (n) => rate(n * 1024), "rate"], ["memory_rate", degrees, "degrees"], ["host_rss", (n) => `${kib(n)} of the host`, "of the host"]]],
  ["disk read", device("disk_read", "disk_reads_per_sec", (n) => `${perSecond(n)} reads/s`, "disk_ms_per_read")],
  ["disk write", device("disk_write", "disk_writes_per_sec", (n) => `${perSecond(n)} writes/s`, "disk_ms_per_write")],
  ["net in", device("network_rx", "network_rx_packets_per_sec", (n) => `${perSecond(n)} packets/s`)],
  ["net out", device("network_tx", "network_tx_packets_per_sec", (n) => `${perSecond(n)} packets/s`)],
  ["net faults", [["network_errors_per_sec", (n) => `${perSecond(n)} errors/s`, "errors"], ["network_drops_per_sec", (n) => `${perSecond(n)} drops/s`, "drops"]]],
];

/** The figures of one direction. */
function device(name, operations, write, latency) {
  const fields = [[`${name}_bytes_per_sec`, rate, "rate"], [`${name}_rate`, degrees, "degrees"], [operations, write, "operations"]];
  if (latency) fields.push([latency, (n) => `${milliseconds(n)} each`, "time of each"]);
  fields.push([`${name}_bytes`, (n) => `${bytes(n)} in all`, "in all"]);
  return fields;
}

/** What is there of `fields`, and of the rest the reasons. */
function told(vm, fields) {
  const texts = [];
  const gone = new Map();
  for (const [field, write, label] of fields) {
    if (known(vm[field])) texts.push(write(vm[field]).trim());
    else {
      const because = reason(vm, field) + (vm.mend?.[field] ? ` (${plain(vm.mend[field])})` : "");
      gone.set(because, [...(gone.get(because) ?? []), label]);
    }
  }
  for (const [because, labels] of gone) texts.push(labels.length === fields.length ? `– ${because}` : `${labels.join(", ")} – ${because}`);
  return texts.join(" · ");
}

/** All of an open card: what is there, and of the rest why it is not. */
function drawAll(card) {
  const { vm } = card;
  const rows = [["uuid", plain(vm.uuid)], ["state", `${plain(vm.state)}${vm.state_reason ? `, ${plain(vm.state_reason)}` : ""}${known(vm.id) ? `, id ${vm.id}` : ""}`]];
  rows.push(["read at", clock(vm.read_at)]);
  if (vm.job) rows.push(["job", [plain(vm.job.operation), known(vm.job.percent) ? percent(vm.job.percent) : "", known(vm.job.remaining_sec) ? `${span(vm.job.remaining_sec)} left` : ""].filter(Boolean).join(" · ")]);
  for (const [term, fields] of isOff(vm) ? [] : ALL) rows.push([term, told(vm, fields)]);
  if (!card.all) {
    card.all = make("dl", "all");
    card.article.append(card.all);
  }
  flatFill(card.all, rows);
}

function flatFill(list, rows) {
  while (list.children.length > rows.length * 2) list.lastElementChild.remove();
  rows.forEach(([term, text, className], at) => {
    if (!list.children[at * 2]) list.append(make("dt"), make("dd"));
    put(list.children[at * 2], term);
    put(list.children[at * 2 + 1], text);
    list.children[at * 2 + 1].className = className ?? "";
  });
}
