import { beforeEach, expect, test, vi } from 'vitest';
import { caret, clear, draft, insert, move, moveBefore, newText, setText, tidy, type DraftPart } from '../src/draft';

vi.mock('../src/api', () => ({ json: vi.fn(), send: vi.fn() }));

const file = (id: number): DraftPart => ({ id, type: 'file', name: `f${id}`, text: '' });
const shown = () => draft.value.map((part) => (part.type === 'text' ? part.text : part.type === 'file' ? part.name : ''));

beforeEach(() => {
  clear();
  caret.id = 0;
});

test('a draft ends with a text, and texts side by side are one', () => {
  expect(tidy([file(-1)]).at(-1)?.type).toBe('text');
  expect(tidy([newText('a'), newText('b')]).map((part) => part.type === 'text' && part.text)).toEqual(['a\nb']);
});

test('media come before the question, or where the caret is', () => {
  const words = draft.value[0]!;
  setText(words.id, 'What is it?');
  caret.id = words.id;
  caret.at = 11;
  insert([file(-1)]);
  expect(shown()).toEqual(['f-1', 'What is it?']);
  caret.at = 8;
  insert([file(-2)]);
  expect(shown()).toEqual(['f-1', 'What is ', 'f-2', 'it?']);
});

test('parts are moved step by step, or before another one', () => {
  insert([file(-1), file(-2), file(-3)]);
  setText(draft.value.at(-1)!.id, 'end');
  move(-3, -1);
  expect(shown()).toEqual(['f-1', 'f-3', 'f-2', 'end']);
  move(-2, 1);
  expect(shown()).toEqual(['f-1', 'f-3', 'end', 'f-2', '']);
  moveBefore(-2, -1);
  expect(shown()).toEqual(['f-2', 'f-1', 'f-3', 'end']);
});
