/** Boxes and points of an answer, which the server gives in pixels, drawn over the pictures they are in. */

import { useEffect, useState } from 'preact/hooks';
import { remember } from '../media';
import type { Mark, MediaPart } from '../record';
import { chats } from '../state';

export function Marks({ marks, media }: { marks: readonly Mark[]; media: readonly MediaPart[] }) {
  const pictures = [...new Set(marks.map((mark) => mark.media))].filter((at) => media[at]?.kind === 'image');
  return <>{pictures.map((at) => <Marked key={at} part={media[at]!} marks={marks.filter((mark) => mark.media === at)} />)}</>;
}

function Marked({ part, marks }: { part: MediaPart; marks: readonly Mark[] }) {
  const [size, setSize] = useState<{ url: string; width: number; height: number } | null>(null);
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
