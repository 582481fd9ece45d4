// What a turn looks like: the question, how urgent it is, the answer, its sources.

import {alarm, announce, el, empty, icon, say} from "./dom.js";
import {knows, t} from "./language.js";
import {blocks, inline, withoutAdvice, withoutQuestions} from "./text.js";

const QUIET = ["violence", "crisis"];
const SHOWN = ["emergency", "urgent", "routine", "self_care", "unknown"];
const MODES = {
  normal: "by_model",
  fallback: "by_model",
  offline: "by_guidance",
  rules_only: "by_rules",
};
const ENDED = ["stopped", "interrupted", "failed"];
let numbered = 0;

// `on` has the page's part: `retry(turn)`, `resend(turn)`, `answer(turn, text)`.
export class TurnView {
  constructor(turn, on) {
    this.turn = turn;
    this.on = on;
    this.key = `turn-${++numbered}`;
    this.state = el("p", {class: "state", role: "status"});
    this.panel = el("div", {class: "level", hidden: true});
    this.body = el("div", {class: "text"});
    this.questions = el("form", {class: "questions", hidden: true});
    this.sources = el("section", {class: "sources", hidden: true});
    this.ending = el("p", {class: "ending", hidden: true});
    this.note = el("p", {class: "small note", hidden: true});
    this.reply = el(
      "section",
      {class: "reply", "aria-labelledby": `${this.key}-title`},
      el("h2", {class: "sr", id: `${this.key}-title`, t: "answer"}),
      this.panel,
      this.body,
      this.questions,
      this.sources,
      this.ending,
      this.note,
    );
    this.root = el(
      "article",
      {class: "turn"},
      el("div", {class: "asked"}, el("h2", {class: "sr", t: "you"}), el("p", {}, turn.message)),
      this.state,
      this.reply,
    );
    this.shown = [];
    this.triage = null;
    this.status = null;
    this.update();
  }

  // Several changes in one frame are painted once.
  changed() {
    if (this.waiting) return;
    this.waiting = true;
    const paint = () => {
      this.waiting = false;
      this.update();
    };
    if (document.hidden) setTimeout(paint);
    else requestAnimationFrame(paint);
  }

  update() {
    const {turn} = this;
    this.showState();
    if (turn.triage !== this.triage) this.showPanel();
    this.showText();
    this.reply.hidden = this.panel.hidden && !turn.reply;
    this.reply.setAttribute("aria-busy", String(!turn.status));
    if (turn.status !== this.status) this.showEnd();
  }

  showState() {
    const {status, trouble, reply} = this.turn;
    const lost = {cancelled: "not_sent", refused: "refused"}[status];
    const waiting = trouble === "sign_in" ? null : trouble || (reply ? null : "sending");
    const key = status ? lost : waiting;
    this.state.hidden = !key;
    this.state.className = `state ${trouble || ""}`;
    const said = `${key} ${status}`;
    if (said === this.said) return;
    this.said = said;
    say(this.state, key || "");
    if (trouble === "offline") this.state.append(el("span", {class: "safe", t: "danger"}));
    if (status === "refused" || (status === "failed" && !reply)) {
      this.state.append(this.button("send_again", () => this.on.resend(this.turn)));
    }
  }

  button(key, press) {
    return el("button", {type: "button", class: "again", t: key, onclick: press});
  }

  showPanel() {
    this.triage = this.turn.triage;
    const {level} = this.triage;
    const quiet = isQuiet(this.triage);
    this.panel.hidden = !SHOWN.includes(level);
    this.panel.className = `level ${quiet ? "quiet" : level}`;
    empty(this.panel, ...(this.panel.hidden ? [] : panel(this.triage, quiet)));
    if (level === "emergency" && !this.turn.old) this.raise(quiet);
  }

  // Read out once. Where somebody may be listening, a quiet emergency does not interrupt.
  raise(quiet) {
    if (quiet) announce("quiet");
    else alarm(`${t("emergency")}. ${this.triage.advice}`);
    const motion = window.matchMedia("(prefers-reduced-motion: reduce)").matches;
    const behavior = motion ? "auto" : "smooth";
    requestAnimationFrame(() => this.root.scrollIntoView({behavior, block: "start"}));
  }

  showText() {
    const {turn} = this;
    let text = turn.text.whole;
    if (this.triage && !this.panel.hidden) text = withoutAdvice(text, this.triage.advice);
    if (this.triage) text = withoutQuestions(text, this.triage.questions);
    const waiting = !text && !turn.status && turn.reply;
    this.body.classList.toggle("waiting", Boolean(waiting));
    if (waiting) return say(this.body, "thinking");
    if (this.body.dataset.t) say(this.body, "");
    this.paint(blocks(text));
  }

  // Only the blocks that changed are made anew: mostly the last.
  paint(wanted) {
    const links = this.turn.status ? this.turn.sources.length : 0;
    wanted.forEach((block, place) => {
      const mark = `${links} ${block.source}`;
      if (this.shown[place] === mark) return;
      const node = block.node((text) => inline(text, links, this.key));
      const old = this.body.childNodes[place];
      if (old) old.replaceWith(node);
      else this.body.append(node);
      this.shown[place] = mark;
    });
    while (this.body.childNodes.length > wanted.length) this.body.lastChild.remove();
    this.shown.length = wanted.length;
  }

  showEnd() {
    const {turn} = this;
    this.status = turn.status;
    const ended = ENDED.includes(turn.status) && turn.reply;
    this.ending.hidden = !ended;
    empty(this.ending);
    if (ended) {
      this.ending.append(el("span", {t: turn.status}));
      this.ending.append(this.button("retry", () => this.on.retry(turn)));
    }
    this.showSources();
    this.showQuestions();
    this.showNote();
    if (turn.status === "completed" && !turn.old) announce("answered");
  }

