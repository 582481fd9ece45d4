// The page: puts the parts together, and decides nothing about health.

import {TurnView, clinicianView} from "./answer.js";
import {announce, empty, find, say} from "./dom.js";
import * as entry from "./entry.js";
import * as history from "./history.js";
import {language, remember, speak, t} from "./language.js";
import {Problem, json, signedIn, user, whenChanged} from "./session.js";
import {forget, read, write} from "./storage.js";
import {Turn, outbox} from "./turn.js";

const LONGEST = Number(find("message").maxLength);
const NEARLY = 300;
// Refused for now, by a server that was reached: nobody waits behind such a message.
const WAITS = ["busy", "waiting_turn", "sign_in"];
const wide = window.matchMedia("(min-width: 60rem)");
const touch = window.matchMedia("(pointer: coarse)");

let conversation = null;
let views = [];
let relation = null;

function start() {
  entry.wire(entered);
  history.wire({open, erase});
  wireComposer();
  wireSubject();
  wireMenu();
  wireNetwork();
  whenChanged(showAccount);
  showAccount();
  restore();
}

// After a reload: the draft, the conversation that was open, and what has not left yet.
async function restore() {
  find("message").value = read("draft", false) || "";
  grow();
  if (signedIn()) {
    if (wide.matches) history.refresh();
    const last = read("conversation", false);
    if (last) await open(last);
  }
  for (const item of outbox.all()) {
    if (views.some((view) => view.turn.id === item.id)) outbox.drop(item.id);
    else if (item.conversation === conversation || !conversation) begin(new Turn(item));
    else new Turn(item).pursue(() => {});
  }
}

function wireComposer() {
  const box = find("message");
  find("composer").addEventListener("submit", submit);
  box.addEventListener("input", () => {
    write("draft", box.value, false);
    grow();
  });
  box.addEventListener("keydown", (event) => {
    const sends = event.key === "Enter" && !event.shiftKey && !event.isComposing && !touch.matches;
    if (sends) submit(event);
  });
  find("stop").addEventListener("click", () => views.forEach((view) => running(view) && halt(view)));
  for (const example of document.querySelectorAll(".examples button")) {
    example.addEventListener("click", () => ask(example.textContent));
  }
}

function grow() {
  const box = find("message");
  const left = LONGEST - box.value.length;
  const rows = box.value.split("\n").length + Math.floor(box.value.length / 60);
  box.rows = Math.min(6, Math.max(2, rows));
  find("left").hidden = left > NEARLY;
  if (left <= NEARLY) find("left").textContent = `${left} ${t("characters_left")}`;
}

function submit(event) {
  event.preventDefault();
  const box = find("message");
  const message = box.value.trim();
  if (!message) return box.focus();
  box.value = "";
  forget("draft", false);
  grow();
  if (touch.matches) box.blur();
  ask(message);
}

function ask(message, subject = subjectNow()) {
  const turn = new Turn({message, subject, conversation});
  outbox.put(turn);
  begin(turn);
}

function begin(turn) {
  const view = add(turn);
  if (signedIn()) pursue(view);
  else greet(view);
  view.root.scrollIntoView({block: "start"});
}

function add(turn) {
  const view = new TurnView(turn, {retry: again, resend: again, answer: reply});
  views.push(view);
  find("log").append(view.root);
  find("welcome").hidden = true;
  return view;
}

// A message in a conversation that has no number yet waits for the first one to get it, so that two
// sent without a network do not become two conversations.
let first = null;

async function pursue(view) {
  const {turn} = view;
  view.root.classList.add("fresh");
  if (!turn.conversation && !turn.reply) {
    if (first && first !== view) await numbered(first);
    turn.conversation = turn.conversation || conversation;
    first = first || view;
  }
  const here = views;
  await turn.pursue(() => {
    view.changed();
    if (here === views) settle(turn);
  });
  if (first === view) first = null;
  if (turn.trouble === "sign_in") askToEnter(view, "sign_in_again");
  if (wide.matches && here === views) history.refresh().then(() => history.mark(conversation));
}

function numbered(view) {
  return new Promise((resolve) => {
    const look = setInterval(() => {
      const {turn} = view;
      if (!turn.conversation && !turn.status && !WAITS.includes(turn.trouble)) return;
      clearInterval(look);
      resolve();
    }, 100);
  });
}

function settle(turn) {
  if (turn.conversation && turn.conversation !== conversation) {
    conversation = turn.conversation;
    write("conversation", conversation, false);
  }
  find("stop").hidden = !views.some(running);
}

const running = ({turn}) => !turn.status && turn.trouble !== "sign_in";

function halt(view) {
  view.turn.stop();
  view.changed();
}

function again(turn) {
  const view = views.find((one) => one.turn === turn);
  turn.old = false;
  if (turn.reply) turn.again();
  else turn.status = turn.trouble = null;
  view.changed();
  pursue(view);
}

function reply(turn, text) {
  ask(text, turn.subject);
}

// Danger signs are answered before sign-in and before any consent.
async function greet(view) {
  const {turn} = view;
  turn.trouble = "sign_in";
  askToEnter(view, "entry_text");
  const patient = turn.subject || undefined;
  const body = {message: turn.message, patient};
  for (let wait = 1000; !turn.triage && !turn.reply; wait = Math.min(wait * 2, 30000)) {
    try {
      turn.triage = await json("POST", "/api/triage", {body, open: true});
      turn.trouble = "sign_in";
    } catch (error) {
      if (error instanceof Problem && error.status < 500 && error.status !== 429) break;
      turn.trouble = signedIn() ? turn.trouble : "offline";
      view.changed();
      await sleep(wait);
    }
  }
  view.changed();
}

