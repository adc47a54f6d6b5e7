// What others do and how work under way goes on, asked for every few seconds; short words for people.

import { ask, onSaving } from './api.js';
import { showJobs, showLog, showProgress } from './panel.js';
import { draw, showList, showPanel, showTimeline, unlight } from './show.js';
import { $, app, mend } from './state.js';
import { loadAgreement, withLetters } from './view.js';

export async function beat() {
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
  unlight();
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

export function showSaved({ busy, failed }) {
  $('saved').className = `saved ${failed ? 'failed' : busy ? 'busy' : ''}`;
  $('saved').textContent = failed ? 'not saved' : busy ? 'saving…' : '✓ saved';
  $('saved').title = failed || 'Decisions are on disk before this says saved';
}
onSaving(showSaved);



export function toast(text, calm = false) {
  const box = document.createElement('div');
  box.textContent = text;
  if (calm) box.className = 'info';
  $('toasts').append(box);
  while ($('toasts').children.length > 3) $('toasts').firstChild.remove();
  setTimeout(() => box.remove(), calm ? 3500 : 7000);
}

export function banner(text) { $('banner').hidden = !text; $('banner').textContent = text; }

export function showMe() { $('who').textContent = `${app.me.name} · ${app.me.role}`; }
