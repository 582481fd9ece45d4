// Server-sent events read with fetch, and the rule by which their pieces become the answer.

import {Lost} from "./session.js";

// `[name, data]` of each event; comments only prove that the line is alive. `heard` is called
// whenever anything arrives. Throws `Lost` where the connection breaks.
export async function* events(response, heard) {
  const reader = response.body.getReader();
  const decoder = new TextDecoder();
  let waiting = "";
  for (;;) {
    const {done, value} = await reader.read().catch(() => { throw new Lost(); });
    if (done) return;
    heard();
    const blocks = (waiting + decoder.decode(value, {stream: true})).split("\n\n");
    waiting = blocks.pop();
    for (const block of blocks) {
      const event = parsed(block);
      if (event) yield event;
    }
  }
}

function parsed(block) {
  let name = "message";
  let data = "";
  for (const line of block.split("\n")) {
    if (line.startsWith("event: ")) name = line.slice(7);
    else if (line.startsWith("data: ")) data += line.slice(6);
  }
  return data ? [name, JSON.parse(data)] : null;
}

// The text of a reply. Offsets are the server's, in code points: an emoji is one of them, and two of
// JavaScript's units.
export class Text {
  whole = "";
  end = 0;

  // Append where the piece begins at our end, drop what we have, cut back where the server's
  // record is shorter. False where something is missing before it.
  add({offset, end, text}) {
    if (offset > this.end) return false;
    if (offset < this.end) {
      const points = Array.from(this.whole);
      const known = text && end <= this.end && points.slice(offset, end).join("") === text;
      if (known) return true;
      this.whole = points.slice(0, offset).join("");
    }
    this.whole += text;
    this.end = end;
    return true;
  }
}
