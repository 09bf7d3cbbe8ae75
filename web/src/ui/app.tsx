/** The whole page. */

import { signal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import { keyWanted } from '../api';
import { addFiles } from '../draft';
import { begin, said } from '../state';
import { Conversation } from './conversation';
import { KeyDialog } from './key';
import { SettingsDialog } from './settings';
import { Sidebar } from './sidebar';
import { TopBar } from './topbar';

export const sidebarOpen = signal(matchMedia('(min-width: 1100px)').matches);
export const settingsOpen = signal(false);
const dropping = signal(false);

export function App() {
  useEffect(watchDrops, []);
  useEffect(watchKeys, []);
  useEffect(watchWidth, []);
  return (
    <>
      <a class="skip" href="#composer" onClick={(event) => { event.preventDefault(); document.querySelector<HTMLElement>('#composer textarea')?.focus(); }}>
        Go to the question
      </a>
      <div class={sidebarOpen.value ? 'page with-sidebar' : 'page'}>
        <Sidebar />
        <main>
          <TopBar />
          <Conversation />
        </main>
      </div>
      {dropping.value && <div class="drop-here">Drop to add to your question</div>}
      {settingsOpen.value && <SettingsDialog onClose={() => (settingsOpen.value = false)} />}
      {keyWanted.value && <KeyDialog />}
      <div class="unseen" role="status" aria-live="polite">{said.value}</div>
    </>
  );
}

function watchDrops(): () => void {
  let depth = 0;
  const has = (event: DragEvent) => event.dataTransfer?.types.includes('Files') ?? false;
  const enter = (event: DragEvent) => { if (has(event)) { depth++; dropping.value = true; } };
  const leave = (event: DragEvent) => { if (has(event) && --depth <= 0) dropping.value = false; };
  const over = (event: DragEvent) => { if (has(event)) event.preventDefault(); };
  const drop = (event: DragEvent) => {
    if (!has(event)) return;
    event.preventDefault();
    depth = 0;
    dropping.value = false;
    void addFiles([...(event.dataTransfer?.files ?? [])]);
  };
  const listeners: [string, (event: DragEvent) => void][] = [['dragenter', enter], ['dragleave', leave], ['dragover', over], ['drop', drop]];
  for (const [name, listener] of listeners) window.addEventListener(name, listener as EventListener);
  return () => { for (const [name, listener] of listeners) window.removeEventListener(name, listener as EventListener); };
}

/** A window that becomes narrow has no room for the list beside the chat. */
function watchWidth(): () => void {
  const query = matchMedia('(max-width: 820px)');
  const changed = () => { if (query.matches) sidebarOpen.value = false; };
  query.addEventListener('change', changed);
  return () => query.removeEventListener('change', changed);
}

function watchKeys(): () => void {
  const down = (event: KeyboardEvent) => {
    if ((event.ctrlKey || event.metaKey) && event.shiftKey && event.key.toLowerCase() === 'o') {
      event.preventDefault();
      begin();
      document.querySelector<HTMLElement>('#composer textarea')?.focus();
    }
  };
  window.addEventListener('keydown', down);
  return () => window.removeEventListener('keydown', down);
}
