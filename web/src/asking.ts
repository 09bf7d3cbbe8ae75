/** Asking: the answers that come, and what becomes of their turns. */

import { Answer, generate } from './answer';
import { Failure } from './api';
import * as draft from './draft';
import type { Chat, Part, ToolRound, Turn } from './record';
import { newChat, newTurn, originOf } from './record';
import { chats, chosen, editing, list, model, notice, reconnect, said, Session, session, sessions, watchModel, wordsOf } from './state';

const SAVING = 2000; // milliseconds between two writes of an answer that grows

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
  here.results = [];
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
  const nothing = last.answer === '' && !last.tools?.length;
  if (nothing) here.chat.value = { ...here.chat.value, turns: before };
  await answerTo(nothing ? here : branched(here.chat.value, before.length), last.question);
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
  if (here.answer.value !== null) return;
  here.results = [...results];
  replaceLast(here, (turn) => withResults(turn, here.results));
  await run(here, null);
}

/** A turn whose last calls have these results. */
function withResults(turn: Turn, results: string[] | null): Turn {
  const rounds = turn.tools ?? [];
  const last = rounds.at(-1);
  return last === undefined ? turn : { ...turn, tools: [...rounds.slice(0, -1), { ...last, results }] };
}

async function run(here: Session, continued: string | null): Promise<void> {
  const before = here.chat.value.turns.at(-1);
  const again = continued !== null || before?.tools !== undefined;
  const thoughts = again ? (before?.reasoning ?? '') : '';
  const answer = new Answer(continued ?? '', thoughts && continued === null ? `${thoughts}\n\n` : thoughts);
  if (continued !== null) {
    answer.boxes = [...(before?.boxes ?? [])];
    answer.points = [...(before?.points ?? [])];
  }
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
    await generate(here.chat.value, chosen.value, (part) => chats.bytes(part), answer, continued);
  } catch (error) {
    answer.flush();
    if (!answer.abort.signal.aborted) failure = error;
  }
  window.clearInterval(saving);
  const cut = answer.abort.signal.aborted || failure !== undefined;
  replaceLast(here, (turn) => ended(turn, answer, cut));
  here.answer.value = null;
  if (failure !== undefined) await failed(here, failure, answer);
  else if (!cut) said.value = 'The answer is complete.';
  await here.save();
}

function ended(turn: Turn, answer: Answer, cut: boolean): Turn {
  const usage = answer.usage ?? { ...turn.usage, completion_tokens: answer.pieces.value };
  const timing = answer.timing ?? turn.timing;
  const { boxes: _boxes, points: _points, finish: _finish, ...rest } = turn;
  const found: Turn = { ...rest, answer: answer.text.value, reasoning: answer.reasoning.value, cut, usage, timing };
  if (answer.boxes.length > 0) found.boxes = answer.boxes;
  if (answer.points.length > 0) found.points = answer.points;
  if (!cut && answer.finish) found.finish = answer.finish;
  if (cut || answer.calls.value.length === 0) return found;
  const round: ToolRound = { text: answer.text.value, calls: answer.calls.value, results: null };
  return { ...found, answer: '', tools: [...(turn.tools ?? []), round] };
}

/** Take a turn back that came to nothing; its question is in the draft again. Where there is no place for it the turn stays. */
async function failed(here: Session, failure: unknown, answer: Answer): Promise<void> {
  here.error.value = wordsOf(failure);
  if (failure instanceof Failure && failure.status === 0) void reconnect();
  if (answer.text.value !== '') return;
  const turn = here.chat.value.turns.at(-1);
  if (turn?.tools !== undefined) {
    replaceLast(here, (last) => ({ ...withResults(last, null), cut: false }));
    return;
  }
  if (failure instanceof Failure && failure.status === 503) void watchModel().catch(() => undefined);
  if (turn === undefined || session.value !== here || !draft.isEmpty.value) return; // it can be asked again there
  try {
    await draft.restore(turn.question, (part) => chats.bytes(part));
  } catch {
    return; // a medium is gone; the turn says which
  }
  here.chat.value = { ...here.chat.value, turns: here.chat.value.turns.slice(0, -1) };
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
