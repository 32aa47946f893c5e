/** The fields of a record in display groups, each with its filter name. */

import { ExactNumber, isObject, type Json, type JsonObject, sortedEntries } from '@/lib/json'
import { canName } from '@/lib/language'
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
    { title: 'Scope', entries: entriesOf(metadata.scope, null) },
    { title: 'Span', entries: entriesOf(metadata.span, null) },
    { title: 'Original', entries: entriesOf(metadata.otel, null) },
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

function entriesOf(value: Json | undefined, prefix: string | null): FieldEntry[] {
  if (!isObject(value)) return []
  return sortedEntries(value)
    .filter(([, item]) => textOf(item) !== '')
    .map(([name, item]) => ({
      label: name,
      filter: prefix !== null && isPlain(item) && canName(prefix + name) ? prefix + name : null,
      value: item,
    }))
}

function isPlain(value: Json): boolean {
  return value === null || typeof value !== 'object' || value instanceof ExactNumber
}
