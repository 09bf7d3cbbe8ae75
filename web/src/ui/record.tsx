/** Recording: the microphone, the camera, the screen. */

import { useSignal } from '@preact/signals';
import { useEffect, useRef } from 'preact/hooks';
import { draftError, insert, medium } from '../draft';
import type { Kind } from '../record';
import { Dialog } from './dialog';
import { Icon, IconButton } from './icons';

type Source = 'microphone' | 'camera' | 'screen';

export function RecordButtons({ reads }: { reads: ReadonlySet<string> }) {
  const open = useSignal<{ source: Source; stream: MediaStream } | null>(null);
  if (navigator.mediaDevices === undefined) return null; // plain HTTP from another machine
  const begin = async (source: Source) => {
    try {
      open.value = { source, stream: await streamOf(source, reads) };
    } catch (error) {
      draftError.value = error instanceof DOMException && error.name === 'NotFoundError' ? `There is no ${source}.` : `The browser does not allow the ${source}.`;
    }
  };
  const close = () => {
    open.value?.stream.getTracks().forEach((track) => track.stop());
    open.value = null;
  };
  return (
    <>
      {reads.has('audio') && <IconButton icon="microphone" label="Record from the microphone" onClick={() => void begin('microphone')} />}
      {reads.has('image') && <IconButton icon="camera" label="Take a picture with the camera" onClick={() => void begin('camera')} />}
      {reads.has('image') && 'getDisplayMedia' in navigator.mediaDevices && <IconButton icon="screen" label="Capture the screen" onClick={() => void begin('screen')} />}
      {open.value?.source === 'microphone' && <Microphone stream={open.value.stream} onClose={close} />}
      {open.value !== null && open.value.source !== 'microphone' && <View source={open.value.source} stream={open.value.stream} clips={reads.has('video')} onClose={close} />}
    </>
  );
}

function streamOf(source: Source, reads: ReadonlySet<string>): Promise<MediaStream> {
  if (source === 'microphone') return navigator.mediaDevices.getUserMedia({ audio: true });
  if (source === 'camera') return navigator.mediaDevices.getUserMedia({ video: { width: { ideal: 1920 } }, audio: reads.has('audio') && reads.has('video') });
  return navigator.mediaDevices.getDisplayMedia({ video: true });
}

/** What a recorder gives until it is stopped. */
class Recording {
  readonly #recorder: MediaRecorder;
  readonly #pieces: Blob[] = [];

  constructor(stream: MediaStream) {
    this.#recorder = new MediaRecorder(stream);
    this.#recorder.ondataavailable = (event) => this.#pieces.push(event.data);
    this.#recorder.start(500);
  }

  stop(): Promise<Blob> {
    return new Promise((resolve) => {
      this.#recorder.onstop = () => resolve(new Blob(this.#pieces, { type: this.#recorder.mimeType.split(';')[0] ?? '' }));
      this.#recorder.stop();
    });
  }
}

async function attach(kind: Kind, blob: Blob): Promise<void> {
  const time = new Date().toTimeString().slice(0, 8).replaceAll(':', '-');
  const suffix = blob.type.split('/')[1] ?? 'bin';
  const words = { image: 'picture', audio: 'recording', video: 'clip' }[kind];
  insert([await medium(kind, `${words} ${time}.${suffix}`, blob)]);
}

function useSeconds(): number {
  const seconds = useSignal(0);
  useEffect(() => {
    const begun = performance.now();
    const timer = window.setInterval(() => (seconds.value = (performance.now() - begun) / 1000), 200);
    return () => window.clearInterval(timer);
  }, []);
  return seconds.value;
}

function Microphone({ stream, onClose }: { stream: MediaStream; onClose: () => void }) {
  const recording = useRef<Recording | null>(null);
  const level = useSignal(0);
  const seconds = useSeconds();
  useEffect(() => { recording.current = new Recording(stream); return watchLevel(stream, (value) => (level.value = value)); }, []);
  const done = async () => {
    const blob = await recording.current?.stop();
    onClose();
    if (blob) await attach('audio', blob);
  };
  return (
    <Dialog title="Recording" onClose={onClose}>
      <div class="recording">
        <span class="record-dot" aria-hidden="true" />
        <span class="record-time" role="timer">{seconds.toFixed(1)} s</span>
        <span class="level" aria-hidden="true"><span style={{ width: `${Math.round(level.value * 100)}%` }} /></span>
      </div>
      <div class="actions">
        <button type="button" onClick={onClose}>Discard</button>
        <button type="button" class="primary" onClick={() => void done()}><Icon name="check" size={16} /> Use it</button>
      </div>
    </Dialog>
  );
}

/** How loud it is, from 0 to 1, about ten times a second. */
function watchLevel(stream: MediaStream, tell: (level: number) => void): () => void {
  const context = new AudioContext();
  const analyser = context.createAnalyser();
  context.createMediaStreamSource(stream).connect(analyser);
  const samples = new Float32Array(analyser.fftSize);
  const timer = window.setInterval(() => {
    analyser.getFloatTimeDomainData(samples);
    tell(Math.min(1, Math.sqrt(samples.reduce((sum, one) => sum + one * one, 0) / samples.length) * 4));
  }, 100);
  return () => { window.clearInterval(timer); void context.close(); };
}

function View({ source, stream, clips, onClose }: { source: Source; stream: MediaStream; clips: boolean; onClose: () => void }) {
  const player = useRef<HTMLVideoElement>(null);
  const recording = useSignal<Recording | null>(null);
  useEffect(() => { if (player.current) player.current.srcObject = stream; }, [stream]);
  const picture = async () => {
    const blob = player.current && (await still(player.current));
    onClose();
    if (blob) await attach('image', blob);
  };
  const clip = async () => {
    if (recording.value === null) { recording.value = new Recording(stream); return; }
    const blob = await recording.value.stop();
    onClose();
    await attach('video', blob);
  };
  return (
    <Dialog title={source === 'camera' ? 'Camera' : 'Screen'} onClose={onClose} wide>
      <video ref={player} class="viewfinder" autoplay muted playsinline aria-label={`What the ${source} sees`} />
      <div class="actions">
        <button type="button" onClick={onClose}>Discard</button>
        {clips && <button type="button" class={recording.value ? 'danger' : ''} onClick={() => void clip()}>{recording.value ? <><Icon name="stop" size={16} /> Stop and use the clip</> : <><Icon name="film" size={16} /> Record a clip</>}</button>}
        {recording.value === null && <button type="button" class="primary" onClick={() => void picture()}><Icon name="camera" size={16} /> Take a picture</button>}
      </div>
    </Dialog>
  );
}

function still(player: HTMLVideoElement): Promise<Blob | null> {
  const canvas = document.createElement('canvas');
  [canvas.width, canvas.height] = [player.videoWidth, player.videoHeight];
  canvas.getContext('2d')?.drawImage(player, 0, 0);
  return new Promise((resolve) => canvas.toBlob(resolve, 'image/png'));
}
