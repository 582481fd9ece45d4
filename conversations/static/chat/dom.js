// Elements are made here, and text only ever becomes a text node: what a patient, a model or a
// source says is never read as HTML.

import {t} from "./language.js";

export const find = (id) => document.getElementById(id);

// `el("p", {class: "small", t: "sending"})`: `t` is a key of words.json, `on…` a listener.
export function el(tag, properties = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "t") say(node, value);
    else if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

export function say(node, key) {
  if (node.dataset.t === key) return;
  if (key) node.dataset.t = key;
  else delete node.dataset.t;
  node.textContent = key ? t(key) : "";
}

export function empty(node, ...children) {
  node.textContent = "";
  node.append(...children);
}

export function icon(name) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  const use = document.createElementNS("http://www.w3.org/2000/svg", "use");
  use.setAttribute("href", `#i-${name}`);
  svg.setAttribute("aria-hidden", "true");
  svg.append(use);
  return svg;
}

// For screen readers: once, politely or at once.
export function announce(key) {
  const place = find("status");
  say(place, "");
  say(place, key);
}

export function alarm(text) {
  find("alarm").textContent = text;
}
