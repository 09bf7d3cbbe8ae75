/** The bytes of media: their hash, what they are, and addresses under which the page shows them. */

import { sha256 } from '@noble/hashes/sha2.js';
import type { Kind, MediaOptions, MediaPart, Part } from './record';
import { isMedia, shortName } from './record';

export interface Bytes {
  blob: Blob;
  url: string;
}

const TEXTS = /\.(txt|md|markdown|csv|tsv|json|jsonl|ya?ml|toml|xml|html?|css|js|mjs|ts|tsx|jsx|py|rs|go|c|h|cc|cpp|hpp|java|kt|swift|rb|php|sh|sql|ini|cfg|conf|log|tex|diff|patch|srt|vtt)$/i;
const SUFFIXES: Record<string, string> = {
  heic: 'image/heic', heif: 'image/heif', avif: 'image/avif', tif: 'image/tiff', tiff: 'image/tiff',
  mkv: 'video/x-matroska', avi: 'video/x-msvideo', mov: 'video/quicktime', m4v: 'video/mp4', webm: 'video/webm',
  flac: 'audio/flac', opus: 'audio/ogg', ogg: 'audio/ogg', m4a: 'audio/mp4', mp3: 'audio/mpeg', wav: 'audio/wav',
  pdf: 'application/pdf',
};

const known = new Map<string, Bytes>();

export function typeOf(name: string, type: string): string {
  return type || (SUFFIXES[name.split('.').pop()?.toLowerCase() ?? ''] ?? '');
}

/** What a file is read as; `undefined` where it is neither a medium nor a text. */
export function kindOf(name: string, type: string): Kind | 'text' | undefined {
  const mime = typeOf(name, type);
  if (mime === 'image/svg+xml') return 'text';
  if (mime === 'application/pdf' || mime.startsWith('image/')) return 'image';
  if (mime.startsWith('audio/')) return 'audio';
  if (mime.startsWith('video/') && !/\.tsx?$/i.test(name)) return 'video';
  if (mime.startsWith('text/') || TEXTS.test(name) || /json|xml|yaml|javascript/.test(mime)) return 'text';
  return undefined;
}

export async function digestOf(data: Uint8Array<ArrayBuffer>): Promise<string> {
  // a page that came over plain HTTP from another machine has no `crypto.subtle`
  const hash = crypto.subtle === undefined ? sha256(data) : new Uint8Array(await crypto.subtle.digest('SHA-256', data));
  return [...hash].map((byte) => byte.toString(16).padStart(2, '0')).join('');
}

/** Remember bytes by their hash. */
export async function keep(blob: Blob): Promise<string> {
  const digest = await digestOf(new Uint8Array(await blob.arrayBuffer()));
  remember(digest, blob);
  return digest;
}

export function remember(digest: string, blob: Blob): Bytes {
  const before = known.get(digest);
  if (before !== undefined) return before;
  const found = { blob, url: URL.createObjectURL(blob) };
  known.set(digest, found);
  return found;
}

export const remembered = (digest: string): Bytes | undefined => known.get(digest);

/** A type for bytes that came without one, by how they begin; browsers play media by it. */
export function sniffed(data: Uint8Array, kind: Kind): string {
  const head = String.fromCharCode(...data.subarray(0, 16));
  if (head.startsWith('%PDF')) return 'application/pdf';
  if (head.startsWith('\x89PNG')) return 'image/png';
  if (head.startsWith('\xff\xd8')) return 'image/jpeg';
  if (head.startsWith('GIF8')) return 'image/gif';
  if (head.startsWith('RIFF')) return { WEBP: 'image/webp', WAVE: 'audio/wav', 'AVI ': 'video/x-msvideo' }[head.slice(8, 12)] ?? '';
  if (head.startsWith('OggS')) return 'audio/ogg';
  if (head.startsWith('fLaC')) return 'audio/flac';
  if (head.startsWith('ID3')) return 'audio/mpeg';
  if (head.startsWith('\x1aE\xdf\xa3')) return `${kind === 'audio' ? 'audio' : 'video'}/webm`;
  if (head.slice(4, 8) === 'ftyp') return head.slice(8, 12) === 'avif' ? 'image/avif' : `${kind === 'image' ? 'image/heic' : `${kind}/mp4`}`;
  return { image: 'image/*', audio: 'audio/mpeg', video: 'video/mp4' }[kind];
}

export function dataUrl(blob: Blob): Promise<string> {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result as string);
    reader.onerror = () => reject(reader.error ?? new Error('The file cannot be read.'));
    reader.readAsDataURL(blob);
  });
}

/** A medium as a part of a request, which has its bytes from `url`. */
export function requestPart({ options, kind }: MediaPart, url: string): Record<string, unknown> {
  const inner: Record<string, unknown> = { url };
  const names: Partial<Record<keyof MediaOptions, string>> = { frames: 'num_frames' };
  for (const [name, value] of Object.entries(options)) inner[names[name as keyof MediaOptions] ?? name] = value;
  if (kind !== 'video') delete inner['soundtrack']; // that of a clip which is not beside it any more
  return { type: `${kind}_url`, [`${kind}_url`]: inner };
}

/** The parts of a question for a request; what is one file goes as one part. For a medium without an address stand words. */
export async function requestParts(parts: readonly Part[], address: (part: MediaPart) => Promise<string | null>): Promise<unknown[]> {
  const found: unknown[] = [];
  for (const part of joined(parts)) {
    const url = isMedia(part) ? await address(part) : null;
    if (!isMedia(part)) found.push({ type: 'text', text: part.text });
    else if (url === null) found.push({ type: 'text', text: `[${part.kind} ${shortName(part.source)}: no longer available]` });
    else found.push(requestPart(part, url));
  }
  return found;
}

/** The sound of a clip, which is stored behind its frames. */
export const isSoundtrack = (part: Part, before: Part | undefined): boolean =>
  isMedia(part) && part.kind === 'audio' && before !== undefined && isMedia(before) && before.kind === 'video' && before.options.soundtrack === true && before.sha256 === part.sha256;

/** Pages of one document that follow each other as one part, a clip and its sound as another. */
export function joined(parts: readonly Part[]): Part[] {
  const found: Part[] = [];
  for (const part of parts) {
    const last = found.at(-1);
    if (isSoundtrack(part, last)) continue;
    if (last !== undefined && isMedia(last) && isMedia(part) && part.sha256 === last.sha256 && part.options.pages && last.options.pages) {
      found[found.length - 1] = { ...last, options: { ...last.options, pages: `${last.options.pages},${part.options.pages}` } };
    } else found.push(part);
  }
  return found;
}

export function sizeOf(bytes: number): string {
  const units = ['bytes', 'KB', 'MB', 'GB'];
  let unit = 0;
  let value = bytes;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${unit === 0 ? value : value.toFixed(1)} ${units[unit]}`;
}
