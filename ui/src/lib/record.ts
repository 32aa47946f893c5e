/** The record of the API, its field names and labels. */

import { ExactNumber, formatJson, type Json, type JsonObject } from './json'
import type { Level } from './levels'

export type Kind = 'log' | 'span' | 'audit'

export interface Metadata extends JsonObject {
  attributes: JsonObject
  resource: JsonObject
  scope: JsonObject
}

export interface LogRecord {
  id: string
  kind: Kind
  level: Level
  sourceModule: string
  action: string
  resourceId: string | null
  resourceType: string | null
  actorId: string | null
  ipAddress: string | null
  correlationId: string | null
  traceId: string | null
  spanId: string | null
  parentSpanId: string | null
  message: string
  createdAt: string
  receivedAt: string
  durationNs: number | null
  metadata: Metadata
}

export interface FieldName {
  /** Name in the query language and the API. */
  name: string
  label: string
  hint: string
}

/** Fields to filter by, in display order. */
export const FIELDS: readonly FieldName[] = [
  { name: 'level', label: 'Level', hint: 'DEBUG to CRITICAL; level:>=WARN' },
  { name: 'kind', label: 'Kind', hint: 'log, span or audit' },
  { name: 'sourceModule', label: 'Service', hint: 'sending service' },
  { name: 'action', label: 'Action', hint: 'event or span name' },
  { name: 'resourceType', label: 'Resource type', hint: 'type of the resource' },
  { name: 'resourceId', label: 'Resource', hint: 'object of the action' },
  { name: 'actorId', label: 'Actor', hint: 'user or system that acted' },
  { name: 'ipAddress', label: 'IP address', hint: 'client address or range: 203.0.113.0/24' },
  { name: 'correlationId', label: 'Correlation ID', hint: 'groups the records of one request' },
  { name: 'traceId', label: 'Trace ID', hint: '32 hex digits' },
  { name: 'spanId', label: 'Span ID', hint: '16 hex digits' },
  { name: 'message', label: 'Message', hint: 'log message' },
  { name: 'durationNs', label: 'Duration', hint: 'nanoseconds; durationNs:>1000000000' },
]

const NAMES: ReadonlySet<string> = new Set(FIELDS.map((field) => field.name))

export function isField(name: string): boolean {
  return NAMES.has(name)
}

export function labelOf(name: string): string {
  return FIELDS.find((field) => field.name === name)?.label ?? name
}

/** Value of a field, an attribute (`attr.x`) or a resource attribute (`resource.x`) as text. */
export function fieldText(record: LogRecord, name: string): string | null {
  if (name.startsWith('attr.')) return textOf(record.metadata.attributes[name.slice(5)])
  if (name.startsWith('resource.')) return textOf(record.metadata.resource[name.slice(9)])
  const value = (record as unknown as JsonObject)[name]
  return textOf(value)
}

export function textOf(value: Json | undefined): string | null {
  if (value === undefined || value === null) return null
  if (typeof value === 'object' && !(value instanceof ExactNumber)) return formatJson(value)
  return String(value)
}

/**
 * Joins pages of records into one list without duplicates. Appending a page costs the same whatever
 * the number of pages before it.
 */
export class RecordPages {
  private pages: readonly LogRecord[][] = []
  private records: LogRecord[] = []
  private seen = new Set<string>()

  join(pages: readonly LogRecord[][]): LogRecord[] {
    const isMore = this.pages.every((page, index) => page === pages[index])
    if (!isMore) {
      this.records = []
      this.seen = new Set()
    }
    const fresh = pages.slice(isMore ? this.pages.length : 0).flat()
    this.pages = pages
    if (fresh.length)
      this.records = this.records.concat(fresh.filter((record) => this.isNew(record)))
    return this.records
  }

  private isNew({ id }: LogRecord): boolean {
    if (this.seen.has(id)) return false
    this.seen.add(id)
    return true
  }
}
