// A mask that is painted on, with undo: of every stroke the values that it replaced are kept.

const MOST_STROKES = 100;
const MOST_KEPT = 30e6;

export class EditedMask {
  constructor(mask, width, height) {
    this.original = mask;
    this.mask = mask.slice();
    this.width = width;
    this.height = height;
    this.done = [];
    this.undone = [];
    this.stroke = null;
    this.saved = true;
  }

  get changed() {
    let count = 0;
    for (let i = 0; i < this.mask.length; i++) count += this.mask[i] !== this.original[i];
    return count;
  }

  begin() {
    this.stroke = new Map();
  }

  // A round spot of `size` pixels across; returns the area that changed.
  spot({ row, column }, size, value) {
    const reach = size / 2, far = Math.ceil(reach);
    const area = { left: column - far, right: column + far + 1, top: row - far, bottom: row + far + 1 };
    for (let r = Math.max(0, area.top); r < Math.min(this.height, area.bottom); r++) {
      for (let c = Math.max(0, area.left); c < Math.min(this.width, area.right); c++) {
        if (size > 1 && (r - row) ** 2 + (c - column) ** 2 > reach * reach) continue;
        if (size === 1 && (r !== row || c !== column)) continue;
        const index = r * this.width + c;
        if (this.mask[index] === value) continue;
        if (!this.stroke.has(index)) this.stroke.set(index, this.mask[index]);
        this.mask[index] = value;
      }
    }
    return area;
  }

  // Spots from one pixel to another, so close that they are one line.
  line(from, to, size, value) {
    const steps = Math.max(1, Math.ceil(Math.hypot(to.row - from.row, to.column - from.column) / Math.max(1, size / 4)));
    const area = { left: Infinity, top: Infinity, right: 0, bottom: 0 };
    for (let i = 0; i <= steps; i++) {
      const row = Math.round(from.row + ((to.row - from.row) * i) / steps);
      const column = Math.round(from.column + ((to.column - from.column) * i) / steps);
      const one = this.spot({ row, column }, size, value);
      area.left = Math.min(area.left, one.left);
      area.top = Math.min(area.top, one.top);
      area.right = Math.max(area.right, one.right);
      area.bottom = Math.max(area.bottom, one.bottom);
    }
    return area;
  }

  end() {
    if (this.stroke && this.stroke.size) {
      this.done.push(this.stroke);
      this.undone = [];
      this.saved = false;
      let kept = 0;
      for (const one of this.done) kept += one.size;
      while (this.done.length > MOST_STROKES || (kept > MOST_KEPT && this.done.length > 1)) {
        kept -= this.done.shift().size;
      }
    }
    this.stroke = null;
  }

  swap(from, to) {
    const stroke = from.pop();
    if (!stroke) return false;
    for (const [index, value] of stroke) {
      stroke.set(index, this.mask[index]);
      this.mask[index] = value;
    }
    to.push(stroke);
    this.saved = false;
    return true;
  }

  undo() {
    return this.swap(this.done, this.undone);
  }

  redo() {
    return this.swap(this.undone, this.done);
  }

  reset() {
    this.begin();
    for (let i = 0; i < this.mask.length; i++) {
      if (this.mask[i] === this.original[i]) continue;
      this.stroke.set(i, this.mask[i]);
      this.mask[i] = this.original[i];
    }
    this.end();
  }
}
