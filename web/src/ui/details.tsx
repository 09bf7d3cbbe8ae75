/** A medium close up: what the model gets of it, and what of it is sent. */

import type { DraftFile, DraftMedium, Seen } from '../draft';
import { change, drop, isDocument, move, worded } from '../draft';
import { sizeOf } from '../media';
import { reads } from '../state';
import { Dialog } from './dialog';
import { Crop } from './crop';
import { Icon } from './icons';
import { Strip } from './strip';

export function MediumDialog({ part, onClose }: { part: DraftMedium | DraftFile; onClose: () => void }) {
  return (
    <Dialog title={part.name} onClose={onClose} wide>
      {part.type === 'file' ? <pre class="whole" tabIndex={0}>{part.text}</pre> : <Medium part={part} />}
      <div class="actions">
        <button type="button" onClick={() => move(part.id, -1)}><Icon name="left" size={16} /> To the front</button>
        <button type="button" onClick={() => move(part.id, 1)}>Back <Icon name="right" size={16} /></button>
        <button type="button" class="danger" onClick={() => { onClose(); drop(part.id); }}><Icon name="trash" size={16} /> Remove</button>
        <span class="space" />
        <button type="button" class="primary" onClick={onClose}>Done</button>
      </div>
    </Dialog>
  );
}

function Medium({ part }: { part: DraftMedium }) {
  const reported = part.reported.value;
  const media = reported.state === 'known' ? reported.media : [];
  return (
    <>
      <div class="close-up">
        {part.kind === 'image' && !isDocument(part) && <Crop part={part} />}
        {part.kind === 'image' && isDocument(part) && <Pages media={media} />}
        {part.kind === 'audio' && <audio controls src={part.url} aria-label={part.name} />}
        {part.kind === 'video' && <Strip part={part} seen={media[0]} />}
      </div>
      <section class="gets" aria-label="What the model gets">
        <h3>What the model gets</h3>
        {reported.state === 'asking' && <p><span class="pulse" /> Looking…</p>}
        {reported.state === 'refused' && <p class="failure"><Icon name="warning" /> {reported.message}</p>}
        {media.length > 0 && <Facts part={part} media={media} />}
      </section>
      <Choices part={part} />
    </>
  );
}

function Facts({ part, media }: { part: DraftMedium; media: Seen[] }) {
  const first = media[0]!;
  const tokens = media.reduce((sum, one) => sum + one.tokens, 0);
  const rows: [string, string][] = [
    ['File', `${sizeOf(part.blob.size)}${first.width ? `, ${first.width}×${first.height} pixels` : ''}`],
    ...(isDocument(part) && media.length > 1 ? [['Pages', String(media.length)] as [string, string]] : media.map((one) => [one.kind === 'audio' && part.kind === 'video' ? 'Hears' : 'Reads', one.summary] as [string, string])),
    ...(first.given_frames ? [['Frames', String(first.given_frames)] as [string, string]] : []),
    ...(first.seconds ? [['Length', `${first.seconds.toFixed(1)} s`] as [string, string]] : []),
    ['Tokens', tokens.toLocaleString()],
  ];
  const notes = [...new Set(media.flatMap((one) => one.notes))].map((note) => worded(note, part.name));
  return (
    <>
      <dl>{rows.map(([name, value]) => <div key={name}><dt>{name}</dt><dd>{value}</dd></div>)}</dl>
      {notes.map((note) => <p class="warned" key={note}><Icon name="warning" size={16} /> {note}</p>)}
    </>
  );
}

function Pages({ media }: { media: Seen[] }) {
  return <div class="strip">{media.map((page, index) => <figure key={index}><img src={page.frames?.[0]?.image ?? ''} alt={`Page ${index + 1}`} /></figure>)}</div>;
}

function Choices({ part }: { part: DraftMedium }) {
  const { options } = part;
  const set = (name: keyof typeof options, value: string) => {
    const { [name]: _before, ...rest } = options;
    const number = name === 'pages' ? value.trim() : Number(value);
    void change(part.id, { options: value.trim() === '' ? rest : { ...rest, [name]: number } });
  };
  const setSound = (wanted: boolean) => {
    const { soundtrack: _before, ...rest } = options;
    void change(part.id, { options: wanted ? { ...rest, soundtrack: true } : rest });
  };
  const hears = reads.value.has('audio');
  return (
    <div class="fields row-fields">
      {isDocument(part) && <Field label="Pages" hint="such as 1-3,7" value={options.pages ?? ''} onChange={(value) => set('pages', value)} />}
      {isDocument(part) && <Field label="Pixels an inch" type="number" value={options.dpi ?? ''} onChange={(value) => set('dpi', value)} />}
      {part.kind !== 'audio' && <Field label="Longest edge, pixels" type="number" value={options.max_edge ?? ''} onChange={(value) => set('max_edge', value)} />}
      {part.kind === 'video' && <Field label="Frames" type="number" value={options.frames ?? ''} onChange={(value) => set('frames', value)} />}
      {part.kind === 'video' && hears && (
        <label class="field">
          <span>Sound</span>
          <select value={String(options.soundtrack === true)} onChange={(event) => setSound(event.currentTarget.value === 'true')}>
            <option value="false">left out</option>
            <option value="true">given after the frames</option>
          </select>
        </label>
      )}
      {/gif|webp/.test(part.blob.type) && (
        <label class="field">
          <span>Read as</span>
          <select value={part.kind} onChange={(event) => void change(part.id, { kind: event.currentTarget.value as 'image' | 'video', options: {} })}>
            <option value="image">a picture</option>
            <option value="video">a clip</option>
          </select>
        </label>
      )}
    </div>
  );
}

function Field({ label, value, onChange, type = 'text', hint }: { label: string; value: string | number; onChange: (value: string) => void; type?: 'text' | 'number'; hint?: string }) {
  return (
    <label class="field">
      <span>{label}</span>
      {type === 'number' ? (
        <input type="number" min={1} placeholder="automatic" value={value} onChange={(event) => onChange(event.currentTarget.value)} />
      ) : (
        <input type="text" placeholder={hint ?? ''} value={value} onChange={(event) => onChange(event.currentTarget.value)} />
      )}
    </label>
  );
}
