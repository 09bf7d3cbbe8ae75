/** Asks for the key that the server wants. */

import { useState } from 'preact/hooks';
import { keyWanted } from '../api';
import { unlock } from '../state';
import { Dialog } from './dialog';

export function KeyDialog() {
  const [value, setValue] = useState('');
  const chats = keyWanted.value === 'chats';
  const submit = (event: Event) => {
    event.preventDefault();
    if (!value.trim()) return;
    void unlock(value);
  };
  return (
    <Dialog title={chats ? 'Chats of the terminal' : 'This server asks for a key'} onClose={() => (keyWanted.value = '')}>
      <form class="fields" onSubmit={submit}>
        <label class="field">
          <span>{chats ? 'Key of the page' : 'API key'}</span>
          <input type="password" autocomplete="off" value={value} onInput={(event) => setValue(event.currentTarget.value)} autofocus />
          <small>{chats && 'It stands behind #key= in the address that the server shows when it starts: others on this machine must not read your chats. '}It is kept for this tab, until you close it.</small>
        </label>
        <div class="actions"><button type="submit" class="primary">Use this key</button></div>
      </form>
    </Dialog>
  );
}
