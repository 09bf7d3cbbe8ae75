/** Where chats are kept: by the server where it is the user's own, else in this browser. */

import { json, request, send } from './api';
import { remember, remembered, sniffed } from './media';
import { forget, sendAll, stored } from './uploads';
import type { Chat, MediaPart, Summary } from './record';
import { isMedia, newId, titleOf } from './record';

export interface Stored {
  chat: Chat;
  version: string | null;
}

export interface Chats {
  list(): Promise<Summary[]>;
  load(id: string): Promise<Stored>;
  /** Store a chat and the media in it that are not stored yet. Its id changes where another has changed it meanwhile. */
  save(chat: Chat, version: string | null): Promise<{ id: string; version: string | null }>;
  remove(id: string): Promise<void>;
  /** The bytes of a medium. Fails where they are gone. */
  bytes(part: MediaPart): Promise<Blob>;
}

export class ServerChats implements Chats {
  async list(): Promise<Summary[]> {
    return (await json<{ chats: Summary[] }>('ui/chats')).chats;
  }

  async load(id: string): Promise<Stored> {
    const found = await json<Stored>(`ui/chats/${id}`);
    stored(mediaOf(found.chat));
    return found;
  }

  async save(chat: Chat, version: string | null): Promise<{ id: string; version: string | null }> {
    const there = await sendAll(mediaOf(chat), (part) => this.bytes(part));
    const saved = await put(chat, version);
    // the server was started again since these were sent
    const lost = there.filter((part) => saved.missing.includes(part.sha256) && remembered(part.sha256) !== undefined);
    forget(lost);
    const sent = await sendAll(lost, (part) => this.bytes(part));
    const whole = sent.length > 0 ? await put({ ...chat, id: saved.id }, saved.version) : saved;
    stored(there.filter((part) => !whole.missing.includes(part.sha256)));
    return whole;
  }

  async remove(id: string): Promise<void> {
    await request(`ui/chats/${id}`, { method: 'DELETE' });
  }

  async bytes(part: MediaPart): Promise<Blob> {
    const before = remembered(part.sha256);
    if (before !== undefined) return before.blob;
    const data = new Uint8Array(await (await request(`ui/media/${part.sha256}`)).arrayBuffer());
    return remember(part.sha256, new Blob([data], { type: sniffed(data, part.kind) })).blob;
  }
}

interface Saved {
  id: string;
  version: string;
  missing: string[];
}

const put = (chat: Chat, version: string | null): Promise<Saved> => json<Saved>(`ui/chats/${chat.id}`, send('PUT', { chat, version }));

interface Row extends Stored {
  summary: Summary;
}

/** Chats in the browser's own database, for a server that others use as well. */
export class BrowserChats implements Chats {
  #open: Promise<IDBDatabase> | undefined;
  /** Hashes of media that are there, since an answer that grows is written again and again. */
  readonly #kept = new Set<string>();

  async list(): Promise<Summary[]> {
    const rows = await this.#do<Row[]>('chats', 'readonly', (store) => store.getAll());
    return rows.map((row) => row.summary).sort((one, other) => other.changed.localeCompare(one.changed));
  }

  async load(id: string): Promise<Stored> {
    const row = await this.#do<Row | undefined>('chats', 'readonly', (store) => store.get(id));
    if (row === undefined) throw new Error('There is no such chat.');
    return { chat: row.chat, version: row.version };
  }

