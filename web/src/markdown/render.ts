/** One block of Markdown as elements: sanitized, formulas as MathML, code in colours. Nothing in it runs or loads. */

import DOMPurify from 'dompurify';
import temml from 'temml';
import { marked } from './blocks';
import { colour } from './highlight';

const ALLOWED = {
  ALLOWED_TAGS: [
    'p', 'br', 'hr', 'h1', 'h2', 'h3', 'h4', 'h5', 'h6', 'ul', 'ol', 'li', 'blockquote', 'pre', 'code', 'em', 'strong',
    'del', 'a', 'table', 'thead', 'tbody', 'tr', 'th', 'td', 'span', 'div',
  ],
  ALLOWED_ATTR: ['href', 'class', 'align', 'start', 'data-tex', 'data-display', 'data-language'],
  ADD_URI_SAFE_ATTR: ['align', 'start', 'data-tex', 'data-display', 'data-language'], // whose values are no addresses
  ALLOW_DATA_ATTR: false,
  ALLOW_ARIA_ATTR: false,
  ALLOWED_URI_REGEXP: /^(?:https?:|mailto:)/i,
  RETURN_DOM_FRAGMENT: true as const,
};
const LONGEST_FORMULA = 5000;
const LONGEST_COLOURED = 100_000;

export interface Look {
  /** Whether more of this block may follow: then code has no colours yet. */
  growing: boolean;
}

export function rendered(raw: string, look: Look): DocumentFragment {
  const made = marked.parse(raw, { async: false });
  const fragment = DOMPurify.sanitize(made, ALLOWED);
  for (const link of fragment.querySelectorAll('a')) outward(link);
  for (const place of fragment.querySelectorAll<HTMLElement>('[data-tex]')) math(place);
  for (const code of fragment.querySelectorAll<HTMLElement>('pre > code')) codeBlock(code, look);
  for (const table of fragment.querySelectorAll('table')) scrollable(table);
  for (const heading of fragment.querySelectorAll('h1, h2')) lowered(heading);
  return fragment;
}

function outward(link: HTMLAnchorElement): void {
  if (!link.hasAttribute('href')) return;
  link.target = '_blank';
  link.rel = 'noopener noreferrer nofollow';
  link.title = link.getAttribute('href') ?? '';
}

function math(place: HTMLElement): void {
  const tex = place.dataset['tex'] ?? '';
  const displayMode = place.dataset['display'] !== undefined;
  place.removeAttribute('data-tex');
  place.textContent = tex;
  if (tex.length > LONGEST_FORMULA) return;
  const into = document.createElement('span');
  try {
    temml.render(tex, into, { displayMode, throwOnError: true, trust: false, maxExpand: 200, maxSize: [50, 50] });
  } catch {
    place.className = 'math-source'; // not a formula after all, or not finished: its source
    return;
  }
  place.className = displayMode ? 'math math-display' : 'math';
  if (displayMode) place.tabIndex = 0;
  place.replaceChildren(...into.childNodes);
}

function codeBlock(code: HTMLElement, look: Look): void {
  const pre = code.parentElement;
  if (pre === null) return;
  const language = code.dataset['language'] ?? '';
  const text = code.textContent ?? '';
  const frame = document.createElement('div');
  frame.className = 'code';
  const head = document.createElement('div');
  head.className = 'code-head';
  const name = document.createElement('span');
  name.textContent = language || 'text';
  const copy = document.createElement('button');
  copy.type = 'button';
  copy.className = 'quiet copy-code';
  copy.textContent = 'Copy';
  copy.setAttribute('aria-label', 'Copy code');
  head.append(name, copy);
  pre.replaceWith(frame);
  pre.tabIndex = 0;
  frame.append(head, pre);
  if (!look.growing && language && text.length <= LONGEST_COLOURED) colour(code, text, language);
}

function scrollable(table: HTMLTableElement): void {
  const frame = document.createElement('div');
  frame.className = 'table';
  frame.tabIndex = 0;
  frame.setAttribute('role', 'region');
  frame.setAttribute('aria-label', 'Table');
  table.replaceWith(frame);
  frame.append(table);
}

/** The page has its own first headings. */
function lowered(heading: Element): void {
  const lower = document.createElement('h3');
  lower.className = heading.localName;
  lower.append(...heading.childNodes);
  heading.replaceWith(lower);
}
