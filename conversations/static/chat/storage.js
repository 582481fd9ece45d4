// Small things that outlive the page. A browser may refuse storage (private mode, full disk): the
// page then works until it is closed.

function attempt(work, otherwise) {
  try {
    return work();
  } catch (refused) {
    return otherwise;
  }
}

const area = (lasting) => (lasting ? window.localStorage : window.sessionStorage);

export function read(key, lasting = true) {
  return attempt(() => JSON.parse(area(lasting).getItem(`carehelp.${key}`)), null);
}

export function write(key, value, lasting = true) {
  attempt(() => area(lasting).setItem(`carehelp.${key}`, JSON.stringify(value)));
}

export function forget(key, lasting = true) {
  attempt(() => area(lasting).removeItem(`carehelp.${key}`));
}
