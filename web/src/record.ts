/** A chat as it is stored: the same JSON object as in the terminal's store and in its exports. */

export type Kind = 'image' | 'audio' | 'video';

/** How one medium is read; the names are those of the stored object. */
export interface MediaOptions {
  max_edge?: number;
  frames?: number;
  fps?: number;
  start?: number;
  end?: number;
  pages?: string;
  dpi?: number;
  /** Whether the sound of a clip follows its frames, as a part of its own. */
  soundtrack?: boolean;
}

export interface TextPart {
  text: string;
  /** The name of the file that the text was read from. */
  file?: string;
}

export interface MediaPart {
  kind: Kind;
  source: string;
  sha256: string;
  options: MediaOptions;
  base64?: string;
}

export type Part = TextPart | MediaPart;

export interface Usage {
  prompt_tokens: number;
  completion_tokens: number;
  cached_tokens: number;
  image_tokens: number;
  audio_tokens: number;
  video_tokens: number;
  reasoning_tokens: number;
}

/** Seconds from the question: to the first token, to the last, and of them those spent reading the prompt. */
export interface Timing {
  first_token: number;
  total: number;
  prefill: number;
}

export interface Call {
  id: string;
  name: string;
  arguments: string;
}

/** Tools that the model has called, and what they returned; `null` as long as that is not known. */
export interface ToolRound {
  text: string;
  calls: Call[];
  results: string[] | null;
}

/** A box or a point in a picture, in its pixels; `media` counts the media of the chat. */
export interface Mark {
  label: string;
  media: number;
  source: string;
  box?: number[];
  point?: number[];
  time?: number;
  score?: number;
}

export interface Turn {
  question: Part[];
  /** Before the answer. */
  tools?: ToolRound[];
  boxes?: Mark[];
  points?: Mark[];
  /** Why the answer ended, such as `length`. */
  finish?: string;
  answer: string;
  typed: string;
  staged: number;
  cut: boolean;
  reasoning: string;
  model: string;
  usage: Usage;
  timing: Timing;
}

export interface Branch {
  of: string;
  at: number;
}

export interface Chat {
  mistralrs_chat: 1;
  id: string;
  created: string;
  title: string;
  model: Record<string, unknown>;
  branch?: Branch;
  system: string | null;
  turns: Turn[];
}

/** A stored chat in a line. */
export interface Summary {
  id: string;
  changed: string;
  turns: number;
  media: number;
  title: string;
  model: string;
  branch: Branch | null;
}

/** What the model reads at the end of an answer that was stopped; the terminal says the same. */
export const CUT = ' … [interrupted by the user]';
const TITLE = 60;

export const NO_USAGE: Usage = {
  prompt_tokens: 0,
  completion_tokens: 0,
  cached_tokens: 0,
  image_tokens: 0,
  audio_tokens: 0,
  video_tokens: 0,
  reasoning_tokens: 0,
};
export const NO_TIMING: Timing = { first_token: 0, total: 0, prefill: 0 };

export const isMedia = (part: Part): part is MediaPart => 'kind' in part;

export function newId(now = new Date()): string {
  const two = (value: number) => String(value).padStart(2, '0');
  const day = `${now.getFullYear()}${two(now.getMonth() + 1)}${two(now.getDate())}`;
  const time = `${two(now.getHours())}${two(now.getMinutes())}${two(now.getSeconds())}`;
  const random = crypto.getRandomValues(new Uint8Array(2));
  return `${day}-${time}-${[...random].map((byte) => byte.toString(16).padStart(2, '0')).join('')}`;
}

export function newChat(system: string | null = null): Chat {
  const created = new Date().toISOString().replace(/\.\d+Z$/, '+00:00');
  return { mistralrs_chat: 1, id: newId(), created, title: '', model: {}, system, turns: [] };
}

export function newTurn(question: Part[], model: string): Turn {
  const typed = question.map((part) => (isMedia(part) || part.file !== undefined ? '' : part.text)).join('').trim();
  // the terminal takes the first media as attached beforehand, and the line for the rest
  const staged = question.filter((part) => isMedia(part) || part.file !== undefined).length;
  return { question, answer: '', typed, staged, cut: true, reasoning: '', model, usage: NO_USAGE, timing: NO_TIMING };
}

/** The first question in a few words, its media by their names. */
export function titleOf(chat: Chat): string {
  const first = chat.turns[0];
  if (first === undefined) return '';
  const words = first.question
    .map((part) => (isMedia(part) ? ` ${shortName(part.source)} ` : part.file === undefined ? part.text : ''))
    .join('')
    .split(/\s+/)
    .filter(Boolean)
    .join(' ');
  const files = first.question.filter((part): part is TextPart => !isMedia(part) && part.file !== undefined);
  const title = words || files.map((part) => shortName(part.file ?? '')).join(', ');
  return title.length <= TITLE ? title : `${title.slice(0, TITLE - 1)}…`;
}

export function shortName(source: string): string {
  return source.replaceAll('\\', '/').split('/').pop() || source;
}

/** A text as the model reads it: its name, then the text in a fence longer than any in it. */
export function fenced(source: string, text: string): TextPart {
  const longest = Math.max(0, ...[...text.matchAll(/`+/g)].map((run) => run[0].length));
  const fence = '`'.repeat(Math.max(3, longest + 1));
  return { text: `${source}:\n${fence}\n${text}\n${fence}\n\n`, file: source };
}

/** The words of a fenced text without its name and fence. */
export function unfenced(part: TextPart): string {
  return /^[^\n]*:\n(`{3,})\n([\s\S]*)\n\1\n*$/.exec(part.text)?.[2] ?? part.text;
}

/** The chat a turn of a chat was first written in: a branch shares the turns before its own with another. */
export function originOf(chats: readonly Pick<Summary, 'id' | 'branch'>[], chat: Pick<Summary, 'id' | 'branch'>, at: number): string {
  const byId = new Map(chats.map((one) => [one.id, one]));
  let here = chat;
  for (let steps = 0; steps <= chats.length && here.branch !== null && at <= here.branch.at; steps++) {
    const parent = byId.get(here.branch.of);
    if (parent === undefined) break;
    here = parent;
  }
  return here.id;
}

/** The chats that differ from each other at this turn, the one they come from first. */
export function siblings(chats: readonly Summary[], chat: Pick<Summary, 'id' | 'branch'>, at: number): string[] {
  const origin = originOf(chats, chat, at);
  const others = chats
    .filter((one) => one.branch !== null && one.branch.at === at && one.id !== origin && originOf(chats, one, at) === origin)
    .map((one) => one.id)
    .sort();
  return [origin, ...others];
}
