// One message and its answer, from the first tap to the last word, whatever the network does.
//
// Until the server says `accepted` the message lies in the outbox and is sent again with the same
// client_message_id, which the server answers once. After that only the answer is followed, from
// where we were. The turn runs on the server: here nothing can lose it.

import {Lost, Problem, call, signedIn} from "./session.js";
import {read, write} from "./storage.js";
import {Text, events} from "./stream.js";

const SILENCE = 25000; // The server says something every ten seconds.
const STALE = 3000;
const LONGEST_PAUSE = 30000;
const SERVER_ERRORS = 3;
const ACCEPT = "text/event-stream, application/json;q=0.9";

export const outbox = {
  all: () => read("outbox") || [],
  put(turn) {
    const {id, message, subject, conversation, at} = turn;
    write("outbox", [...this.without(id), {id, message, subject, conversation, at}]);
  },
  drop(id) {
    write("outbox", this.without(id));
  },
  without(id) {
    return this.all().filter((item) => item.id !== id);
  },
  clear: () => write("outbox", []),
};

// crypto.randomUUID exists on https only; a server in a clinic's network may not have it.
export function uuid() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 15) | 64;
  bytes[8] = (bytes[8] & 63) | 128;
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
}

export class Turn {
  text = new Text();
  reply = null;
  triage = null;
  sources = [];
  disclaimer = null;
  mode = null;
  reason = null;
  // null while it runs; then completed, stopped, interrupted, failed, refused or cancelled.
  status = null;
  // Why nothing moves: offline, resuming, busy, waiting_turn, sign_in.
  trouble = null;
  stopping = false;
  // The person looks at something else: `leaving` until the message has left, then `left`.
  leaving = false;
  left = false;
  // The reply that is to be asked again, and whether the server may have heard so already.
  retrying = null;
  unsure = false;
  controller = null;
  heard = 0;

  constructor({id = uuid(), message, subject = null, conversation = null, at = Date.now()}) {
    Object.assign(this, {id, message, subject, conversation, at});
  }

  // From GET /api/messages/{id}, or `done`.
  take(told) {
    this.triage = told.triage || this.triage;
    this.sources = told.sources || this.sources;
    this.disclaimer = told.disclaimer || this.disclaimer;
    this.mode = told.mode || this.mode;
    this.reason = told.mode_reason;
    if (told.status !== "running") this.status = told.status;
  }

  // Follow to the end. `changed` is called whenever there is something new to show.
  async pursue(changed) {
    let failures = 0;
    let errors = 0;
    while (!this.status && !this.left) {
      const before = this.text.end;
      try {
        await this.listen(changed);
        errors = 0;
      } catch (error) {
        if (error instanceof Problem) {
          if (error.status === 500 && ++errors >= SERVER_ERRORS) this.status = "failed";
          const seconds = this.refused(error);
          changed();
          if (seconds === null) return;
          await this.pause(seconds * 1000 * (1 + Math.random() / 4));
          continue;
        }
        if (!(error instanceof Lost)) throw error;
      }
      if (this.status || this.left) break;
      if (this.text.end > before) failures = 0;
      this.trouble = this.reply ? "resuming" : "offline";
      changed();
      await this.pause(backoff(failures++));
    }
    changed();
  }

  async listen(changed) {
    const controller = (this.controller = new AbortController());
    const watch = setInterval(() => {
      if (Date.now() - this.heard > SILENCE) controller.abort();
    }, 1000);
    this.heard = Date.now();
    try {
      const response = await this.open(controller.signal);
      this.trouble = null;
      for await (const [name, data] of events(response, () => { this.heard = Date.now(); })) {
        if (!this.apply(name, data)) throw new Lost();
        changed();
        if (this.status || this.left) return;
      }
    } finally {
      clearInterval(watch);
      controller.abort();
    }
  }

  async open(signal) {
    if (this.reply && this.stopping) await call("POST", `/api/messages/${this.reply}/stop`, {signal});
    if (this.reply) {
      const path = `/api/messages/${this.reply}/events?offset=${this.text.end}`;
      return call("GET", path, {signal, accept: ACCEPT});
    }
    if (this.retrying && !this.unsure) {
      this.unsure = true;
      return call("POST", `/api/messages/${this.retrying}/retry`, {signal, accept: ACCEPT});
    }
    const body = {message: this.message, client_message_id: this.id, stream: true};
    if (this.conversation) body.conversation_id = this.conversation;
    if (this.subject) body.subject = this.subject;
    return call("POST", "/api/chat", {body, signal, accept: ACCEPT});
  }

  // False where the stream does not fit what we have: ask again from where we are.
  apply(name, data) {
    if (name === "accepted") return this.accepted(data);
    else if (name === "triage") this.triage = data;
    else if (name === "sources") this.sources = data.sources;
    else if (name === "delta") return data.reply_id === this.reply && this.text.add(data);
    else if (name === "done") {
      if (data.end !== this.text.end) return false;
      this.take(data);
    }
    return true;
  }

  // A retry whose reply was lost is looked up by the message: its newest reply is the one to
  // follow, unless that is still the old one, and the retry never arrived.
  accepted({conversation_id, reply_id}) {
    if (reply_id === this.retrying) {
      this.unsure = false;
      return false;
    }
    this.reply = reply_id;
    this.conversation = conversation_id;
    this.retrying = null;
    this.left = this.leaving;
    outbox.drop(this.id);
    return true;
  }

  // How many seconds to wait before asking again; null where there is nothing to wait for.
  refused(problem) {
    this.triage = problem.triage || this.triage;
    if (this.status) return null;
    if (problem.code === "turn_in_progress") {
      this.trouble = "waiting_turn";
      return problem.retryAfter || 2;
    }
    if (problem.status >= 500 || problem.status === 429) {
      this.trouble = "busy";
      return problem.retryAfter || 3;
    }
    if (problem.status === 401) {
      this.trouble = "sign_in";
      return null;
    }
    if (problem.status === 404 && this.conversation && !this.reply && !this.retrying) {
      // Its sitting of an hour is over, and it has been erased: this begins a new one.
      this.conversation = null;
      return 0;
    }
    outbox.drop(this.id);
    this.trouble = null;
    this.status = "refused";
    return null;
  }

  async stop() {
    if (!this.reply) {
      this.status = "cancelled";
      outbox.drop(this.id);
      this.wake();
      return;
    }
    this.stopping = true;
    await call("POST", `/api/messages/${this.reply}/stop`).catch(() => this.wake());
  }

  // Ask the same question again, after the answer was cut off or stopped.
  again() {
    this.retrying = this.reply;
    this.unsure = false;
    this.reply = null;
    this.text = new Text();
    this.status = this.trouble = null;
    this.stopping = false;
    this.sources = [];
  }

  // An accepted turn is followed again when the person comes back to it.
  leave() {
    this.leaving = true;
    this.left = Boolean(this.reply) || !signedIn();
    if (this.left) this.wake();
  }

  wake() {
    if (this.controller) this.controller.abort();
    if (this.waken) this.waken();
  }

  // A network that came back is another network: what was open on the old one is dead.
  reconnect() {
    if (this.waken) this.waken();
    else if (Date.now() - this.heard > STALE && this.controller) this.controller.abort();
  }

  pause(milliseconds) {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, milliseconds);
      this.waken = () => {
        clearTimeout(timer);
        resolve();
      };
    }).then(() => { this.waken = null; });
  }
}

function backoff(failures) {
  return Math.min(LONGEST_PAUSE, 500 * 2 ** failures) * (0.5 + Math.random() / 2);
}
