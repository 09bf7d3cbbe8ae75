/** Where a question is written: texts and media in their order. */

import { useSignal } from '@preact/signals';
import { useEffect, useLayoutEffect, useRef } from 'preact/hooks';
import {
  addFiles, caret, clear, draft, draftError, drop, hasMedia, isEmpty, move, moveBefore, setText,
} from '../draft';
import type { DraftPart, DraftText } from '../draft';
import { ask } from '../asking';
import { editing, reads, session, status } from '../state';
import { Attachment } from './attachment';
import { MediumDialog } from './details';
import { Icon, IconButton } from './icons';
import { RecordButtons } from './record';

export function Composer() {
  const shown = useSignal<number | null>(null);
  const answer = session.value.answer.value;
  const input = useRef<HTMLInputElement>(null);
  const parts = draft.value;
  const detailed = parts.find((part) => part.id === shown.value);
  const submit = () => { if (answer === null) void ask(); };
  return (
    <form id="composer" aria-label="Question" class={parts.length > 1 ? 'composer many' : 'composer'} onSubmit={(event) => { event.preventDefault(); submit(); }}>
      {editing.value !== null && (
        <div class="editing">
          <span>Asking question {editing.value + 1} otherwise; the chat as it is stays beside it.</span>
          <button type="button" class="quiet small" onClick={() => { editing.value = null; clear(); }}>Cancel</button>
        </div>
      )}
      {draftError.value && <p class="failure" role="alert"><Icon name="warning" /> {draftError.value}</p>}
      <div class="parts" onDragOver={(event) => { if (event.dataTransfer?.types.includes(DRAGGED)) event.preventDefault(); }} onDrop={(event) => dropped(event, null)}>
        {groups(parts).map((group) =>
          Array.isArray(group) ? (
            <div class="media" key={`m${group[0]!.id}`}>
              {group.map((part) => (
                <div
                  key={part.id} class="slot" draggable
                  onDragStart={(event) => event.dataTransfer?.setData(DRAGGED, String(part.id))}
                  onDrop={(event) => dropped(event, part.id)}
                >
                  <Attachment part={part} onOpen={() => (shown.value = part.id)} onRemove={() => drop(part.id)} onMove={(by) => move(part.id, by)} />
                </div>
              ))}
            </div>
          ) : (
            <Words key={group.id} part={group} first={parts[0] === group} last={parts.at(-1) === group} submit={submit} />
          ),
        )}
      </div>
      <div class="composer-bar">
        <IconButton icon="plus" label="Add pictures, sounds, clips, PDFs or texts" onClick={() => input.current?.click()} />
        <input
          ref={input} type="file" multiple hidden aria-label="Files" data-testid="files"
          onChange={(event) => { const files = [...(event.currentTarget.files ?? [])]; event.currentTarget.value = ''; void addFiles(files); }}
        />
        <RecordButtons reads={reads.value} />
        <span class="space" />
        {answer === null ? (
          <button type="submit" class="send" aria-label="Send" title="Send (Enter)" disabled={isEmpty.value || status.value !== 'ready'}><Icon name="send" size={20} /></button>
        ) : (
          <button type="button" class="send stop" aria-label="Stop" title="Stop" onClick={() => answer.stop()}><Icon name="stop" size={20} /></button>
        )}
      </div>
      {detailed !== undefined && detailed.type !== 'text' && <MediumDialog part={detailed} onClose={() => (shown.value = null)} />}
    </form>
  );
}

const LONGEST_PASTE = 20_000; // characters; a longer text stands beside the question
const DRAGGED = 'application/x-mistralrs-part';

function dropped(event: DragEvent, before: number | null): void {
  const id = Number(event.dataTransfer?.getData(DRAGGED));
  if (!id) return;
  event.preventDefault();
  event.stopPropagation();
  moveBefore(id, before);
}

type Medium = Exclude<DraftPart, DraftText>;

/** Media side by side stand in one row. */
function groups(parts: readonly DraftPart[]): (DraftText | Medium[])[] {
  const found: (DraftText | Medium[])[] = [];
  for (const part of parts) {
    const last = found.at(-1);
    if (part.type === 'text') found.push(part);
    else if (Array.isArray(last)) last.push(part);
    else found.push([part]);
  }
  return found;
}

function Words({ part, first, last, submit }: { part: DraftText; first: boolean; last: boolean; submit: () => void }) {
  const place = useRef<HTMLTextAreaElement>(null);
  useLayoutEffect(() => {
    const area = place.current;
    if (area === null || CSS.supports('field-sizing', 'content')) return;
    area.style.height = '0';
    area.style.height = `${area.scrollHeight}px`;
  }, [part.text]);
  useEffect(() => {
    if (last && matchMedia('(pointer: fine)').matches) place.current?.focus();
  }, []);
  const remember = () => {
    caret.id = part.id;
    caret.at = place.current?.selectionStart ?? part.text.length;
  };
  return (
    <textarea
      ref={place} rows={1} dir="auto" value={part.text} aria-label={first && last ? 'Your question' : last ? 'Text after the media' : 'Text before the media'}
      placeholder={last ? (hasMedia.value ? 'Ask about it' : 'Ask anything') : 'Text here'} enterkeyhint="send"
      onInput={(event) => { setText(part.id, event.currentTarget.value); remember(); }}
      onSelect={remember} onFocus={remember} onBlur={() => { if (part.text === '' && !last) drop(part.id); }}
      onKeyDown={(event) => {
        if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return;
        event.preventDefault();
        submit();
      }}
      onPaste={(event) => {
        const files = [...(event.clipboardData?.files ?? [])];
        const text = event.clipboardData?.getData('text/plain') ?? '';
        const long = text.length > LONGEST_PASTE;
        if (long) files.push(new File([text], 'pasted.txt', { type: 'text/plain' }));
        if (files.length === 0) return;
        event.preventDefault();
        if (text !== '' && !long) document.execCommand('insertText', false, text); // words that were copied with a picture
        remember();
        void addFiles(files);
      }}
    />
  );
}
