/** One answer: the request, its stream, and what has come so far. */

import { signal } from '@preact/signals';
import { events, Failure, request, send } from './api';
import { requestParts } from './media';
import type { Chat, MediaPart, Timing, Turn, Usage } from './record';
import { CUT } from './record';
import { requestFields } from './settings';

export interface Call {
  id: string;
  name: string;
  arguments: string;
}

/** A box or a point in a picture: its pixels, and which medium of the chat the picture is. */
export interface Mark {
  label: string;
  media: number;
  /** Left, top, right and bottom of a box, x and y of a point. */
  place: number[];
}

/** An answer while it comes; its texts change at most once a frame. */
export class Answer {
  readonly text = signal('');
  readonly reasoning = signal('');
  readonly calls = signal<Call[]>([]);
  readonly begun = performance.now();
  readonly pieces = signal(0);
  finish = '';
  marks: Mark[] = [];
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

interface Found {
  label?: string | null;
  media?: number;
  box?: number[];
  point?: number[];
}

interface Chunk {
  error?: { message: string; code?: string | null };
  choices?: { delta: Delta; finish_reason?: string | null; boxes?: Found[]; points?: Found[] }[];
  usage?: (Record<string, number> & { prompt_tokens_details?: Record<string, number>; completion_tokens_details?: Record<string, number> }) | null;
}

/** Everything that is said before the turn that is to be answered, and its question. */
export async function messagesOf(
  system: string | null,
  turns: readonly Turn[],
  bytes: (part: MediaPart) => Promise<Blob>,
  continued: string | null,
): Promise<unknown[]> {
  const messages: unknown[] = [];
  if (system?.trim()) messages.push({ role: 'system', content: system });
  for (const [index, turn] of turns.entries()) {
    messages.push({ role: 'user', content: await requestParts(turn.question, bytes) });
    if (index < turns.length - 1) messages.push({ role: 'assistant', content: turn.answer + (turn.cut ? CUT : '') });
  }
  if (continued !== null) messages.push({ role: 'assistant', content: continued });
  return messages;
}

/** Have the model answer the last turn of a chat, or go on with its answer. Throws what goes wrong. */
export async function generate(
  chat: Chat,
  model: string | null,
  bytes: (part: MediaPart) => Promise<Blob>,
  answer: Answer,
  continued: string | null,
  more: readonly unknown[] = [],
): Promise<void> {
  const body: Record<string, unknown> = {
    ...requestFields(),
    messages: [...(await messagesOf(chat.system, chat.turns, bytes, continued)), ...more],
    stream: true,
    stream_options: { include_usage: true },
  };
  if (model !== null) body['model'] = model;
  if (continued !== null) Object.assign(body, { continue_final_message: true, add_generation_prompt: false });
  const response = await request('v1/chat/completions', send('POST', body, answer.abort.signal));
  try {
    for await (const data of events(response)) {
      if (data === '[DONE]') break;
      take(JSON.parse(data) as Chunk, answer);
    }
  } finally {
    answer.flush();
  }
}

function take(chunk: Chunk, answer: Answer): void {
  if (chunk.error !== undefined) throw new Failure(chunk.error.message, 200, chunk.error.code ?? null);
  const choice = chunk.choices?.[0];
  if (choice !== undefined) {
    const { delta } = choice;
    const text = delta.content ?? '';
    const reasoning = delta.reasoning_content ?? delta.reasoning ?? '';
    if (text || reasoning) answer.add(text, reasoning);
    if (delta.tool_calls) answer.calls.value = withCalls(answer.calls.value, delta.tool_calls);
    for (const found of [...(choice.boxes ?? []), ...(choice.points ?? [])]) {
      answer.marks.push({ label: found.label ?? '', media: found.media ?? 0, place: found.box ?? found.point ?? [] });
    }
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
