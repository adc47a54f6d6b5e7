// A mask being made on one frame: points and boxes for SAM, brush and eraser. Knows the draft; what is saved is app.js's.

import { ask } from './api.js';
import { paintMask, thumbnail } from './paint.js';
import { areaOf, maskOf, runsOf, runsOfMask } from './rle.js';

const $ = (id) => document.getElementById(id);
const HINTS = {
  point: 'Click: object. Right click or Alt: background. Arrow keys and Space do the same.',
  box: 'Drag a box round the object; with keys: Space at two corners.',
  brush: 'Paint what is missing. [ and ] change the size.',
  erase: 'Take away what is too much. [ and ] change the size.',
};

export class Mend {
  /** app: { stage, clip, index, colour, onDraft, onCommit, toast }. */
  constructor(app) {
    this.app = app;
    this.active = false;
    this.tool = 'point';
    this.size = 12;
    this.serial = 0;
    this.pointer = null;
    for (const button of document.querySelectorAll('[data-tool]')) button.onclick = () => this.choose(button.dataset.tool);
    $('brush-size').oninput = () => this.resize(+$('brush-size').value);
    const element = app.stage.element;
    element.addEventListener('pointerdown', (event) => this.down(event));
    element.addEventListener('pointermove', (event) => this.move(event));
    element.addEventListener('pointerup', (event) => this.up(event));
    element.addEventListener('pointercancel', () => { this.stroke = null; this.corner = null; this.redraw(); });
    element.addEventListener('pointerleave', () => { this.pointer = null; if (this.active) this.redraw(); });
    element.addEventListener('contextmenu', (event) => { if (this.active) event.preventDefault(); });
  }

  /** Begin. track: its id, null for a new one. cell: what is there already (null: nothing). */
  begin(track, cell, colour) {
    const { width, height } = this.app.clip;
    Object.assign(this, { active: true, track, colour, width, height, candidates: [], chosen: null, stroke: null, corner: null, box: null });
    this.index = this.app.index;
    this.points = (cell?.points || []).map((p) => [...p]);
    this.mask = cell && cell.runs ? maskOf(cell.runs, width, height) : new Uint8Array(width * height);
    this.about = {};
    this.cross = null;
    this.serial += 1;
    this.changed();
    this.choose(cell && cell.runs ? this.tool : 'point');
    this.showCandidates();
  }

  end() {
    this.active = false;
    this.serial += 1;
    $('spinner').hidden = true;
  }

  choose(tool) {
    this.tool = tool;
    for (const button of document.querySelectorAll('[data-tool]')) button.setAttribute('aria-checked', String(button.dataset.tool === tool));
    $('tool-hint').textContent = HINTS[tool];
    $('brush-line').hidden = tool !== 'brush' && tool !== 'erase';
    this.corner = null;
    if (this.active) this.redraw();
  }

  resize(size) {
    this.size = Math.max(1, Math.min(80, size));
    $('brush-size').value = this.size;
    $('brush-out').textContent = this.size;
    if (this.active) this.redraw();
  }

  clear() {
    this.points = [];
    this.box = null;
    this.candidates = [];
    this.mask = new Uint8Array(this.width * this.height);
    this.about = {};
    this.chosen = null;
    this.serial += 1;
    this.showCandidates();
    this.changed();
  }

  /** Take the last point or the box away. False if there was none. */
  back() {
    if (this.box && !this.points.length) this.box = null;
    else if (!this.points.length) return false;
    else this.points.pop();
    if (this.points.length || this.box) this.offer();
    else { this.mask.fill(0); this.candidates = []; this.showCandidates(); this.changed(); }
    return true;
  }

  /** The mask as the server takes it. */
  cell() {
    return { runs: runsOfMask(this.mask, this.width, this.height), points: this.points, ...this.about };
  }

  get area() { return this.layersKey ? this.pixels : 0; }

  down(event) {
    if (!this.active || event.button > 2 || event.button === 1) return;
    event.preventDefault();
    this.app.stage.element.focus({ preventScroll: true });
    this.app.stage.element.setPointerCapture(event.pointerId);
    const [x, y] = this.app.stage.place(event);
    if (this.tool === 'point') this.addPoint(x, y, !(event.button === 2 || event.altKey));
    else if (this.tool === 'box') this.corner = [x, y];
    else { this.serial += 1; $('spinner').hidden = true; this.stroke = [x, y]; this.dab(x, y, event.button === 2); this.erasing = event.button === 2; }
  }

