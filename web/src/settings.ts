/** How answers are made: kept in this browser, but for the instructions, which belong to a chat. */

import { computed, effect, signal } from '@preact/signals';

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

/** What was chosen in this browser. */
const chosen = signal<Settings>(read());
/** What the command line wants, until it is changed here. */
const preset = signal<Partial<Settings>>({});
/** Fields of requests that the command line wants, and that nothing here changes. */
export const more = signal<Record<string, unknown>>({});
export const settings = computed<Settings>(() => ({ ...chosen.value, ...preset.value }));

function read(): Settings {
  try {
    return { ...NONE, ...(JSON.parse(localStorage.getItem(PLACE) ?? '{}') as Partial<Settings>) };
  } catch {
    return NONE;
  }
}

export function set<Name extends keyof Settings>(name: Name, value: Settings[Name]): void {
  const { [name]: _before, ...rest } = preset.value;
  preset.value = rest as Partial<Settings>;
  chosen.value = { ...chosen.value, [name]: value };
}

export function reset(): void {
  preset.value = {};
  more.value = {};
  chosen.value = { ...NONE, theme: chosen.value.theme };
}

/** Begin with what the command line wants. */
export function begun(given: Record<string, unknown>): void {
  const { enable_thinking, response_format, ...rest } = given;
  const found: Record<string, unknown> = {};
  const others: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(rest)) (name in NONE ? found : others)[name] = value;
  if (typeof enable_thinking === 'boolean') found['thinking'] = enable_thinking;
  const schema = (response_format as { json_schema?: { schema?: unknown } } | undefined)?.json_schema?.schema;
  if (schema !== undefined) found['schema'] = JSON.stringify(schema, null, 2);
  preset.value = found;
  more.value = others;
}

effect(() => {
  localStorage.setItem(PLACE, JSON.stringify(chosen.value));
  const { theme } = chosen.value;
  if (theme === 'system') delete document.documentElement.dataset['theme'];
  else document.documentElement.dataset['theme'] = theme;
});

/** The fields of a request. Throws where the schema or the tools are not JSON. */
export function requestFields(): Record<string, unknown> {
  const { thinking, schema, tools, theme: _theme, system: _system, ...numbers } = settings.value;
  const fields: Record<string, unknown> = { ...more.value };
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
