/** A clip with its frames as a strip, on which a part is chosen by dragging. */

import { useSignal } from '@preact/signals';
import { useRef } from 'preact/hooks';
import type { DraftMedium, Frame, Seen } from '../draft';
import { change } from '../draft';

const STEP = 0.1; // seconds that an arrow key moves an end by

export function Strip({ part, seen }: { part: DraftMedium; seen: Seen | undefined }) {
  const player = useRef<HTMLVideoElement>(null);
  const length = useSignal(0);
  const { start, end } = part.options;
  const seconds = Math.max(length.value, seen && start === undefined && end === undefined ? (seen.seconds ?? 0) : 0, end ?? 0);
  return (
    <>
      <video
        ref={player} controls src={part.url} aria-label={part.name} preload="metadata"
        onLoadedMetadata={(event) => { if (Number.isFinite(event.currentTarget.duration)) length.value = event.currentTarget.duration; }}
      />
      {seen?.frames && <Frames frames={seen.frames} />}
      {seconds > 0 && (
        <Range
          seconds={seconds} start={start ?? 0} end={end ?? seconds}
          onLook={(time) => { if (player.current) player.current.currentTime = time; }}
          onChange={(from, to) => void change(part.id, { options: withRange(part, from, to, seconds) })}
        />
      )}
    </>
  );
}

function withRange(part: DraftMedium, from: number, to: number, seconds: number) {
  const { start: _start, end: _end, ...rest } = part.options;
  return {
    ...rest,
    ...(from > 0 ? { start: Number(from.toFixed(2)) } : {}),
    ...(to < seconds - 0.01 ? { end: Number(to.toFixed(2)) } : {}),
  };
}

function Frames({ frames }: { frames: Frame[] }) {
  return (
    <div class="strip" role="group" aria-label="Frames that the model gets">
      {frames.map((frame) => <figure key={frame.time}><img src={frame.image} alt={`Frame at ${frame.time.toFixed(1)} s`} /><figcaption>{frame.time.toFixed(1)} s</figcaption></figure>)}
    </div>
  );
}

interface RangeProps {
  seconds: number;
  start: number;
  end: number;
  onLook: (time: number) => void;
  onChange: (start: number, end: number) => void;
}

/** Two ends on a line; each is dragged, or moved by arrow keys. */
function Range({ seconds, start, end, onLook, onChange }: RangeProps) {
  const line = useRef<HTMLDivElement>(null);
  const chosen = useSignal<[number, number] | null>(null);
  const [from, to] = chosen.value ?? [start, end];
  const put = (which: 0 | 1, time: number) => {
    const inside = Math.max(0, Math.min(seconds, time));
    chosen.value = which === 0 ? [Math.min(inside, to - STEP), to] : [from, Math.max(inside, from + STEP)];
    onLook(chosen.value[which]);
  };
  const done = () => {
    const found = chosen.value;
    chosen.value = null;
    if (found !== null) onChange(...found);
  };
  const drag = (event: PointerEvent) => {
    const frame = line.current?.getBoundingClientRect();
    if (frame === undefined) return;
    event.preventDefault();
    const at = (one: PointerEvent) => ((one.clientX - frame.left) / frame.width) * seconds;
    const which = Math.abs(at(event) - from) <= Math.abs(at(event) - to) ? 0 : 1;
    const moved = (one: PointerEvent) => put(which, at(one));
    const ended = () => { window.removeEventListener('pointermove', moved); window.removeEventListener('pointerup', ended); done(); };
    put(which, at(event));
    window.addEventListener('pointermove', moved);
    window.addEventListener('pointerup', ended);
  };
  const percent = (time: number) => `${(time / seconds) * 100}%`;
  const end_ = (which: 0 | 1, time: number, label: string) => (
    <div
      class="range-end" role="slider" tabIndex={0} aria-label={label} aria-valuemin={0} aria-valuemax={Number(seconds.toFixed(1))}
      aria-valuenow={Number(time.toFixed(1))} aria-valuetext={`${time.toFixed(1)} seconds`} style={{ left: percent(time) }}
      onKeyDown={(event) => {
        const by = { ArrowLeft: -STEP, ArrowDown: -STEP, ArrowRight: STEP, ArrowUp: STEP, PageDown: -1, PageUp: 1 }[event.key];
        if (by !== undefined) { event.preventDefault(); put(which, time + by); }
      }}
      onKeyUp={done}
    />
  );
  return (
    <div class="range">
      <div class="range-line" ref={line} onPointerDown={drag}>
        <div class="range-chosen" style={{ left: percent(from), width: percent(to - from) }} />
        {end_(0, from, 'Start')}
        {end_(1, to, 'End')}
      </div>
      <span class="range-words">{from.toFixed(1)} s to {to.toFixed(1)} s of {seconds.toFixed(1)} s</span>
    </div>
  );
}
