// Draws what state.js says: the frame with its masks, the list, the panel, the timeline.

import { paintLayers, paintMask, thumbnail } from './paint.js';
import { showCell, showTrack, showTracks } from './panel.js';
import { $, app, mend, timeline } from './state.js';
import { agreementAt, choose } from './view.js';

export function shownTracks() {
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

export function showList() { showTracks($('track-list'), shownTracks(), app.track, app.held, choose, hover); }

export function showTimeline() { timeline.show(shownTracks(), app.clip.frames.length, app.index, app.track); }

function hover(track) {
  app.hovered = track;
  draw();
}

export function showPanel() {
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
  clearTimeout(thumbs);
  thumbs = setTimeout(() => showThumbs(track), 60);
}

function showReview(track) {
  const may = app.me.role === 'supervisor', finished = ['done', 'approved', 'returned'].includes(track.status);
  for (const id of ['approve', 'send-back', 'review-note']) $(id).disabled = !may || !finished;
  $('review-hint').textContent = !finished ? 'This track is not finished yet.' : may ? 'Watch it beside the video, then decide.' : 'Only a supervisor decides here; open the supervisor’s link.';
}

let thumbs = 0;
async function showThumbs(track) {
  for (const [id, index] of [['thumb-first', Math.max(0, track.first)], ['thumb-before', Math.max(0, app.index - 1)]]) {
    const found = app.frames.here(index) || (await app.frames.get(index).catch(() => null));
    if (app.track !== track.id || !found) return;
    const mask = found.masks.find((m) => m.track === track.id);
    $(id).style.aspectRatio = '4 / 3';
    thumbnail($(id), found.bitmap, mask && paintMask(mask.runs, track.colour, app.clip.width, app.clip.height), mask?.box);
  }
}

export function visibleMasks(masks) {
  const solo = ($('solo').checked || app.view === 'review') && app.track !== null;
  return masks.filter((m) => (solo ? m.track === app.track : m.track === app.track || app.tracks.get(m.track)?.status !== 'rejected'));
}

/** Fills and rims of a frame's masks, painted once. */
function baseOf(index) {
  const masks = visibleMasks(app.frames.here(index).masks).filter((m) => !(mend.active && m.track === mend.track));
  const colours = new Map([...app.tracks.values()].map((t) => [t.id, t.colour]));
  return app.frames.paintedOf(index, masks.map((m) => m.track).join(), () => paintLayers(masks, colours, app.clip.width, app.clip.height));
}

let idle = 0;
/** Paint a frame that is likely to be shown next while nothing else is to be done. */
export function prepaint(index) {
  cancelIdleCallback(idle);
  idle = requestIdleCallback(() => { if (app.frames?.here(index)) baseOf(index); });
}

export function draw() {
  if (!app.clip) return;
  const found = app.frames.here(app.index);
  if (!found) return;
  const opacity = $('opacity').value / 100;
  const layers = [];
  const base = baseOf(app.index);
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

/** The highlighted mask is to be painted anew. */
export function unlight() { lit = { mask: null }; }
function highlight(mask) {
  if (lit.mask !== mask) {
    const { width, height } = app.clip;
    const colour = app.tracks.get(mask.track)?.colour || [255, 255, 255];
    const painted = paintMask(mask.runs, colour, width, height);
    const white = document.createElement('canvas');
    white.width = width; white.height = height;
    const brush = white.getContext('2d');
    brush.drawImage(painted.rim, 0, 0);
    brush.globalCompositeOperation = 'source-in';
    brush.fillStyle = '#fff';
    brush.fillRect(0, 0, width, height);
    const halo = document.createElement('canvas');
    halo.width = width; halo.height = height;
    const context = halo.getContext('2d');
    for (const [dx, dy] of [[-1, 0], [1, 0], [0, -1], [0, 1]]) context.drawImage(painted.rim, dx, dy);
    context.drawImage(white, 0, 0);
    lit = { mask, fill: painted.fill, halo };
  }
  return lit;
}