  async save(chat: Chat, version: string | null): Promise<{ id: string; version: string | null }> {
    for (const part of mediaOf(chat)) {
      const found = remembered(part.sha256);
      if (found === undefined || this.#kept.has(part.sha256)) continue;
      await this.#do('media', 'readwrite', (store) => store.put({ digest: part.sha256, blob: found.blob }));
      this.#kept.add(part.sha256);
    }
    const before = await this.#do<Row | undefined>('chats', 'readonly', (store) => store.get(chat.id));
    const id = before === undefined || before.version === version ? chat.id : newId(); // another tab has changed it
    const summary: Summary = {
      id,
      changed: new Date().toISOString(),
      turns: chat.turns.length,
      media: mediaOf(chat).length,
      title: titleOf(chat),
      model: String(chat.model['model_id'] ?? ''),
      branch: chat.branch ?? null,
    };
    const fresh = crypto.getRandomValues(new Uint32Array(2)).join('-');
    await this.#do('chats', 'readwrite', (store) => store.put({ id, chat: { ...chat, id }, version: fresh, summary }));
    return { id, version: fresh };
  }

  async remove(id: string): Promise<void> {
    await this.forget(id);
    await this.sweep();
  }

  /** Remove a chat, but not its media. */
  async forget(id: string): Promise<void> {
    await this.#do('chats', 'readwrite', (store) => store.delete(id));
  }

  /** Remove media that no chat holds. */
  async sweep(): Promise<void> {
    const rows = await this.#do<Row[]>('chats', 'readonly', (store) => store.getAll());
    const held = new Set(rows.flatMap((row) => mediaOf(row.chat).map((part) => part.sha256)));
    const digests = await this.#do<IDBValidKey[]>('media', 'readonly', (store) => store.getAllKeys());
    this.#kept.clear();
    for (const digest of digests) {
      if (!held.has(String(digest))) await this.#do('media', 'readwrite', (store) => store.delete(digest));
    }
  }

  async bytes(part: MediaPart): Promise<Blob> {
    const before = remembered(part.sha256);
    if (before !== undefined) return before.blob;
    const row = await this.#do<{ blob: Blob } | undefined>('media', 'readonly', (store) => store.get(part.sha256));
    if (row === undefined) throw new Error(`${part.source} is gone.`);
    return remember(part.sha256, row.blob).blob;
  }

  #database(): Promise<IDBDatabase> {
    this.#open ??= new Promise((resolve, reject) => {
      const opening = indexedDB.open('mistralrs', 1);
      opening.onupgradeneeded = () => {
        opening.result.createObjectStore('chats', { keyPath: 'id' });
        opening.result.createObjectStore('media', { keyPath: 'digest' });
      };
      opening.onsuccess = () => resolve(opening.result);
      opening.onerror = () => reject(opening.error ?? new Error('This browser keeps no chats.'));
    });
    return this.#open;
  }

  async #do<T = unknown>(name: string, mode: IDBTransactionMode, work: (store: IDBObjectStore) => IDBRequest): Promise<T> {
    const database = await this.#database();
    return new Promise<T>((resolve, reject) => {
      const transaction = database.transaction(name, mode);
      const asked = work(transaction.objectStore(name));
      transaction.oncomplete = () => resolve(asked.result as T);
      transaction.onerror = () => reject(transaction.error ?? new Error('The chat cannot be kept in this browser.'));
      transaction.onabort = transaction.onerror;
    });
  }
}

export const mediaOf = (chat: Chat): MediaPart[] => chat.turns.flatMap((turn) => turn.question.filter(isMedia));

/** A chat as one file that holds its media, as `mistralrs sessions export` writes it too. */
export async function exported(chat: Chat, chats: Chats): Promise<Blob> {
  const whole = structuredClone(chat);
  for (const part of mediaOf(whole)) {
    try {
      part.base64 = base64Of(new Uint8Array(await (await chats.bytes(part)).arrayBuffer()));
    } catch {
      delete part.base64; // gone; the words are worth keeping all the same
    }
  }
  return new Blob([JSON.stringify({ ...whole, title: titleOf(whole) }, null, 1), '\n'], { type: 'application/json' });
}

function base64Of(data: Uint8Array): string {
  let text = '';
  for (let at = 0; at < data.length; at += 0x8000) text += String.fromCharCode(...data.subarray(at, at + 0x8000));
  return btoa(text);
}
