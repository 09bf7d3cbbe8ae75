/** One question and its answer. */

import { useEffect, useRef, useState } from 'preact/hooks';
import type { Answer } from '../answer';
import type { MediaPart, Part, Turn } from '../record';
import { mediaOf } from '../chats';
import { isMedia, shortName, siblings, unfenced } from '../record';
import { edit, goOn, retry } from '../asking';
import { chats, editing, list, open, said, session } from '../state';
import { Icon, IconButton } from './icons';
import { copyText, Markdown } from './markdown';
import { MediaView } from './medium';
import { ComingCalls, ToolCards } from './tools';
import { Marks } from './marks';

export function TurnView({ turn, at, last, replaced }: { turn: Turn; at: number; last: boolean; replaced: boolean }) {
  const here = session.value;
  const answer = last ? here.answer.value : null;
  return (
    <article class={replaced ? 'turn replaced' : 'turn'} aria-label={`Question ${at + 1}`}>
      <Question turn={turn} at={at} />
      <AnswerView turn={turn} at={at} last={last} answer={answer} />
    </article>
  );
}

function Question({ turn, at }: { turn: Turn; at: number }) {
  return (
    <div class="question">
      <h2 class="unseen">You</h2>
      <div class="bubble">
        {turn.question.map((part, index) => <PartView key={index} part={part} />)}
      </div>
      <div class="turn-actions end">
        <Branches at={at} />
        <IconButton icon="copy" label="Copy the question" onClick={() => void copyText(wordsIn(turn.question))} />
        <IconButton icon="pen" label="Edit the question" pressed={editing.value === at} onClick={() => void edit(at).then(focusQuestion)} />
      </div>
    </div>
  );
}

const wordsIn = (parts: readonly Part[]): string => parts.map((part) => (isMedia(part) ? `[${shortName(part.source)}]` : part.text)).join('\n').trim();
const focusQuestion = (): void => document.querySelector<HTMLElement>('#composer textarea:last-of-type')?.focus();

/** The ways this chat has gone on from here. */
function Branches({ at }: { at: number }) {
  const { id, branch } = session.value.chat.value;
  const ways = siblings(list.value, { id, branch: branch ?? null }, at);
  if (ways.length < 2) return null;
  const index = Math.max(0, ways.findLastIndex((way) => way === id || leadsTo(way, id)));
  const go = (to: number) => { const way = ways[to]; if (way !== undefined) void open(way); };
  return (
    <span class="branches">
      <IconButton icon="left" label="Previous branch" disabled={index === 0} onClick={() => go(index - 1)} />
      <span>{index + 1}/{ways.length}</span>
      <IconButton icon="right" label="Next branch" disabled={index === ways.length - 1} onClick={() => go(index + 1)} />
    </span>
  );
}

/** Whether a chat is a branch of another, or of one of its branches. */
function leadsTo(of: string, id: string): boolean {
  const byId = new Map(list.value.map((one) => [one.id, one]));
  for (let here = byId.get(id), steps = 0; here?.branch && steps < list.value.length; here = byId.get(here.branch.of), steps++) {
    if (here.branch.of === of) return true;
  }
  return false;
}

function PartView({ part }: { part: Part }) {
  if (isMedia(part)) return <MediaView part={part} bytes={(one: MediaPart) => chats.bytes(one)} />;
  if (part.file === undefined) return <p class="words" dir="auto">{part.text}</p>;
  return (
    <details class="file">
      <summary><Icon name="file" size={16} /> {shortName(part.file)}</summary>
      <pre tabIndex={0}>{unfenced(part)}</pre>
    </details>
  );
}

function Waiting({ answer }: { answer: Answer }) {
  const [seconds, setSeconds] = useState(0);
  useEffect(() => {
    const timer = window.setInterval(() => setSeconds(Math.round((performance.now() - answer.begun) / 1000)), 500);
    return () => window.clearInterval(timer);
  }, [answer]);
  return <p class="waiting"><span class="pulse" /> Reading{seconds >= 2 ? ` · ${seconds} s` : ''}</p>;
}

