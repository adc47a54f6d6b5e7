// Masks as pixels: fills that let each other through, rims, single masks. Knows arrays and colours.

import { eachPiece } from './rle.js';

/** Two layers of a frame: fills (to be drawn as transparent as one likes) and rims. Small masks lie above large ones. */
export function paintLayers(masks, colours, width, height) {
  const fill = new ImageData(width, height), rim = new ImageData(width, height);
  const paint = new Uint32Array(fill.data.buffer), lines = new Uint32Array(rim.data.buffer);
  const pixels = fill.data;
  for (const mask of [...masks].sort((a, b) => b.area - a.area)) {
    if (!mask.area) continue;
    const [r, g, b] = colours.get(mask.track) || [255, 255, 255];
    const plain = (255 << 24 | b << 16 | g << 8 | r) >>> 0;
    eachPiece(mask.runs, height, (x, y0, y1) => {
      for (let y = y0, at = y0 * width + x; y < y1; y++, at += width) {
        if (!paint[at]) { paint[at] = plain; continue; }
        const byte = at * 4;
        pixels[byte] = (pixels[byte] + r) >> 1;
        pixels[byte + 1] = (pixels[byte + 1] + g) >> 1;
        pixels[byte + 2] = (pixels[byte + 2] + b) >> 1;
      }
    });
    paintRim(mask.runs, mask.box, width, height, lines, plain);
  }
  return { fill: canvasOf(fill), rim: canvasOf(rim) };
}

/** One mask in one colour: { fill, rim } as canvases. */
export function paintMask(runs, box, colour, width, height) {
  return paintLayers([{ track: 0, runs, area: 1, box }], new Map([[0, colour]]), width, height);
}

function paintRim(runs, box, width, height, lines, plain) {
  const [x0, y0, w, h] = box;
  const stride = w + 2;
  const inside = new Uint8Array(stride * (h + 2));
  eachPiece(runs, height, (x, top, bottom) => {
    for (let y = top, at = (top - y0 + 1) * stride + x - x0 + 1; y < bottom; y++, at += stride) inside[at] = 1;
  });
  for (let y = 0; y < h; y++) {
    let at = (y + 1) * stride + 1, to = (y0 + y) * width + x0;
    for (let x = 0; x < w; x++, at++, to++) {
      if (inside[at] && !(inside[at - 1] && inside[at + 1] && inside[at - stride] && inside[at + stride])) lines[to] = plain;
    }
  }
}

/** The box (x, y, width, height) of a mask, zeros if it is empty. */
export function boxOf(mask, width, height) {
  let x0 = width, y0 = height, x1 = -1, y1 = -1;
  for (let y = 0, at = 0; y < height; y++) {
    for (let x = 0; x < width; x++, at++) {
      if (!mask[at]) continue;
      if (x < x0) x0 = x;
      if (x > x1) x1 = x;
      if (y < y0) y0 = y;
      y1 = y;
    }
  }
  return x1 < 0 ? [0, 0, 0, 0] : [x0, y0, x1 - x0 + 1, y1 - y0 + 1];
}

function canvasOf(data) {
  const canvas = document.createElement('canvas');
  canvas.width = data.width;
  canvas.height = data.height;
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
