/** The fields of a record in display groups, each with its filter name. */

import { ExactNumber, isObject, type Json, type JsonObject, sortedEntries } from '@/lib/json'
import { FIELDS, type LogRecord, textOf } from '@/lib/record'

export interface FieldEntry {
  label: string
  /** Name in the query language; null when it cannot be searched. */
  filter: string | null
  value: Json
}

export interface FieldGroup {
  title: string
  entries: FieldEntry[]
}

const EXCLUDED = new Set(['message', 'level'])

export function fieldGroups(record: LogRecord): FieldGroup[] {
  const { metadata } = record
  const groups = [
    { title: 'Record', entries: mainFields(record) },
    { title: 'Attributes', entries: entriesOf(metadata.attributes, 'attr.') },
    { title: 'Resource', entries: entriesOf(metadata.resource, 'resource.') },
    { title: 'Body', entries: entriesOf(metadata.body, 'body.') },
    { title: 'Scope', entries: entriesOf(metadata.scope, 'scope.') },
    { title: 'Span', entries: entriesOf(metadata.span, 'span.') },
    { title: 'Original', entries: entriesOf(metadata.otel, 'otel.') },
  ]
  return groups.filter((group) => group.entries.length)
}

function mainFields(record: LogRecord): FieldEntry[] {
  const named = FIELDS.filter(({ name }) => !EXCLUDED.has(name)).map(({ name, label }) => ({
    label,
    filter: name,
    value: (record as unknown as JsonObject)[name] ?? null,
  }))
  const times = [
    { label: 'Received', filter: null, value: record.receivedAt },
    { label: 'Parent span ID', filter: null, value: record.parentSpanId },
    { label: 'ID', filter: 'id', value: record.id },
  ]
  return [...named, ...times].filter(({ value }) => value !== null && value !== '')
}

function entriesOf(value: Json | undefined, prefix: string): FieldEntry[] {
  if (!isObject(value)) return []
  return sortedEntries(value).flatMap(([name, item]) =>
    isObject(item) ? nestedEntries(item, name, nestedPrefix(prefix)) : entry(name, item, prefix),
  )
}

/** Members of a map, by their path; `attr.` and `resource.` are for names without maps only. */
function nestedEntries(value: JsonObject, path: string, prefix: string): FieldEntry[] {
  return sortedEntries(value).flatMap(([name, item]) =>
    isObject(item)
      ? nestedEntries(item, `${path}.${name}`, prefix)
      : entry(`${path}.${name}`, item, prefix),
  )
}

function nestedPrefix(prefix: string): string {
  return prefix === 'attr.' || prefix === 'resource.' ? '' : prefix
}

function entry(label: string, value: Json, prefix: string): FieldEntry[] {
  if (textOf(value) === '') return []
  return [{ label, filter: isPlain(value) ? prefix + label : null, value }]
}

function isPlain(value: Json): boolean {
  return value === null || typeof value !== 'object' || value instanceof ExactNumber
}
