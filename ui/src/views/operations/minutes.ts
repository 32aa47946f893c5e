/** Aggregates of the ingest counts per minute. */

import type { IngestMinute } from '@/lib/api'

export const OUTCOMES = ['Stored', 'Duplicate', 'Rejected', 'Dead letter'] as const

/** One bar per minute, oldest first. */
export function barsOf(minutes: IngestMinute[]) {
  const bars = minutes.map((row) => ({
    start: row.minute,
    values: {
      Stored: row.stored,
      Duplicate: row.duplicate,
      Rejected: row.rejected,
      'Dead letter': row.dead,
    },
  }))
  return bars.reverse()
}

/** Records per second in the last full minute before `nowMs`. */
export function ingestRate(minutes: IngestMinute[], nowMs: number): number {
  const minute = Math.floor(nowMs / 60_000) * 60_000 - 60_000
  const row = minutes.find((item) => Date.parse(item.minute) === minute)
  return (row?.received ?? 0) / 60
}

export interface Source {
  name: string
  received: number
  stored: number
  duplicate: number
  rejected: number
  dead: number
  /** Rejected records by reason. */
  reasons: Map<string, number>
}

/** Totals by service, highest first. */
export function sourcesOf(rows: IngestMinute[]): Source[] {
  const found = new Map<string, Source>()
  for (const row of rows) {
    const name = row.sourceModule ?? ''
    const source = found.get(name) ?? {
      ...{ name, received: 0, stored: 0, duplicate: 0, rejected: 0, dead: 0 },
      reasons: new Map<string, number>(),
    }
    for (const key of ['received', 'stored', 'duplicate', 'rejected', 'dead'] as const)
      source[key] += row[key]
    if (row.reason)
      source.reasons.set(row.reason, (source.reasons.get(row.reason) ?? 0) + row.rejected)
    found.set(name, source)
  }
  return [...found.values()].sort((left, right) => right.received - left.received)
}