  move(event) {
    if (!this.active) return;
    this.pointer = this.app.stage.place(event);
    if (this.stroke) { this.line(...this.stroke, ...this.pointer, this.erasing); this.stroke = this.pointer; }
    this.redraw();
  }

  up(event) {
    if (!this.active) return;
    const place = this.app.stage.place(event);
    if (this.corner) {
      const [x, y] = this.corner;
      this.corner = null;
      if (Math.abs(place[0] - x) > 2 && Math.abs(place[1] - y) > 2) this.setBox([x, y, ...place]);
      else this.redraw();
    }
    if (this.stroke) this.finishStroke();
  }

  finishStroke() {
    this.stroke = null;
    this.about = { ...this.about, score: undefined, stability: undefined, candidate: undefined };
    this.changed();
    this.app.onCommit();
  }

  addPoint(x, y, positive) {
    if (x < 0 || y < 0 || x > this.width || y > this.height) return;
    this.points.push([Math.round(x * 10) / 10, Math.round(y * 10) / 10, positive ? 1 : 0]);
    this.redraw();
    this.offer();
  }

  setBox(box) {
    const cut = (value, most) => Math.max(0, Math.min(most, value));
    this.box = [cut(Math.min(box[0], box[2]), this.width), cut(Math.min(box[1], box[3]), this.height), cut(Math.max(box[0], box[2]), this.width), cut(Math.max(box[1], box[3]), this.height)];
    this.redraw();
    this.offer();
  }

  /** Have SAM answer the points and the box; an answer that comes late is dropped. */
  async offer() {
    const serial = ++this.serial;
    const fields = { index: this.index, points: this.points, box: this.box };
    if (this.track !== null) fields.track = this.track;
    const wait = setTimeout(() => { if (serial === this.serial) { $('spinner').hidden = false; $('spinner-text').textContent = 'SAM looks at the frame…'; } }, 250);
    try {
      const { candidates } = await ask('offer', fields, this.app.clip.name);
      if (serial !== this.serial || !this.active) return;
      $('candidates').dataset.answers = +($('candidates').dataset.answers || 0) + 1;
      this.candidates = candidates.map((c) => ({ ...c, runs: runsOf(c.counts) }));
      this.take(this.candidates.findIndex((c) => c.chosen));
    } catch (error) {
      if (serial === this.serial) this.app.toast(`${error.message} — brush and eraser work without SAM`);
    } finally {
      clearTimeout(wait);
      if (serial === this.serial) $('spinner').hidden = true;
    }
  }

  /** Choose one of the three masks. */
  take(which) {
    const found = this.candidates[which];
    if (!found) return;
    this.chosen = which;
    this.mask = maskOf(found.runs, this.width, this.height);
    this.about = { score: found.score ?? undefined, stability: found.stability ?? undefined, candidate: which };
    this.showCandidates();
    this.changed();
    this.app.onCommit();
  }

  line(x0, y0, x1, y1, invert) {
    const steps = Math.max(1, Math.ceil(Math.hypot(x1 - x0, y1 - y0) / Math.max(1, this.size / 3)));
    for (let i = 1; i <= steps; i++) this.dab(x0 + ((x1 - x0) * i) / steps, y0 + ((y1 - y0) * i) / steps, invert, i < steps);
  }

  dab(x, y, invert, quiet) {
    const value = (this.tool === 'brush') !== Boolean(invert) ? 1 : 0;
    const r = this.size / 2, square = r * r;
    for (let row = Math.max(0, Math.floor(y - r)); row < Math.min(this.height, y + r); row++) {
      for (let column = Math.max(0, Math.floor(x - r)); column < Math.min(this.width, x + r); column++) {
        if ((column + 0.5 - x) ** 2 + (row + 0.5 - y) ** 2 <= square) this.mask[row * this.width + column] = value;
      }
    }
    if (!quiet) this.changed();
  }

  changed() {
    const runs = runsOfMask(this.mask, this.width, this.height);
    this.pixels = areaOf(runs);
    this.layersKey = true;
    this.layers = paintMask(runs, this.colour, this.width, this.height);
    this.redraw();
    this.app.onDraft(this);
  }

  redraw() { this.app.draw(); }

