/** Crop and turn a picture before it is sent. */

import { useSignal } from '@preact/signals';
import { useRef } from 'preact/hooks';
import type { DraftMedium } from '../draft';
import { change } from '../draft';
import { Icon } from './icons';

/** In shares of the picture. */
interface Box { x: number; y: number; width: number; height: number }

const LEAST = 0.02;
const STEP = 0.02;
const WHOLE: Box = { x: 0, y: 0, width: 1, height: 1 };

export function Crop({ part }: { part: DraftMedium }) {
  const box = useSignal<Box | null>(null);
  const unknown = useSignal(false);
  const place = useRef<HTMLDivElement>(null);
  const picture = useRef<HTMLImageElement>(null);
  const apply = async (turns: number) => {
    const image = picture.current;
    if (image === null) return;
    const blob = await redrawn(image, turns === 0 ? (box.value ?? WHOLE) : WHOLE, turns, part.blob.type);
    box.value = null;
    await change(part.id, { blob });
  };
  const draw = (event: PointerEvent) => {
    const frame = place.current?.getBoundingClientRect();
    if (box.value === null || frame === undefined) return;
    event.preventDefault();
    const at = (one: PointerEvent) => [share((one.clientX - frame.left) / frame.width), share((one.clientY - frame.top) / frame.height)] as const;
    const [x, y] = at(event);
    const moved = (one: PointerEvent) => {
      const [x1, y1] = at(one);
      box.value = { x: Math.min(x, x1), y: Math.min(y, y1), width: Math.max(LEAST, Math.abs(x1 - x)), height: Math.max(LEAST, Math.abs(y1 - y)) };
    };
    const ended = () => { window.removeEventListener('pointermove', moved); window.removeEventListener('pointerup', ended); };
    window.addEventListener('pointermove', moved);
    window.addEventListener('pointerup', ended);
  };
  const reported = part.reported.value;
  if (unknown.value) {
    const small = reported.state === 'known' ? reported.media[0]?.frames?.[0]?.image : undefined;
    return (
      <div class="crop">
        {small && <img src={small} alt={part.name} />}
        <p>This browser cannot open the picture, so it cannot be cropped or turned here. The model gets all of it.</p>
      </div>
    );
  }
  return (
    <div class="crop">
      <div class="crop-frame" ref={place} onPointerDown={draw}>
        <img ref={picture} src={part.url} alt={part.name} draggable={false} onError={() => (unknown.value = true)} />
        {box.value !== null && <Selected box={box.value} onChange={(fresh) => (box.value = fresh)} />}
      </div>
      <div class="crop-bar">
        <button type="button" onClick={() => void apply(1)}><Icon name="turn" size={16} /> Turn right</button>
        {box.value === null ? (
          <button type="button" onClick={() => (box.value = { x: 0.1, y: 0.1, width: 0.8, height: 0.8 })}><Icon name="crop" size={16} /> Crop</button>
        ) : (
          <>
            <button type="button" class="primary" onClick={() => void apply(0)}>Crop to this</button>
            <button type="button" onClick={() => (box.value = null)}>Cancel</button>
          </>
        )}
      </div>
    </div>
  );
}

const share = (value: number): number => Math.max(0, Math.min(1, value));

function Selected({ box, onChange }: { box: Box; onChange: (box: Box) => void }) {
  const keys = (event: KeyboardEvent) => {
    const [x, y] = ({ ArrowLeft: [-STEP, 0], ArrowRight: [STEP, 0], ArrowUp: [0, -STEP], ArrowDown: [0, STEP] } as Record<string, [number, number]>)[event.key] ?? [0, 0];
    if (x === 0 && y === 0) return;
    event.preventDefault();
    if (event.shiftKey) {
      onChange({ ...box, width: Math.max(LEAST, Math.min(1 - box.x, box.width + x)), height: Math.max(LEAST, Math.min(1 - box.y, box.height + y)) });
    } else onChange({ ...box, x: Math.max(0, Math.min(1 - box.width, box.x + x)), y: Math.max(0, Math.min(1 - box.height, box.y + y)) });
  };
  const percent = (value: number) => `${value * 100}%`;
  return (
    <div
      class="crop-box" tabIndex={0} role="group" aria-label="Part to keep: arrow keys move it, with Shift they change its size"
      style={{ left: percent(box.x), top: percent(box.y), width: percent(box.width), height: percent(box.height) }} onKeyDown={keys}
    />
  );
}

/** A part of a picture, turned by quarters, as it is sent: JPEG stays JPEG, everything else becomes PNG. */
async function redrawn(image: HTMLImageElement, box: Box, turns: number, type: string): Promise<Blob> {
  const [width, height] = [Math.round(box.width * image.naturalWidth), Math.round(box.height * image.naturalHeight)];
  const canvas = document.createElement('canvas');
  [canvas.width, canvas.height] = turns % 2 === 1 ? [height, width] : [width, height];
  const pen = canvas.getContext('2d');
  if (pen === null) throw new Error('This browser cannot draw.');
  pen.translate(canvas.width / 2, canvas.height / 2);
  pen.rotate((turns * Math.PI) / 2);
  pen.drawImage(image, box.x * image.naturalWidth, box.y * image.naturalHeight, width, height, -width / 2, -height / 2, width, height);
  const written = type === 'image/jpeg' ? type : 'image/png';
  return new Promise((resolve, reject) => canvas.toBlob((blob) => (blob ? resolve(blob) : reject(new Error('This picture cannot be written.'))), written, 0.95));
}
