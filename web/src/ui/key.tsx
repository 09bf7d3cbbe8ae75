/** Asks for the key that the server wants. */

import { useState } from 'preact/hooks';
import { keyWanted, useKey } from '../api';
import { start } from '../state';
import { Dialog } from './dialog';

export function KeyDialog() {
  const [value, setValue] = useState('');
  const submit = (event: Event) => {
    event.preventDefault();
    if (!value.trim()) return;
    useKey(value);
    void start();
  };
  return (
    <Dialog title="This server asks for a key" onClose={() => (keyWanted.value = false)}>
      <form class="fields" onSubmit={submit}>
        <label class="field">
          <span>API key</span>
          <input type="password" autocomplete="off" value={value} onInput={(event) => setValue(event.currentTarget.value)} autofocus />
          <small>It is kept for this tab, until you close it.</small>
        </label>
        <div class="actions"><button type="submit" class="primary">Use this key</button></div>
      </form>
    </Dialog>
  );
}
