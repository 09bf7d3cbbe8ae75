import { expect, test } from 'vitest';
import { fenced, newChat, newId, newTurn, originOf, siblings, titleOf, unfenced, type Summary } from '../src/record';

const chat = (id: string, of?: string, at = 0): Summary => ({
  id, changed: '', turns: 1, media: 0, title: '', model: '', branch: of === undefined ? null : { of, at },
});

test('ids are those of the terminal', () => {
  expect(newId(new Date(2026, 0, 2, 3, 4, 5))).toMatch(/^20260102-030405-[0-9a-f]{4}$/);
});

test('a title is the first question in a few words', () => {
  const image = { kind: 'image', source: 'my/photo.png', sha256: '', options: {} } as const;
  const made = newChat();
  expect(titleOf(made)).toBe('');
  expect(titleOf({ ...made, turns: [newTurn([image, { text: 'What is\n it?' }], 'm')] })).toBe('photo.png What is it?');
  expect(titleOf({ ...made, turns: [newTurn([fenced('a.txt', 'x')], 'm')] })).toBe('a.txt');
  expect(titleOf({ ...made, turns: [newTurn([{ text: 'x'.repeat(100) }], 'm')] })).toHaveLength(60);
});

test.each(['plain', '```\ncode\n```', '`````', ''])('a text comes out of its fence as it went in: %j', (text) => {
  expect(unfenced(fenced('a.md', text))).toBe(text);
});

test('branches of branches belong to the turn they leave', () => {
  const all = [chat('a'), chat('b', 'a', 1), chat('c', 'a', 1), chat('d', 'b', 2)];
  const by = (id: string) => all.find((one) => one.id === id)!;
  expect(siblings(all, by('a'), 1)).toEqual(['a', 'b', 'c']);
  expect(siblings(all, by('d'), 1)).toEqual(['a', 'b', 'c']);
  expect(siblings(all, by('d'), 2)).toEqual(['b', 'd']);
  expect(siblings(all, by('c'), 2)).toEqual(['c']);
  expect(siblings(all, by('a'), 0)).toEqual(['a']);
  expect(originOf([chat('x', 'gone', 1)], chat('x', 'gone', 1), 1)).toBe('x');
  const circle = [chat('p', 'q', 1), chat('q', 'p', 1)];
  expect(typeof originOf(circle, circle[0]!, 1)).toBe('string');
});
