// Questions about pixels: one at a time, and of those that come meanwhile the latest.

export function askerOf(source, runs, { onStart, onAnswer, onError }) {
  let busy = false;
  let waiting = null;

  async function ask(id, at) {
    if (busy) {
      waiting = [id, at];
      return;
    }
    busy = true;
    onStart();
    try {
      const pixels = [];
      for (let run = 0; run < runs; run++) {
        pixels.push(await source.pixel(id, at.row, at.column, { run }));
      }
      onAnswer(id, at, pixels);
    } catch (error) {
      onError(id, error);
    } finally {
      busy = false;
    }
    if (waiting) {
      const next = waiting;
      waiting = null;
      await ask(...next);
    }
  }

  return ask;
}
