/** An answer as Markdown; only blocks that changed are made again. */

import { memo } from 'preact/compat';
import { useEffect, useLayoutEffect, useMemo, useRef, useState } from 'preact/hooks';
import type { Block } from '../markdown/blocks';
import { GrowingBlocks } from '../markdown/blocks';
import { rendered } from '../markdown/render';

const TOGETHER = 30; // blocks in a group
const SOON = 2; // groups that are made at once; others once they come near the screen

export function Markdown({ text, live = false }: { text: string; live?: boolean }) {
  const growing = useMemo(() => new GrowingBlocks(), []);
  const blocks = growing.update(text);
  const groups = Array.from({ length: Math.ceil(blocks.length / TOGETHER) }, (_, at) => blocks.slice(at * TOGETHER, (at + 1) * TOGETHER));
  return (
    <div class="markdown" onClick={copyCode}>
      {groups.map((group, at) => <Group key={at} blocks={group} growing={live && at === groups.length - 1} soon={live || at < SOON} />)}
    </div>
  );
}

interface GroupProps {
  blocks: readonly Block[];
  growing: boolean;
  soon: boolean;
}

/** Blocks that are compared, and laid out, as one: a long answer has thousands. Far from the screen they are plain text. */
const Group = memo(
  function Group({ blocks, growing, soon }: GroupProps) {
    const [near, setNear] = useState(soon);
    const place = useRef<HTMLDivElement>(null);
    useEffect(() => {
      if (near || place.current === null) return undefined;
      const watcher = new IntersectionObserver(([entry]) => { if (entry?.isIntersecting) setNear(true); }, { rootMargin: '1500px' });
      watcher.observe(place.current);
      return () => watcher.disconnect();
    }, [near]);
    if (!near) return <div class="group plain" ref={place}>{blocks.map((block) => block.raw).join('')}</div>;
    return (
      <div class={growing ? 'group' : 'group settled'}>
        {blocks.map((block, index) => <OneBlock key={block.at} raw={block.raw} growing={growing && index === blocks.length - 1} />)}
      </div>
    );
  },
  (before: GroupProps, after: GroupProps) =>
    before.growing === after.growing && before.blocks.length === after.blocks.length && before.blocks.every((block, at) => block === after.blocks[at]),
);

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
