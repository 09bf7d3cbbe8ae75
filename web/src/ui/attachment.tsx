/** A medium or text in the question: what it is, and what the model gets of it. */

import type { DraftFile, DraftMedium } from '../draft';
import { isDocument, textBefore } from '../draft';
import { Icon, IconButton } from './icons';

interface Actions {
  onOpen: () => void;
  onRemove: () => void;
  onMove: (by: number) => void;
}

export function Attachment({ part, ...actions }: { part: DraftMedium | DraftFile } & Actions) {
  const keys = (event: KeyboardEvent) => {
    const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (by !== undefined && event.altKey) { event.preventDefault(); actions.onMove(by); }
    if (event.key === 'Delete' || event.key === 'Backspace') { event.preventDefault(); actions.onRemove(); }
  };
  return (
    <div class={`attachment ${part.type === 'file' ? 'file' : part.kind}`} role="group" aria-label={part.name}>
      <button type="button" class="attachment-open" title={`${part.name}: what the model gets, and changes`} onClick={actions.onOpen} onKeyDown={keys}>
        <Preview part={part} />
        <span class="attachment-words">
          <span class="attachment-name" dir="auto">{part.name}</span>
          <Got part={part} />
        </span>
      </button>
      <span class="attachment-actions">
        <IconButton icon="text" label={`Text before ${part.name}`} onClick={() => focusText(textBefore(part.id))} />
        <IconButton icon="left" label={`Move ${part.name} to the front`} onClick={() => actions.onMove(-1)} />
        <IconButton icon="right" label={`Move ${part.name} back`} onClick={() => actions.onMove(1)} />
        <IconButton icon="close" label={`Remove ${part.name}`} onClick={actions.onRemove} />
      </span>
      {part.type === 'medium' && part.kind === 'audio' && <audio controls preload="metadata" src={part.url} aria-label={part.name} />}
    </div>
  );
}

function focusText(_id: number): void {
  window.setTimeout(() => document.querySelector<HTMLElement>('#composer textarea[placeholder="Text here"]')?.focus());
}

function Preview({ part }: { part: DraftMedium | DraftFile }) {
  if (part.type === 'file') return <span class="thumb"><Icon name="file" size={22} /></span>;
  const reported = part.reported.value;
  const first = reported.state === 'known' ? reported.media[0]?.frames?.[0]?.image : undefined;
  if (part.kind === 'audio') return <span class="thumb"><Icon name="sound" size={22} /></span>;
  if (first !== undefined) return <span class="thumb"><img src={first} alt="" />{part.kind === 'video' && <span class="film"><Icon name="play" size={14} /></span>}</span>;
  if (part.kind === 'image' && !isDocument(part)) return <span class="thumb"><img src={part.url} alt="" /></span>;
  return <span class="thumb"><Icon name={part.kind === 'video' ? 'film' : 'file'} size={22} /></span>;
}

function Got({ part }: { part: DraftMedium | DraftFile }) {
  if (part.type === 'file') return <span class="got">{part.text.split('\n').length} lines</span>;
  const reported = part.reported.value;
  if (reported.state === 'asking') return <span class="got"><span class="pulse" /> looking…</span>;
  if (reported.state === 'refused') return <span class="got bad"><Icon name="warning" size={14} /> {reported.message}</span>;
  const { media } = reported;
  const tokens = media.reduce((sum, one) => sum + one.tokens, 0);
  const what = isDocument(part) && media.length > 1 ? `${media.length} pages` : media.map((one) => one.summary).join(' and ');
  const warned = media.some((one) => one.notes.length > 0);
  return (
    <span class="got">
      {warned && <Icon name="warning" size={14} />}
      {what ? `${what} · ` : ''}{tokens.toLocaleString()} tokens
    </span>
  );
}
