/** What the page knows: the server, the chats, the one that is open, and answers that are coming. */

import { computed, signal } from '@preact/signals';
import type { Call, Mark } from './answer';
import { Answer, generate } from './answer';
import type { About, Model } from './api';
import { Failure, json, keyFromAddress, keyWanted, useKey } from './api';
import { BrowserChats, ServerChats } from './chats';
import type { Chats } from './chats';
import * as draft from './draft';
import type { Chat, Part, Summary, Turn } from './record';
import { newChat, newTurn, originOf, titleOf } from './record';
import { settings } from './settings';

const POLL = 500; // milliseconds between two looks at a model that is loading
const SAVING = 2000; // milliseconds between two writes of an answer that grows

/** An open chat: as it is shown, the version it was stored as, and the answer that is coming. */
export class Session {
  readonly chat = signal<Chat>(newChat());
  readonly answer = signal<Answer | null>(null);
  readonly error = signal('');
  /** Why the last answer ended, where it did here. */
  readonly finish = signal('');
  /** What answers have marked in pictures, by their turns; it is known of those that came while the page was open. */
  readonly marks = signal<Record<number, Mark[]>>({});
  /** Tools that the last answer wants used, and what was said of tools for it so far. */
  readonly calls = signal<Call[]>([]);
  rounds: unknown[] = [];
  version: string | null = null;
  #saving: Promise<void> = Promise.resolve();

  constructor(chat: Chat, version: string | null = null) {
    this.chat.value = chat;
    this.version = version;
  }

  /** Store it; writes follow each other. */
  save(): Promise<void> {
    this.#saving = this.#saving.then(async () => {
      try {
        if (this.chat.value.turns.length === 0) return await this.#forget();
        const { id, version } = await chats.save(this.chat.value, this.version);
        if (id !== this.chat.value.id) {
          sessions.delete(this.chat.value.id);
          sessions.set(id, this);
          this.chat.value = { ...this.chat.value, id };
          notice.value = 'This chat was changed elsewhere meanwhile, so yours is kept beside it.';
        }
        this.version = version;
        listed(this.chat.value);
      } catch (error) {
        notice.value = `This chat is not saved: ${wordsOf(error)}`;
      }
    });
    return this.#saving;
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

const sessions = new Map<string, Session>();
export let chats: Chats = new BrowserChats();

export const wordsOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

export async function start(): Promise<void> {
  try {
    about.value = await json<About>('ui/about');
    const { own } = about.value;
    if (own !== chats instanceof ServerChats) {
      chats = own ? new ServerChats() : new BrowserChats();
      for (const one of [session.value, ...sessions.values()]) one.version = null; // new to that store
    }
    void refresh();
    await watchModel();
  } catch (error) {
    if (keyWanted.value) return; // the page starts again with the key
    status.value = 'down';
    notice.value = wordsOf(error);
    window.setTimeout(() => void start(), 4 * POLL);
  }
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
  window.addEventListener('hashchange', () => {
    const found = keyFromAddress();
    if (found !== undefined) void unlock(found);
  });
}

