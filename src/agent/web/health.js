// Collector, record and delivery: is the data still being recorded?

let status = null;
/** What the last figures are of, and when the connection was lost. */
let frameAt = null;
let lostAt = null;
let lostWhy = "";
let interval = 1;
/** Whether the figures are of before something ended: until the next frame. */
let awaiting = false;

const running = () => status?.collector?.state === "running";
const collecting = () => status !== null && status.collector?.state !== "stopped";

function verdict() {
  if ($("ask-token").open) return ["warn", "○", "not known: the agent asks for its token"];
  if (lostAt !== null) return ["crit", "✖", `not known: the agent has not answered since ${clock(lostAt)}`];
  if (status === null) return ["", "○", "not known yet"];
  const { collector, delivery, store } = status;
  const why = (part) => (part?.why ? `: ${plain(part.why)}` : "");
  if (!collector || collector.state === "connecting") return ["warn", "○", "not yet: libvirt is being connected to"];
  if (collector.state === "stopped") return ["warn", "■", `no: collection is stopped since ${clock(collector.since)}`];
  if (collector.state === "failed") return ["crit", "✖", `no: libvirt cannot be read since ${clock(collector.since)}${why(collector)}`];
  if (store.state === "another process records") return ["warn", "○", `not by this agent: ${plain(store.why)} records`];
  const database = {
    off: "", probing: "; the database is being asked what it speaks", delivering: "; delivered to the database",
    retrying: `; the database does not take it, and is tried again${why(delivery)}`,
    paused: `; delivery needs you${why(delivery)}${delivery.mend ? `. ${plain(delivery.mend)}` : ""}`,
  }[delivery.state] ?? "";
  const toned = delivery.state === "retrying" ? "warn" : delivery.state === "paused" ? "crit" : "ok";
  if (store.state === "failing") return ["crit", "✖", `only in memory: the local record fails${why(store)}${database}`];
  if (store.state === "off") {
    return delivery.state === "off" ? ["crit", "✖", "no: neither a local record nor a database is set"]
      : [toned, toned === "ok" ? "●" : "◌", `yes, without a local record${database}`];
  }
  return [toned, toned === "ok" ? "●" : "◌", `yes, recorded on this host${database || "; no database is set"}`];
}

function healthFigures() {
  if (status === null) return [];
  const { delivery, store } = status;
  const rows = [];
  const dropped = Object.entries(delivery.dropped ?? {});
  const lost = dropped.reduce((all, [, number]) => all + number, 0);
  if (delivery.state !== "off") {
    const oldest = delivery.waiting && delivery.oldest_waiting ? `, the oldest ${span(age(delivery.oldest_waiting))} old` : "";
    rows.push(["waiting", `${count(delivery.waiting)} lines${oldest}`, delivery.state === "delivering" ? "" : "so"]);
    rows.push(["delivered", count(delivery.delivered)]);
  } else rows.push(["recorded", `${count(delivery.emitted)} lines`]);
  rows.push(["dropped", lost ? `${count(lost)} (${dropped.map(([why, number]) => `${plain(why)} ${count(number)}`).join(", ")})` : "0", lost ? "bad" : ""]);
  if (delivery.quarantined) rows.push(["refused", count(delivery.quarantined), "bad"]);
  if (delivery.state !== "off") {
    const answer = delivery.last_answer;
    rows.push(["last answer", answer
      ? `${answer.status ?? "none"}${answer.status === 204 || answer.status === 200 ? "" : answer.text === delivery.why ? "" : ` ${plain(answer.text)}`}, ${milliseconds(answer.took_sec * 1000)}, ${span(age(answer.at))} ago`
      : "none yet", answer && !(answer.status >= 200 && answer.status < 300) ? "so" : ""]);
    if (delivery.next_try_at) rows.push(["next try", `in ${span(-age(delivery.next_try_at))}`]);
  }
  if (store.state !== "off") rows.push(["record", `${bytes(store.bytes)}${store.covers_since ? ` since ${clock(store.covers_since)}` : ""}`]);
  return rows;
}

function collectorFigures() {
  const collector = status?.collector;
  if (!collector) return [];
  const silent = collector.silent.map((vm) => `${plain(vm.name)}: ${plain(vm.why)}`);
  const stuck = collector.stuck_calls.length;
  return [
    ["state", `${collector.state} since ${clock(collector.since)}${collector.why ? `: ${plain(collector.why)}` : ""}`],
    ["VMs read", count(status.vms_monitored ?? 0)],
    ["cycles", `${count(status.total_collections ?? 0)}, the last ${known(collector.last_cycle_sec) ? `${milliseconds(collector.last_cycle_sec * 1000)} of ${span(collector.poll_interval_sec)}` : "–, none yet"}`],
    ["errors", status.total_errors ? `${count(status.total_errors)}, the last: ${plain(status.last_error)}` : "0", status.total_errors ? "so" : ""],
    ["skipped ticks", count(collector.skipped_ticks), collector.skipped_ticks ? "so" : ""],
    ["lists", `${collector.lists} in parallel${collector.cycles_per_round > 1 ? `, all read in ${collector.cycles_per_round} cycles` : ""}`],
    ["stuck calls", `${stuck} of at most ${collector.max_stuck_calls}`, stuck ? "bad" : ""],
    ["reconnects", count(collector.reconnects)],
    ["libvirt's events", `${plain(collector.events)}, ${count(collector.events_seen)} seen`],
    ["not answering", silent.length ? silent.slice(0, 20).join("; ") + (silent.length > 20 ? ` and ${silent.length - 20} more` : "") : "none", silent.length ? "so" : ""],
  ];
}

