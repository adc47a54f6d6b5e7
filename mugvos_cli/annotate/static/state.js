// What the page knows: the clip, its tracks, what is chosen; and the parts that show it. Decides nothing.

import { keepDraft, saveMend } from './deciding.js';
import { toast } from './hearing.js';
import { Mend } from './mend.js';
import { draw } from './show.js';
import { Stage } from './stage.js';
import { Timeline } from './timeline.js';
import { choose, go } from './view.js';

export const $ = (id) => document.getElementById(id);
export const ADVANCED = ['a', 'm', 'r'];

export const app = {
  clip: null, frames: null, tracks: new Map(), index: 0, track: null, view: 'verify', hovered: null, playing: null,
  held: new Map(), agreement: new Map(), seq: 0, me: {}, store: '', wanted: 0, jobs: new Map(),
  stage: new Stage($('main-stage'), $('main')), plain: new Stage($('plain-stage'), $('plain')),
  bitmap(index) { return this.frames.here(index)?.bitmap || null; },
  toast: (text, calm) => toast(text, calm),
  draw: () => draw(),
  onDraft(mend) { $('mend-done').disabled = mend.track === null && !mend.pixels; keepDraft(); },
  onCommit() { if (mend.track !== null) saveMend(); else keepDraft(); },
};
app.stage.twins = [app.plain];
app.plain.twins = [app.stage];
export const mend = new Mend(app);
export const timeline = new Timeline($('timeline'), $('timeline-canvas'), $('timeline-room'), (track, index, nameOnly) => {
  if (track !== null) choose(track);
  if (!nameOnly) go(index);
});
