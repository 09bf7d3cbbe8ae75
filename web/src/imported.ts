/** A chat out of a file, which may come from anybody: what is taken over is what a chat can hold, and nothing else. */

import { digestOf, remember, sniffed } from './media';
import type { Branch, Call, Chat, Kind, Mark, MediaOptions, Part, ToolRound, Turn } from './record';
import { newId, NO_TIMING, NO_USAGE } from './record';

const ID = /^[\w-]{1,64}$/;
const DIGEST = /^[0-9a-f]{64}$/;
const KINDS: readonly string[] = ['image', 'audio', 'video'] satisfies Kind[];
const NUMBERS = ['max_edge', 'frames', 'fps', 'start', 'end', 'dpi'] as const satisfies (keyof MediaOptions)[];

type Fields = Record<string, unknown>;

/** The chat in a file. Its media are remembered; those whose bytes are not what they should be are not. */
export async function imported(text: string): Promise<Chat> {
  try {
    return await chatOf(fields(JSON.parse(text)));
  } catch {
    throw new Error('This file is not an exported chat.');
  }
}

async function chatOf(found: Fields): Promise<Chat> {
  if (found['mistralrs_chat'] !== 1 || !Array.isArray(found['turns'])) throw new TypeError('no chat');
  const turns: Turn[] = [];
  for (const turn of found['turns']) turns.push(await turnOf(fields(turn)));
  const id = words(found['id']);
  const chat: Chat = {
    mistralrs_chat: 1,
    id: ID.test(id) ? id : newId(), // it becomes a part of addresses
    created: words(found['created']),
    title: words(found['title']),
    model: isFields(found['model']) ? found['model'] : {},
    system: words(found['system']) || null,
    turns,
  };
  const branch = isFields(found['branch']) ? branchOf(found['branch']) : undefined;
  return branch === undefined ? chat : { ...chat, branch };
}

function branchOf(found: Fields): Branch | undefined {
  const of = words(found['of']);
  return ID.test(of) ? { of, at: number(found['at']) } : undefined;
}

async function turnOf(found: Fields): Promise<Turn> {
  if (!Array.isArray(found['question'])) throw new TypeError('no question');
  const question: Part[] = [];
  for (const part of found['question']) question.push(await partOf(fields(part)));
  const [tools, boxes, points] = [listed(found['tools']).map(roundOf), listed(found['boxes']).map(markOf), listed(found['points']).map(markOf)];
  return {
    ...(tools.length > 0 ? { tools } : {}),
    ...(boxes.length > 0 ? { boxes } : {}),
    ...(points.length > 0 ? { points } : {}),
    ...(words(found['finish']) ? { finish: words(found['finish']) } : {}),
    question,
    answer: words(found['answer']),
    typed: words(found['typed']),
    staged: number(found['staged']),
    cut: found['cut'] === true,
    reasoning: words(found['reasoning']),
    model: words(found['model']),
    usage: numbersOf(NO_USAGE, found['usage']),
    timing: numbersOf(NO_TIMING, found['timing']),
  };
}

function roundOf(value: unknown): ToolRound {
  const found = fields(value);
  const calls: Call[] = listed(found['calls']).map(fields).map((call) => ({ id: words(call['id']), name: words(call['name']), arguments: words(call['arguments']) }));
  return { text: words(found['text']), calls, results: Array.isArray(found['results']) ? found['results'].map(words) : null };
}

function markOf(value: unknown): Mark {
  const found = fields(value);
  const mark: Mark = { label: words(found['label']), media: number(found['media']), source: words(found['source']) };
  for (const name of ['box', 'point'] as const) if (Array.isArray(found[name])) mark[name] = found[name].map(number);
  for (const name of ['time', 'score'] as const) if (typeof found[name] === 'number') mark[name] = found[name];
  return mark;
}

async function partOf(found: Fields): Promise<Part> {
  if (typeof found['text'] === 'string') return typeof found['file'] === 'string' ? { text: found['text'], file: found['file'] } : { text: found['text'] };
  const kind = words(found['kind']);
  const sha256 = words(found['sha256']);
  if (!KINDS.includes(kind) || !DIGEST.test(sha256)) throw new TypeError('no medium');
  if (typeof found['base64'] === 'string') {
    const data = bytesOf(found['base64']);
    if (data !== undefined && (await digestOf(data)) === sha256) remember(sha256, new Blob([data], { type: sniffed(data, kind as Kind) }));
  }
  // others, such as an address, would go into requests
  const given = isFields(found['options']) ? found['options'] : {};
  const options: MediaOptions = {};
  for (const name of NUMBERS) if (typeof given[name] === 'number') options[name] = given[name];
  if (typeof given['pages'] === 'string') options.pages = given['pages'];
  if (given['soundtrack'] === true) options.soundtrack = true;
  return { kind: kind as Kind, source: words(found['source']), sha256, options };
}

function bytesOf(base64: string): Uint8Array<ArrayBuffer> | undefined {
  try {
    return Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
  } catch {
    return undefined; // damaged: it costs this medium only
  }
}

const isFields = (value: unknown): value is Fields => typeof value === 'object' && value !== null && !Array.isArray(value);
const listed = (value: unknown): unknown[] => (Array.isArray(value) ? value : []);
const words = (value: unknown): string => (typeof value === 'string' ? value : '');
const number = (value: unknown): number => (typeof value === 'number' && Number.isFinite(value) ? value : 0);

function fields(value: unknown): Fields {
  if (!isFields(value)) throw new TypeError('no object');
  return value;
}

/** The numbers that are known by name, as far as they are there. */
function numbersOf<Known extends { [name in keyof Known]: number }>(known: Known, given: unknown): Known {
  if (!isFields(given)) return known;
  return Object.fromEntries(Object.keys(known).map((name) => [name, number(given[name])])) as Known;
}
