/** A JSON schema of one level, made from rows of a form and read back into them. */

export type FieldType = 'string' | 'number' | 'integer' | 'boolean' | 'list of strings' | 'one of';

export interface Row {
  name: string;
  type: FieldType;
  /** For `one of`: the values, with commas between. */
  values: string;
}

type Schema = Record<string, unknown>;

export function schemaOf(rows: readonly Row[]): string {
  const named = rows.filter((row) => row.name.trim() !== '');
  if (named.length === 0) return '';
  const properties = Object.fromEntries(named.map((row) => [row.name.trim(), propertyOf(row)]));
  return JSON.stringify({ type: 'object', properties, required: Object.keys(properties), additionalProperties: false }, null, 2);
}

function propertyOf(row: Row): Schema {
  if (row.type === 'list of strings') return { type: 'array', items: { type: 'string' } };
  if (row.type !== 'one of') return { type: row.type };
  return { enum: row.values.split(',').map((value) => value.trim()).filter(Boolean) };
}

/** The rows of a schema that a form could have made; `undefined` for another. */
export function rowsOf(text: string): Row[] | undefined {
  if (!text.trim()) return [];
  try {
    const schema = JSON.parse(text) as Schema;
    const rows = Object.entries((schema['properties'] ?? {}) as Record<string, Schema>).map(([name, property]) => rowOf(name, property));
    const found = rows.filter((row): row is Row => row !== undefined);
    const same = JSON.stringify(JSON.parse(schemaOf(found) || '{}')) === JSON.stringify(schema);
    return same ? found : undefined;
  } catch {
    return undefined;
  }
}

function rowOf(name: string, property: Schema): Row | undefined {
  if (Array.isArray(property['enum'])) return { name, type: 'one of', values: (property['enum'] as string[]).join(', ') };
  if (property['type'] === 'array') return { name, type: 'list of strings', values: '' };
  if (['string', 'number', 'integer', 'boolean'].includes(String(property['type']))) return { name, type: property['type'] as FieldType, values: '' };
  return undefined;
}
