/** One answer: the request, its stream, and what has come so far. */

import { signal } from '@preact/signals';
import { events, Failure, LOST, request, send } from './api';
import { requestParts } from './media';
import type { Call, Chat, Mark, MediaPart, Timing, ToolRound, Turn, Usage } from './record';
import { CUT, isMedia } from './record';
import { requestFields } from './settings';
import { Gone, naming } from './uploads';
import type { AddressOf, BytesOf } from './uploads';

/** An answer while it comes; its texts change at most once a frame. */
export class Answer {
  readonly text = signal('');
  readonly reasoning = signal('');
  readonly calls = signal<Call[]>([]);
  readonly begun = performance.now();
  readonly pieces = signal(0);
  finish = '';
  boxes: Mark[] = [];
  points: Mark[] = [];
  usage: Usage | undefined;
  timing: Timing | undefined;
  readonly abort = new AbortController();
  #text: string;
  #reasoning: string;
  #due = 0;

  constructor(text = '', reasoning = '') {
    this.#text = text;
    this.#reasoning = reasoning;
    this.text.value = text;
    this.reasoning.value = reasoning;
  }

  stop(): void {
    this.abort.abort();
  }

  add(text: string, reasoning: string): void {
    this.#text += text;
    this.#reasoning += reasoning;
    this.pieces.value++;
    if (this.#due !== 0) return;
    // a hidden page has no frames
    this.#due = document.hidden ? window.setTimeout(() => this.flush(), 100) : requestAnimationFrame(() => this.flush());
  }

  flush(): void {
    this.#due = 0;
    this.text.value = this.#text;
    this.reasoning.value = this.#reasoning;
  }
}

interface Delta {
  content?: string | null;
  reasoning_content?: string | null;
  reasoning?: string | null;
  tool_calls?: { index: number; id?: string; function?: { name?: string; arguments?: string } }[];
}

interface Chunk {
  error?: { message: string; code?: string | null };
  choices?: { delta: Delta; finish_reason?: string | null; boxes?: Mark[]; points?: Mark[] }[];
  usage?: (Record<string, number> & { prompt_tokens_details?: Record<string, number>; completion_tokens_details?: Record<string, number> }) | null;
}

/** Everything that is said before the answer that is to come. */
export async function messagesOf(
  system: string | null,
  turns: readonly Turn[],
  address: (part: MediaPart) => Promise<string | null>,
  continued: string | null,
): Promise<unknown[]> {
  const messages: unknown[] = [];
  if (system?.trim()) messages.push({ role: 'system', content: system });
  for (const [index, turn] of turns.entries()) {
    messages.push({ role: 'user', content: await requestParts(turn.question, address) });
    const ended = index < turns.length - 1;
    for (const round of turn.tools ?? []) messages.push(...roundMessages(round, ended && turn.answer === ''));
    if (ended && (turn.answer !== '' || !turn.tools?.length)) messages.push({ role: 'assistant', content: turn.answer + (turn.cut ? CUT : '') });
  }
  if (continued !== null) messages.push({ role: 'assistant', content: continued });
  return messages;
}

/** Calls, and what the tools have returned. Calls that nothing came of are left out, but not what was said with them. */
function roundMessages({ text, calls, results }: ToolRound, said: boolean): unknown[] {
  if (results === null) return said ? [{ role: 'assistant', content: text }] : [];
  const tool_calls = calls.map((call) => ({ id: call.id, type: 'function', function: { name: call.name, arguments: call.arguments } }));
  const returned = calls.map((call, index) => ({ role: 'tool', tool_call_id: call.id, name: call.name, content: results[index] ?? '' }));
  return [{ role: 'assistant', content: text, tool_calls }, ...returned];
}

/** Have the model answer the last turn of a chat, or go on with its answer. Throws what goes wrong. */
export async function generate(
  chat: Chat,
  model: string | null,
  bytes: BytesOf,
  answer: Answer,
  continued: string | null,
): Promise<void> {
  const gone = new Set<string>();
  const response = await naming(async (address) => {
    const fields = { ...requestFields(), stream: true, stream_options: { include_usage: true } };
    const messages = await messagesOf(chat.system, chat.turns, (part) => unlessGone(part, address, bytes, gone), continued);
    const body: Record<string, unknown> = { ...fields, messages };
    if (model !== null) body['model'] = model;
    if (continued !== null) Object.assign(body, { continue_final_message: true, add_generation_prompt: false });
    return request('v1/chat/completions', send('POST', body, answer.abort.signal));
  });
  const all = chat.turns.flatMap((turn) => turn.question.filter(isMedia));
  const given = all.filter((part) => !gone.has(part.sha256));
  const placed = (mark: Mark): Mark => {
    const part = given[mark.media];
    return { ...mark, label: mark.label ?? '', ...(part === undefined ? {} : { media: all.indexOf(part), source: part.source }) };
  };
  let ended = false;
  try {
    for await (const data of events(response)) {
      ended ||= data === '[DONE]';
      if (ended) break;
      take(JSON.parse(data) as Chunk, answer, placed);
    }
  } finally {
    answer.flush();
  }
  if (!ended) throw new Failure(LOST, 0);
}

/** The address of a medium, or none, which is noted. */
async function unlessGone(part: MediaPart, address: AddressOf, bytes: BytesOf, gone: Set<string>): Promise<string | null> {
  try {
    return await address(part, bytes);
  } catch (error) {
    if (!(error instanceof Gone)) throw error;
    gone.add(part.sha256);
    return null;
  }
}

function take(chunk: Chunk, answer: Answer, placed: (mark: Mark) => Mark): void {
  if (chunk.error !== undefined) throw new Failure(chunk.error.message, 200, chunk.error.code ?? null);
  const choice = chunk.choices?.[0];
  if (choice !== undefined) {
    const { delta } = choice;
    const text = delta.content ?? '';
    const reasoning = delta.reasoning_content ?? delta.reasoning ?? '';
    if (text || reasoning) answer.add(text, reasoning);
    if (delta.tool_calls) answer.calls.value = withCalls(answer.calls.value, delta.tool_calls);
    answer.boxes.push(...(choice.boxes ?? []).map(placed));
    answer.points.push(...(choice.points ?? []).map(placed));
    if (choice.finish_reason) answer.finish = choice.finish_reason;
  }
  if (chunk.usage) {
    answer.usage = usageOf(chunk.usage);
    answer.timing = timingOf(chunk.usage, answer.usage);
  }
}

function withCalls(before: readonly Call[], deltas: NonNullable<Delta['tool_calls']>): Call[] {
  const calls = [...before];
  for (const delta of deltas) {
    const known = calls[delta.index] ?? { id: '', name: '', arguments: '' };
    calls[delta.index] = {
      id: delta.id ?? known.id,
      name: known.name + (delta.function?.name ?? ''),
      arguments: known.arguments + (delta.function?.arguments ?? ''),
    };
  }
  return calls;
}

function usageOf(found: NonNullable<Chunk['usage']>): Usage {
  const details = found.prompt_tokens_details ?? {};
  return {
    prompt_tokens: found['prompt_tokens'] ?? 0,
    completion_tokens: found['completion_tokens'] ?? 0,
    cached_tokens: details['cached_tokens'] ?? 0,
    image_tokens: details['image_tokens'] ?? 0,
    audio_tokens: details['audio_tokens'] ?? 0,
    video_tokens: details['video_tokens'] ?? 0,
    reasoning_tokens: found.completion_tokens_details?.['reasoning_tokens'] ?? 0,
  };
}

function timingOf(found: Record<string, unknown>, usage: Usage): Timing {
  const rate = Number(found['avg_prompt_tok_per_sec'] ?? 0);
  const read = usage.prompt_tokens - usage.cached_tokens;
  return {
    first_token: Number(found['total_prompt_time_sec'] ?? 0),
    total: Number(found['total_time_sec'] ?? 0),
    prefill: rate > 0 ? read / rate : 0,
  };
}
