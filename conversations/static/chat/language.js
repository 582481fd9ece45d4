// The page's own sentences in the chosen language. An element names its sentence in data-t, so that
// the whole page, streaming answers too, changes language without being loaded again.

const ATTRIBUTES = {tLabel: "aria-label", tPlaceholder: "placeholder"};
let words = {};

export const language = () => document.documentElement.lang;
export const knows = (key) => key in words;
export const t = (key) => words[key] || key;

export async function speak(code) {
  words = (await import(`./words.${code}.js`)).default;
  document.documentElement.lang = code;
  translate(document);
}

// A cookie and not localStorage, because the server then sends the first paint in this language. It
// holds nothing else and the API never reads it.
export function remember(code) {
  document.cookie = `carehelp_language=${code}; path=/; max-age=31536000; samesite=lax`;
}

function translate(root) {
  for (const node of root.querySelectorAll("[data-t]")) node.textContent = t(node.dataset.t);
  for (const [name, attribute] of Object.entries(ATTRIBUTES)) {
    const dashed = name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
    for (const node of root.querySelectorAll(`[data-${dashed}]`)) {
      node.setAttribute(attribute, t(node.dataset[name]));
    }
  }
}
