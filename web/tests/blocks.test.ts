import { expect, test } from 'vitest';
import { cut, GrowingBlocks, marked } from '../src/markdown/blocks';

const TEXT = '# A\n\nSome *words* with $x^2$.\n\n- one\n- two\n\n  more\n\n```python\nprint(1)\n\nprint(2)\n```\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n$$\ny = x\n$$\n\nEnd.';

test('growing text has the blocks of the whole text at every length', () => {
  const growing = new GrowingBlocks();
  for (let length = 1; length <= TEXT.length; length++) {
    expect(growing.update(TEXT.slice(0, length)).map((block) => block.raw).join('')).toBe(
      cut(TEXT.slice(0, length)).map((block) => block.raw).join(''),
    );
  }
  expect(growing.update(TEXT)).toEqual(cut(TEXT));
});

test('a text that is another one begins again', () => {
  const growing = new GrowingBlocks();
  growing.update('one\n\ntwo\n\nthree\n\nfour');
  expect(growing.update('other').map((block) => block.raw)).toEqual(['other']);
});

test('blocks that stand keep their places', () => {
  const growing = new GrowingBlocks();
  const before = growing.update('one\n\ntwo\n\nthree\n\nfour');
  expect(growing.update('one\n\ntwo\n\nthree\n\nfour\n\nfive').slice(0, 2)).toEqual(before.slice(0, 2));
});

test.each([
  ['costs $5 and $10', false],
  ['so $x+y$ is', true],
  ['\\(a\\)', true],
  ['`$x$`', false],
])('dollars in %s are a formula: %s', (text, is) => {
  expect(marked.parse(text, { async: false }).includes('data-tex')).toBe(is);
});
