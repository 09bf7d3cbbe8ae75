/** The question that is being written: texts and media in the order in which the model gets them. */

import { computed, signal } from '@preact/signals';
import type { Signal } from '@preact/signals';
import { json, send } from './api';
import { isSoundtrack, kindOf, keep, remembered, requestPart, typeOf } from './media';
import { naming } from './uploads';
import type { BytesOf } from './uploads';
import type { Kind, MediaOptions, MediaPart, Part } from './record';
import { fenced, isMedia, shortName, unfenced } from './record';

export interface Frame {
  time: number;
  image: string;
}

/** What the model gets of one medium, as the server says. */
export interface Seen {
  kind: Kind;
  place: string;
  source: string;
  /** Of a document, which page. */
  page: number | null;
  notes: string[];
  summary: string;
  tokens: number;
  width?: number;
  height?: number;
  given_width?: number;
  given_height?: number;
  given_frames?: number;
  seconds?: number;
  frames?: Frame[];
}

export interface Report {
  prompt_tokens: number;
  max_model_len: number | null;
  media: Seen[];
}

export type Reported = { state: 'asking' } | { state: 'known'; media: Seen[] } | { state: 'refused'; message: string };

export interface DraftText {
  id: number;
  type: 'text';
  text: string;
}

export interface DraftFile {
  id: number;
  type: 'file';
  name: string;
  text: string;
}

export interface DraftMedium {
  id: number;
  type: 'medium';
  kind: Kind;
  name: string;
  digest: string;
  blob: Blob;
  url: string;
  options: MediaOptions;
  reported: Signal<Reported>;
}

export type DraftPart = DraftText | DraftFile | DraftMedium;

let count = 0;
const nextId = (): number => ++count;
export const newText = (text = ''): DraftText => ({ id: nextId(), type: 'text', text });

/** Always ends with a text; two texts never stand side by side. */
export const draft = signal<DraftPart[]>([newText()]);
export const draftError = signal('');
/** The text that has the caret, and where it is: media go there. */
export const caret: { id: number; at: number } = { id: 0, at: 0 };
/** Which model is asked what it gets of a medium. */
export const reportModel = signal<string | null>(null);

export const isEmpty = computed(() => draft.value.every((part) => part.type === 'text' && part.text.trim() === ''));
export const hasMedia = computed(() => draft.value.some((part) => part.type !== 'text'));
export const draftTokens = computed(() =>
  draft.value.reduce((sum, part) => {
    if (part.type !== 'medium') return sum + Math.ceil(part.text.length / 4);
    const found = part.reported.value;
    return found.state === 'known' ? sum + found.media.reduce((tokens, one) => tokens + one.tokens, 0) : sum;
  }, 0),
);

/** The parts in good order. */
export function tidy(parts: readonly DraftPart[]): DraftPart[] {
  const found: DraftPart[] = [];
  for (const part of parts) {
    const last = found.at(-1);
    if (part.type === 'text' && last?.type === 'text') {
      const between = last.text && part.text && !/\s$/.test(last.text) ? '\n' : '';
      found[found.length - 1] = { ...last, text: last.text + between + part.text };
    } else found.push(part);
  }
  if (found.at(-1)?.type !== 'text') found.push(newText());
  // an empty text between two media is no text
  return found.filter((part, index) => part.type !== 'text' || part.text !== '' || index === found.length - 1);
}

export function setText(id: number, text: string): void {
  draft.value = draft.value.map((part) => (part.id === id && part.type === 'text' ? { ...part, text } : part));
}

