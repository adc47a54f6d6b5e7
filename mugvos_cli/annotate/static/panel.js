// The right side and the list: what is known of the chosen track and frame, in words. Knows the page's elements.

import { number } from './mend.js';
import { STATES } from './timeline.js';

const $ = (id) => document.getElementById(id);
export const STATUS = { open: 'open', done: 'finished', rejected: 'rejected', approved: 'approved', returned: 'sent back' };
const ACTIONS = {
  accepted: 'accepted', rejected: 'rejected', auto: 'reopened', accept_rest: 'accepted the rest', mend: 'mended', empty: 'not visible', empty_rest: 'not visible from there',
  add: 'chosen', carry: 'carried', describe: 'renamed', drop: 'track rejected', restore: 'track taken back in', approve: 'approved', return: 'sent back', undo: 'undone', redo: 'done again',
};
const LOW = { agreement: 0.5, score: 0.7, stability: 0.95 };

/** The list of tracks. held: track -> name of another person at work. */
export function showTracks(list, tracks, chosen, held, onChoose, onHover) {
  const known = new Map([...list.children].map((item) => [+item.dataset.track, item]));
  const items = tracks.map((track) => {
    const item = known.get(track.id) || makeItem(track, onChoose, onHover);
    fillItem(item, track, held.get(track.id));
    item.setAttribute('aria-selected', String(track.id === chosen));
    return item;
  });
  if (items.length !== list.children.length || items.some((item, at) => list.children[at] !== item)) list.replaceChildren(...items);
  list.setAttribute('aria-activedescendant', chosen === null ? '' : `track-${chosen}`);
}

function makeItem(track, onChoose, onHover) {
  const item = document.createElement('li');
  item.id = `track-${track.id}`;
  item.dataset.track = track.id;
  item.setAttribute('role', 'option');
  item.innerHTML = '<span class="swatch"></span><span class="name"></span><span class="badge"></span><span class="meta"><span class="strip"></span><span class="lock"></span><span class="left"></span></span>';
  item.onclick = () => onChoose(track.id);
  item.onpointerenter = () => onHover(track.id);
  item.onpointerleave = () => onHover(null);
  return item;
}

function fillItem(item, track, holder) {
  item.className = track.status;
  item.querySelector('.swatch').style.background = `rgb(${track.colour})`;
  item.querySelector('.name').textContent = track.name;
  item.querySelector('.name').title = `track ${track.id}: ${track.name}`;
  const badge = item.querySelector('.badge');
  badge.textContent = STATUS[track.status];
  badge.className = `badge ${track.status}`;
  item.querySelector('.lock').textContent = holder ? `🔒 ${holder}` : '';
  const total = Object.values(track.counts).reduce((a, b) => a + b, 0) || 1;
  const left = total - track.counts.accepted - track.counts.refined - track.counts.empty;
  item.querySelector('.left').textContent = left ? `${left} left` : 'all decided';
  const strip = item.querySelector('.strip');
  const order = 'cferam'.split('').map((letter) => STATES[letter]);
  strip.replaceChildren(...order.filter(([name]) => track.counts[name]).map(([name, colour]) => {
    const part = document.createElement('i');
    part.style.width = `${(100 * track.counts[name]) / total}%`;
    part.style.background = colour;
    return part;
  }));
}

/** The chosen track. */
export function showTrack(track) {
  $('track-swatch').style.background = `rgb(${track.colour})`;
  if (document.activeElement !== $('track-name')) $('track-name').value = track.name;
  $('track-tag').value = track.tag;
  $('track-status').textContent = STATUS[track.status];
  $('track-status').className = `badge ${track.status}`;
  const { accepted, refined, empty, rejected, auto, missing } = track.counts;
  const words = [[accepted, 'accepted'], [refined, 'mended'], [empty, 'not visible'], [rejected, 'rejected'], [auto + missing, 'left']];
  $('track-counts').textContent = words.filter(([count]) => count).map(([count, word]) => `${count} ${word}`).join(', ');
  $('track-note').hidden = !track.note;
  $('track-note').textContent = track.note ? `Sent back: “${track.note}”${track.note_frame === null ? '' : ` (frame ${track.note_frame})`}` : '';
  $('drop').firstChild.textContent = track.status === 'rejected' ? 'Take back in ' : 'Reject track ';
}

