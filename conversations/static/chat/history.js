// The conversations that are kept, and one of them read back.

import {el, empty, find} from "./dom.js";
import {language} from "./language.js";
import {Problem, json} from "./session.js";
import {Turn} from "./turn.js";

let next = null;
let on = {};

// `open(id)` and `erased(id)` are the page's part.
export function wire(listeners) {
  on = listeners;
  find("more").addEventListener("click", () => load(next));
}

export async function refresh() {
  await load(null);
}

export function clear() {
  show([], false);
}

async function load(page) {
  try {
    const told = await json("GET", page || "/api/conversations?limit=20");
    show(told.results, Boolean(page));
    next = told.next && address(told.next);
    find("more").hidden = !next;
  } catch (error) {
    // The list can wait for a better network.
  }
}

// A cursor comes as a whole URL; behind a proxy its host is not always ours.
function address(url) {
  const {pathname, search} = new URL(url, window.location.href);
  return pathname + search;
}

function show(conversations, added) {
  const list = find("conversations");
  const items = conversations.map(item);
  if (added) list.append(...items);
  else empty(list, ...items);
  find("no-conversations").hidden = list.childNodes.length > 0;
  if (!added) find("more").hidden = true;
}

export function mark(id) {
  for (const button of find("conversations").querySelectorAll("[data-id]")) {
    if (Number(button.dataset.id) === id) button.setAttribute("aria-current", "true");
    else button.removeAttribute("aria-current");
  }
}

function item({id, title, updated_at: at, expires_at: expires}) {
  const day = new Date(at).toLocaleDateString(language() === "fr" ? "fr" : "en-GB");
  return el(
    "li",
    {},
    el(
      "button",
      {type: "button", class: "plain", "data-id": id, onclick: () => on.open(id)},
      el("span", {class: "name"}, title || "…"),
      el("small", {}, day, expires ? " · " : "", expires ? el("span", {t: "expires"}) : ""),
    ),
    el("button", {type: "button", class: "plain erase", t: "delete", onclick: () => on.erase(id)}),
  );
}

export async function erase(id) {
  await json("DELETE", `/api/conversations/${id}`).catch((error) => {
    if (!(error instanceof Problem && error.status === 404)) throw error;
  });
  await refresh();
}

// `[Turn | clinician's message]`, in order. A question asked again shows its newest answer.
export async function read(id) {
  const messages = [];
  let page = `/api/conversations/${id}/messages?limit=100`;
  while (page) {
    const told = await json("GET", page);
    messages.push(...told.results);
    page = told.next && address(told.next);
  }
  const turns = turnsOf(messages);
  await Promise.all(turns.filter(worthTelling).map(complete));
  return turns;
}

function turnsOf(messages) {
  const shown = [];
  const asked = new Map();
  for (const message of messages) {
    if (message.role === "user") {
      const turn = turnOf(message);
      asked.set(message.id, turn);
      shown.push(turn);
    } else if (message.role === "assistant") {
      const turn = asked.get(message.reply_to);
      if (turn) answer(turn, message);
    } else {
      shown.push(message);
    }
  }
  if (shown.length) shown[shown.length - 1].last = true;
  return shown;
}

function turnOf({client_message_id: id, content, conversation_id: conversation}) {
  const turn = new Turn({id: id || undefined, message: content, conversation});
  turn.old = true;
  return turn;
}

function answer(turn, message) {
  turn.reply = message.id;
  turn.level = message.triage_level;
  turn.sources = message.sources || [];
  turn.mode = message.mode;
  turn.reason = message.mode_reason;
  turn.status = message.status === "running" ? null : message.status;
  turn.text.add({offset: 0, end: Array.from(message.content).length, text: message.content});
  if (!turn.status) turn.old = false;
}

// The list has no triage object; the serious ones and the last show theirs again.
function worthTelling(turn) {
  if (!(turn instanceof Turn) || !turn.reply || !turn.status) return false;
  return turn.last || turn.level === "emergency" || turn.level === "urgent";
}

async function complete(turn) {
  turn.take(await json("GET", `/api/messages/${turn.reply}`));
}
