// Answers from the server that this page came from. See `frames.py` for the form of an answer.

const ARRAYS = { uint8: Uint8Array, uint16: Uint16Array, float32: Float32Array };

function unpacked(buffer) {
  const length = new DataView(buffer).getUint32(0, true);
  const head = new TextDecoder().decode(new Uint8Array(buffer, 4, length));
  return JSON.parse(head, (key, value) => {
    if (value === null || typeof value !== "object" || !(value.array in ARRAYS)) return value;
    return new ARRAYS[value.array](buffer, 4 + length + value.offset, value.length);
  });
}

export class ServerSource {
  async describe() {
    return this.asked("api/describe");
  }

  async pictures() {
    return this.asked("api/pictures");
  }

  async open(what, { signal } = {}) {
    const listed = !(what instanceof Blob);
    const headers = listed ? {} : {
      "Content-Type": "application/octet-stream",
      "X-Name": encodeURIComponent(what.name || "picture"),
    };
    const address = listed ? `api/open?index=${what.index}` : "api/open";
    const body = listed ? null : what;
    const opened = await this.asked(address, { method: "POST", headers, body, signal });
    const blob = new Blob([opened.image], { type: "image/png" });
    opened.image = await createImageBitmap(blob);
    return opened;
  }

  async pixel(id, row, column, { run = 0, signal } = {}) {
    return this.asked(`api/picture/${id}/pixel?row=${row}&column=${column}&run=${run}`, { signal });
  }

  async classMap(id, k, { run = 0, signal } = {}) {
    return this.asked(`api/picture/${id}/class?k=${k}&run=${run}`, { signal });
  }

  async save(id, mask) {
    const headers = { "Content-Type": "application/octet-stream" };
    return this.asked(`api/picture/${id}/save`, { method: "POST", headers, body: mask });
  }

  async asked(address, options = {}) {
    let answer;
    try {
      answer = await fetch(address, options);
    } catch (error) {
      if (error.name === "AbortError") throw error;
      throw new Error("the server does not answer; start pixelwise serve again");
    }
    if (!answer.ok) {
      const told = await answer.json().catch(() => ({ error: `error ${answer.status}` }));
      throw new Error(told.error);
    }
    const kind = answer.headers.get("Content-Type") || "";
    return kind.startsWith("application/json") ? answer.json() : unpacked(await answer.arrayBuffer());
  }
}
