// The page: what is chosen, what happens on which key, and how answers of the server change what is shown.

import { ask, decide, onSaving } from './api.js';
import { Frames } from './frames.js';
import { isTyping, nameOf, showKeys } from './keys.js';
import { Mend } from './mend.js';
import { paintLayers, paintMask, thumbnail } from './paint.js';
import { showCell, showJobs, showLegend, showLog, showProgress, showTrack, showTracks } from './panel.js';
import { holds } from './rle.js';
import { Stage } from './stage.js';
import { Timeline, unpack } from './timeline.js';

const $ = (id) => document.getElementById(id);
const ADVANCED = ['a', 'm', 'r'];

const app = {
  clip: null, frames: null, tracks: new Map(), index: 0, track: null, view: 'verify', hovered: null, playing: null,
  held: new Map(), agreement: new Map(), seq: 0, me: {}, store: '', wanted: 0, jobs: new Map(),
  stage: new Stage($('main-stage'), $('main')), plain: new Stage($('plain-stage'), $('plain')),
  bitmap(index) { return this.frames.here(index)?.bitmap || null; },
  toast, draw,
  onDraft(mend) { $('mend-done').disabled = mend.track === null && !mend.pixels; keepDraft(); },
  onCommit() { if (mend.track !== null) saveMend(); else keepDraft(); },
};
app.stage.twins = [app.plain];
app.plain.twins = [app.stage];
const mend = new Mend(app);
const timeline = new Timeline($('timeline'), $('timeline-canvas'), $('timeline-room'), (track, index, nameOnly) => {
  if (track !== null) choose(track);
  if (!nameOnly) go(index);
});

// -- loading -------------------------------------------------------------------------------------------------------

