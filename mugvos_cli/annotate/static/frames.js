// Frames with their masks, fetched once and a few ahead. Knows the server's answers; draws nothing.

import { ask, picture } from './api.js';
import { runsOf } from './rle.js';

const KEPT = 48;

export class Frames {
  constructor(clip) {
    this.clip = clip;
    this.pictures = new Map();
    this.masks = new Map();
    this.painted = new Map();
  }

  /** Picture and masks of a frame: { bitmap, masks }, masks as [{ track, runs, area, box, ... }]. */
  async get(index) {
    const [bitmap, masks] = await Promise.all([this.picture(index), this.masksOf(index)]);
    return { bitmap, masks };
  }

  /** The same if it is here already, else null. */
  here(index) {
    const bitmap = this.pictures.get(index)?.value, masks = this.masks.get(index)?.value;
    return bitmap && masks ? { bitmap, masks } : null;
  }

  picture(index) { return this.remembered(this.pictures, index, () => picture(this.clip.name, index)); }

  masksOf(index) {
    return this.remembered(this.masks, index, async () => {
      const found = await ask('masks', { index }, this.clip.name);
      return found.masks.map((mask) => ({ ...mask, runs: runsOf(mask.counts) }));
    });
  }

  /** What a frame was painted as; forgotten with its masks. */
  paintedOf(index, key, paint) {
    const known = this.painted.get(index);
    if (known && known.key === key) return known.layers;
    const layers = paint();
    this.painted.set(index, { key, layers });
    while (this.painted.size > 16) this.painted.delete(this.painted.keys().next().value);
    return layers;
  }

  /** Masks of these frames are others now. */
  forget(indices) {
    for (const index of indices) { this.masks.delete(index); this.painted.delete(index); }
  }

  /** Have the frames round one ready. */
  prefetch(index) {
    for (const near of [index + 1, index - 1, index + 2, index + 3, index - 2]) {
      if (near >= 0 && near < this.clip.frames.length) this.get(near).catch(() => {});
    }
  }

  remembered(map, index, fetch) {
    let entry = map.get(index);
    if (!entry) {
      entry = { promise: fetch() };
      map.set(index, entry);
      entry.promise.then((value) => { entry.value = value; }, () => { if (map.get(index) === entry) map.delete(index); });
    } else {
      map.delete(index);
      map.set(index, entry);
    }
    while (map.size > KEPT) map.delete(map.keys().next().value);
    return entry.promise;
  }
}