/** Reads the answer out sentence by sentence, not word by word. */
function Spoken({ answer }: { answer: Answer }) {
  const spoken = useRef(0);
  useEffect(() => {
    const timer = window.setInterval(() => {
      const fresh = answer.text.value.slice(spoken.current);
      const end = Math.max(fresh.lastIndexOf('. '), fresh.lastIndexOf('\n'), fresh.lastIndexOf('! '), fresh.lastIndexOf('? '));
      if (end < 0) return;
      said.value = fresh.slice(0, end + 1).replace(/[#*`_|]/g, ' ');
      spoken.current += end + 1;
    }, 1000);
    return () => {
      window.clearInterval(timer);
      const rest = answer.text.value.slice(spoken.current).trim();
      if (rest) said.value = rest.replace(/[#*`_|]/g, ' ');
    };
  }, [answer]);
  return null;
}

function Thoughts({ text, live = false }: { text: string; live?: boolean }) {
  if (!text.trim()) return null;
  return (
    <details class="thoughts">
      <summary>{live ? <><span class="pulse" /> Thinking…</> : 'Thoughts'}</summary>
      <Markdown text={text} live={live} />
    </details>
  );
}

/** An answer, as far as it is there: it stays the same element when it is complete. */
function AnswerView({ turn, at, last, answer }: { turn: Turn; at: number; last: boolean; answer: Answer | null }) {
  const text = answer?.text.value ?? turn.answer;
  const reasoning = answer?.reasoning.value ?? turn.reasoning;
  const calls = answer?.calls.value ?? [];
  const rounds = turn.tools ?? [];
  return (
    <div class="answer" aria-busy={answer !== null}>
      <h2 class="unseen">{turn.model || 'Answer'}</h2>
      <Thoughts text={reasoning} live={answer !== null && text === ''} />
      {rounds.map((round, index) => (
        <div class="round" key={index}>
          <Markdown text={round.text} />
          <ToolCards round={round} open={last && answer === null && index === rounds.length - 1} />
        </div>
      ))}
      {answer !== null && text === '' && reasoning === '' && calls.length === 0 && <Waiting answer={answer} />}
      <Markdown text={text} live={answer !== null} />
      <ComingCalls calls={calls} />
      {answer !== null && <Spoken answer={answer} />}
      {answer === null && <Below turn={turn} at={at} last={last} />}
    </div>
  );
}

/** What stands below a complete answer. */
function Below({ turn, at, last }: { turn: Turn; at: number; last: boolean }) {
  const here = session.value;
  const marks = [...(turn.boxes ?? []), ...(turn.points ?? [])];
  const limited = last && !turn.cut && turn.finish === 'length';
  const [copied, setCopied] = useState(false);
  const copy = async () => {
    await copyText([...(turn.tools ?? []).map((round) => round.text), turn.answer].filter(Boolean).join('\n\n'));
    setCopied(true);
    window.setTimeout(() => setCopied(false), 1500);
  };
  return (
    <>
      {marks.length > 0 && <Marks marks={marks} media={mediaOf({ ...here.chat.value, turns: here.chat.value.turns.slice(0, at + 1) })} />}
      {turn.cut && <p class="cut">Stopped here.</p>}
      {limited && <p class="cut">The answer reached its limit of tokens.</p>}
      <div class="turn-actions">
        <IconButton icon={copied ? 'check' : 'copy'} label={copied ? 'Copied' : 'Copy the answer'} onClick={() => void copy()} />
        {last && <IconButton icon="retry" label="Answer again" onClick={() => void retry()} />}
        {last && turn.answer !== '' && (turn.cut || limited) && <IconButton icon="next" label="Continue the answer" onClick={() => void goOn()} />}
        <Numbers turn={turn} />
      </div>
    </>
  );
}

/** Rates, and what was reused, as in the terminal. */
function Numbers({ turn }: { turn: Turn }) {
  const { usage, timing } = turn;
  if (usage.prompt_tokens === 0) return null;
  const rate = usage.completion_tokens > 1 && timing.total > timing.first_token ? (usage.completion_tokens - 1) / (timing.total - timing.first_token) : 0;
  const facts = [
    timing.first_token > 0 && `first token after ${timing.first_token.toFixed(2)} s`,
    `${usage.prompt_tokens.toLocaleString()} in${usage.cached_tokens ? `, ${usage.cached_tokens.toLocaleString()} reused` : ''}`,
    `${usage.completion_tokens.toLocaleString()} out${rate ? ` at ${rate.toFixed(1)}/s` : ''}`,
  ].filter(Boolean);
  return <span class="numbers">{facts.join(' · ')}</span>;
}
