/** What the page knows: the server, the chats, the one that is open, and answers that are coming. */

import { computed, signal } from '@preact/signals';
import type { Answer } from './answer';
import type { About, Model } from './api';
import { Failure, json, keyFromAddress, keyWanted, NO_ANSWER, useKey } from './api';
import { BrowserChats, mediaOf, ServerChats } from './chats';
import type { Chats } from './chats';
import * as draft from './draft';
import type { Chat, Summary } from './record';
import { newChat, titleOf } from './record';
import { begun as beginWith, settings } from './settings';

const POLL = 500; // milliseconds between two looks at a model that is loading
const SELDOM = 1000; // milliseconds between two looks at what others have done to the chats

const SERVER = new ServerChats();
const BROWSER = new BrowserChats();
export let chats: Chats = BROWSER;

/** An open chat: as it is shown, the version it was stored as, and the answer that is coming. */
export class Session {
  readonly chat = signal<Chat>(newChat());
  readonly answer = signal<Answer | null>(null);
  readonly error = signal('');
  /** What was last said of tools, which is written again where it did not reach the model. */
  results: string[] = [];
  readonly #versions = new Map<Chats, string | null>();
  /** Whether the last write failed. */
  unsaved = false;
  /** Whether it was deleted, and is not to be written again. */
  #removed = false;
  #saving: Promise<boolean> = Promise.resolve(true);

  constructor(chat: Chat, version: string | null = null) {
    this.chat.value = chat;
    this.version = version;
  }

  /** The version that it was read or written as, where chats are kept now; `null` where it is new there. */
  get version(): string | null {
    return this.#versions.get(chats) ?? null;
  }

  set version(version: string | null) {
    this.#versions.set(chats, version);
  }

  /** Store it; writes follow each other. Whether it is stored then. */
  save(): Promise<boolean> {
    this.#saving = this.#saving.then(async () => {
      if (this.#removed) return true;
      try {
        await this.#store();
        this.unsaved = false;
      } catch (error) {
        const lost = error instanceof Failure && (error.status === 0 || error.status === 403);
        if (!lost && !this.unsaved) notice.value = `This chat is not saved: ${wordsOf(error)}`;
        this.unsaved = true;
        if (lost) void reconnect(); // it is saved then
      }
      return !this.unsaved;
    });
    return this.#saving;
  }

  /** Stop its answer, and write it no more; resolves once no write is under way. */
  async end(): Promise<void> {
    this.#removed = true;
    this.answer.value?.stop();
    await this.#saving;
  }

  /** It could not be deleted after all. */
  keep(): void {
    this.#removed = false;
  }

  async #store(): Promise<void> {
    if (this.chat.value.turns.length === 0) return this.#forget();
    const { id, version } = await chats.save(this.chat.value, this.version);
    if (id !== this.chat.value.id) {
      sessions.delete(this.chat.value.id);
      sessions.set(id, this);
      this.chat.value = { ...this.chat.value, id };
      notice.value = 'This chat was changed elsewhere meanwhile, so yours is kept beside it.';
    }
    this.version = version;
    listed(this.chat.value);
  }

  /** A chat that came to nothing is not kept. */
  async #forget(): Promise<void> {
    if (this.version === null) return;
    this.version = null;
    await chats.remove(this.chat.value.id);
    list.value = list.value.filter((one) => one.id !== this.chat.value.id);
  }
}

export const about = signal<About | null>(null);
export const models = signal<Model[]>([]);
export const chosen = signal<string | null>(null);
export const status = signal<'connecting' | 'loading' | 'ready' | 'down'>('connecting');
export const notice = signal('');
/** What a screen reader says. */
export const said = signal('');
export const list = signal<Summary[]>([]);
export const session = signal<Session>(new Session(newChat()));
export const model = computed(() => models.value.find((one) => one.id === chosen.value) ?? models.value[0]);
export const reads = computed(() => new Set(model.value?.input_modalities ?? ['text', 'image', 'audio', 'video']));
/** The turn that is being asked otherwise; the draft is its question. */
export const editing = signal<number | null>(null);

export const sessions = new Map<string, Session>();

export const wordsOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

export async function start(): Promise<void> {
  for (let trouble = ''; ; await sleep(4 * POLL)) {
    try {
      about.value = await json<About>('ui/about');
      if (trouble !== '' && notice.value === trouble) notice.value = '';
      preset(about.value.settings);
      await use(about.value.own);
      void refresh();
      return await watchModel();
    } catch (error) {
      if (keyWanted.value) return; // the page starts again with the key
      status.value = 'down';
      notice.value = trouble = wordsOf(error);
    }
  }
}

const sleep = (time: number): Promise<void> => new Promise((resolve) => window.setTimeout(resolve, time));

let presets = '';

/** What the command line wants is for the chats that begin now, too; once, whatever is changed here then. */
function preset(given: Record<string, unknown>): void {
  const words = JSON.stringify(given);
  if (words === presets) return;
  presets = words;
  beginWith(given);
  const here = session.value;
  const { system } = settings.value;
  if (system && here.chat.value.turns.length === 0) here.chat.value = { ...here.chat.value, system };
}

