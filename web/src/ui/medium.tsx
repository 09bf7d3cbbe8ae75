/** A medium in the conversation: a picture, a player, or its name where its bytes are gone. */

import { useEffect, useRef, useState } from 'preact/hooks';
import { preview } from '../draft';
import { remember } from '../media';
import type { MediaPart } from '../record';
import { shortName } from '../record';
import type { BytesOf } from '../uploads';
import { Icon } from './icons';

type Found = { url: string; type: string } | 'waiting' | 'gone';

export function MediaView({ part, bytes }: { part: MediaPart; bytes: BytesOf }) {
  const [found, setFound] = useState<Found>('waiting');
  const place = useRef<HTMLDivElement>(null);
  useEffect(() => {
    const here = place.current;
    if (here === null) return undefined;
    // bytes are read once the medium comes near the screen
    const watcher = new IntersectionObserver(([entry]) => {
      if (!entry?.isIntersecting) return;
      watcher.disconnect();
      bytes(part).then((blob) => setFound({ url: remember(part.sha256, blob).url, type: blob.type }), () => setFound('gone'));
    }, { rootMargin: '600px' });
    watcher.observe(here);
    return () => watcher.disconnect();
  }, [part.sha256]);
  const { start, end } = part.options;
  const range = start !== undefined || end !== undefined ? ` · ${start ?? 0}–${end ?? 'end'} s` : '';
  return (
    <div class={`medium ${part.kind}`} ref={place}>
      <Shown part={part} found={found} bytes={bytes} fail={() => setFound('gone')} />
      <span class="medium-name" title={part.source}>{shortName(part.source)}{range}</span>
    </div>
  );
}

function Shown({ part, found, bytes, fail }: { part: MediaPart; found: Found; bytes: BytesOf; fail: () => void }) {
  const [small, setSmall] = useState('');
  const ask = () => void preview(part, bytes).then(setSmall, fail);
  const document = typeof found === 'object' && part.kind === 'image' && found.type === 'application/pdf';
  useEffect(() => { if (document) ask(); }, [document]);
  const name = shortName(part.source);
  const symbol = { image: 'file', audio: 'sound', video: 'film' } as const;
  if (found === 'waiting') return <span class="placeholder" />;
  if (found === 'gone') return <span class="placeholder gone"><Icon name={symbol[part.kind]} size={24} /> <span>cannot be shown</span></span>;
  if (document && small === '') return <a class="placeholder" href={found.url} target="_blank" rel="noopener"><Icon name="file" size={28} /> PDF</a>;
  if (part.kind === 'image') {
    return (
      <a href={found.url} target="_blank" rel="noopener">
        <img src={small || found.url} alt={name} loading="lazy" decoding="async" onError={small ? fail : ask} />
      </a>
    );
  }
  if (part.kind === 'audio') return <audio controls preload="metadata" src={found.url} aria-label={name} onError={fail} />;
  return <video controls preload="metadata" src={found.url} aria-label={name} onError={fail} />;
}
