/** Tools that the model wants used: what it asks for, and a place for what the tool says. */

import { useState } from 'preact/hooks';
import type { Call } from '../answer';
import { answerCalls } from '../state';
import { Icon } from './icons';

export function ToolCards({ calls, live = false }: { calls: readonly Call[]; live?: boolean }) {
  const [results, setResults] = useState<Record<number, string>>({});
  if (calls.length === 0) return null;
  const submit = (event: Event) => {
    event.preventDefault();
    void answerCalls(calls.map((_, index) => results[index] ?? ''));
  };
  return (
    <form class="tools" onSubmit={submit}>
      {calls.map((call, index) => (
        <section class="tool" key={index} aria-label={`Tool ${call.name}`}>
          <h3><Icon name="tool" size={16} /> {call.name}</h3>
          <pre tabIndex={0}>{pretty(call.arguments)}</pre>
          {!live && (
            <label class="field">
              <span>What {call.name} returns</span>
              <textarea rows={2} value={results[index] ?? ''} onInput={(event) => setResults({ ...results, [index]: event.currentTarget.value })} />
            </label>
          )}
        </section>
      ))}
      {!live && <div class="actions"><button type="submit" class="primary">Give it to the model</button></div>}
    </form>
  );
}

function pretty(text: string): string {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text; // not whole yet
  }
}
