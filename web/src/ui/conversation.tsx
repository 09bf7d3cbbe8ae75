/** The open chat: its turns, and the question below them. */

import { useEffect, useLayoutEffect, useRef } from 'preact/hooks';
import { titleOf } from '../record';
import { about, editing, model, notice, session } from '../state';
import { Composer } from './composer';
import { Icon, IconButton } from './icons';
import { TurnView } from './turn';

const NEAR = 80; // pixels from the end within which the page follows the answer

export function Conversation() {
  const here = session.value;
  const { turns } = here.chat.value;
  const place = useRef<HTMLDivElement>(null);
  const following = useRef(true);
  useFollowing(place, following);
  return (
    <>
      <div class="scroll" ref={place} tabIndex={-1} onScroll={() => {
        const box = place.current;
        if (box !== null) following.current = box.scrollHeight - box.scrollTop - box.clientHeight < NEAR;
      }}>
        <div class="turns" key={here.chat.value.id} role="log" aria-live="off" aria-label="Conversation">
          {turns.length === 0 ? <Welcome /> : <h1 class="unseen">{titleOf(here.chat.value)}</h1>}
          {turns.map((turn, index) => (
            <TurnView key={index} turn={turn} at={index} last={index === turns.length - 1} replaced={editing.value !== null && index >= editing.value} />
          ))}
        </div>
      </div>
      <div class="bottom">
        {here.error.value && (
          <div class="failure" role="alert">
            <Icon name="warning" /> <span dir="auto">{here.error.value}</span> <span class="space" />
            <IconButton icon="close" label="Dismiss" onClick={() => (here.error.value = '')} />
          </div>
        )}
        {notice.value && (
          <div class="notice" role="alert">
            <span dir="auto">{notice.value}</span>
            <IconButton icon="close" label="Dismiss" onClick={() => (notice.value = '')} />
          </div>
        )}
        <Composer />
      </div>
    </>
  );
}

/** Stay at the end while an answer grows, unless the reader has scrolled away. */
function useFollowing(place: { current: HTMLDivElement | null }, following: { current: boolean }): void {
  const id = session.value.chat.value.id;
  const count = session.value.chat.value.turns.length;
  useLayoutEffect(() => {
    following.current = true;
    const box = place.current;
    if (box !== null) box.scrollTop = box.scrollHeight;
  }, [id, count]);
  useEffect(() => {
    const box = place.current;
    const inner = box?.firstElementChild;
    if (!box || !inner) return undefined;
    const watcher = new ResizeObserver(() => {
      if (following.current) box.scrollTop = box.scrollHeight;
    });
    watcher.observe(inner);
    watcher.observe(box); // a question that grows leaves it less room
    return () => watcher.disconnect();
  }, [id]);
}

function Welcome() {
  const kinds = model.value?.input_modalities ?? [];
  const words = [kinds.includes('image') && 'pictures', kinds.includes('audio') && 'sound', kinds.includes('video') && 'video'].filter(Boolean);
  return (
    <div class="welcome">
      <h1>What would you like to know?</h1>
      <p>
        {words.length > 0 ? `Ask about ${words.join(', ').replace(/, (\w+)$/, ' and $1')}: drop, paste or record it below.` : 'Ask below.'}{' '}
        {(about.value?.own || about.value?.locked) && 'Everything stays on this machine.'}
      </p>
    </div>
  );
}
