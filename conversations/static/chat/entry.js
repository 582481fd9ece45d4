// Without an account, signing in, registering; and the three consents, each on its own, none
// ticked beforehand, all to be changed later.

import {el, find, say} from "./dom.js";
import {language} from "./language.js";
import {Problem, begin, end, json, know, refreshToken, signedIn, user} from "./session.js";

const PURPOSES = ["store_history", "ai_provider_abroad", "clinician_review"];
const WAYS = {
  guest: {path: "/api/users/guest", go: "continue"},
  login: {path: "/api/users/login", go: "sign_in"},
  register: {path: "/api/users/register", go: "register"},
};
const TOLD = ["email_taken", "wrong_credentials", "too_many_requests"];
let way = "guest";
let done = () => {};

export function wire(whenIn) {
  done = whenIn;
  for (const tab of tabs()) tab.addEventListener("click", () => choose(tab.dataset.way));
  find("entry").addEventListener("submit", submit);
  find("choices-open").addEventListener("click", openChoices);
  find("choices-close").addEventListener("click", () => find("choices").close());
  for (const purpose of PURPOSES) find("choices-list").append(choice(purpose));
}

const tabs = () => find("entry").querySelectorAll("[data-way]");

// `text` is the key of the sentence above the choices.
export function show(text, as = "guest") {
  say(find("entry-text"), text);
  choose(as);
  find("entry").hidden = false;
}

export function hide() {
  find("entry").hidden = true;
}

export function focus() {
  find("entry-title").focus({preventScroll: true});
  find("entry").scrollIntoView({block: "nearest"});
}

function choose(as) {
  way = as;
  for (const tab of tabs()) {
    tab.setAttribute("aria-pressed", String(tab.dataset.way === way));
    if (tab.dataset.way === "guest") tab.hidden = signedIn();
  }
  find("credentials").hidden = way === "guest";
  find("consents").hidden = way === "login";
  find("password-hint").hidden = way !== "register";
  const {password} = find("entry").elements;
  password.autocomplete = way === "register" ? "new-password" : "current-password";
  say(find("entry-go"), WAYS[way].go);
  say(find("entry-error"), "");
}

async function submit(event) {
  event.preventDefault();
  const button = find("entry-go");
  if (button.disabled) return;
  button.disabled = true;
  say(find("entry-error"), "");
  try {
    await enter();
  } catch (error) {
    say(find("entry-error"), reasonOf(error));
  } finally {
    button.disabled = false;
  }
}

async function enter() {
  const form = find("entry").elements;
  const told = await json("POST", WAYS[way].path, {body: answers(form), open: way !== "register"});
  if (!told.access_token) {
    choose("login");
    say(find("entry-error"), "confirm_email");
    return;
  }
  form.password.value = "";
  begin(told, form.keep.checked);
  hide();
  done();
}

// Consents are sent as what was ticked; a guest who registers keeps what was agreed before.
function answers(form) {
  const credentials = {email: form.email.value.trim(), password: form.password.value};
  if (way === "login") return credentials;
  const consents = PURPOSES.filter((purpose) => form[purpose].checked);
  const chosen = {preferred_language: language(), consents};
  return way === "guest" ? chosen : {...credentials, ...chosen};
}

function reasonOf(error) {
  if (!(error instanceof Problem)) return "no_network";
  if (TOLD.includes(error.code)) return error.code;
  if (error.errors.some(({type}) => type === "weak_password")) return "weak_password";
  return error.status === 422 ? "invalid" : "problem";
}

function choice(purpose) {
  const box = el("input", {type: "checkbox", name: purpose, onchange: () => change(purpose, box)});
  const text = el("span", {}, el("b", {t: purpose}), el("small", {t: `${purpose}_text`}));
  return el("label", {class: "tick"}, box, text);
}

const boxes = () => find("choices-list").querySelectorAll("input");

async function openChoices() {
  say(find("choices-state"), "");
  showGranted();
  find("choices").showModal();
  try {
    know(await json("GET", "/api/users/me"));
    showGranted();
  } catch (error) {
    if (!signedIn()) find("choices").close();
    say(find("choices-state"), reasonOf(error));
  }
}

function showGranted() {
  const granted = user().consents || {};
  for (const box of boxes()) box.checked = Boolean(granted[box.name]);
}

async function change(purpose, box) {
  const granted = box.checked;
  say(find("choices-state"), "");
  try {
    await json("POST", "/api/users/me/consents", {body: {purpose, granted}});
    know({...user(), consents: {...user().consents, [purpose]: granted}});
    say(find("choices-state"), "saved");
  } catch (error) {
    box.checked = !granted;
    say(find("choices-state"), reasonOf(error));
  }
}

// The server hears of it where it can be reached; this phone forgets in any case.
export async function signOut() {
  const held = refreshToken();
  end();
  const body = {refresh_token: held};
  if (held) await json("POST", "/api/users/logout", {body, open: true}).catch(() => {});
}
