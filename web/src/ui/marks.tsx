/** Boxes and points of an answer, which the server gives in pixels, drawn over the pictures and frames they are in. */

import { useEffect, useRef, useState } from 'preact/hooks';
import { remember } from '../media';
import type { Mark, MediaPart } from '../record';
import { shortName } from '../record';
import { chats } from '../state';

export function Marks({ marks, media }: { marks: readonly Mark[]; media: readonly MediaPart[] }) {
  const places = [...new Set(marks.map((mark) => mark.media))];
  return (
    <>
      {places.map((at) => {
        const part = media[at];
        const here = marks.filter((mark) => mark.media === at);
        if (part?.kind === 'image') return <Marked key={at} part={part} marks={here} />;
        return part?.kind === 'video' ? <MarkedClip key={at} part={part} marks={here} /> : null;
      })}
    </>
  );
}

interface Size {
  width: number;
  height: number;
}

function Marked({ part, marks }: { part: MediaPart; marks: readonly Mark[] }) {
  const [size, setSize] = useState<Size & { url: string } | null>(null);
  useEffect(() => {
    void chats.bytes(part).then((blob) => {
      const { url } = remember(part.sha256, blob);
      const image = new Image();
      image.onload = () => setSize({ url, width: image.naturalWidth, height: image.naturalHeight });
      image.src = url;
    }, () => undefined); // its place in the question says that it is gone
  }, [part.sha256]);
  if (size === null) return null;
  const { width, height } = size;
  const line = Math.max(width, height) / 250;
  return (
    <figure class="marks">
      <svg viewBox={`0 0 ${width} ${height}`} role="img" aria-label={`${part.source} with ${marks.map((mark) => mark.label || 'a mark').join(', ')} marked`}>
        <image href={size.url} width={width} height={height} />
        {marks.map((mark, index) => <Drawn key={index} mark={mark} line={line} at={index} />)}
      </svg>
    </figure>
  );
}

/** A clip at the time of one of its marks, and the other times to choose from. */
function MarkedClip({ part, marks }: { part: MediaPart; marks: readonly Mark[] }) {
  const times = [...new Set(marks.map((mark) => mark.time ?? 0))].sort((one, other) => one - other);
  const [time, setTime] = useState(times[0] ?? 0);
  const [url, setUrl] = useState('');
  const [size, setSize] = useState<Size | null>(null);
  const clip = useRef<HTMLVideoElement>(null);
  useEffect(() => {
    void chats.bytes(part).then((blob) => setUrl(remember(part.sha256, blob).url), () => undefined); // its place in the question says that it is gone
  }, [part.sha256]);
  useEffect(() => {
    if (clip.current !== null && size !== null) clip.current.currentTime = time;
  }, [time, size]);
  const here = marks.filter((mark) => (mark.time ?? 0) === time);
  const line = size === null ? 0 : Math.max(size.width, size.height) / 250;
  return (
    <figure class="marks">
      <div class="marked-clip">
        {url && (
          <video
            ref={clip} src={url} muted preload="auto" aria-hidden="true" onError={() => setUrl('')}
            onLoadedMetadata={(event) => setSize({ width: event.currentTarget.videoWidth, height: event.currentTarget.videoHeight })}
          />
        )}
        {url && size !== null && (
          <svg viewBox={`0 0 ${size.width} ${size.height}`} aria-hidden="true">
            {here.map((mark, index) => <Drawn key={index} mark={mark} line={line} at={marks.indexOf(mark)} />)}
          </svg>
        )}
      </div>
      <figcaption>{shortName(part.source)} at {seconds(time)}: {here.map(described).join('; ')}</figcaption>
      {times.length > 1 && (
        <div class="marked-times" role="group" aria-label="Times with marks">
          {times.map((one) => <button key={one} type="button" class="quiet small" aria-pressed={one === time} onClick={() => setTime(one)}>{seconds(one)}</button>)}
        </div>
      )}
    </figure>
  );
}

const seconds = (time: number): string => `${Number(time.toFixed(2))} s`;
const described = ({ label, box, point }: Mark): string => `${label || (box ? 'a box' : 'a point')} (${(box ?? point ?? []).join(', ')})`;

function Drawn({ mark, line, at }: { mark: Mark; line: number; at: number }) {
  const [x0 = 0, y0 = 0, x1, y1] = mark.box ?? mark.point ?? [];
  const point = x1 === undefined || y1 === undefined;
  return (
    <g class={`mark-${at % 6}`} stroke-width={line}>
      {point ? <circle cx={x0} cy={y0} r={line * 3} /> : <rect x={x0} y={y0} width={x1 - x0} height={y1 - y0} fill="none" />}
      {mark.label && <text x={x0 + line * (point ? 5 : 1)} y={Math.max(line * 9, y0 - line * 2)} font-size={line * 9} stroke="none">{mark.label}</text>}
    </g>
  );
}