/** Put parts where the caret is, or at the end. */
export function insert(fresh: readonly DraftPart[]): void {
  const parts = draft.value;
  const index = parts.findIndex((part) => part.id === caret.id);
  const here = parts[index];
  const last = parts.at(-1);
  if (here?.type === 'text' && caret.at < here.text.length && here.text.slice(0, caret.at).trim() !== '') {
    const before = { ...here, text: here.text.slice(0, caret.at) };
    const after = newText(here.text.slice(caret.at));
    draft.value = tidy([...parts.slice(0, index), before, ...fresh, after, ...parts.slice(index + 1)]);
  } else if (here?.type === 'text' && here !== last) {
    draft.value = tidy([...parts.slice(0, index), here, ...fresh, ...parts.slice(index + 1)]);
  } else if (last?.type === 'text') {
    // most people attach first and ask then, or attach to what they have begun to ask: media before the question
    draft.value = tidy([...parts.slice(0, -1), ...fresh, last]);
  }
}

/** Room for a text before a part. */
export function textBefore(id: number): number {
  const index = draft.value.findIndex((part) => part.id === id);
  const before = draft.value[index - 1];
  if (before?.type === 'text') return before.id;
  const fresh = newText();
  draft.value = [...draft.value.slice(0, index), fresh, ...draft.value.slice(index)];
  return fresh.id;
}

export function move(id: number, by: number): void {
  const parts = [...draft.value];
  const from = parts.findIndex((part) => part.id === id);
  const part = parts[from];
  if (part === undefined) return;
  parts.splice(from, 1);
  let to = from + by;
  if (parts[to]?.type === 'text' && to === parts.length - 1 && by > 0) to = parts.length;
  parts.splice(Math.max(0, Math.min(parts.length, to)), 0, part);
  draft.value = tidy(parts);
}

/** Put a part before another one, or last. */
export function moveBefore(id: number, other: number | null): void {
  const part = draft.value.find((one) => one.id === id);
  if (part === undefined || id === other) return;
  const rest = draft.value.filter((one) => one.id !== id);
  const to = other === null ? rest.length : rest.findIndex((one) => one.id === other);
  draft.value = tidy([...rest.slice(0, to), part, ...rest.slice(to)]);
}

export function drop(id: number): void {
  draft.value = tidy(draft.value.filter((part) => part.id !== id));
}

export function clear(): void {
  draft.value = [newText()];
  draftError.value = '';
}

/** Take files into the question. What is neither a medium nor a text is said, and left out. */
export async function addFiles(files: readonly File[]): Promise<void> {
  const fresh: DraftPart[] = [];
  const refused: string[] = [];
  for (const file of files) {
    const kind = kindOf(file.name, file.type);
    if (kind === 'text' || kind === undefined) {
      const text = kind === undefined && file.size > LARGEST_UNKNOWN ? null : await textOf(file);
      // of a file whose name says nothing, its bytes say whether it is a text
      if (text === null || (kind === undefined && /[\0-\x08\x0e-\x1f]/.test(text))) refused.push(kind === undefined ? `${file.name} is no picture, sound, clip, PDF or text.` : `${file.name} is not UTF-8 text.`);
      else fresh.push({ id: nextId(), type: 'file', name: file.name, text });
    } else fresh.push(await medium(kind, file.name || kind, new Blob([file], { type: typeOf(file.name, file.type) })));
  }
  draftError.value = refused.join(' ');
  if (fresh.length > 0) insert(fresh);
}

const LARGEST_UNKNOWN = 2 ** 20; // bytes

async function textOf(file: File): Promise<string | null> {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(await file.arrayBuffer());
  } catch {
    return null;
  }
}

export async function medium(kind: Kind, name: string, blob: Blob, options: MediaOptions = {}): Promise<DraftMedium> {
  const digest = await keep(blob);
  const url = remembered(digest)?.url ?? '';
  const part: DraftMedium = {
    id: nextId(), type: 'medium', kind, name, digest, blob, url, options, reported: signal<Reported>({ state: 'asking' }),
  };
  void ask(part);
  return part;
}

/** Change how a medium is read, or what it is. */
export async function change(id: number, changes: Partial<Pick<DraftMedium, 'kind' | 'options' | 'blob' | 'name'>>): Promise<void> {
  const before = draft.value.find((part) => part.id === id);
  if (before?.type !== 'medium') return;
  const fresh = { ...(await medium(changes.kind ?? before.kind, changes.name ?? before.name, changes.blob ?? before.blob, changes.options ?? before.options)), id };
  draft.value = draft.value.map((part) => (part.id === id ? fresh : part));
}