/** The state and the scores of the cell at hand. */
export function showCell(letter, scores) {
  const [name, , words] = STATES[letter];
  $('cell-state').textContent = words;
  $('cell-state').className = `badge ${name}`;
  const rows = [['agreement', 'agrees'], ['score', 'pred. IoU'], ['stability', 'stability']].map(([key, title]) => {
    const box = document.createElement('div');
    const value = scores[key];
    box.className = value !== null && value !== undefined && value < LOW[key] ? 'low' : '';
    box.title = { agreement: 'IoU with the mask of the frame before, carried along by optical flow', score: 'IoU that the model predicts', stability: 'how little the mask changes with its threshold' }[key];
    const dt = document.createElement('dt'), dd = document.createElement('dd');
    dt.textContent = title;
    dd.textContent = number(value);
    box.append(dt, dd);
    return box;
  });
  $('scores').replaceChildren(...rows);
}

/** Everything that was decided on a track, last first. */
export function showLog(entries) {
  $('log').replaceChildren(...[...entries].reverse().map((entry) => {
    const item = document.createElement('li');
    const who = document.createElement('b');
    who.textContent = entry.who;
    const span = entry.count ? (entry.count === 1 ? ` frame ${entry.first}` : ` ${entry.count} frames from ${entry.first}`) : '';
    const when = new Date(entry.time).toLocaleString([], { month: 'short', day: 'numeric', hour: '2-digit', minute: '2-digit' });
    item.append(who, ` ${ACTIONS[entry.action] || entry.action}${span}${entry.note ? ` “${entry.note}”` : ''} · ${when}`);
    return item;
  }));
}

/** Work under way. */
export function showJobs(jobs, onStop) {
  $('jobs').replaceChildren(...jobs.map((job) => {
    const box = document.createElement('div');
    box.className = `job ${job.state}`;
    const words = { waiting: 'waits', running: 'runs', failed: 'failed', stopped: 'stopped', done: 'done' }[job.state];
    const text = document.createElement('div');
    text.textContent = `track ${job.track} ${job.direction} with ${job.model}: ${words}${job.error ? `: ${job.error}` : ''}`;
    box.append(text);
    if (job.state === 'running' || job.state === 'waiting') {
      const bar = document.createElement('div');
      bar.className = 'progress';
      const fill = document.createElement('i');
      fill.style.width = `${(100 * job.done) / job.total}%`;
      bar.append(fill);
      const stop = document.createElement('button');
      stop.textContent = 'Stop';
      stop.onclick = () => onStop(job.id);
      box.append(bar, stop);
    }
    return box;
  }));
}

/** How far the clip is. */
export function showProgress(progress) {
  const share = progress.cells ? Math.round((100 * progress.decided) / progress.cells) : 0;
  $('progress').setAttribute('aria-valuenow', share);
  $('progress').firstElementChild.style.width = `${share}%`;
  const parts = [[progress.done, 'finished'], [progress.approved, 'approved'], [progress.returned, 'sent back'], [progress.rejected, 'rejected'], [progress.open, 'left']];
  $('progress-text').textContent = `${share} % · ${parts.filter(([count]) => count).map(([count, word]) => `${count} ${word}`).join(' · ')}`;
  $('progress-box').title = `${progress.decided} of ${progress.cells} frames of kept tracks are decided`;
}

/** Colours of states. */
export function showLegend() {
  $('legend').replaceChildren(...Object.values(STATES).map(([, colour, words]) => {
    const item = document.createElement('span'), swatch = document.createElement('i');
    swatch.style.background = colour;
    item.append(swatch, words);
    return item;
  }));
}