const STATES = {
  running: ["ok", "●", "collecting"], connecting: ["warn", "○", "connecting"],
  stopped: ["warn", "■", "stopped"], failed: ["crit", "✖", "failing"],
};

/** Whether the figures on the page are of now. */
function freshness() {
  if (lostAt !== null) return "lost";
  if (frameAt === null) return "none";
  if (status !== null && !running()) return "still";
  return awaiting || (agentNow() - frameAt) / 1000 > interval * 3 + 10 ? "late" : "live";
}

function drawHealth() {
  const [tone, sign, words] = verdict();
  const line = $("verdict");
  line.className = `verdict ${tone}`;
  put(line.children[0], sign);
  put(line.children[1], words[0].toUpperCase() + words.slice(1));
  fill($("figures"), healthFigures());
  if (!$("collector").hidden) fill($("collector"), collectorFigures());

  const fresh = freshness();
  const [pillTone, pillSign, pillWords] = lostAt !== null ? ["crit", "✖", "not connected"]
    : STATES[status?.collector?.state] ?? ["", "○", "connecting"];
  const pill = $("state");
  pill.className = `pill ${pillTone}`;
  put(pill.children[0], pillSign);
  put(pill.children[1], pillWords);
  put(pill.children[2], pillWords === "collecting" ? `every ${span(interval)}` : "");
  const button = $("startstop");
  button.disabled = status === null || lostAt !== null || asked;
  put(button, collecting() ? "stop" : "start");

  document.documentElement.classList.toggle("stale", fresh !== "live");
  document.documentElement.classList.toggle("gone-agent", fresh === "lost");
  const lost = $("lost");
  lost.hidden = lostAt === null || $("ask-token").open;
  if (lostAt !== null) {
    const figures = frameAt === null ? "" : ` The figures below are of ${clock(frameAt)}, not of now.`;
    put(lost.children[0], `No connection to the agent since ${clock(lostAt)}${lostWhy ? ` (${lostWhy})` : ""}.${figures}`);
    put(lost.children[1], triesAt === null ? "trying now" : `next try in ${span((triesAt - Date.now()) / 1000)}`);
  }
  const still = $("still");
  const state = status?.collector;
  const of = frameAt === null ? "" : ` The figures below are of ${clock(frameAt)}.`;
  const text = fresh === "still" || fresh === "none"
    ? state?.state === "stopped" ? `Collection is stopped since ${clock(state.since)}: nothing is recorded.${of} Press start, or s, to go on.`
      : state?.state === "failed" ? `libvirt cannot be read since ${clock(state.since)}${state.why ? `: ${plain(state.why)}` : ""}.${of}`
        : state?.state === "connecting" && fresh === "still" ? `libvirt is being connected to since ${clock(state.since)}.${of}` : ""
    : fresh === "late" ? `No new figures since ${clock(frameAt)}: a cycle takes long, or the agent is stuck.` : "";
  still.hidden = text === "" || lostAt !== null;
  put(still.children[0], text);
}

function drawHost(host, frame) {
  const name = plain(host?.name ?? "");
  put($("host"), name);
  document.title = name ? `${name} · kvmscope` : "kvmscope";
  put($("versions"), [host?.hypervisor, host?.libvirt ? `libvirt ${host.libvirt}` : ""].filter(Boolean).map(plain).join(" · "));
  $("demo").hidden = !host?.demo;
  for (const [id, label, field] of [["host-cpu", "host CPU", "cpu_usage_percent"], ["host-mem", "host memory", "memory_usage_percent"]]) {
    const node = $(id);
    const now = known(host?.[field]) ? host[field] : null;
    const why = plain(host?.missing?.[field] ?? "not told");
    meter(node, label, now === null ? null : now / 100, { now, max: 100, why, tone: severity(now), text: now === null ? "" : percent(now) });
    put(node.nextElementSibling, now === null ? `– ${why}` : percent(now));
  }
  const given = [];
  if (known(host?.vcpus_given)) given.push(`${host.vcpus_given} vCPU on ${host.cpus ?? "–"} CPUs`);
  if (known(host?.memory_given)) given.push(`${kib(host.memory_given)} given${known(host.memory_total) ? ` of ${kib(host.memory_total)}` : ""}`);
  put($("given"), given.join(" · "));
  const pressure = ["cpu", "memory", "io"].filter((part) => known(host?.[`pressure_${part}_percent`]))
    .map((part) => `${part} ${host[`pressure_${part}_percent`].toFixed(1)} %`);
  put($("pressure"), pressure.length ? `pressure: ${pressure.join(" · ")}` : "");

  const refs = frame.angle_references ?? {};
  const raw = frame.angle_mode === "raw";
  ceilingOfCpu = raw || !(refs.cpu > 0) ? 90 : Math.max(1, Math.atan(1 / refs.cpu) * 180 / Math.PI);
  put($("refs"), raw ? "Raw mode: 45° is 1 ns, 1 KiB, 1 B per second."
    : `45° is: cpu ${percent(refs.cpu * 100)} of the VM's vCPUs, memory ${rate(refs.memory)}, disk ${rate(refs.disk)}, network ${rate(refs.network)}.`);
}
