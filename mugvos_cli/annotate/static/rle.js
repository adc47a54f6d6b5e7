// COCO's run lengths and plain masks. Masks are Uint8Array of width * height, row by row, 1 where the object is.

/** Plain run lengths (down the columns, background first) of COCO's compressed text. */
export function runsOf(counts) {
  const runs = [];
  let at = 0;
  while (at < counts.length) {
    let value = 0, shift = 0, more = true;
    while (more) {
      const symbol = counts.charCodeAt(at++) - 48;
      value |= (symbol & 31) << shift;
      shift += 5;
      more = (symbol & 32) !== 0;
      if (!more && symbol & 16 && shift < 32) value |= -1 << shift;
    }
    if (runs.length > 2) value += runs[runs.length - 2];
    runs.push(value);
  }
  return runs;
}

/** Calls back with (column, first row, row behind the last) of every piece of the object. */
export function eachPiece(runs, height, call) {
  let at = 0;
  for (let i = 0; i < runs.length; i++) {
    const end = at + runs[i];
    if (i & 1) {
      let begin = at;
      while (begin < end) {
        const column = (begin / height) | 0;
        const bottom = Math.min(end, (column + 1) * height);
        call(column, begin - column * height, bottom - column * height);
        begin = bottom;
      }
    }
    at = end;
  }
}

/** The mask of run lengths. */
export function maskOf(runs, width, height) {
  const mask = new Uint8Array(width * height);
  eachPiece(runs, height, (x, y0, y1) => { for (let y = y0; y < y1; y++) mask[y * width + x] = 1; });
  return mask;
}

/** The run lengths of a mask. */
export function runsOfMask(mask, width, height) {
  const runs = [];
  let value = 0, length = 0;
  for (let x = 0; x < width; x++) {
    for (let y = 0, at = x; y < height; y++, at += width) {
      if (mask[at] === value) { length++; continue; }
      runs.push(length);
      value = mask[at];
      length = 1;
    }
  }
  runs.push(length);
  return runs;
}

/** How many pixels the object has. */
export function areaOf(runs) {
  let area = 0;
  for (let i = 1; i < runs.length; i += 2) area += runs[i];
  return area;
}

/** Whether run lengths hold the pixel (x, y). */
export function holds(runs, height, x, y) {
  let at = x * height + y;
  for (let i = 0; i < runs.length; i++) {
    at -= runs[i];
    if (at < 0) return (i & 1) === 1;
  }
  return false;
}
