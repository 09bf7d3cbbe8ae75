/** Tools that the model wants used: what it asks for, and what the tool says, or a place for it. */

import { useState } from 'preact/hooks';
import type { Call, ToolRound } from '../record';
import { answerCalls } from '../asking';
import { session } from '../state';
import { Icon } from './icons';

/** One round; where it is the last of the chat, its results can be given. */
export function ToolCards({ round, open }: { round: ToolRound; open: boolean }) {
  const [results, setResults] = useState<readonly string[]>(session.value.results);
  const submit = (event: Event) => {
    event.preventDefault();
    void answerCalls(round.calls.map((_, index) => results[index] ?? ''));
  };
  const asks = open && round.results === null;
  return (
    <form class="tools" onSubmit={submit}>
      {round.calls.map((call, index) => (
        <Card key={index} call={call} result={round.results?.[index]}>
          {asks && (
            <label class="field">
              <span>What {call.name} returns</span>
              <textarea
                rows={2} dir="auto" value={results[index] ?? ''}
                onInput={(event) => setResults(round.calls.map((_, at) => (at === index ? event.currentTarget.value : (results[at] ?? ''))))}
              />
            </label>
          )}
        </Card>
      ))}
      {asks && <div class="actions"><button type="submit" class="primary">Give it to the model</button></div>}
    </form>
  );
}

/** Calls that are still coming. */
export function ComingCalls({ calls }: { calls: readonly Call[] }) {
  if (calls.length === 0) return null;
  return <div class="tools">{calls.map((call, index) => <Card key={index} call={call} />)}</div>;
}

function Card({ call, result, children }: { call: Call; result?: string | undefined; children?: preact.ComponentChildren }) {
  return (
    <section class="tool" aria-label={`Tool ${call.name}`}>
      <h3><Icon name="tool" size={16} /> {call.name}</h3>
      <pre tabIndex={0}>{pretty(call.arguments)}</pre>
      {result !== undefined && <><span class="tool-said">returned</span><pre tabIndex={0} dir="auto">{pretty(result)}</pre></>}
      {children}
    </section>
  );
}

function pretty(text: string): string {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text; // not whole yet, or words
  }
}
