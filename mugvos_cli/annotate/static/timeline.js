// One row a track, one cell a frame, coloured by state. Only rows that are seen are drawn.

export const STATES = {
  m: ['missing', '#262c37', 'no mask yet'], a: ['auto', '#5b6577', 'not looked at'], c: ['accepted', '#2f9e6b', 'accepted'],
  r: ['rejected', '#d64550', 'rejected, to be mended'], f: ['refined', '#3b82f6', 'mended'], e: ['empty', '#9a7fd1', 'not visible'],
};
const ROW = 16, HEAD = 18, NAMES = 96;
const SIGNS = { c: '✓', r: '✕', f: '✎', e: '–' };

/** States of all frames, a letter each, of their packed form "c12r1". */
export function unpack(text) {
  let states = '';
  for (const [, letter, count] of text.matchAll(/([a-z])(\d+)/g)) states += letter.repeat(+count);
  return states;
}

export class Timeline {
  constructor(element, canvas, room, onChoose) {
    Object.assign(this, { element, canvas, room, rows: [], count: 1, index: 0, track: null });
    element.addEventListener('scroll', () => this.draw());
    new ResizeObserver(() => this.draw()).observe(element);
    const choose = (event) => {
      const box = canvas.getBoundingClientRect();
      const x = event.clientX - box.left, y = event.clientY - box.top;
      const index = Math.floor((x - NAMES) / this.cell());
      const row = this.rows[Math.floor((y - HEAD + element.scrollTop) / ROW)];
      if (index >= this.count && index < 0) return;
      onChoose(y < HEAD ? null : row?.id ?? null, Math.max(0, Math.min(this.count - 1, index)), x < NAMES);
    };
    canvas.addEventListener('pointerdown', (event) => { canvas.setPointerCapture(event.pointerId); choose(event); });
    canvas.addEventListener('pointermove', (event) => { if (event.buttons & 1) choose(event); });
  }

  cell() { return (this.element.clientWidth - NAMES - 8) / this.count; }

  show(rows, count, index, track) {
    const moved = track !== this.track;
    Object.assign(this, { rows, count, index, track });
    this.room.style.height = `${HEAD + rows.length * ROW + 4}px`;
    if (moved) this.reveal();
    this.draw();
    const chosen = rows.find((row) => row.id === track);
    const words = chosen ? `, track ${chosen.name}: ${STATES[chosen.letters[index]]?.[2] || ''}` : '';
    this.element.setAttribute('aria-label', `Timeline, frame ${index + 1} of ${count}${words}`);
  }

  reveal() {
    const at = this.rows.findIndex((row) => row.id === this.track);
    if (at < 0) return;
    const top = at * ROW, height = this.element.clientHeight - HEAD;
    if (top < this.element.scrollTop) this.element.scrollTop = top;
    if (top + ROW * 2 > this.element.scrollTop + height) this.element.scrollTop = top + ROW * 2 - height;
  }

  draw() {
    const sharp = window.devicePixelRatio || 1;
    const w = this.element.clientWidth, h = 122;
    this.canvas.width = w * sharp;
    this.canvas.height = h * sharp;
    const c = this.canvas.getContext('2d');
    c.scale(sharp, sharp);
    c.font = '11px system-ui, "DejaVu Sans", sans-serif';
    c.textBaseline = 'middle';
    const cell = this.cell(), first = Math.floor(this.element.scrollTop / ROW);
    for (let at = first; at < this.rows.length; at++) {
      const y = HEAD + at * ROW - this.element.scrollTop;
      if (y > h) break;
      this.drawRow(c, this.rows[at], y, cell);
    }
    this.drawHead(c, w, cell);
    const x = NAMES + this.index * cell;
    c.fillStyle = '#fff';
    c.fillRect(x, 0, Math.max(2, Math.min(cell, 2)), h);
    c.strokeStyle = '#ffffffb0';
    c.strokeRect(x + 0.5, 0.5, Math.max(2, cell - 1), HEAD - 2);
  }

  drawRow(c, row, y, cell) {
    const chosen = row.id === this.track;
    c.fillStyle = chosen ? '#27303f' : '#0f1218';
    c.fillRect(0, y, this.element.clientWidth, ROW);
    c.fillStyle = `rgb(${row.colour})`;
    c.fillRect(6, y + 4, 8, 8);
    c.fillStyle = chosen ? '#fff' : '#a9b2c0';
    c.fillText(short(c, row.name, NAMES - 26), 19, y + ROW / 2 + 0.5);
    const gap = cell > 4 ? 1 : 0;
    let begin = 0;
    for (let i = 1; i <= row.letters.length; i++) {
      if (gap === 0 && i < row.letters.length && row.letters[i] === row.letters[begin]) continue;
      c.fillStyle = row.first > begin ? '#171b22' : STATES[row.letters[begin]][1];
      c.globalAlpha = row.status === 'rejected' ? 0.35 : 1;
      c.fillRect(NAMES + begin * cell, y + 2, Math.max(1, (i - begin) * cell - gap), ROW - 4);
      const sign = SIGNS[row.letters[begin]];
      if (cell >= 13 && sign) { c.fillStyle = '#fff'; c.fillText(sign, NAMES + begin * cell + cell / 2 - 4, y + ROW / 2 + 0.5); }
      begin = i;
    }
    c.globalAlpha = 1;
  }

  drawHead(c, w, cell) {
    c.fillStyle = '#191d25';
    c.fillRect(0, 0, w, HEAD);
    c.fillStyle = '#a9b2c0';
    const every = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 5000].find((step) => step * cell >= 44) || 10000;
    for (let i = 0; i < this.count; i += every) c.fillText(String(i + 1), NAMES + i * cell + 3, HEAD / 2);
  }
}

function short(c, text, width) {
  if (c.measureText(text).width <= width) return text;
  while (text.length > 1 && c.measureText(text + '…').width > width) text = text.slice(0, -1);
  return text + '…';
}
