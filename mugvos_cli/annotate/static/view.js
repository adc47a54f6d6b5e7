// Which clip, frame, track and view are shown, and playing through frames.

import { ask } from './api.js';
import { leaveMend, number, restoreDraft } from './deciding.js';
import { Frames } from './frames.js';
import { beat, showMe, showSaved, toast } from './hearing.js';
import { showKeys } from './keys.js';
import { showLegend, showLog, showProgress } from './panel.js';
import { draw, prepaint, showList, showPanel, showTimeline } from './show.js';
import { $, ADVANCED, app, mend } from './state.js';
import { unpack } from './timeline.js';

export async function start() {
  const found = await ask('start');
  app.me = found.me;
  app.store = found.store;
  $('store-name').textContent = found.store;
  document.title = `${found.store} – mugvos annotate`;
  $('clip').replaceChildren(...found.clips.map((clip) => new Option(clip.name, clip.name)));
  $('model').replaceChildren(...found.models.map((name) => new Option(name, name)));
  $('sam-name').textContent = `(${found.sam})`;
  showMe();
  showLegend();
  showKeys($('keys'));
  const wished = location.hash.slice(1).split('&').map(decodeURIComponent);
  const name = found.clips.some((clip) => clip.name === wished[0]) ? wished[0] : found.clips[0].name;
  app.view = ['select', 'verify', 'review'].includes(wished[3]) ? wished[3] : app.me.role === 'supervisor' ? 'review' : 'verify';
  await openClip(name, +wished[1] || 0, wished[2] ? +wished[2] : null);
  showSaved({ busy: false, failed: '' });
  setInterval(beat, 3000);
  beat();
}

export async function openClip(name, index = 0, track = null) {
  stopPlaying();
  leaveMend();
  delete document.body.dataset.ready;
  const clip = await ask('clip', {}, name);
  app.clip = clip;
  $('clip').value = name;
  app.frames = new Frames(clip);
  app.tracks = new Map(clip.tracks.map((t) => [t.id, withLetters(t)]));
  app.seq = clip.seq;
  app.agreement.clear();
  app.stage.setSize(clip.width, clip.height);
  app.plain.setSize(clip.width, clip.height);
  layOut();
  $('scrub').max = clip.frames.length - 1;
  $('rate').value = Math.min(60, Math.max(1, Math.round(Math.min(clip.fps, 5))));
  showProgress(clip.progress);
  setView(app.view);
  const first = app.view === 'review' ? firstToReview() : firstUndecided();
  const chosen = app.tracks.has(track) ? track : first ? first[0] : [...app.tracks.keys()][0] ?? null;
  await go(track === null && first ? first[1] : Math.min(index, clip.frames.length - 1));
  choose(chosen);
  await restoreDraft();
  document.body.dataset.ready = name;
}

export function withLetters(track) { return { ...track, letters: unpack(track.states), first: app.clip.frames.indexOf(track.first_frame) }; }

export function firstUndecided() {
  for (const track of app.tracks.values()) {
    if (track.status !== 'open') continue;
    for (let i = Math.max(0, track.first); i < track.letters.length; i++) if (ADVANCED.includes(track.letters[i])) return [track.id, i];
  }
  return null;
}

function firstToReview() {
  const track = [...app.tracks.values()].find((t) => t.status === 'done');
  return track ? [track.id, Math.max(0, track.first)] : null;
}



/** Show a frame. Only the last one that was wished for is drawn. */
export async function go(index) {
  if (!app.clip || index < 0 || index >= app.clip.frames.length) return;
  if (mend.active && index !== mend.index) leaveMend();
  const begun = performance.now();
  const before = app.index;
  app.index = index;
  app.wanted = index;
  $('scrub').value = index;
  showFrameLabel();
  try {
    if (!app.frames.here(index)) await app.frames.get(index);
  } catch (error) {
    if (app.wanted === index) toast(error.message);
    return;
  }
  if (app.wanted !== index) return;
  draw();
  app.drawn = index;
  document.body.dataset.drawn = index;
  showPanel();
  window.dispatchEvent(new CustomEvent('drawn', { detail: { index, milliseconds: performance.now() - begun } }));
  app.frames.prefetch(index);
  const next = index + (index < before ? -1 : 1);
  if (next >= 0 && next < app.clip.frames.length) app.frames.get(next).then(() => { if (app.index === index) prepaint(next); }, () => {});
  prefetchSAM();
  keepPlace();
}