async function watchModel(): Promise<void> {
  for (;;) {
    const found = await json<{ data: Model[] }>('v1/models');
    models.value = found.data;
    if (found.data.every((one) => one.status !== 'loading')) break;
    status.value = 'loading';
    await new Promise((resolve) => window.setTimeout(resolve, POLL));
  }
  status.value = 'ready';
  notice.value = '';
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
    notice.value = wordsOf(error);
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
  if (before?.answer.value) {
    session.value = before;
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
  try {
    sessions.get(id)?.answer.value?.stop();
    await chats.remove(id);
    sessions.delete(id);
    list.value = list.value.filter((one) => one.id !== id);
    if (session.value.chat.value.id === id) begin();
  } catch (error) {
    notice.value = wordsOf(error);
  }
}

/** Ask what is in the draft: as the next turn, or in place of an earlier question in a branch. */
export async function ask(): Promise<void> {
  const here = session.value;
  if (draft.isEmpty.value || here.answer.value !== null) return;
  const question = draft.question(draft.draft.value);
  const at = editing.value;
  editing.value = null;
  draft.clear();
  if (at === null) await answerTo(here, question);
  else await answerTo(branched(here.chat.value, at), question);
}

/** A new chat with the turns before one; that one will be asked otherwise. */
function branched(chat: Chat, at: number): Session {
  const known = [...list.value, { id: chat.id, branch: chat.branch ?? null }];
  const of = originOf(known, { id: chat.id, branch: chat.branch ?? null }, at);
  const fresh = new Session({ ...newChat(chat.system), model: chat.model, branch: { of, at }, turns: chat.turns.slice(0, at) });
  session.value = fresh;
  return fresh;
}

async function answerTo(here: Session, question: Part[]): Promise<void> {
  here.calls.value = [];
  const turn = newTurn(question, model.value?.id ?? '');
  here.chat.value = { ...here.chat.value, turns: [...here.chat.value.turns, turn] };
  await run(here, null);
}

/** Answer the last question again: in a branch, so that the answer there is stays, unless it came to nothing. */
export async function retry(): Promise<void> {
  const here = session.value;
  const last = here.chat.value.turns.at(-1);
  if (last === undefined || here.answer.value !== null) return;
  const before = here.chat.value.turns.slice(0, -1);
  if (last.answer === '') here.chat.value = { ...here.chat.value, turns: before };
  await answerTo(last.answer === '' ? here : branched(here.chat.value, before.length), last.question);
}

/** Go on with an answer that was cut. */
export async function goOn(): Promise<void> {
  const here = session.value;
  const last = here.chat.value.turns.at(-1);
  if (last !== undefined && here.answer.value === null) await run(here, last.answer);
}

/** Give the model what its tools have returned. */
export async function answerCalls(results: readonly string[]): Promise<void> {
  const here = session.value;
  const calls = here.calls.value;
  const last = here.chat.value.turns.at(-1);
  if (last === undefined || here.answer.value !== null) return;
  const tool_calls = calls.map((call) => ({ id: call.id, type: 'function', function: { name: call.name, arguments: call.arguments } }));
  const said = calls.map((call, index) => ({ role: 'tool', tool_call_id: call.id, content: results[index] ?? '' }));
  here.rounds = [...here.rounds, { role: 'assistant', content: last.answer, tool_calls }, ...said];
  await run(here, null, last.answer && `${last.answer}\n\n`);
}

async function run(here: Session, continued: string | null, before = ''): Promise<void> {
  const answer = new Answer(continued ?? before, continued === null ? '' : (here.chat.value.turns.at(-1)?.reasoning ?? ''));
  if (before === '' && here.calls.value.length === 0) here.rounds = [];
  here.calls.value = [];
  here.answer.value = answer;
  here.error.value = '';
  sessions.set(here.chat.value.id, here);
  said.value = 'Answering';
  void here.save();
  const saving = window.setInterval(() => {
    replaceLast(here, (turn) => ({ ...turn, answer: answer.text.value, reasoning: answer.reasoning.value }));
    void here.save();
  }, SAVING);
  let failure: unknown;
  try {
    await generate(here.chat.value, chosen.value, (part) => chats.bytes(part), answer, continued, here.rounds);
  } catch (error) {
    answer.flush();
    if (!answer.abort.signal.aborted) failure = error;
  }
  window.clearInterval(saving);
  const cut = answer.abort.signal.aborted || failure !== undefined;
  replaceLast(here, (turn) => ended(turn, answer, cut));
  here.finish.value = answer.finish;
  here.marks.value = { ...here.marks.value, [here.chat.value.turns.length - 1]: answer.marks };
  here.calls.value = cut ? [] : answer.calls.value;
  here.answer.value = null;
  if (failure !== undefined) await failed(here, failure, answer);
  else if (!cut) said.value = 'The answer is complete.';
  await here.save();
}

function ended(turn: Turn, answer: Answer, cut: boolean): Turn {
  const usage = answer.usage ?? { ...turn.usage, completion_tokens: answer.pieces.value };
  const timing = answer.timing ?? turn.timing;
  return { ...turn, answer: answer.text.value, reasoning: answer.reasoning.value, cut, usage, timing };
}

/** Take a turn back that came to nothing; its question is in the draft again, so nothing is lost. */
async function failed(here: Session, failure: unknown, answer: Answer): Promise<void> {
  here.error.value = wordsOf(failure);
  if (answer.text.value !== '') return;
  const turn = here.chat.value.turns.at(-1);
  here.chat.value = { ...here.chat.value, turns: here.chat.value.turns.slice(0, -1) };
  if (turn !== undefined && draft.isEmpty.value) await draft.restore(turn.question, (part) => chats.bytes(part));
  if (failure instanceof Failure && failure.status === 503) void watchModel().catch(() => undefined);
}

function replaceLast(here: Session, change: (turn: Turn) => Turn): void {
  const { turns } = here.chat.value;
  const last = turns.at(-1);
  if (last !== undefined) here.chat.value = { ...here.chat.value, turns: [...turns.slice(0, -1), change(last)] };
}

/** Begin to ask an earlier question otherwise. */
export async function edit(at: number): Promise<void> {
  const turn = session.value.chat.value.turns[at];
  if (turn === undefined) return;
  try {
    await draft.restore(turn.question, (part) => chats.bytes(part));
    editing.value = at;
  } catch (error) {
    notice.value = wordsOf(error);
  }
}
