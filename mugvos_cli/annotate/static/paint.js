// Masks as pixels: fills that let each other through, rims, single masks. Knows arrays and colours.

import { eachPiece } from './rle.js';

/** Two layers of a frame: fills (to be drawn as transparent as one likes) and rims. Small masks lie above large ones. */
export function paintLayers(masks, colours, width, height) {
  // Painted down the columns, as the runs go, and turned over at the end: steps from row to row miss the cache.
  const fill = new Uint32Array(width * height), rim = new Uint32Array(width * height);
  const stamps = new Uint16Array((width + 2) * height);
  const painted = masks.filter((mask) => mask.area).sort((a, b) => b.area - a.area);
  painted.forEach((mask, at) => {
    const [r, g, b] = colours.get(mask.track) || [255, 255, 255];
    const plain = (255 << 24 | b << 16 | g << 8 | r) >>> 0;
    paintFill(mask.runs, fill, stamps.subarray(height), plain, at + 1);
    paintRim(mask.runs, height, stamps, rim, plain, at + 1);
  });
  return { fill: canvasOf(fill, width, height), rim: canvasOf(rim, width, height) };
}

/** One mask in one colour: { fill, rim } as canvases. */
export function paintMask(runs, colour, width, height) {
  return paintLayers([{ track: 0, runs, area: 1 }], new Map([[0, colour]]), width, height);
}

/** Where two masks meet, each byte is the mean of what was there and the new colour. */
function paintFill(runs, fill, stamps, plain, stamp) {
  let at = 0;
  for (let i = 0; i < runs.length; i++) {
    const end = at + runs[i];
    if (i & 1) {
      stamps.fill(stamp, at, end);
      for (; at < end; at++) {
        const there = fill[at];
        fill[at] = there ? (there & plain) + (((there ^ plain) & 0xfefefefe) >>> 1) : plain;
      }
    }
    at = end;
  }
}

/** Pixels of a mask with a neighbour outside of it; `stamps` begins one column further left and bears the mask's stamp. */
function paintRim(runs, height, stamps, rim, plain, stamp) {
  eachPiece(runs, height, (x, top, bottom) => {
    const begin = x * height + top, end = x * height + bottom;
    rim[begin] = rim[end - 1] = plain;
    for (let at = begin + 1; at < end - 1; at++) {
      if (stamps[at] !== stamp || stamps[at + 2 * height] !== stamp) rim[at] = plain;
    }
  });
}

/** A canvas of pixels that go down the columns. */
function canvasOf(columns, width, height) {
  const data = new ImageData(width, height), rows = new Uint32Array(data.data.buffer);
  const block = 32;
  for (let left = 0; left < width; left += block) {
    const right = Math.min(width, left + block);
    for (let y = 0; y < height; y++) for (let x = left; x < right; x++) rows[y * width + x] = columns[x * height + y];
  }
  const canvas = document.createElement('canvas');
  canvas.width = width;
  canvas.height = height;
  canvas.getContext('2d').putImageData(data, 0, 0);
  return canvas;
}

/** A small picture of a mask over its frame, cut to where it is. */
export function thumbnail(canvas, bitmap, layers, box, opacity = 0.55) {
  const ratio = canvas.clientWidth && canvas.clientHeight ? canvas.clientHeight / canvas.clientWidth : 0.75;
  const context = canvas.getContext('2d');
  canvas.width = 240;
  canvas.height = Math.round(240 * ratio);
  context.fillStyle = '#0b0d11';
  context.fillRect(0, 0, canvas.width, canvas.height);
  if (!bitmap) return;
  const [x, y, w, h] = box && box[2] ? box : [0, 0, bitmap.width, bitmap.height];
  let side = Math.max(w * 1.5, (h * 1.5) / ratio, bitmap.width / 6);
  side = Math.min(side, Math.max(bitmap.width, bitmap.height / ratio));
  const left = x + w / 2 - side / 2, top = y + h / 2 - (side * ratio) / 2;
  const scale = canvas.width / side;
  context.setTransform(scale, 0, 0, scale, -left * scale, -top * scale);
  context.drawImage(bitmap, 0, 0);
  if (layers) {
    context.globalAlpha = opacity;
    context.drawImage(layers.fill, 0, 0);
    context.globalAlpha = 1;
    context.drawImage(layers.rim, 0, 0);
  }
  context.setTransform(1, 0, 0, 1, 0, 0);
}