function showFrameLabel() {
  const number = app.clip.frames[app.index];
  $('frame-label').textContent = `${app.index + 1} / ${app.clip.frames.length}`;
  $('frame-label').title = `frame ${number}`;
  showTimeline();
}

let samTimer = 0;
function prefetchSAM() {
  clearTimeout(samTimer);
  if (app.playing || app.view === 'review') return;
  const indices = [app.index, app.index + 1, app.index - 1].filter((i) => i >= 0 && i < app.clip.frames.length);
  samTimer = setTimeout(() => ask('prefetch', { indices }, app.clip.name).catch(() => {}), 350);
}

export function choose(track) {
  if (track !== app.track && mend.active) leaveMend();
  const changed = track !== app.track;
  app.track = track;
  if (changed) {
    ask('hold', track === null || app.view === 'review' ? {} : { track }, app.clip.name).catch(() => {});
    if (track !== null) { loadLog(track); loadAgreement(track); }
  }
  showPanel();
  showList();
  showTimeline();
  if (app.track !== null && changed) $(`track-${track}`)?.scrollIntoView({ block: 'nearest' });
  draw();
  keepPlace();
}

export async function loadLog(track) {
  const found = await ask('track', { track }, app.clip.name).catch(() => null);
  if (!found || app.track !== track) return;
  showLog(found.log || []);
}

export async function loadAgreement(track) {
  const clip = app.clip;
  const known = app.tracks.get(track)?.scores[2] || [];
  const need = known.map((value, i) => (value === null && i ? i : -1)).filter((i) => i > 0);
  for (let at = 0; at < need.length; at += 12) {
    const indices = need.slice(at, at + 12);
    const found = await ask('agreement', { track, indices }, clip.name).catch(() => null);
    if (!found || app.clip !== clip || app.track !== track) return;
    const values = app.agreement.get(track) || new Map();
    for (const [index, value] of Object.entries(found.agreement)) values.set(+index, value);
    app.agreement.set(track, values);
    if (indices.includes(app.index)) showPanel();
  }
  if ($('order').value === 'worst') showList();
}

export function agreementAt(track, index) { return track.scores[2][index] ?? app.agreement.get(track.id)?.get(index) ?? null; }

export function setView(view) {
  if (app.view !== view && mend.active) leaveMend();
  app.view = view;
  for (const button of document.querySelectorAll('[data-view]')) {
    button.setAttribute('aria-selected', String(button.dataset.view === view));
    button.tabIndex = button.dataset.view === view ? 0 : -1;
  }
  $('plain-stage').hidden = view !== 'review';
  $('new-track').hidden = view === 'review';
  $('filter').value = view === 'review' ? 'finished' : 'kept';
  $('order').value = view === 'select' ? 'area' : 'id';
  layOut();
  if (app.clip) {
    const next = view === 'review' ? firstToReview() : null;
    if (next && app.tracks.get(app.track)?.status !== 'done') choose(next[0]);
    showList(); showPanel(); showTimeline(); draw(); keepPlace();
  }
}

/** Review shows two pictures: beside or below each other, whatever makes them larger. */
export function layOut() {
  const { clientWidth: w, clientHeight: h } = $('stages');
  const { width, height } = app.clip || { width: 16, height: 9 };
  const beside = Math.min(w / 2 / width, h / height) >= Math.min(w / width, h / 2 / height);
  $('stages').classList.toggle('below', !beside);
  app.stage.fit();
  app.plain.fit();
}

function keepPlace() {
  if (app.clip) history.replaceState(null, '', `#${[app.clip.name, app.index, app.track ?? '', app.view].map(encodeURIComponent).join('&')}`);
}



export function play() {
  if (app.playing) { stopPlaying(); return; }
  if (mend.active) leaveMend();
  $('play').textContent = '❚❚';
  $('play').setAttribute('aria-label', 'Pause');
  const step = async () => {
    const begun = performance.now();
    await go(app.index + 1 < app.clip.frames.length ? app.index + 1 : 0);
    if (app.playing) app.playing = setTimeout(step, Math.max(0, 1000 / Math.max(1, +$('rate').value) - (performance.now() - begun)));
  };
  app.playing = setTimeout(step, 0);
}

export function stopPlaying() {
  clearTimeout(app.playing);
  app.playing = null;
  $('play').textContent = '▶';
  $('play').setAttribute('aria-label', 'Play');
}
