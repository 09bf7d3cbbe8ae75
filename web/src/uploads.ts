/** Media are sent to the server once; requests name them by the address that they got there. */

import { Failure, json } from './api';
import { dataUrl } from './media';
import type { MediaPart } from './record';

export type BytesOf = (part: MediaPart) => Promise<Blob>;

/** Where requests have the bytes of a medium from. Fails with `Gone` where there are none. */
export type AddressOf = (part: MediaPart, bytes: BytesOf) => Promise<string>;

export class Gone extends Error {}

const SCHEME = 'upload:';
const sent = new Map<string, Promise<string>>();

/** The address of a medium that the server has; it is sent there first where it is not. */
const uploading: AddressOf = (part, bytes) => {
  const before = sent.get(part.sha256);
  if (before !== undefined) return before;
  const sending = blobOf(part, bytes).then(upload);
  sent.set(part.sha256, sending);
  sending.catch(() => sent.delete(part.sha256));
  return sending;
};

/** The bytes themselves, for servers that keep no uploads. */
const inline: AddressOf = async (part, bytes) => {
  const blob = await blobOf(part, bytes);
  return `data:${blob.type || 'application/octet-stream'};base64,${(await dataUrl(blob)).split(',', 2)[1] ?? ''}`;
};

/** As an upload, unless the server keeps none. */
const uploaded: AddressOf = (part, bytes) =>
  uploading(part, bytes).catch((error: unknown) => {
    if (keepsNone(error)) return inline(part, bytes);
    throw error;
  });

const missing = (error: unknown): boolean => error instanceof Failure && error.code === 'media_not_found';
const keepsNone = (error: unknown): boolean => error instanceof Failure && (error.status >= 500 || error.status === 404 || error.status === 405);

const blobOf = (part: MediaPart, bytes: BytesOf): Promise<Blob> =>
  bytes(part).catch((error: unknown) => {
    if (error instanceof Failure && error.status !== 404) throw error; // there may be another time
    throw new Gone(`${part.source} is gone.`);
  });

async function upload(blob: Blob): Promise<string> {
  // a body has the type of its blob, unless there is a header
  const init = { method: 'POST', headers: { 'Content-Type': 'application/octet-stream' }, body: blob.slice(0, blob.size, '') };
  return (await json<{ url: string }>('ui/media', init)).url;
}

/** The server's own store of chats has these. */
export function stored(parts: readonly MediaPart[]): void {
  for (const { sha256 } of parts) sent.set(sha256, Promise.resolve(SCHEME + sha256));
}

/** The server has these no longer. */
export function forget(parts: readonly MediaPart[]): void {
  for (const { sha256 } of parts) sent.delete(sha256);
}

/** Send these to the server, unless it has them; those that are gone are left out. */
export async function sendAll(parts: readonly MediaPart[], bytes: BytesOf): Promise<MediaPart[]> {
  const there: MediaPart[] = [];
  for (const part of parts) {
    try {
      await uploading(part, bytes);
      there.push(part);
    } catch (error) {
      if (!(error instanceof Gone)) throw error;
    }
  }
  return there;
}

let inlineOnly = false; // whether those that answer know nothing of what was sent

/** Do something that names media. Uploads expire, and end with the server's process: then they are sent again. */
export async function naming<Result>(work: (address: AddressOf) => Promise<Result>): Promise<Result> {
  for (let time = 0; time < 2 && !inlineOnly; time++) {
    try {
      return await work(uploaded);
    } catch (error) {
      if (!missing(error)) throw error;
      sent.clear();
    }
  }
  const found = await work(inline); // another process answers than the one that has the uploads, such as a replica
  inlineOnly = true;
  return found;
}