/** Keep chats by the server or in the browser; what was kept in the browser until then goes to the user's own server. */
async function use(own: boolean): Promise<void> {
  chats = own ? SERVER : BROWSER;
  if (own) await takeOver(BROWSER);
  for (const one of opened()) if (one.unsaved) await one.save();
}

const opened = (): Set<Session> => new Set([session.value, ...sessions.values()]);

async function takeOver(from: BrowserChats): Promise<void> {
  const rows = await from.list().catch(() => []); // this browser keeps none
  let count = 0;
  for (const { id } of rows) {
    const here = [...opened()].find((one) => one.chat.value.id === id) ?? new Session((await from.load(id)).chat);
    for (const part of mediaOf(here.chat.value)) await from.bytes(part).catch(() => undefined); // the words are kept all the same
    if (!(await here.save())) return;
    await from.forget(id);
    count++;
  }
  if (count === 0) return;
  await from.sweep();
  notice.value = count === 1 ? 'A chat that was kept in this browser is now with those of the terminal.' : `${count} chats that were kept in this browser are now with those of the terminal.`;
}

let reconnecting: Promise<void> | undefined;

/** The server has ended, or was started again with another key: see what it is now. */
export function reconnect(): Promise<void> {
  reconnecting ??= (async () => {
    const { own } = about.value ?? { own: false };
    status.value = 'down';
    await start();
    for (const one of opened()) if (one.error.value === NO_ANSWER) one.error.value = '';
    if (own && about.value?.locked) notice.value = 'The server was started again and has another key: chats are kept in this browser until you give it.';
  })().finally(() => (reconnecting = undefined));
  return reconnecting;
}

let looked = -SELDOM;

/** Back on the page: another tab, or the terminal, may have gone on with the chat. */
export async function lookAgain(): Promise<void> {
  if (document.hidden || status.value !== 'ready' || performance.now() - looked < SELDOM) return;
  looked = performance.now();
  const here = session.value;
  await refresh();
  if (here.version === null || here.answer.value !== null || here.unsaved || editing.value !== null) return;
  const found = await chats.load(here.chat.value.id).catch(() => null);
  if (found === null || found.version === here.version || session.value !== here || here.answer.value !== null) return;
  here.chat.value = found.chat;
  here.version = found.version;
}

/** Use a key; with one for the terminal's chats the page has them from then on. */
export async function unlock(value: string): Promise<void> {
  const before = keyWanted.value;
  useKey(value);
  await start();
  if (before === 'chats' && about.value?.locked) notice.value = 'This is not the key of the terminal’s chats. The server shows it when it starts.';
}

/** The address with the key may be opened in a tab that has the page already. */
export function watchAddress(): void {
  window.addEventListener('focus', () => void lookAgain());
  document.addEventListener('visibilitychange', () => void lookAgain());
  window.addEventListener('hashchange', () => {
    const found = keyFromAddress();
    if (found !== undefined) void unlock(found);
  });
}

export async function watchModel(): Promise<void> {
  for (;;) {
    const found = await json<{ data: Model[] }>('v1/models');
    models.value = found.data;
    const loading = found.data.filter((one) => one.status === 'loading').length;
    if (loading < found.data.length || loading === 0) break; // where there are several, questions wait for theirs
    status.value = 'loading';
    await sleep(POLL);
  }
  status.value = 'ready';
  for (const part of draft.draft.value) if (part.type === 'medium' && part.reported.value.state !== 'known') void draft.ask(part);
}

export function choose(id: string): void {
  chosen.value = id;
  draft.reportModel.value = id;
  for (const part of draft.draft.value) if (part.type === 'medium') void draft.ask(part);
}

export async function refresh(): Promise<void> {
  try {
    list.value = await chats.list();
  } catch (error) {
    if (error instanceof Failure && (error.status === 0 || error.status === 403)) void reconnect();
    else notice.value = wordsOf(error);
  }
}

function listed(chat: Chat): void {
  const summary: Summary = {
    id: chat.id,
    changed: new Date().toISOString(),
    turns: chat.turns.length,
    media: 0,
    title: titleOf(chat),
    model: '',
    branch: chat.branch ?? null,
  };
  list.value = [summary, ...list.value.filter((one) => one.id !== chat.id)];
}

export function begin(): void {
  editing.value = null;
  session.value = new Session(newChat(settings.value.system || null));
}

export async function open(id: string): Promise<void> {
  const before = sessions.get(id);
  if (before !== undefined && (before.answer.value !== null || before.unsaved)) {
    session.value = before;
    editing.value = null;
    return;
  }
  try {
    const found = await chats.load(id);
    const opened = new Session(found.chat, found.version);
    sessions.set(id, opened);
    session.value = opened;
    editing.value = null;
  } catch (error) {
    notice.value = wordsOf(error);
    void refresh();
  }
}

export async function remove(id: string): Promise<void> {
  const here = [...opened()].filter((one) => one.chat.value.id === id);
  try {
    for (const one of here) await one.end();
    await chats.remove(id);
    sessions.delete(id);
    list.value = list.value.filter((one) => one.id !== id);
    if (session.value.chat.value.id === id) begin();
  } catch (error) {
    for (const one of here) one.keep();
    notice.value = wordsOf(error);
  }
}
