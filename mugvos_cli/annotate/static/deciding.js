// Decisions: what is sent to the server, and how its answers change what is shown.

import { ask, decide } from './api.js';
import { banner, beat, toast } from './hearing.js';
import { showProgress } from './panel.js';
import { draw, showList, showPanel, showTimeline, shownTracks, unlight } from './show.js';
import { $, ADVANCED, app, mend } from './state.js';
import { choose, firstUndecided, go, loadAgreement, loadLog, stopPlaying, withLetters } from './view.js';

/** Have a decision saved, then show what it changed. Null if it was refused. */
export async function act(fields, question = 'decide') {
  const clip = app.clip;
  try {
    const found = await decide(question, fields, clip.name);
    if (clip === app.clip) await take(found);
    return found;
  } catch (error) {
    toast(error.lost ? `Not saved: ${error.message}` : error.message);
    return null;
  }
}

async function take(found) {
  if (found.track) app.tracks.set(found.id, withLetters(found.track));
  else app.tracks.delete(found.id);
  if (app.track !== null && !app.tracks.has(app.track)) choose(null);
  app.frames.forget(found.indices);
  unlight();
  for (const index of found.indices) { app.agreement.get(found.id)?.delete(index); app.agreement.get(found.id)?.delete(index + 1); }
  showProgress(found.progress);
  if (found.indices.includes(app.index)) await app.frames.get(app.index).catch(() => {});
  app.frames.painted.clear();
  draw();
  showPanel();
  showList();
  showTimeline();
  if (app.track === found.id) { loadLog(found.id); if (!app.playing) loadAgreement(found.id); }
}

export const number = () => app.clip.frames[app.index];

export function accept() {
  if ($('accept').disabled) return;
  const track = app.tracks.get(app.track), at = app.index;
  if (!track) return;
  if (app.drawn !== at) return; // nobody accepts what was not to be seen yet
  if (track.letters[at] !== 'c') act({ action: 'judge', track: track.id, frames: [number()], state: 'accepted' });
  toNext(at);
}

/** The next frame of this track that nobody decided; behind the last one, the next track. */
export function toNext(at) {
  const track = app.tracks.get(app.track);
  for (let i = at + 1; i < track.letters.length; i++) if (ADVANCED.includes(track.letters[i])) return go(i);
  for (let i = Math.max(0, track.first); i < at; i++) if (ADVANCED.includes(track.letters[i])) return go(i);
  const next = firstUndecided();
  if (!next) return toast('Every frame of every kept track is decided.', true);
  choose(next[0]);
  return go(next[1]);
}

export async function reject() {
  if ($('reject').disabled || app.track === null) return;
  if (await act({ action: 'judge', track: app.track, frames: [number()], state: 'rejected' })) beginMend(true);
}

export function beginMend(afresh = false) {
  const track = app.tracks.get(app.track);
  const found = app.frames.here(app.index);
  if (!track || !found || app.view === 'review' || app.index < track.first) return;
  if (app.held.has(track.id)) return;
  stopPlaying();
  const mask = afresh ? null : found.masks.find((m) => m.track === track.id);
  mend.begin(track.id, mask ? { runs: mask.runs, points: [] } : null, track.colour);
  banner('Each click and stroke is saved at once · Enter: done');
  showPanel();
  draw();
  app.stage.element.focus({ preventScroll: true });
}

export function beginNew(draft = null) {
  if (app.view === 'review' || !app.frames.here(app.index)) return;
  stopPlaying();
  if (mend.active) leaveMend();
  const id = Math.max(0, ...app.tracks.keys()) + 1;
  $('new-name').value = draft?.name || '';
  $('new-tag').value = draft?.tag || '';
  mend.begin(null, draft ? { runs: draft.runs, points: draft.points } : null, newColour(id));
  banner('Point at the object · 1 2 3 choose · Enter: take it');
  showPanel();
  draw();
  app.stage.element.focus({ preventScroll: true });
}

function newColour(id) { const hue = (137.5 + 137.508 * id) % 360; const f = (n) => { const k = (n + hue / 30) % 12; return Math.round(255 * (0.6 - 0.38 * Math.max(-1, Math.min(k - 3, 9 - k, 1)))); }; return [f(0), f(8), f(4)]; }

export function saveMend() { act({ action: 'mend', track: mend.track, frame: app.clip.frames[mend.index], cell: mend.cell() }); }

export async function finishMend() {
  if (!mend.active) return;
  if (mend.track !== null) {
    const track = app.tracks.get(mend.track);
    if (track && ['r', 'a', 'm'].includes(track.letters[mend.index]) && mend.pixels) saveMend();
    leaveMend();
    return;
  }
  if (!mend.pixels) return;
  const fields = { action: 'add', frame: number(), name: $('new-name').value, tag: $('new-tag').value, cell: mend.cell() };
  const found = await act(fields);
  if (!found) return;
  leaveMend();
  choose(found.id);
}

export function leaveMend() {
  if (!mend.active) return;
  mend.end();
  localStorage.removeItem(draftKey());
  banner('');
  showPanel();
  draw();
}

// A new track is only in the page until it is taken, so what was pointed at is kept for a reload.
const draftKey = () => `mugvos draft ${app.store} ${app.clip?.name}`;

export function keepDraft() {
  if (!mend.active || mend.track !== null || !mend.pixels) return;
  const draft = { index: mend.index, ...mend.cell(), name: $('new-name').value, tag: $('new-tag').value };
  try { localStorage.setItem(draftKey(), JSON.stringify(draft)); } catch { /* a full storage costs the draft after a crash, nothing else */ }
}

export async function restoreDraft() {
  const text = localStorage.getItem(draftKey());
  if (!text || app.view === 'review') return;
  const draft = JSON.parse(text);
  await go(draft.index);
  beginNew(draft);
  mend.points = draft.points;
  mend.about = { score: draft.score, stability: draft.stability, candidate: draft.candidate };
  toast('The new track you were choosing is here again.', true);
}

export async function undo(again = false) {
  if (mend.active && mend.track === null) { if (!again) mend.back(); return; }
  const found = await act({ again }, 'undo');
  if (!found) return;
  const mending = mend.active && mend.track === found.id;
  if (mending) {
    const mask = app.frames.here(app.index)?.masks.find((m) => m.track === found.id);
    if (!app.tracks.has(found.id)) leaveMend();
    else mend.begin(found.id, mask ? { runs: mask.runs, points: mask.points } : null, mend.colour);
  } else if (found.track) {
    choose(found.id);
    if (found.indices.length && !found.indices.includes(app.index)) go(found.indices[0]);
  }
}

export async function carry(direction) {
  if ($('carry-on').disabled || app.track === null) return;
  leaveMend();
  try {
    await ask('carry', { track: app.track, frame: number(), direction, model: $('model').value }, app.clip.name);
    beat();
  } catch (error) { toast(error.message); }
}

export async function review(satisfactory) {
  if ($('approve').disabled || app.track === null) return;
  const note = $('review-note').value.trim();
  if (!satisfactory && !note) { $('review-note').focus(); return; }
  const fields = { action: 'review', track: app.track, satisfactory, note };
  if (!satisfactory) fields.frame = number();
  if (await act(fields)) {
    $('review-note').value = '';
    const next = shownTracks().find((t) => t.status === 'done');
    if (next) choose(next.id);
  }
}

export async function writeStore() {
  try {
    const found = await ask('save');
    toast(found.written ? `${app.store} is written.` : `${app.store} holds everything already.`, true);
  } catch (error) { toast(error.message); }
}
