// What each key does, and the page that says so. Knows key names; what happens is given by app.js.

export const KEYS = [
  ['Moving', [['← →', 'frame'], ['Shift ← →', '10 frames'], ['Home End', 'first, last frame'], ['↑ ↓', 'track'], ['K', 'play, pause'],
    ['+ − 0', 'zoom, whole frame'], ['O', 'only this track'], ['Shift drag', 'move the picture']]],
  ['Judging', [['Space', 'accept, go to the next undecided frame'], ['R', 'reject and mend'], ['E', 'not visible'], ['Shift E', 'not visible from here on'],
    ['A', 'accept the rest with IoU ≥ value'], ['Shift A', 'accept all the rest'], ['D', 'reject the track, take it back in'], ['Z', 'undo'], ['Shift Z', 'do again']]],
  ['Mending', [['N', 'new track'], ['M', 'mend this frame'], ['Q W B X', 'point, box, brush, eraser'], ['1 2 3', 'which of SAM’s masks'],
    ['Arrows, Space', 'the same without a mouse'], ['Shift Space', 'background point'], ['[ ]', 'size of the brush'], ['Backspace', 'take the last point back'], ['C', 'clear'], ['Enter', 'done'], ['Esc', 'leave']]],
  ['Further', [['G', 'carry the mask forwards'], ['Shift G', 'carry it back'], ['Y', 'review: satisfactory'], ['B', 'review: send back'],
    ['Alt 1 2 3', 'Select, Verify, Review'], ['Ctrl S', 'write the store'], ['?', 'this page']]],
];

/** Fill the help page. */
export function showKeys(room) {
  for (const [title, rows] of KEYS) {
    const group = document.createElement('div');
    const heading = document.createElement('h2');
    heading.textContent = title;
    group.append(heading);
    for (const [keys, what] of rows) {
      const row = document.createElement('div');
      const text = document.createElement('span');
      text.textContent = what;
      const key = document.createElement('kbd');
      key.textContent = keys;
      row.append(text, key);
      group.append(row);
    }
    room.append(group);
  }
}

/** A name for a key press: "Shift+A", "Ctrl+Z", "ArrowLeft", "Space". */
export function nameOf(event) {
  const key = event.key === ' ' ? 'Space' : event.key.length === 1 ? event.key.toUpperCase() : event.key;
  const shifted = event.shiftKey && (event.key.length > 1 || /[a-z ]/i.test(event.key));
  return `${event.ctrlKey || event.metaKey ? 'Ctrl+' : ''}${event.altKey ? 'Alt+' : ''}${shifted ? 'Shift+' : ''}${key}`;
}

/** Whether a key belongs to what has the focus, not to the page. */
export function isTyping(event) {
  const element = event.target;
  if (element.closest?.('dialog[open]')) return true;
  if (/^(INPUT|TEXTAREA|SELECT)$/.test(element.tagName)) {
    if (element.type === 'checkbox') return event.key === ' ';
    if (element.type === 'range') return /^(Arrow|Home|End|Page)/.test(event.key);
    return !event.ctrlKey && event.key !== 'Escape';
  }
  return (element.tagName === 'BUTTON' || element.tagName === 'SUMMARY') && (event.key === ' ' || event.key === 'Enter');
}
