import { expect, test } from 'vitest';
import { digestOf, joined, kindOf, requestParts, sizeOf, sniffed } from '../src/media';
import { rowsOf, schemaOf } from '../src/schema';

test.each([
  ['a.png', 'image/png', 'image'], ['a.heic', '', 'image'], ['a.pdf', 'application/pdf', 'image'], ['a.mkv', '', 'video'],
  ['a.ts', 'video/mp2t', 'text'], ['a.opus', '', 'audio'], ['a.py', '', 'text'], ['a.svg', 'image/svg+xml', 'text'], ['a.exe', '', undefined],
])('%s (%s) is read as %s', (name, type, kind) => {
  expect(kindOf(name, type)).toBe(kind);
});

test('a hash is that of the bytes', async () => {
  const known = 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad';
  expect(await digestOf(new TextEncoder().encode('abc'))).toBe(known);
});

test('pages of one document go as one part', () => {
  const page = (sha256: string, pages: string) => ({ kind: 'image', source: '', sha256, options: { pages } }) as const;
  expect(joined([page('a', '1'), page('a', '2'), page('b', '1'), { text: 'x' }, page('a', '3')]).map((part) => ('kind' in part ? part.options.pages : 'text'))).toEqual(['1,2', '1', 'text', '3']);
});

test('a clip and its sound go as one part, and words stand for what is gone', async () => {
  const part = (kind: 'video' | 'audio', sha256: string) => ({ kind, source: `${sha256}.mp4`, sha256, options: { soundtrack: true } });
  const sent = await requestParts([part('video', 'a'), part('audio', 'a'), part('audio', 'b'), part('video', 'c')], async ({ sha256 }) => (sha256 === 'c' ? null : `upload:${sha256}`));
  expect(sent).toEqual([
    { type: 'video_url', video_url: { url: 'upload:a', soundtrack: true } },
    { type: 'audio_url', audio_url: { url: 'upload:b' } },
    { type: 'text', text: '[video c.mp4: no longer available]' },
  ]);
});

test('types are seen in the bytes', () => {
  expect(sniffed(new TextEncoder().encode('%PDF-1.7'), 'image')).toBe('application/pdf');
  expect(sniffed(new Uint8Array([0x1a, 0x45, 0xdf, 0xa3]), 'audio')).toBe('audio/webm');
  expect(sizeOf(1536)).toBe('1.5 KB');
});

test('a schema of a form comes back as the form, another does not', () => {
  const rows = [{ name: 'a', type: 'string', values: '' }, { name: 'b', type: 'one of', values: 'x, y' }, { name: 'c', type: 'list of strings', values: '' }] as const;
  expect(rowsOf(schemaOf(rows))).toEqual(rows);
  expect(rowsOf('{"type": "string"}')).toBeUndefined();
  expect(rowsOf('{')).toBeUndefined();
  expect(schemaOf([])).toBe('');
});