async function start() {
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

async function openClip(name, index = 0, track = null) {
  stopPlaying();
  leaveMend();
  const clip = await ask('clip', {}, name);
  app.clip = clip;
  $('clip').value = name;
  app.frames = new Frames(clip);
  app.tracks = new Map(clip.tracks.map((t) => [t.id, withLetters(t)]));
  app.seq = clip.seq;
  app.agreement.clear();
  app.stage.setSize(clip.width, clip.height);
  app.plain.setSize(clip.width, clip.height);
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

function withLetters(track) { return { ...track, letters: unpack(track.states), first: app.clip.frames.indexOf(track.first_frame) }; }

function firstUndecided() {
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

// -- frame, track, view ---------------------------------------------------------------------------------------------

/** Show a frame. Only the last one that was wished for is drawn. */
async function go(index) {
  if (!app.clip || index < 0 || index >= app.clip.frames.length) return;
  if (mend.active && index !== mend.index) leaveMend();
  const begun = performance.now();
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
  showPanel();
  window.dispatchEvent(new CustomEvent('drawn', { detail: { index, milliseconds: performance.now() - begun } }));
  app.frames.prefetch(index);
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

function choose(track) {
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

async function loadLog(track) {
  const found = await ask('track', { track }, app.clip.name).catch(() => null);
  if (!found || app.track !== track) return;
  showLog(found.log || []);
}

async function loadAgreement(track) {
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

function agreementAt(track, index) { return track.scores[2][index] ?? app.agreement.get(track.id)?.get(index) ?? null; }

function setView(view) {
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
  app.stage.fit();
  app.plain.fit();
  if (app.clip) {
    const next = view === 'review' ? firstToReview() : null;
    if (next && app.tracks.get(app.track)?.status !== 'done') choose(next[0]);
    showList(); showPanel(); showTimeline(); draw(); keepPlace();
  }
}

function keepPlace() {
  if (app.clip) history.replaceState(null, '', `#${[app.clip.name, app.index, app.track ?? '', app.view].map(encodeURIComponent).join('&')}`);
}

// -- what is shown --------------------------------------------------------------------------------------------------

function shownTracks() {
  const filters = {
    kept: (t) => t.status !== 'rejected', open: (t) => t.status === 'open', returned: (t) => t.status === 'returned',
    finished: (t) => ['done', 'approved', 'returned'].includes(t.status), rejected: (t) => t.status === 'rejected', all: () => true,
  };
  const areas = new Map((app.frames.here(app.index)?.masks || []).map((m) => [m.track, m.area]));
  const worst = (t) => Math.min(2, ...t.letters.split('').map((l, i) => (l === 'a' ? agreementAt(t, i) ?? 2 : 2)));
  const keys = { id: (t) => t.id, area: (t) => -(areas.get(t.id) || 0), score: (t) => -(t.scores[0].find((v) => v !== null) ?? 0), worst };
  const key = keys[$('order').value];
  const found = [...app.tracks.values()].filter((t) => filters[$('filter').value](t) || (t.id === app.track && app.view !== 'review'));
  return found.map((t) => [key(t), t]).sort((a, b) => a[0] - b[0] || a[1].id - b[1].id).map(([, t]) => t);
}

function showList() { showTracks($('track-list'), shownTracks(), app.track, app.held, choose, hover); }

function showTimeline() { timeline.show(shownTracks(), app.clip.frames.length, app.index, app.track); }

function hover(track) {
  app.hovered = track;
  draw();
}

function showPanel() {
  const track = app.tracks.get(app.track);
  const isNew = mend.active && mend.track === null;
  $('panel-none').hidden = Boolean(track) || isNew;
  $('panel').hidden = !track && !isNew;
  for (const id of ['log-box']) $(id).hidden = isNew;
  document.querySelector('.track-title').hidden = isNew;
  document.querySelector('.status-line').hidden = isNew;
  $('mending').hidden = !mend.active;
  $('judging').hidden = mend.active || app.view === 'review';
  $('reviewing').hidden = mend.active || app.view !== 'review';
  $('new-line').hidden = !isNew;
  if (isNew) { $('track-note').hidden = true; $('mend-title').textContent = `New track from frame ${app.index + 1}`; $('mend-done').firstChild.textContent = 'Take it '; }
  $('empty-state').hidden = app.tracks.size > 0 || mend.active;
  $('empty-state').innerHTML = app.tracks.size ? '' : '<b>No tracks yet: press N and click on something</b>';
  if (!track || isNew) return;
  showTrack(track);
  if (mend.active) { $('mend-title').textContent = `Mend frame ${app.index + 1}`; $('mend-done').firstChild.textContent = 'Done '; }
  const at = app.index;
  const here = app.frames.here(at)?.masks.find((m) => m.track === track.id);
  showCell(track.letters[at], { agreement: agreementAt(track, at), score: here?.score, stability: here?.stability });
  const before = at < track.first, held = app.held.get(track.id);
  for (const id of ['accept', 'reject']) $(id).disabled = !here || before || Boolean(held);
  for (const id of ['mend', 'empty']) $(id).disabled = before || Boolean(held);
  for (const id of ['accept-rest', 'accept-all', 'drop']) $(id).disabled = Boolean(held);
  for (const id of ['carry-back', 'carry-both', 'carry-on']) $(id).disabled = !here?.area || Boolean(held);
  $('accept').setAttribute('aria-pressed', String(track.letters[at] === 'c'));
  showReview(track);
  showThumbs(track);
}

function showReview(track) {
  const may = app.me.role === 'supervisor', finished = ['done', 'approved', 'returned'].includes(track.status);
  for (const id of ['approve', 'send-back', 'review-note']) $(id).disabled = !may || !finished;
  $('review-hint').textContent = !finished ? 'This track is not finished yet.' : may ? 'Watch it beside the video, then decide.' : 'Only a supervisor decides here; open the supervisor’s link.';
}

async function showThumbs(track) {
  for (const [id, index] of [['thumb-first', Math.max(0, track.first)], ['thumb-before', Math.max(0, app.index - 1)]]) {
    const found = app.frames.here(index) || (await app.frames.get(index).catch(() => null));
    if (app.track !== track.id || !found) return;
    const mask = found.masks.find((m) => m.track === track.id);
    $(id).style.aspectRatio = '4 / 3';
    thumbnail($(id), found.bitmap, mask && paintMask(mask.runs, mask.box, track.colour, app.clip.width, app.clip.height), mask?.box);
  }
}

function visibleMasks(masks) {
  const solo = ($('solo').checked || app.view === 'review') && app.track !== null;
  return masks.filter((m) => (solo ? m.track === app.track : m.track === app.track || app.tracks.get(m.track)?.status !== 'rejected'));
}

function draw() {
  if (!app.clip) return;
  const found = app.frames.here(app.index);
  if (!found) return;
  const opacity = $('opacity').value / 100;
  const { width, height } = app.clip;
  const colours = new Map([...app.tracks.values()].map((t) => [t.id, t.colour]));
  const layers = [];
  const masks = visibleMasks(found.masks).filter((m) => !(mend.active && m.track === mend.track));
  const base = app.frames.paintedOf(app.index, masks.map((m) => m.track).join(), () => paintLayers(masks, colours, width, height));
  const quiet = mend.active || (app.hovered !== null);
  layers.push({ canvas: base.fill, alpha: quiet ? opacity * 0.35 : opacity }, { canvas: base.rim, alpha: quiet ? 0.5 : 1 });
  const lit = mend.active ? null : app.hovered ?? app.track;
  const mask = lit === null ? null : found.masks.find((m) => m.track === lit);
  if (mask?.area) {
    const top = highlight(mask);
    layers.push({ canvas: top.fill, alpha: Math.min(1, opacity + 0.15) }, { canvas: top.halo, alpha: 1 });
  }
  if (mend.active) layers.push({ canvas: mend.layers.fill, alpha: Math.max(0.35, opacity) }, { canvas: mend.layers.rim, alpha: 1 });
  app.stage.show({ bitmap: found.bitmap, layers, marks: mend.active ? (c, s) => mend.marks(c, s) : null });
  if (app.view === 'review') app.plain.show({ bitmap: found.bitmap });
}

let lit = { mask: null };
function highlight(mask) {
  if (lit.mask !== mask) {
    const { width, height } = app.clip;
    const colour = app.tracks.get(mask.track)?.colour || [255, 255, 255];
    const painted = paintMask(mask.runs, mask.box, colour, width, height);
    const white = paintMask(mask.runs, mask.box, [255, 255, 255], width, height).rim;
    const halo = document.createElement('canvas');
    halo.width = width; halo.height = height;
    const context = halo.getContext('2d');
    for (const [dx, dy] of [[-1, 0], [1, 0], [0, -1], [0, 1]]) context.drawImage(painted.rim, dx, dy);
    context.drawImage(white, 0, 0);
    lit = { mask, fill: painted.fill, halo };
  }
  return lit;
}

// -- deciding -------------------------------------------------------------------------------------------------------

/** Have a decision saved, then show what it changed. Null if it was refused. */
async function act(fields, question = 'decide') {
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
  lit = { mask: null };
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

const number = () => app.clip.frames[app.index];

function accept() {
  if ($('accept').disabled) return;
  const track = app.tracks.get(app.track), at = app.index;
  if (!track) return;
  if (app.drawn !== at) return; // nobody accepts what was not to be seen yet
  if (track.letters[at] !== 'c') act({ action: 'judge', track: track.id, frames: [number()], state: 'accepted' });
  toNext(at);
}

/** The next frame of this track that nobody decided; behind the last one, the next track. */
function toNext(at) {
  const track = app.tracks.get(app.track);
  for (let i = at + 1; i < track.letters.length; i++) if (ADVANCED.includes(track.letters[i])) return go(i);
  for (let i = Math.max(0, track.first); i < at; i++) if (ADVANCED.includes(track.letters[i])) return go(i);
  const next = firstUndecided();
  if (!next) return toast('Every frame of every kept track is decided.', true);
  choose(next[0]);
  return go(next[1]);
}

async function reject() {
  if ($('reject').disabled || app.track === null) return;
  if (await act({ action: 'judge', track: app.track, frames: [number()], state: 'rejected' })) beginMend(true);
}

function beginMend(afresh = false) {
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

function beginNew(draft = null) {
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

function saveMend() { act({ action: 'mend', track: mend.track, frame: app.clip.frames[mend.index], cell: mend.cell() }); }

async function finishMend() {
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

function leaveMend() {
  if (!mend.active) return;
  mend.end();
  localStorage.removeItem(draftKey());
  banner('');
  showPanel();
  draw();
}

// A new track is only in the page until it is taken, so what was pointed at is kept for a reload.
const draftKey = () => `mugvos draft ${app.store} ${app.clip?.name}`;

function keepDraft() {
  if (!mend.active || mend.track !== null || !mend.pixels) return;
  const draft = { index: mend.index, ...mend.cell(), name: $('new-name').value, tag: $('new-tag').value };
  try { localStorage.setItem(draftKey(), JSON.stringify(draft)); } catch { /* a full storage costs the draft after a crash, nothing else */ }
}

async function restoreDraft() {
  const text = localStorage.getItem(draftKey());
  if (!text || app.view === 'review') return;
  const draft = JSON.parse(text);
  await go(draft.index);
  beginNew(draft);
  mend.points = draft.points;
  mend.about = { score: draft.score, stability: draft.stability, candidate: draft.candidate };
  toast('The new track you were choosing is here again.', true);
}

async function undo(again = false) {
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

async function carry(direction) {
  if ($('carry-on').disabled || app.track === null) return;
  leaveMend();
  try {
    await ask('carry', { track: app.track, frame: number(), direction, model: $('model').value }, app.clip.name);
    beat();
  } catch (error) { toast(error.message); }
}

async function review(satisfactory) {
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

async function writeStore() {
  try {
    const found = await ask('save');
    toast(found.written ? `${app.store} is written.` : `${app.store} holds everything already.`, true);
  } catch (error) { toast(error.message); }
}

// -- hearing of others ------------------------------------------------------------------------------------------------

async function beat() {
  const clip = app.clip;
  let found;
  try { found = await ask('beat', { after: app.seq }, clip.name); } catch (error) { lost(error); return; }
  if (clip !== app.clip) return;
  if ($('saved').dataset.lost) { delete $('saved').dataset.lost; showSaved({ busy: false, failed: '' }); }
  app.held = new Map(found.held.filter((h) => h.clip === clip.name && !h.mine).map((h) => [h.track, h.name]));
  const entries = found.entries.filter((e) => e.clip === clip.name);
  if (found.entries.length) app.seq = found.entries[found.entries.length - 1].seq;
  for (const track of new Set(entries.map((e) => e.track))) await refresh(track, entries.filter((e) => e.track === track));
  const before = new Map(app.jobs);
  app.jobs = new Map(found.jobs.map((job) => [job.id, job.state]));
  for (const job of found.jobs) if (job.state === 'failed' && before.has(job.id) && before.get(job.id) !== 'failed') toast(`carrying failed: ${job.error}`);
  const shown = found.jobs.filter((job) => ['waiting', 'running', 'failed'].includes(job.state)).slice(-4);
  showJobs(shown, (id) => ask('stop', { job: id }).then(beat));
  if (shown.some((job) => job.state !== 'failed')) { clearTimeout(app.soon); app.soon = setTimeout(beat, 600); }
  showList();
  if (!mend.active) showPanel();
}

/** Something was decided on a track, here or elsewhere. */
async function refresh(track, entries) {
  const { clip } = app;
  const found = await ask('track', { track }, clip.name).catch(() => null);
  if (!found || clip !== app.clip) return;
  const own = entries.every((e) => e.who === app.me.name && e.action !== 'carry');
  if (found.track) app.tracks.set(track, withLetters(found.track));
  else app.tracks.delete(track);
  if (own) return;
  const indices = [];
  for (const entry of entries) {
    if (entry.count === undefined) continue;
    for (let i = app.clip.frames.indexOf(entry.first); i >= 0 && i <= app.clip.frames.indexOf(entry.last); i++) indices.push(i);
  }
  app.frames.forget(indices);
  app.agreement.delete(track);
  lit = { mask: null };
  if (indices.includes(app.index)) await app.frames.get(app.index).catch(() => {});
  const progress = (await ask('clip', {}, clip.name).catch(() => null))?.progress;
  if (progress) showProgress(progress);
  if (app.track === track) { showLog(found.log || []); loadAgreement(track); }
  showTimeline();
  draw();
}

function lost(error) {
  $('saved').dataset.lost = '1';
  $('saved').className = 'saved failed';
  $('saved').textContent = 'no connection';
  $('saved').title = error.message;
}

function showSaved({ busy, failed }) {
  $('saved').className = `saved ${failed ? 'failed' : busy ? 'busy' : ''}`;
  $('saved').textContent = failed ? 'not saved' : busy ? 'saving…' : '✓ saved';
  $('saved').title = failed || 'Decisions are on disk before this says saved';
}
onSaving(showSaved);

// -- playing ----------------------------------------------------------------------------------------------------------

function play() {
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

function stopPlaying() {
  clearTimeout(app.playing);
  app.playing = null;
  $('play').textContent = '▶';
  $('play').setAttribute('aria-label', 'Play');
}

// -- words ------------------------------------------------------------------------------------------------------------

function toast(text, calm = false) {
  const box = document.createElement('div');
  box.textContent = text;
  if (calm) box.className = 'info';
  $('toasts').append(box);
  while ($('toasts').children.length > 3) $('toasts').firstChild.remove();
  setTimeout(() => box.remove(), calm ? 3500 : 7000);
}

function banner(text) { $('banner').hidden = !text; $('banner').textContent = text; }

function showMe() { $('who').textContent = `${app.me.name} · ${app.me.role}`; }

// -- keys and buttons ---------------------------------------------------------------------------------------------------

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
const mending = {
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
