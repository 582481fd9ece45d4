// An answer's text as paragraphs and lists. Models write a little Markdown: lists, bold, and
// [1] for a source; nothing more is understood, and what is not stays as it was written.

import {el} from "./dom.js";

const BULLET = /^\s*[-*•]\s+/;
const NUMBER = /^\s*\d+[.)]\s+/;
const HEADING = /^#{1,4}\s+/;
const MARKED = /(\*\*[^*\n]+\*\*|\[\d{1,2}\])/;

// `[{source, node(inline)}]`, in order.
export function blocks(text) {
  const found = [];
  for (const part of text.split(/\n{2,}/)) {
    let last = null;
    for (const line of part.split("\n")) {
      const kind = kindOf(line);
      if (!line.trim() && kind === "p") continue;
      if (last && last.kind === kind) last.lines.push(line);
      else found.push((last = {kind, lines: [line]}));
    }
  }
  return found.map(asBlock);
}

function kindOf(line) {
  if (BULLET.test(line)) return "ul";
  if (NUMBER.test(line)) return "ol";
  return HEADING.test(line) ? "h3" : "p";
}

function asBlock({kind, lines}) {
  return {
    source: `${kind} ${lines.join("\n")}`,
    node: (inline) => (kind === "p" ? paragraph(lines, inline) : listed(kind, lines, inline)),
  };
}

function paragraph(lines, inline) {
  const node = el("p");
  lines.forEach((line, place) => {
    if (place) node.append(el("br"));
    node.append(...inline(line));
  });
  return node;
}

function listed(kind, lines, inline) {
  if (kind === "h3") return el("h3", {}, ...inline(lines.join(" ").replace(HEADING, "")));
  const bare = (line) => line.replace(kind === "ul" ? BULLET : NUMBER, "");
  const start = kind === "ol" ? parseInt(lines[0], 10) : null;
  return el(kind, {start}, ...lines.map((line) => el("li", {}, ...inline(bare(line)))));
}

// Text with bold and, where there are `sources` of them, links to the numbered sources of `key`.
export function inline(text, sources = 0, key = "") {
  return text.split(MARKED).filter(Boolean).map((part) => {
    if (part.startsWith("**") && part.length > 4) return el("strong", {}, part.slice(2, -2));
    const number = /^\[(\d+)\]$/.exec(part);
    if (!number || Number(number[1]) > sources || number[1] === "0") return part;
    return el("a", {class: "cite", href: `#${key}-${number[1]}`}, part);
  });
}

// The panel shows the advice already; while it is still arriving nothing is shown twice either.
export function withoutAdvice(text, advice) {
  if (!advice) return text;
  if (text.startsWith(advice)) return text.slice(advice.length).trimStart();
  return advice.startsWith(text) ? "" : text;
}

// The questions that end an answer are shown as a form.
export function withoutQuestions(text, questions) {
  if (!questions || !questions.length) return text;
  const first = text.lastIndexOf(`\n- ${questions[0]}`);
  if (first < 0) return text;
  const before = text.lastIndexOf("\n\n", first);
  return text.slice(0, before < 0 ? first : before);
}
