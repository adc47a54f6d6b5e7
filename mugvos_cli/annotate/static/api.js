// Questions to the server. Knows addresses and what "saved" means; knows nothing of what is drawn.

const page = 'p-' + [...crypto.getRandomValues(new Uint8Array(12))].map((b) => b.toString(16).padStart(2, '0')).join('');
const listeners = new Set();
let open = 0;

/** Told { busy, failed } whenever a decision is on its way, is certain, or could not be saved. */
export function onSaving(listener) { listeners.add(listener); }

function tell(failed) { for (const listener of listeners) listener({ busy: open > 0, failed }); }

/** An answer of the server, or an Error with its one line. */
export async function ask(question, fields = {}, clip = '') {
  let answer;
  try {
    answer = await fetch(`/api/${question}?clip=${encodeURIComponent(clip)}`, {
      method: 'POST', body: JSON.stringify(fields), headers: { 'Content-Type': 'application/json', 'X-Page': page },
    });
  } catch {
    throw Object.assign(new Error('the server does not answer; is `mugvos annotate` still running?'), { lost: true });
  }
  const text = await answer.text();
  let found = {};
  try { found = JSON.parse(text); } catch { found = { error: text.trim() }; }
  if (!answer.ok) throw Object.assign(new Error(found.error || `status ${answer.status}`), { status: answer.status });
  return found;
}

let last = Promise.resolve();

/** A decision. Decisions go one after the other; it is saved when this resolves, and not before. */
export function decide(question, fields, clip) {
  open += 1;
  tell('');
  const done = last.then(() => ask(question, fields, clip));
  last = done.catch(() => {});
  return done.then(
    (found) => { open -= 1; tell(''); return found; },
    (error) => { open -= 1; tell(error.message); throw error; },
  );
}

/** The picture of a frame. */
export async function picture(clip, index, signal) {
  const answer = await fetch(`/frames/${index}.jpg?clip=${encodeURIComponent(clip)}`, { signal });
  if (!answer.ok) throw new Error((await answer.json().catch(() => ({ error: 'the frame cannot be read' }))).error);
  return createImageBitmap(await answer.blob());
}
