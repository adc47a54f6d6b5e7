// The page begins here: what each key and button does.

import { ask } from './api.js';
import { accept, act, beginMend, beginNew, carry, finishMend, keepDraft, leaveMend, number, reject, review, saveMend, toNext, undo, writeStore } from './deciding.js';
import { showMe, toast } from './hearing.js';
import { isTyping, nameOf } from './keys.js';
import { holds } from './rle.js';
import { draw, showList, showTimeline, shownTracks, visibleMasks } from './show.js';
import { $, app, mend } from './state.js';
import { choose, go, layOut, openClip, play, setView, start } from './view.js';

function stepTrack(by) {
  const list = shownTracks();
  const at = list.findIndex((t) => t.id === app.track);
  const next = list[Math.max(0, Math.min(list.length - 1, at + by))];
  if (next) choose(next.id);
}

const zoom = { '+': () => app.stage.zoom(1.25), '=': () => app.stage.zoom(1.25), '-': () => app.stage.zoom(0.8), 0: () => app.stage.fit() };
const everywhere = {
  'Ctrl+Z': () => undo(), 'Ctrl+Shift+Z': () => undo(true), 'Ctrl+Y': () => undo(true), 'Ctrl+S': writeStore, Z: () => undo(), 'Shift+Z': () => undo(true),
  'Alt+1': () => setView('select'), 'Alt+2': () => setView('verify'), 'Alt+3': () => setView('review'), '?': () => $('help').showModal(),
  O: () => { $('solo').checked = !$('solo').checked; draw(); }, N: () => beginNew(), ...zoom,
};
const looking = {
  ArrowRight: () => go(app.index + 1), ArrowLeft: () => go(app.index - 1), 'Shift+ArrowRight': () => go(Math.min(app.clip.frames.length - 1, app.index + 10)),
  'Shift+ArrowLeft': () => go(Math.max(0, app.index - 10)), Home: () => go(0), End: () => go(app.clip.frames.length - 1), ArrowUp: () => stepTrack(-1), ArrowDown: () => stepTrack(1),
  K: play, M: () => beginMend(), G: () => carry('forwards'), 'Shift+G': () => carry('back'),
};
const judging = {
  Space: accept, R: reject, E: () => $('empty').click(), 'Shift+E': () => act({ action: 'empty_rest', track: app.track, frame: number() }),
  A: () => $('accept-rest').click(), 'Shift+A': () => $('accept-all').click(), D: () => $('drop').click(),
};
const reviewing = { Space: play, Y: () => review(true), B: () => review(false) };
export const mending = {
  Q: () => mend.choose('point'), W: () => mend.choose('box'), B: () => mend.choose('brush'), X: () => mend.choose('erase'), '[': () => mend.resize(mend.size - 2),
  ']': () => mend.resize(mend.size + 2), 1: () => mend.take(0), 2: () => mend.take(1), 3: () => mend.take(2), C: () => clearMend(), Enter: finishMend, Escape: leaveMend,
  Backspace: () => { if (mend.track !== null || !mend.back()) undo(); },
};

function clearMend() {
  mend.clear();
  if (mend.track !== null) saveMend();
}

document.addEventListener('keydown', (event) => {
  if (event.key === 'Escape' && /^(INPUT|TEXTAREA|SELECT)$/.test(event.target.tagName)) { event.target.blur(); return; }
  if (!app.clip || isTyping(event)) return;
  const name = nameOf(event);
  if (mend.active && !event.ctrlKey && mend.key(event)) { event.preventDefault(); return; }
  const table = { ...everywhere, ...(mend.active ? mending : { ...looking, ...(app.view === 'review' ? reviewing : judging) }) };
  const run = table[name] || table[event.key];
  if (run) { event.preventDefault(); run(); }
});

