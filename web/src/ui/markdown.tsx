/** An answer as Markdown; only blocks that changed are made again. */

import { memo } from 'preact/compat';
import { useLayoutEffect, useMemo, useRef } from 'preact/hooks';
import { GrowingBlocks } from '../markdown/blocks';
import { rendered } from '../markdown/render';

export function Markdown({ text, live = false }: { text: string; live?: boolean }) {
  const growing = useMemo(() => new GrowingBlocks(), []);
  const blocks = growing.update(text);
  return (
    <div class="markdown" dir="auto" onClick={copyCode}>
      {blocks.map((block, index) => (
        <OneBlock key={block.at} raw={block.raw} growing={live && index >= blocks.length - 1} />
      ))}
    </div>
  );
}

const OneBlock = memo(function OneBlock({ raw, growing }: { raw: string; growing: boolean }) {
  const place = useRef<HTMLDivElement>(null);
  useLayoutEffect(() => {
    const here = place.current;
    if (here === null || (growing && grownCode(here, raw))) return;
    here.replaceChildren(rendered(raw, { growing }));
  }, [raw, growing]);
  return <div class="block" dir="auto" ref={place} />;
});

/** More of a code block is only more text in it. */
function grownCode(here: HTMLElement, raw: string): boolean {
  const fence = /^(`{3,}|~{3,})[^\n]*\n/.exec(raw);
  const code = here.querySelector('pre > code');
  if (fence === null || code === null || raw.trimEnd().endsWith(fence[1] ?? '')) return false;
  const text = raw.slice(fence[0].length);
  const before = code.textContent ?? '';
  const node = code.firstChild;
  if (!(node instanceof Text) || code.childNodes.length > 1 || !text.startsWith(before)) return false;
  node.appendData(text.slice(before.length));
  return true;
}

async function copyCode(event: MouseEvent): Promise<void> {
  const button = (event.target as Element).closest<HTMLButtonElement>('.copy-code');
  const code = button?.closest('.code')?.querySelector('code');
  if (!button || !code) return;
  await copyText(code.textContent ?? '');
  button.textContent = 'Copied';
  setTimeout(() => (button.textContent = 'Copy'), 1500);
}

export async function copyText(text: string): Promise<void> {
  if (navigator.clipboard !== undefined) return navigator.clipboard.writeText(text);
  const area = document.createElement('textarea'); // plain HTTP from another machine has no clipboard
  area.value = text;
  document.body.append(area);
  area.select();
  document.execCommand('copy');
  area.remove();
}