export const asMediaPart = (part: DraftMedium): MediaPart => ({
  kind: part.kind, source: part.name, sha256: part.digest, options: part.options,
});

/** Ask the server what the model gets of a medium. */
export async function ask(part: DraftMedium): Promise<void> {
  part.reported.value = { state: 'asking' };
  try {
    const found = await reportOf(asMediaPart(part), async () => part.blob);
    part.reported.value = { state: 'known', media: found.media.map((one) => ({ ...one, summary: one.summary.replace(' (--soundtrack)', '') })) };
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    part.reported.value = { state: 'refused', message: worded(message, part.name) };
  }
}

function reportOf(part: MediaPart, bytes: BytesOf): Promise<Report> {
  const model = reportModel.value;
  return naming(async (address) => {
    const messages = [{ role: 'user', content: [requestPart(part, await address(part, bytes))] }];
    return json<Report>('ui/report', send('POST', model === null ? { messages } : { messages, model }));
  });
}

/** A small picture of what browsers cannot show themselves, such as HEIC and the pages of a PDF; an address for `src`. */
export async function preview(part: MediaPart, bytes: BytesOf): Promise<string> {
  const image = (await reportOf(part, bytes)).media[0]?.frames?.[0]?.image;
  if (image === undefined) throw new Error(`${part.source} cannot be shown.`);
  return image;
}

/** What the server says of a medium, which it knows by no name. */
export const worded = (text: string, name: string): string =>
  text.replace(/^messages\[0\]\.content\[0\]:?\s*/, '').replace(/(?:data|upload):[^\s#]*[\w…]/g, name);

/** The question as it is stored and sent: a document as its pages, which the terminal keeps one by one as well. */
export function question(parts: readonly DraftPart[]): Part[] {
  const found: Part[] = [];
  for (const part of parts) {
    if (part.type === 'file') found.push(fenced(part.name, part.text));
    else if (part.type === 'medium') found.push(...pagesOf(part));
    else if (part.text.trim() !== '') found.push({ text: part.text.trim() });
  }
  return found;
}

function pagesOf(part: DraftMedium): MediaPart[] {
  const whole = asMediaPart(part);
  const reported = part.reported.value;
  if (part.kind === 'video' && reported.state === 'known' && reported.media.length > 1) return [whole, { ...whole, kind: 'audio' }]; // as in the terminal
  if (!isDocument(part) || reported.state !== 'known') return [whole];
  return reported.media.map(({ page }) =>
    page === null ? whole : { ...whole, source: `${part.name}#page=${page}`, options: { ...part.options, pages: String(page) } },
  );
}

export const isDocument = (part: DraftMedium): boolean => part.blob.type === 'application/pdf' || part.blob.type === 'image/tiff';

/** A stored question to be written again. */
export async function restore(parts: readonly Part[], bytes: (part: MediaPart) => Promise<Blob>): Promise<void> {
  const found: DraftPart[] = [];
  for (const [index, part] of parts.entries()) {
    if (isSoundtrack(part, parts[index - 1])) continue;
    if (!isMedia(part)) {
      if (part.file === undefined) found.push(newText(part.text));
      else found.push({ id: nextId(), type: 'file', name: shortName(part.file), text: unfenced(part) });
      continue;
    }
    const page = part.options.pages;
    const last = found.at(-1);
    if (page !== undefined && last?.type === 'medium' && last.digest === part.sha256) {
      last.options = { ...last.options, pages: `${last.options.pages},${page}` };
      void ask(last);
      continue;
    }
    found.push(await medium(part.kind, part.source.replace(/#page=\d+$/, ''), await bytes(part), part.options));
  }
  draft.value = tidy(found);
}
