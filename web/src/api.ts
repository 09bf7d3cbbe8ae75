/** Requests to the server that this page came from. */

import { signal } from '@preact/signals';

const KEY = 'mistralrs-key';

/** The key that requests carry; it is kept for this tab only. */
export const key = signal(keyFromAddress() ?? sessionStorage.getItem(KEY) ?? '');
/** What a key is asked for: the server wants one, or the terminal's chats. */
export const keyWanted = signal<'' | 'server' | 'chats'>('');

export interface About {
  version: string;
  /** Whether the terminal's chats are this page's, or would be with their key. */
  own: boolean;
  locked: boolean;
  limits: Record<string, number>;
  /** What the command line wants: instructions (`system`), and fields of requests. */
  settings: Record<string, unknown>;
}

export interface Model {
  id: string;
  status?: string;
  input_modalities?: string[];
  max_model_len?: number | null;
  family?: string;
}

export class Failure extends Error {
  constructor(
    message: string,
    readonly status: number,
    readonly code: string | null = null,
  ) {
    super(message);
  }
}

/** The address that the server shows has the key behind the `#`, which browsers do not send; it does not stay there. */
export function keyFromAddress(): string | undefined {
  const found = /^#key=(.+)$/.exec(location.hash)?.[1];
  if (found === undefined) return undefined;
  history.replaceState(null, '', location.pathname);
  sessionStorage.setItem(KEY, found); // of letters that need no escapes
  return found;
}

export function useKey(value: string): void {
  key.value = value.trim();
  sessionStorage.setItem(KEY, key.value);
  keyWanted.value = '';
}

/** An address on the server, which may be below a prefix: the page is in `ui/`. */
export const address = (path: string): string => new URL(`../${path}`, document.baseURI).href;

export async function request(path: string, init: RequestInit = {}): Promise<Response> {
  const headers = new Headers(init.headers);
  if (key.value) headers.set('Authorization', `Bearer ${key.value}`);
  let response: Response;
  try {
    response = await fetch(address(path), { ...init, headers, credentials: 'same-origin' });
  } catch (error) {
    if (error instanceof DOMException && error.name === 'AbortError') throw error;
    throw new Failure(NO_ANSWER, 0);
  }
  if (response.ok) return response;
  if (response.status === 401) keyWanted.value = 'server';
  throw await failureOf(response);
}

async function failureOf(response: Response): Promise<Failure> {
  const text = await response.text();
  try {
    const found = JSON.parse(text) as { error?: { message?: string; code?: string } };
    return new Failure(found.error?.message ?? text, response.status, found.error?.code ?? null);
  } catch {
    return new Failure(text.slice(0, 300) || `The server answers with status ${response.status}.`, response.status);
  }
}

export async function json<T>(path: string, init: RequestInit = {}): Promise<T> {
  return (await (await request(path, init)).json()) as T;
}

export function send(method: string, value: unknown, signal?: AbortSignal): RequestInit {
  const init: RequestInit = { method, headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(value) };
  if (signal !== undefined) init.signal = signal;
  return init;
}

export const NO_ANSWER = 'The server does not answer. Is it still running?';
export const LOST = 'The connection was lost before the answer was complete.';

function lost(error: unknown): never {
  if (error instanceof DOMException && error.name === 'AbortError') throw error;
  throw new Failure(LOST, 0);
}

/** The data of server-sent events, as they come. */
export async function* events(response: Response): AsyncGenerator<string> {
  if (response.body === null) return;
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = '';
  try {
    for (;;) {
      const { done, value } = await reader.read().catch(lost);
      if (done) return;
      const blocks = (rest + value).split('\n\n');
      rest = blocks.pop() ?? '';
      for (const block of blocks) {
        const data = block
          .split('\n')
          .filter((line) => line.startsWith('data:'))
          .map((line) => line.slice(5).trimStart());
        if (data.length > 0) yield data.join('\n');
      }
    }
  } finally {
    await reader.cancel().catch(() => undefined);
  }
}