  /** Points, box, brush and cross, over the frame. */
  marks(context, scale) {
    const unit = 1 / scale;
    const box = this.corner && this.pointer ? [...this.corner, ...this.pointer] : this.box;
    if (box) {
      context.lineWidth = 2 * unit;
      context.strokeStyle = '#000';
      context.strokeRect(box[0], box[1], box[2] - box[0], box[3] - box[1]);
      context.setLineDash([6 * unit, 4 * unit]);
      context.strokeStyle = '#fff';
      context.strokeRect(box[0], box[1], box[2] - box[0], box[3] - box[1]);
      context.setLineDash([]);
    }
    for (const [x, y, positive] of this.points) {
      context.beginPath();
      context.arc(x, y, 7 * unit, 0, 7);
      context.fillStyle = positive ? '#2f9e6b' : '#d64550';
      context.fill();
      context.lineWidth = 2 * unit;
      context.strokeStyle = '#fff';
      context.stroke();
      context.beginPath();
      context.moveTo(x - 3.5 * unit, y);
      context.lineTo(x + 3.5 * unit, y);
      if (positive) { context.moveTo(x, y - 3.5 * unit); context.lineTo(x, y + 3.5 * unit); }
      context.stroke();
    }
    const at = this.cross || this.pointer;
    if (!at) return;
    context.lineWidth = 1.5 * unit;
    context.strokeStyle = '#fff';
    if (this.tool === 'brush' || this.tool === 'erase') {
      context.beginPath();
      context.arc(at[0], at[1], this.size / 2, 0, 7);
      context.stroke();
    }
    if (this.cross) {
      context.beginPath();
      context.moveTo(at[0] - 14 * unit, at[1]); context.lineTo(at[0] + 14 * unit, at[1]);
      context.moveTo(at[0], at[1] - 14 * unit); context.lineTo(at[0], at[1] + 14 * unit);
      context.stroke();
    }
  }

  /** The keyboard's own pointer: arrows move it, Space uses the tool. */
  key(event) {
    const steps = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] }[event.key];
    if (steps) {
      const far = event.shiftKey ? 1 : 10;
      const [x, y] = this.cross || this.pointer || [this.width / 2, this.height / 2];
      this.cross = [Math.max(0, Math.min(this.width, x + steps[0] * far)), Math.max(0, Math.min(this.height, y + steps[1] * far))];
      this.redraw();
      return true;
    }
    if (event.key === ' ') {
      const [x, y] = this.cross || this.pointer || [this.width / 2, this.height / 2];
      if (this.tool === 'point') this.addPoint(x, y, !(event.shiftKey || event.altKey));
      else if (this.tool === 'box' && this.corner) { const [a, b] = this.corner; this.corner = null; this.setBox([a, b, x, y]); }
      else if (this.tool === 'box') { this.corner = [x, y]; this.pointer = [x, y]; this.redraw(); }
      else { this.dab(x, y, event.shiftKey); this.finishStroke(); }
      return true;
    }
    return false;
  }

  showCandidates() {
    const room = $('candidates');
    room.replaceChildren();
    $('twin').hidden = true;
    if (!this.candidates.length) {
      const none = document.createElement('div');
      none.className = 'none';
      none.textContent = 'Click on the object or drag a box; three masks appear here, small to large.';
      room.append(none);
      return;
    }
    const bitmap = this.app.bitmap(this.index);
    this.candidates.forEach((found, which) => {
      const button = document.createElement('button');
      button.setAttribute('role', 'radio');
      button.setAttribute('aria-checked', String(which === this.chosen));
      button.setAttribute('aria-label', `Mask ${which + 1}: predicted IoU ${number(found.score)}, stability ${number(found.stability)}`);
      const canvas = document.createElement('canvas');
      const text = document.createElement('span');
      text.textContent = `${which + 1} · IoU ${number(found.score)}`;
      const stable = document.createElement('span');
      stable.textContent = `stable ${number(found.stability)}`;
      button.append(canvas, text, stable);
      button.onclick = () => this.take(which);
      room.append(button);
      thumbnail(canvas, bitmap, paintMask(found.runs, this.colour, this.width, this.height), this.candidates[1].box);
    });
    const twin = this.candidates[this.chosen]?.twin;
    $('twin').hidden = !twin;
    if (twin) $('twin').textContent = `⚠ Looks like track ${twin.track} “${twin.name}” (IoU ${number(twin.iou)}).`;
  }
}

export function number(value) { return value === null || value === undefined ? '–' : (+value).toFixed(2); }
