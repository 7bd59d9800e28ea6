// The way to the agent: its stream of events, its status, start and stop.
//
// The stream is read with fetch and not with EventSource, which can carry no
// token. The token is kept for this tab alone, and stands in no address.

const API = "/api/telemetry";
const LONGEST_WAIT = 15000;
/** The agent sends something every 15 s, if only a comment. */
const SILENCE = 40000;
const KEY = "kvmscope.token";

let token = null;
try { token = sessionStorage.getItem(KEY); } catch { /* kept in memory alone */ }
let wait = 500;
let triesAt = null;
let wake = null;
let asked = false;

function keep(text) {
  token = text;
  try {
    if (text === null) sessionStorage.removeItem(KEY);
    else sessionStorage.setItem(KEY, text);
  } catch { /* kept in memory alone */ }
}

function ask(path, options = {}) {
  const headers = token === null ? {} : { Authorization: `Bearer ${token}` };
  return fetch(API + path, { ...options, headers, cache: "no-store", credentials: "omit", redirect: "error", referrerPolicy: "no-referrer" });
}

class Refused extends Error {
  constructor(code, words) {
    super(words);
    this.code = code;
  }
}

async function answered(response) {
  if (response.ok) return response;
  let words = "";
  try { words = plain((await response.json()).error); } catch { /* no words */ }
  throw new Refused(response.status, `${response.status} ${words}`.trim());
}

/** Reads the stream until it ends; every event goes to `heard`. */
async function listen(heard) {
  const abort = new AbortController();
  let silence = setTimeout(() => abort.abort(), SILENCE);
  try {
    const response = await answered(await ask("/events", { signal: abort.signal }));
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    const parse = parser(heard);
    for (;;) {
      const { value: text, done } = await reader.read();
      if (done) return;
      clearTimeout(silence);
      silence = setTimeout(() => abort.abort(), SILENCE);
      parse(text);
    }
  } finally {
    clearTimeout(silence);
    abort.abort();
  }
}

/** Takes server-sent events apart, in whatever pieces they come. */
function parser(heard) {
  let pieces = [];
  let name = "message";
  let data = [];
  const line = (text) => {
    if (text === "") {
      if (data.length) heard(name, data.join("\n"));
      name = "message";
      data = [];
      return;
    }
    const colon = text.indexOf(":");
    if (colon === 0) return;
    const field = colon < 0 ? text : text.slice(0, colon);
    const rest = colon < 0 ? "" : text.slice(colon + 1).replace(/^ /, "");
    if (field === "event") name = rest;
    else if (field === "data") data.push(rest);
  };
  return (text) => {
    const parts = text.split("\n");
    pieces.push(parts[0]);
    for (let at = 1; at < parts.length; at += 1) {
      line(pieces.join("").replace(/\r$/, ""));
      pieces = [parts[at]];
    }
  };
}

async function follow() {
  for (;;) {
    try {
      await listen((name, data) => {
        wait = 500;
        let told;
        try { told = JSON.parse(data); } catch { return; }
        connected();
        if (name === "frame") onFrame(told);
        else if (name === "status") onStatus(told);
      });
      lost("the stream ended");
    } catch (error) {
      if (error instanceof Refused && error.code === 401) {
        lost(token === null ? "a token is needed" : "the token is not accepted");
        await askToken(token === null ? "" : "This token is not accepted: it is not the one in the agent's agent.token_file.");
        wait = 500;
        continue;
      }
      lost(error instanceof Refused ? error.message : error.name === "AbortError" ? "it was silent for too long" : "it cannot be reached");
    }
    triesAt = Date.now() + wait;
    drawHealth();
    await new Promise((resolve) => {
      wake = resolve;
      setTimeout(resolve, wait);
    });
    triesAt = null;
    wait = Math.min(wait * 2, LONGEST_WAIT) * (0.85 + Math.random() * 0.3);
    drawHealth();
  }
}

function connected() {
  if (lostAt === null) return;
  lostAt = null;
  lostWhy = "";
  forgetAsked();
  poll();
}

function lost(why) {
  lostAt ??= agentNow();
  awaiting = true;
  lostWhy = why;
  drawHealth();
}

/** The figures of status change without an event. */
async function poll() {
  if (document.hidden || lostAt !== null) return;
  try {
    const response = await answered(await ask("/status", { signal: AbortSignal.timeout(10000) }));
    onStatus(await response.json());
  } catch { /* the stream says when the agent is gone */ }
}

async function command(verb) {
  asked = true;
  drawHealth();
  try {
    const response = await answered(await ask(`/${verb}`, { method: "POST", signal: AbortSignal.timeout(20000) }));
    say(plain((await response.json()).message));
  } catch (error) {
    say(`${verb} failed: ${error instanceof Refused ? error.message : "the agent cannot be reached"}`);
  }
  asked = false;
  await poll();
  drawHealth();
}

function askToken(wrong) {
  const dialog = $("ask-token");
  const field = $("token");
  put($("token-wrong"), wrong);
  return new Promise((resolve) => {
    const give = () => {
      const text = field.value.trim();
      field.value = "";
      if (!/^[\x21-\x7e]+$/.test(text)) {
        put($("token-wrong"), "A token is letters, digits and signs without blanks.");
        return;
      }
      keep(text);
      dialog.removeEventListener("cancel", stay);
      $("token-give").onclick = null;
      field.onkeydown = null;
      dialog.close();
      resolve();
    };
    const stay = (event) => event.preventDefault();
    dialog.addEventListener("cancel", stay);
    $("token-give").onclick = give;
    field.onkeydown = (event) => { if (event.key === "Enter") give(); };
    if (!dialog.open) dialog.showModal();
    field.focus();
    drawHealth();
  });
}
