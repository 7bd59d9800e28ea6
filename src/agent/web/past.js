// The cycles before the page was open, and those that were not heard while the
// connection was lost: the agent's record has them. It is asked about the cards
// in view alone, about some of them at once, one question after the other.

const AT_ONCE = 40;
const LONGEST_REST = 60000;
const MOST_FAILURES = 6;

/** Counts the connections: each is asked anew about what it has not heard. */
let connection = 0;
let reading = false;
let failures = 0;
/** How many cycles the last answer had: of a large host each has some more. */
let reached = 0;

function forgetAsked() {
  connection += 1;
  failures = 0;
  reached = 0;
}

const rest = (milliseconds) => new Promise((resolve) => { setTimeout(resolve, milliseconds); });

/** Fills the sparklines of the cards in view that have not been filled yet. */
async function readPast() {
  if (reading) return;
  reading = true;
  while (failures < MOST_FAILURES) {
    const wanted = [...inView].filter((card) => card.vm && !isOff(card.vm) && card.filled !== connection).slice(0, AT_ONCE);
    if (!wanted.length || document.hidden || lostAt !== null) break;
    const of = connection;
    try {
      const response = await answered(await ask(
        `/sparklines?cycles=${COLUMNS}&vm=${wanted.map((card) => card.uuid).join(",")}`,
        { signal: AbortSignal.timeout(30000) },
      ));
      const told = await response.json();
      if (of !== connection) continue;
      const grows = told.more === true && told.cycles.length > reached;
      reached = Math.max(reached, told.cycles.length);
      takePast(wanted, told);
      if (!grows) for (const card of wanted) card.filled = of;
      failures = 0;
      await rest(grows ? 400 : 100);
    } catch {
      // Without a record, or while it is busy, the sparklines begin with now.
      failures += 1;
      await rest(Math.min(LONGEST_REST, 1000 * 4 ** failures));
    }
  }
  reading = false;
}

function takePast(wanted, told) {
  const times = told.cycles.map((at) => Date.parse(at));
  if (!times.length || times.some(Number.isNaN)) return;
  const step = stepOf(times);
  for (const card of wanted) {
    const degrees = told.vms[card.uuid];
    if (!degrees) continue;
    goOnFrom(card, times.map((at, cycle) => ({ at, interval: step, angles: METRICS.map((metric) => degrees[metric][cycle]) })));
    draw(card);
  }
}

/** The seconds from one cycle to the next: in the record they may be further
 * apart than those of now, and then that is no gap. */
function stepOf(times) {
  const spans = times.slice(1).map((at, before) => (at - times[before]) / 1000).sort((one, other) => one - other);
  return Math.max(interval, spans[Math.floor(spans.length / 2)] ?? 0);
}

/** Has a card's cycles begin with what was recorded. What the page has heard
 * itself stays, where it reaches further back as well. */
function goOnFrom(card, recorded) {
  const [first, last] = [recorded[0].at, recorded.at(-1).at];
  const heard = new Map(card.cycles.map((cycle) => [cycle.at, cycle]));
  const same = card.cycles.findIndex((cycle) => cycle.at === last);
  const later = same >= 0 ? same + 1 : card.cycles.filter((cycle) => cycle.at < last).length;
  card.cycles = [
    ...card.cycles.slice(0, later).filter((cycle) => cycle.at < first),
    ...recorded.map((cycle) => heard.get(cycle.at) ?? cycle),
    ...card.cycles.slice(later),
  ].slice(-COLUMNS);
}