const sleep = (milliseconds) =>
  new Promise((resolve) => {
    setTimeout(resolve, milliseconds);
    window.addEventListener("online", resolve, {once: true});
  });

function askToEnter(view, text) {
  view.changed();
  entry.show(text);
  find("stop").hidden = true;
}

function entered() {
  announce("saved");
  for (const view of views) {
    if (!view.turn.reply && !view.turn.status) {
      view.turn.trouble = null;
      pursue(view);
      view.root.scrollIntoView({block: "start"});
    }
  }
  if (wide.matches) history.refresh();
}

// The menu stands beside the conversation where there is room, and over it on a phone.
function wireMenu() {
  find("menu").addEventListener("click", () => toggleMenu(!document.body.classList.contains("open")));
  find("new").addEventListener("click", fresh);
  find("sign-out").addEventListener("click", leaveAccount);
  find("register-open").addEventListener("click", () => enterFromMenu("register"));
  find("sign-in-open").addEventListener("click", () => enterFromMenu("login"));
  find("quit").addEventListener("click", quit);
  find("main").addEventListener("click", () => toggleMenu(false));
  find("language").addEventListener("change", changeLanguage);
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && document.body.classList.contains("open")) toggleMenu(false);
  });
}

function toggleMenu(open) {
  const was = document.body.classList.contains("open");
  document.body.classList.toggle("open", open);
  find("menu").setAttribute("aria-expanded", String(open));
  if (open && signedIn()) history.refresh().then(() => history.mark(conversation));
  if (open) find("new").focus();
  else if (was) find("menu").focus();
}

function enterFromMenu(way) {
  toggleMenu(false);
  entry.show("entry_without", way);
  entry.focus();
}

function showAccount() {
  const who = user();
  const guest = Boolean(who && who.guest);
  const name = find("who");
  if (who && !guest) {
    say(name, "");
    name.textContent = who.email;
  } else {
    say(name, "guest");
  }
  find("choices-open").hidden = find("sign-out").hidden = !who;
  find("register-open").hidden = Boolean(who && !guest);
  find("sign-in-open").hidden = Boolean(who && !guest);
}

async function leaveAccount() {
  const lost = user() && user().guest;
  if (lost && !window.confirm(t("confirm_guest_sign_out"))) return;
  fresh();
  outbox.clear();
  history.clear();
  await entry.signOut();
}

async function changeLanguage(event) {
  const code = event.target.value;
  try {
    await speak(code);
    remember(code);
  } catch (error) {
    event.target.value = language();
    return;
  }
  grow();
  if (signedIn()) json("PATCH", "/api/users/me", {body: {preferred_language: code}}).catch(() => {});
}

function fresh() {
  clear();
  conversation = null;
  forget("conversation", false);
  find("welcome").hidden = false;
  history.mark(null);
  toggleMenu(false);
  if (!touch.matches) find("message").focus();
}

function clear() {
  for (const view of views) view.turn.leave();
  views = [];
  first = null;
  empty(find("log"));
  entry.hide();
  find("stop").hidden = true;
}

async function open(id) {
  clear();
  conversation = id;
  write("conversation", id, false);
  find("welcome").hidden = true;
  toggleMenu(false);
  history.mark(id);
  say(find("status"), "loading");
  await fill(id);
  say(find("status"), "");
  window.scrollTo(0, document.body.scrollHeight);
}

async function fill(id) {
  for (let wait = 1000; conversation === id; wait = Math.min(wait * 2, 30000)) {
    try {
      const shown = await history.read(id);
      if (conversation === id) shown.forEach(place);
      return;
    } catch (error) {
      if (error instanceof Problem && error.status < 500) return fresh();
      await sleep(wait);
    }
  }
}

function place(shown) {
  if (!(shown instanceof Turn)) {
    find("log").append(clinicianView(shown));
    return;
  }
  const view = add(shown);
  if (!shown.status) {
    settle(shown);
    pursue(view);
  }
}

async function erase(id) {
  if (!window.confirm(t("confirm_delete"))) return;
  await history.erase(id).catch(() => {});
  if (id === conversation) fresh();
}

function wireNetwork() {
  window.addEventListener("online", () => views.forEach(({turn}) => turn.reconnect()));
  document.addEventListener("visibilitychange", () => {
    if (!document.hidden) views.forEach(({turn}) => !turn.status && turn.reconnect());
  });
}

function wireSubject() {
  for (const chip of document.querySelectorAll("[data-relation]")) {
    chip.addEventListener("click", () => {
      relation = relation === chip.dataset.relation ? null : chip.dataset.relation;
      showSubject();
    });
  }
}

function showSubject() {
  for (const chip of document.querySelectorAll("[data-relation]")) {
    chip.setAttribute("aria-pressed", String(chip.dataset.relation === relation));
  }
  find("details").hidden = !relation;
  find("pregnant-label").hidden = relation === "child";
}

// Only what was said: a subject that nobody chose is read from the message.
function subjectNow() {
  if (!relation) return null;
  const subject = {relation};
  const age = find("age").valueAsNumber;
  const unit = find("age-unit").value;
  if (age >= 0 && unit === "years") subject.age_years = Math.min(age, 130);
  else if (age >= 0) subject.age_days = Math.round(age * (unit === "months" ? 30.44 : 1));
  if (relation !== "child" && find("pregnant").checked) subject.pregnant = true;
  return subject;
}

// Somebody may be coming in: the screen is emptied first, and "back" does not return here.
function quit() {
  document.title = " ";
  document.body.textContent = "";
  forget("conversation", false);
  forget("draft", false);
  window.location.replace("about:blank");
}

speak(language()).then(start);
