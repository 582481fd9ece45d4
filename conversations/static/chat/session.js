// Who is signed in, and every request to the API.
//
// The tokens stand in localStorage, or in sessionStorage where somebody says that the phone is
// shared. Script of somebody else's in this page could read them there; but such script could as
// well use a token from memory or a cookie, and the page lets none in: script-src is 'self' alone,
// no text becomes HTML, nothing is loaded from elsewhere. Memory alone would sign out, and lose
// a guest's conversations, whenever a small phone drops the tab; a cookie would let other sites'
// requests carry it, which the API rules out by taking none. Refresh tokens rotate, so a stolen one
// is noticed at its second use.

import {language} from "./language.js";
import {forget, read, write} from "./storage.js";

const KEY = "session";
const LONGEST_CALL = 45000;

export class Problem extends Error {
  constructor(status, body, retryAfter) {
    super(body.code || String(status));
    this.status = status;
    this.code = body.code || "problem";
    this.triage = body.triage || null;
    this.errors = body.errors || [];
    this.retryAfter = retryAfter;
  }
}

// No answer at all: no network, or a connection that died.
export class Lost extends Error {}

let current = read(KEY, true) || read(KEY, false);
const listeners = [];

export const signedIn = () => Boolean(current);
export const refreshToken = () => current && current.refresh_token;
export const user = () => current && current.user;
export const whenChanged = (listener) => listeners.push(listener);

export function begin(body, keep) {
  forget(KEY, !keep);
  write(KEY, kept(body), keep);
  current = kept(body);
  changed();
}

export function end() {
  forget(KEY, true);
  forget(KEY, false);
  current = null;
  changed();
}

export function know(who) {
  keepOn({...current, user: who});
  changed();
}

function kept({access_token, refresh_token, user: who}) {
  return {access_token, refresh_token, user: who};
}

function keepOn(next) {
  const lasting = read(KEY, true) !== null;
  write(KEY, next, lasting);
  current = next;
}

function changed() {
  for (const listener of listeners) listener();
}

// The response to a request that succeeded. Throws `Problem` for a refusal, `Lost` for silence.
export async function call(method, path, {body, signal, accept, open = false} = {}) {
  const used = open ? null : current && current.access_token;
  let response = await ask(method, path, {body, signal, accept}, used);
  if (response.status === 401 && used && (await renew(used))) {
    response = await ask(method, path, {body, signal, accept}, current.access_token);
  }
  if (!response.ok) throw await problem(response);
  return response;
}

export const json = async (...request) => body(await call(...request));

async function body(response) {
  try {
    return response.status === 204 ? null : await response.json();
  } catch (cut) {
    throw new Lost();
  }
}

async function ask(method, path, {body: sent, signal, accept}, token) {
  const headers = {"Accept-Language": language() === "fr" ? "fr" : "en"};
  if (token) headers.Authorization = `Bearer ${token}`;
  if (accept) headers.Accept = accept;
  if (sent) headers["Content-Type"] = "application/json";
  const limit = signal ? null : new AbortController();
  const timer = limit && setTimeout(() => limit.abort(), LONGEST_CALL);
  try {
    return await fetch(path, {
      method,
      headers,
      body: sent && JSON.stringify(sent),
      signal: signal || limit.signal,
      credentials: "omit",
    });
  } catch (error) {
    throw new Lost();
  } finally {
    clearTimeout(timer);
  }
}

async function problem(response) {
  const told = await response.json().catch(() => ({}));
  const seconds = Number(response.headers.get("Retry-After")) || null;
  return new Problem(response.status, told, seconds);
}

// One refresh at a time, in this tab and where the browser can do it among all: a refresh token is
// good once. False where the session is over.
let renewing = null;

function renew(used) {
  renewing = renewing || alone(() => refreshed(used)).finally(() => { renewing = null; });
  return renewing;
}

function alone(work) {
  return navigator.locks ? navigator.locks.request("carehelp.refresh", work) : work();
}

async function refreshed(used) {
  const stored = read(KEY, true) || read(KEY, false) || current;
  if (!stored) return false;
  if (stored.access_token !== used) {
    current = stored;
    return true;
  }
  const sent = {refresh_token: stored.refresh_token};
  const response = await ask("POST", "/api/users/refresh", {body: sent}, null);
  if (response.ok) keepOn(kept(await body(response)));
  else if (response.status === 401) end();
  else throw await problem(response);
  return response.ok;
}
