/** Markdown cut into blocks while it grows: what stands is not parsed again. */

import { Marked, type TokenizerAndRendererExtension, type TokensList } from 'marked';

export interface Block {
  /** Where it begins in the text, which is its name among the others. */
  at: number;
  raw: string;
}

const escaped: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' };
const escape = (text: string): string => text.replace(/[&<>"']/g, (letter) => escaped[letter] ?? letter);

/** A formula keeps its source in an attribute; `render.ts` puts MathML in its place. */
const formula = (tex: string, display: boolean): string =>
  `<${display ? 'div' : 'span'} data-tex="${escape(tex)}"${display ? ' data-display=""' : ''}></${display ? 'div' : 'span'}>`;

const blockMath: TokenizerAndRendererExtension = {
  name: 'blockMath',
  level: 'block',
  start: (source) => /\$\$|\\\[/.exec(source)?.index,
  tokenizer(source) {
    const found = /^\$\$([\s\S]+?)\$\$[ \t]*(?:\n+|$)/.exec(source) ?? /^\\\[([\s\S]+?)\\\][ \t]*(?:\n+|$)/.exec(source);
    return found ? { type: 'blockMath', raw: found[0], text: found[1]?.trim() } : undefined;
  },
  renderer: (token) => formula(String(token['text']), true),
};

const inlineMath: TokenizerAndRendererExtension = {
  name: 'inlineMath',
  level: 'inline',
  start: (source) => /\$|\\\(|\\\[/.exec(source)?.index,
  tokenizer(source) {
    const found =
      /^\$\$([^$\n]+?)\$\$/.exec(source) ??
      /^\\\(([\s\S]+?)\\\)/.exec(source) ??
      /^\\\[([\s\S]+?)\\\]/.exec(source) ??
      // as in pandoc: no space inside the dollars, no digit behind them, so that prices stay prices
      /^\$(?![\s$])((?:\\.|[^$\\\n])+?)(?<!\s)\$(?!\d)/.exec(source);
    return found ? { type: 'inlineMath', raw: found[0], text: found[1]?.trim() } : undefined;
  },
  renderer: (token) => formula(String(token['text']), false),
};

export const marked = new Marked({
  gfm: true,
  breaks: false,
  extensions: [],
  renderer: {
    html: ({ text }) => escape(text), // tags that a model writes are shown, not made
    image({ href, text }) {
      // nothing is loaded; the address can be followed by hand
      return `<a href="${escape(href)}" class="picture-link">${escape(text || href)}</a>`;
    },
    checkbox: ({ checked }) => (checked ? '☑ ' : '☐ '),
    code: ({ text, lang }) => `<pre><code data-language="${escape(/^\S*/.exec(lang ?? '')?.[0] ?? '')}">${escape(text)}</code></pre>`,
  },
});
marked.use({ extensions: [blockMath, inlineMath] });

const KEEP = 2; // last blocks that more text may still change

/** The blocks of a text that grows at its end. */
export class GrowingBlocks {
  #text = '';
  #blocks: Block[] = [];

  update(text: string): Block[] {
    if (!text.startsWith(this.#text)) this.#blocks = [];
    const standing = this.#blocks.slice(0, Math.max(0, this.#blocks.length - KEEP));
    const last = standing.at(-1);
    const from = last === undefined ? 0 : last.at + last.raw.length;
    this.#text = text;
    this.#blocks = [...standing, ...cut(text.slice(from), from)];
    return this.#blocks;
  }
}

export function cut(text: string, from = 0): Block[] {
  const blocks: Block[] = [];
  let at = from;
  for (const token of lexed(text)) {
    if (token.type !== 'space') blocks.push({ at, raw: token.raw });
    else if (blocks.length > 0) blocks[blocks.length - 1]!.raw += token.raw;
    at += token.raw.length;
  }
  return blocks;
}

function lexed(text: string): TokensList {
  return marked.lexer(text.replaceAll('\r', ' '));
}