  showSources() {
    const {sources, status} = this.turn;
    this.sources.hidden = !status || !sources.length;
    const list = el("ol");
    sources.forEach((source, place) => list.append(sourceItem(source, `${this.key}-${place + 1}`)));
    empty(this.sources, el("h3", {t: "sources"}), list);
  }

  showQuestions() {
    const asked = (this.triage && this.triage.questions) || [];
    this.questions.hidden = !this.turn.status || !asked.length || Boolean(this.turn.old);
    if (this.questions.hidden) return;
    this.questions.onsubmit = (event) => this.sendAnswers(event, asked);
    empty(
      this.questions,
      el("h3", {t: "questions"}),
      ...asked.map((question, place) => questionField(question, `${this.key}-q${place}`)),
      el("button", {type: "submit", class: "primary", t: "send_answers"}),
    );
  }

  // Triage reads a leading yes or no for each question, in their order.
  sendAnswers(event, asked) {
    event.preventDefault();
    const given = asked.map((question, place) => {
      const chosen = this.questions.querySelector(`[name="${this.key}-q${place}"]:checked`);
      return t(chosen ? chosen.value : "dont_know");
    });
    this.questions.hidden = true;
    this.on.answer(this.turn, `${given.join(". ")}.`);
  }

  showNote() {
    const {status, mode, reason, disclaimer, reply} = this.turn;
    this.note.hidden = !status || !reply;
    empty(this.note);
    if (MODES[mode]) this.note.append(el("span", {t: MODES[mode]}), ". ");
    if (reason === "no_consent") this.note.append(el("span", {t: "no_consent"}), " ");
    if (disclaimer) this.note.append(el("span", {}, disclaimer));
  }
}

export function isQuiet(triage) {
  const worst = triage.rules.find((rule) => QUIET.includes(rule.tone));
  return QUIET.includes(triage.tone) || Boolean(worst);
}

function panel(triage, quiet) {
  const {level, advice, contacts, rules} = triage;
  const serious = level === "emergency" || level === "urgent";
  const parts = [
    el(
      "h3",
      {class: "title"},
      icon(quiet ? "quiet" : level),
      el("span", {t: quiet ? "quiet" : level}),
    ),
  ];
  if (serious && !quiet) parts.push(el("h4", {t: "do_now"}));
  if (advice) {
    parts.push(el("div", {class: "advice"}, ...blocks(advice).map((block) => block.node(inline))));
  }
  if (serious && contacts.length) parts.push(el("h4", {t: "contacts"}), contactList(contacts));
  if (triage.conversation_level === "emergency" && level !== "emergency") {
    parts.push(el("p", {class: "still", t: "still_emergency"}));
  }
  const told = rules.filter((rule) => rule.title);
  if (told.length && !quiet) parts.push(reasons(told));
  if (rules.some((rule) => rule.signed === false)) {
    parts.push(el("p", {class: "small", t: "rules_unsigned"}));
  }
  return parts;
}

function reasons(rules) {
  const list = el("ul", {}, ...rules.map(reason));
  return el("details", {class: "why"}, el("summary", {t: "why"}), list);
}

function reason({title, matched = []}) {
  const words = matched.length ? ` : « ${matched.join(" », « ")} »` : "";
  return el("li", {}, `${title}${words}`);
}

function contactList(contacts) {
  return el("ul", {class: "contacts"}, ...contacts.map(contactItem));
}

function contactItem({name, phone, region, hours, stale, verified_at: verified}) {
  const checked = verified && !stale;
  const where = [region, hours].filter(Boolean).join(" · ");
  return el(
    "li",
    {},
    el(
      "a",
      {class: "call", href: `tel:${String(phone).replace(/[^\d+*#]/g, "")}`},
      icon("phone"),
      el("b", {}, String(phone)),
      el("span", {}, name, where ? el("small", {}, where) : ""),
      el(
        "small",
        {class: checked ? "checked" : "unchecked"},
        el("span", {t: checked ? "verified" : "unverified"}),
        checked ? ` ${verified}` : "",
      ),
    ),
  );
}

function sourceItem(source, id) {
  const {title, section, snippet, url, signed, kind} = source;
  const labels = [
    section && knows(`section_${section}`) ? `section_${section}` : null,
    kind === "local_statistics" ? "statistics" : null,
    signed === false ? "unsigned" : null,
  ].filter(Boolean);
  const safe = url && /^https?:\/\//.test(url);
  return el(
    "li",
    {id, tabindex: "-1"},
    el(
      "details",
      {},
      el("summary", {}, el("b", {}, title), ...labels.map((key) => el("small", {t: key}))),
      snippet ? el("p", {}, snippet) : null,
      safe
        ? el("a", {href: url, target: "_blank", rel: "noopener noreferrer", t: "open_source"})
        : null,
    ),
  );
}

function questionField(question, name) {
  const choices = ["yes", "no", "dont_know"].map((value) =>
    el("label", {}, el("input", {type: "radio", name, value}), el("span", {t: value})),
  );
  return el("fieldset", {}, el("legend", {}, question), ...choices);
}

// A message of a clinician, between the turns.
export function clinicianView({content}) {
  return el(
    "article",
    {class: "turn"},
    el(
      "section",
      {class: "clinician"},
      el("h2", {t: "clinician"}),
      ...blocks(content).map((block) => block.node(inline)),
    ),
  );
}
