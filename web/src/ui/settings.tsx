/** Settings: instructions, how tokens are drawn, the form of answers, tools, appearance. */

import { useState } from 'preact/hooks';
import { session } from '../state';
import type { Settings } from '../settings';
import { more, reset, set, settings } from '../settings';
import { Dialog } from './dialog';
import { SchemaForm } from './schema';

interface NumberSetting { name: keyof Settings; label: string; min: number; max?: number; step: number }

const NUMBERS: NumberSetting[] = [
  { name: 'temperature', label: 'Temperature', min: 0, max: 5, step: 0.1 },
  { name: 'top_p', label: 'Top-p', min: 0, max: 1, step: 0.05 },
  { name: 'top_k', label: 'Top-k', min: 0, step: 1 },
  { name: 'min_p', label: 'Min-p', min: 0, max: 1, step: 0.01 },
  { name: 'repetition_penalty', label: 'Repetition penalty', min: 0, step: 0.05 },
  { name: 'max_tokens', label: 'Most tokens', min: 1, step: 1 },
  { name: 'seed', label: 'Seed', min: 0, step: 1 },
];

export function SettingsDialog({ onClose }: { onClose: () => void }) {
  const here = session.value;
  const values = settings.value;
  const instruct = (text: string) => {
    here.chat.value = { ...here.chat.value, system: text.trim() ? text : null };
    if (here.chat.value.turns.length > 0) void here.save();
  };
  return (
    <Dialog title="Settings" onClose={onClose} wide>
      <div class="fields">
        <label class="field">
          <span>Instructions for this chat</span>
          <textarea rows={3} dir="auto" value={here.chat.value.system ?? ''} placeholder="None" onChange={(event) => instruct(event.currentTarget.value)} />
        </label>
        <label class="field">
          <span>Instructions for new chats</span>
          <textarea rows={2} dir="auto" value={values.system} placeholder="None" onChange={(event) => set('system', event.currentTarget.value)} />
        </label>
      </div>
      <h3>Sampling <small>automatic is what the model comes with</small></h3>
      <div class="fields row-fields">
        {NUMBERS.map((one) => <NumberField key={one.name} {...one} />)}
        <label class="field">
          <span>Thinking</span>
          <select value={String(values.thinking)} onChange={(event) => set('thinking', ({ true: true, false: false } as Record<string, boolean>)[event.currentTarget.value] ?? null)}>
            <option value="null">automatic</option>
            <option value="true">on</option>
            <option value="false">off</option>
          </select>
        </label>
      </div>
      {Object.keys(more.value).length > 0 && (
        <p class="also">From the command line as well: {Object.entries(more.value).map(([name, value]) => `${name} ${JSON.stringify(value)}`).join(', ')}</p>
      )}
      <h3>Form of the answer</h3>
      <SchemaForm text={values.schema} onChange={(text) => set('schema', text)} />
      <h3>Tools</h3>
      <JsonField label="Tools, as JSON in OpenAI's form" value={values.tools} onChange={(text) => set('tools', text)} />
      <h3>Appearance</h3>
      <div class="fields row-fields">
        <label class="field">
          <span>Colours</span>
          <select value={values.theme} onChange={(event) => set('theme', event.currentTarget.value as Settings['theme'])}>
            <option value="system">as the system</option>
            <option value="light">light</option>
            <option value="dark">dark</option>
          </select>
        </label>
      </div>
      <div class="actions">
        <button type="button" onClick={reset}>Back to the model's own</button>
        <span class="space" />
        <button type="button" class="primary" onClick={onClose}>Done</button>
      </div>
    </Dialog>
  );
}

function NumberField({ name, label, min, max, step }: NumberSetting) {
  const value = settings.value[name] as number | null;
  return (
    <label class="field">
      <span>{label}</span>
      <input
        type="number" min={min} {...(max === undefined ? {} : { max })} step={step} placeholder="automatic" value={value ?? ''}
        onChange={(event) => { const text = event.currentTarget.value; set(name, (text === '' ? null : Number(text)) as never); }}
      />
    </label>
  );
}

export function JsonField({ label, value, onChange }: { label: string; value: string; onChange: (text: string) => void }) {
  const [wrong, setWrong] = useState(problem(value));
  return (
    <label class="field">
      <span>{label}</span>
      <textarea
        rows={4} class="code-input" spellcheck={false} value={value} placeholder="None" aria-invalid={wrong !== ''}
        onChange={(event) => { setWrong(problem(event.currentTarget.value)); onChange(event.currentTarget.value); }}
      />
      {wrong && <small class="bad">{wrong}</small>}
    </label>
  );
}

function problem(text: string): string {
  if (!text.trim()) return '';
  try {
    JSON.parse(text);
    return '';
  } catch (error) {
    return `This is not JSON: ${error instanceof Error ? error.message : ''}`;
  }
}
