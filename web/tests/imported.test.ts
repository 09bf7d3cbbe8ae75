import { expect, test } from 'vitest';
import { remembered } from '../src/media';
import { imported } from '../src/imported';

const HASH = '2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824'; // of hello
const picture = { kind: 'image', source: 'a.png', sha256: HASH, options: { max_edge: 512 }, base64: btoa('hello') };
const turn = { question: [picture, { text: 'What?' }], answer: 'It.', typed: 'What?', staged: 1, cut: false, reasoning: '', model: 'demo', usage: { prompt_tokens: 3 }, timing: { total: 1 } };
const chat = { mistralrs_chat: 1, id: '20260101-000000-abcd', created: '', title: '', model: { quant: 4 }, system: null, turns: [turn] };
const take = (changes: object) => imported(JSON.stringify({ ...chat, ...changes }));

test('an exported chat comes back as it was, its media without their bytes', async () => {
  const { base64: _base64, ...part } = picture;
  const found = await take({ branch: { of: 'a', at: 2 } });
  expect(found).toMatchObject({ ...chat, branch: { of: 'a', at: 2 }, turns: [{ ...turn, question: [part, { text: 'What?' }] }] });
  expect(found.turns[0]!.question[0]).toEqual(part);
  expect(await remembered(HASH)?.blob.text()).toBe('hello');
});

test('bytes that are not those of the hash are left out', async () => {
  const other = HASH.replace('2', '3');
  await take({ turns: [{ ...turn, question: [{ ...picture, sha256: other }] }] });
  expect(remembered(other)).toBeUndefined();
});

test.each(['../../v1/files/a', 'a/b', '', 7, null, 'x'.repeat(65)])('an id that would change an address is replaced: %j', async (id) => {
  expect((await take({ id })).id).toMatch(/^\d{8}-\d{6}-[0-9a-f]{4}$/);
});

test('what would go into a request or break the page is not taken over', async () => {
  const options = { url: 'http://tracker.example/a.png', max_edge: 'x', start: 1, pages: '2' };
  const found = await take({
    system: { toString: 1 }, title: ['<img src=x>'], branch: { of: '../x', at: 1 }, extra: 1,
    turns: [{ question: [{ ...picture, options }], usage: { prompt_tokens: 'many' }, timing: null, tool: '<b>' }],
  });
  expect(found.turns[0]!.question[0]).toMatchObject({ options: { start: 1, pages: '2' } });
  expect(JSON.stringify(found)).not.toMatch(/tracker|extra|<b>|<img/);
  expect(found).not.toHaveProperty('branch');
  expect(found.system).toBeNull();
  expect(found.turns[0]!.usage.prompt_tokens).toBe(0);
});

test.each([
  ['', 'x', '[]', 'null', '{"mistralrs_chat": 2, "turns": []}', '{"mistralrs_chat": 1, "turns": {}}'],
  [{ ...picture, sha256: '../../x' }, { ...picture, kind: 'svg' }, {}, 'text', null].map((part) => JSON.stringify({ ...chat, turns: [{ ...turn, question: [part] }] })),
].flat())('what is no chat is refused: %s', async (text) => {
  await expect(imported(text)).rejects.toThrow('This file is not an exported chat.');
});
