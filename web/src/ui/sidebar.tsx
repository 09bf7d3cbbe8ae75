/** The list of chats. Only rows near the visible ones are elements, so 2,000 are no more work than 20. */

import { signal } from '@preact/signals';
import { useEffect, useLayoutEffect, useMemo, useRef, useState } from 'preact/hooks';
import { keyWanted } from '../api';
import { exported } from '../chats';
import { imported } from '../imported';
import { about, begin, chats, list, notice, open, refresh, remove, session, Session, wordsOf } from '../state';
import type { Summary } from '../record';
import { newId } from '../record';
import { sidebarOpen } from './app';
import { Dialog } from './dialog';
import { Icon, IconButton } from './icons';

const ROW = 40; // pixels, as in the style sheet
const SPARE = 8; // rows beyond the visible ones
const query = signal('');
const deleting = signal<Summary | null>(null);

export function Sidebar() {
  const found = useMemo(() => {
    const words = query.value.toLowerCase();
    return words ? list.value.filter((one) => one.title.toLowerCase().includes(words)) : list.value;
  }, [list.value, query.value]);
  return (
    <>
      <nav class="sidebar" aria-label="Chats" inert={!sidebarOpen.value && narrow()}>
        <div class="sidebar-head">
          <span class="brand"><Mark /> mistralrs</span>
          <IconButton icon="close" label="Close the list of chats" kind="quiet only-narrow" onClick={() => (sidebarOpen.value = false)} />
        </div>
        <button type="button" class="new-chat" onClick={() => { begin(); sidebarOpen.value = sidebarOpen.value && !narrow(); }}>
          <Icon name="pen" /> New chat
        </button>
        <label class="search">
          <Icon name="search" size={16} />
          <span class="unseen">Search chats</span>
          <input type="search" placeholder="Search" value={query.value} onInput={(event) => (query.value = event.currentTarget.value)} />
        </label>
        <Rows rows={found} />
        <footer>
          <Import />
          <Kept />
        </footer>
      </nav>
      <div class="shade" onClick={() => (sidebarOpen.value = false)} />
      {deleting.value !== null && <Deletion chat={deleting.value} />}
    </>
  );
}

/** Where the chats are. */
function Kept() {
  if (about.value === null) return null;
  if (about.value.own) return <small>Shared with the terminal</small>;
  return (
    <small>
      Kept in this browser
      {about.value.locked && <><br /><button type="button" class="link" onClick={() => (keyWanted.value = 'chats')}>Use the terminal’s</button></>}
    </small>
  );
}

export const narrow = (): boolean => matchMedia('(max-width: 820px)').matches;

function Mark() {
  return (
    <svg width="22" height="22" viewBox="0 0 32 32" aria-hidden="true">
      <rect width="32" height="32" rx="8" class="mark" />
      <path d="M8 23V9l8 8 8-8v14" fill="none" stroke="#fff" stroke-width="3" stroke-linecap="round" stroke-linejoin="round" />
    </svg>
  );
}

