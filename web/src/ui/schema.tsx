/** The form that answers must have: rows for a simple one, JSON for any. */

import { useState } from 'preact/hooks';
import type { FieldType, Row } from '../schema';
import { rowsOf, schemaOf } from '../schema';
import { IconButton, Icon } from './icons';
import { JsonField } from './settings';

const TYPES: FieldType[] = ['string', 'number', 'integer', 'boolean', 'list of strings', 'one of'];

export function SchemaForm({ text, onChange }: { text: string; onChange: (text: string) => void }) {
  const [rows, setRows] = useState<Row[] | undefined>(rowsOf(text));
  const put = (fresh: Row[]) => { setRows(fresh); onChange(schemaOf(fresh)); };
  const set = (at: number, changes: Partial<Row>) => put((rows ?? []).map((row, index) => (index === at ? { ...row, ...changes } : row)));
  return (
    <div class="fields">
      {rows?.map((row, at) => (
        <div class="schema-row" key={at}>
          <input aria-label={`Name of field ${at + 1}`} placeholder="name" value={row.name} onInput={(event) => set(at, { name: event.currentTarget.value })} />
          <select aria-label={`Type of field ${at + 1}`} value={row.type} onChange={(event) => set(at, { type: event.currentTarget.value as FieldType })}>
            {TYPES.map((type) => <option key={type}>{type}</option>)}
          </select>
          {row.type === 'one of' && <input aria-label={`Values of field ${at + 1}`} placeholder="red, green" value={row.values} onInput={(event) => set(at, { values: event.currentTarget.value })} />}
          <IconButton icon="close" label={`Remove field ${at + 1}`} onClick={() => put(rows.filter((_, index) => index !== at))} />
        </div>
      ))}
      <div>
        {rows !== undefined && <button type="button" class="quiet small" onClick={() => put([...rows, { name: '', type: 'string', values: '' }])}><Icon name="plus" size={16} /> Add a field</button>}
        {text !== '' && <button type="button" class="quiet small" onClick={() => put([])}>Answer freely</button>}
      </div>
      <details open={rows === undefined}>
        <summary>JSON schema</summary>
        <JsonField key={rows === undefined ? 'own' : text} label="Schema" value={text} onChange={(fresh) => { onChange(fresh); setRows(rowsOf(fresh)); }} />
      </details>
    </div>
  );
}
