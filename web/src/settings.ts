/** How answers are made: kept in this browser, but for the instructions, which belong to a chat. */

import { effect, signal } from '@preact/signals';

export interface Settings {
  temperature: number | null;
  top_p: number | null;
  top_k: number | null;
  min_p: number | null;
  repetition_penalty: number | null;
  max_tokens: number | null;
  seed: number | null;
  thinking: boolean | null;
  schema: string;
  tools: string;
  theme: 'system' | 'light' | 'dark';
  system: string;
}

const PLACE = 'mistralrs-settings';
const NONE: Settings = {
  temperature: null, top_p: null, top_k: null, min_p: null, repetition_penalty: null, max_tokens: null, seed: null,
  thinking: null, schema: '', tools: '', theme: 'system', system: '',
};

export const settings = signal<Settings>(read());

function read(): Settings {
  try {
    return { ...NONE, ...(JSON.parse(localStorage.getItem(PLACE) ?? '{}') as Partial<Settings>) };
  } catch {
    return NONE;
  }
}

export function set<Name extends keyof Settings>(name: Name, value: Settings[Name]): void {
  settings.value = { ...settings.value, [name]: value };
}

export function reset(): void {
  settings.value = { ...NONE, theme: settings.value.theme };
}

effect(() => {
  localStorage.setItem(PLACE, JSON.stringify(settings.value));
  const { theme } = settings.value;
  if (theme === 'system') delete document.documentElement.dataset['theme'];
  else document.documentElement.dataset['theme'] = theme;
});

/** The fields of a request. Throws where the schema or the tools are not JSON. */
export function requestFields(): Record<string, unknown> {
  const { thinking, schema, tools, theme: _theme, system: _system, ...numbers } = settings.value;
  const fields: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(numbers)) if (value !== null) fields[name] = value;
  if (thinking !== null) fields['enable_thinking'] = thinking;
  if (schema.trim()) {
    fields['response_format'] = { type: 'json_schema', json_schema: { name: 'answer', schema: parsed(schema, 'schema') } };
  }
  if (tools.trim()) fields['tools'] = parsed(tools, 'tools');
  return fields;
}

function parsed(text: string, what: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new Error(`The ${what} in the settings ${what === 'tools' ? 'are' : 'is'} not JSON.`);
  }
}