$('main-stage').addEventListener('pointerdown', (event) => {
  if (mend.active || event.button !== 0 || event.shiftKey || !app.clip) return;
  const [x, y] = app.stage.place(event).map(Math.floor);
  const masks = visibleMasks(app.frames.here(app.index)?.masks || []);
  const hit = masks.filter((m) => x >= 0 && y >= 0 && x < app.clip.width && y < app.clip.height && holds(m.runs, app.clip.height, x, y)).sort((a, b) => a.area - b.area);
  if (!hit.length) return;
  const at = hit.findIndex((m) => m.track === app.track);
  choose(hit[(at + 1) % hit.length].track);
});

const clicks = {
  accept, reject, mend: () => beginMend(), 'new-track': () => beginNew(), play, 'step-back': () => go(app.index - 1), 'step-on': () => go(app.index + 1), 'zoom-in': zoom['+'],
  'zoom-out': zoom['-'], 'zoom-fit': zoom[0], 'mend-done': finishMend, 'mend-clear': clearMend, write: writeStore, approve: () => review(true), 'send-back': () => review(false),
  'carry-on': () => carry('forwards'), 'carry-back': () => carry('back'), 'carry-both': () => carry('both'), 'help-open': () => $('help').showModal(),
  empty: () => act({ action: 'mend', track: app.track, frame: number(), cell: { runs: [app.clip.width * app.clip.height] } }).then((found) => found && toNext(app.index)),
  'accept-rest': () => act({ action: 'accept_rest', track: app.track, least_iou: +$('least-iou').value }),
  'accept-all': () => act({ action: 'accept_rest', track: app.track, least_iou: 0 }),
  drop: () => act({ action: 'set_aside', track: app.track, wanted: app.tracks.get(app.track).status === 'rejected' }),
  who: () => { $('me-name').value = app.me.name; $('me-role').textContent = `You work as ${app.me.role}.`; $('invite').hidden = true; $('invite-supervisor').disabled = app.me.role !== 'supervisor'; $('me').showModal(); },
  'invite-annotator': () => invite('annotator'), 'invite-supervisor': () => invite('supervisor'),
};
for (const [id, run] of Object.entries(clicks)) $(id).addEventListener('click', () => { if (app.clip) run(); });
for (const button of document.querySelectorAll('[data-view]')) {
  button.onclick = () => setView(button.dataset.view);
  button.onkeydown = (event) => {
    if (event.key !== 'ArrowRight' && event.key !== 'ArrowLeft') return;
    event.stopPropagation();
    const all = [...document.querySelectorAll('[data-view]')];
    const next = all[(all.indexOf(button) + (event.key === 'ArrowRight' ? 1 : 2)) % 3];
    setView(next.dataset.view);
    next.focus();
  };
}

async function invite(role) {
  try {
    $('invite').value = (await ask('invite', { role })).link;
    $('invite').hidden = false;
    $('invite').select();
  } catch (error) { toast(error.message); }
}

$('me').addEventListener('close', async () => {
  const name = $('me-name').value.trim();
  if (!name || name === app.me.name) return;
  try { app.me = await ask('me', { name }); showMe(); } catch (error) { toast(error.message); }
});
new ResizeObserver(layOut).observe($('stages'));
$('scrub').oninput = () => go(+$('scrub').value);
$('opacity').oninput = draw;
$('solo').onchange = draw;
$('clip').onchange = () => openClip($('clip').value).catch((error) => toast(error.message));
for (const id of ['filter', 'order']) $(id).onchange = () => { showList(); showTimeline(); };
$('track-name').onchange = () => act({ action: 'describe', track: app.track, name: $('track-name').value });
$('track-tag').onchange = () => act({ action: 'describe', track: app.track, tag: $('track-tag').value });
for (const id of ['new-name', 'new-tag']) $(id).onchange = keepDraft;
$('new-name').onkeydown = (event) => { if (event.key === 'Enter') finishMend(); };

start().catch((error) => {
  $('empty-state').hidden = false;
  const words = document.createElement('b');
  words.textContent = error.message;
  $('empty-state').replaceChildren(words);
});