function Rows({ rows }: { rows: Summary[] }) {
  const place = useRef<HTMLDivElement>(null);
  const [range, setRange] = useState({ from: 0, to: 40 });
  const look = () => {
    const here = place.current;
    if (here === null) return;
    const from = Math.max(0, Math.floor(here.scrollTop / ROW) - SPARE);
    const to = Math.ceil((here.scrollTop + here.clientHeight) / ROW) + SPARE;
    if (from !== range.from || to !== range.to) setRange({ from, to });
  };
  useEffect(look);
  const here = session.value.chat.value.id;
  // one row is reached by Tab, the others from there by arrow keys
  const [active, setActive] = useState(0);
  const moving = useRef(false);
  const at = Math.min(active, rows.length - 1);
  useLayoutEffect(() => { // at once: the next key may come
    if (!moving.current) return;
    const button = place.current?.querySelector<HTMLElement>(`[data-at="${at}"]`);
    if (!button) return; // once it has been scrolled to
    moving.current = false;
    button.focus();
  });
  const reached = at >= range.from && at < range.to ? at : range.from;
  const keys = (event: KeyboardEvent) => {
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: rows.length - 1 }[event.key];
    const row = rows[at];
    if (event.key === 'Delete' && row !== undefined) deleting.value = row;
    if (to === undefined || rows[to] === undefined) return;
    event.preventDefault();
    moving.current = true;
    setActive(to);
    const box = place.current;
    if (box !== null) box.scrollTop = Math.max(Math.min(box.scrollTop, to * ROW), (to + 1) * ROW - box.clientHeight);
  };
  return (
    <div class="rows" ref={place} onScroll={look} onKeyDown={keys} tabIndex={-1}>
      {rows.length === 0 && <p class="none">{query.value ? 'No chat has these words.' : 'Your chats will be here.'}</p>}
      <ul style={{ height: `${rows.length * ROW}px` }}>
        {rows.slice(range.from, range.to).map((row, index) => (
          <Row
            key={row.id} row={row} at={range.from + index} count={rows.length} here={row.id === here}
            active={range.from + index === reached} onFocus={() => setActive(range.from + index)}
          />
        ))}
      </ul>
    </div>
  );
}

interface RowProps { row: Summary; at: number; count: number; here: boolean; active: boolean; onFocus: () => void }

function Row({ row, at, count, here, active, onFocus }: RowProps) {
  return (
    <li class={here ? 'row here' : 'row'} style={{ top: `${at * ROW}px` }} aria-setsize={count} aria-posinset={at + 1}>
      <button type="button" class="row-open" data-at={at} tabIndex={active ? 0 : -1} onFocus={onFocus} aria-current={here ? 'true' : undefined} title={row.title} onClick={() => { void open(row.id); if (narrow()) sidebarOpen.value = false; }}>
        <span dir="auto">{row.title || 'Untitled'}</span>
      </button>
      <IconButton icon="save" label={`Export ${row.title}`} reached={active} kind="quiet row-action" onClick={() => void save(row)} />
      <IconButton icon="trash" label={`Delete ${row.title}`} reached={active} kind="quiet row-action" onClick={() => (deleting.value = row)} />
    </li>
  );
}

function Deletion({ chat }: { chat: Summary }) {
  const close = () => (deleting.value = null);
  return (
    <Dialog title="Delete this chat?" onClose={close}>
      <p dir="auto">“{chat.title}” and media that no other chat holds will be gone{about.value?.own ? ', in the terminal as well' : ''}.</p>
      <div class="actions">
        <button type="button" onClick={close}>Keep it</button>
        <button type="button" class="danger" onClick={() => { void remove(chat.id); close(); }}>Delete</button>
      </div>
    </Dialog>
  );
}

async function save(row: Summary): Promise<void> {
  try {
    const { chat } = await chats.load(row.id);
    const link = document.createElement('a');
    link.href = URL.createObjectURL(await exported(chat, chats));
    link.download = `${row.id}.json`;
    link.click();
    window.setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
  } catch (error) {
    notice.value = wordsOf(error);
  }
}

function Import() {
  const input = useRef<HTMLInputElement>(null);
  const take = async (file: File) => {
    try {
      const chat = await imported(await file.text());
      const known = list.value.some((one) => one.id === chat.id);
      const opened = new Session(known ? { ...chat, id: newId() } : chat);
      await opened.save();
      session.value = opened;
      await refresh();
    } catch (error) {
      notice.value = wordsOf(error);
    }
  };
  return (
    <>
      <button type="button" class="quiet small" onClick={() => input.current?.click()}><Icon name="open" size={16} /> Import</button>
      <input
        ref={input} type="file" accept=".json,application/json" hidden aria-label="Import a chat"
        onChange={(event) => { const file = event.currentTarget.files?.[0]; event.currentTarget.value = ''; if (file) void take(file); }}
      />
    </>
  );
}
