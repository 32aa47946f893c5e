import { expect, it } from 'vitest'
import type { IngestMinute } from '@/lib/api'
import { barsOf, ingestRate, sourcesOf } from '@/views/operations/minutes'

function row(minute: string, more: Partial<IngestMinute> = {}): IngestMinute {
  const none = { received: 0, derived: 0, stored: 0, duplicate: 0, dead: 0, rejected: 0 }
  return { minute, ingestKeyId: 0, sourceModule: 'shop', reason: null, ...none, ...more }
}

const NEWEST_FIRST = [
  row('2026-01-01T10:02:00Z', { received: 5, stored: 5 }),
  row('2026-01-01T10:01:00Z', { received: 120, stored: 119, dead: 1 }),
]

it('the rate is that of the last full minute, and 0 without records', () => {
  expect(ingestRate(NEWEST_FIRST, Date.parse('2026-01-01T10:02:30Z'))).toBe(2)
  expect(ingestRate(NEWEST_FIRST, Date.parse('2026-01-01T10:09:30Z'))).toBe(0)
})

it('bars are in chronological order with every outcome', () => {
  const bars = barsOf(NEWEST_FIRST)

  expect(bars.map(({ start }) => start.slice(14, 16))).toEqual(['01', '02'])
  expect(bars[0]?.values).toEqual({ Stored: 119, Duplicate: 0, Rejected: 0, 'Dead letter': 1 })
})

it('sources are totalled with their reasons, highest first', () => {
  const sources = sourcesOf([
    row('2026-01-01T10:01:00Z', { received: 2, stored: 2 }),
    row('2026-01-01T10:01:00Z', {
      received: 7,
      rejected: 7,
      reason: 'too_old',
      sourceModule: 'old',
    }),
    row('2026-01-01T10:00:00Z', {
      received: 1,
      rejected: 1,
      reason: 'too_old',
      sourceModule: 'old',
    }),
  ])

  expect(sources.map(({ name, received }) => [name, received])).toEqual([
    ['old', 8],
    ['shop', 2],
  ])
  expect([...(sources[0]?.reasons ?? [])]).toEqual([['too_old', 8]])
})
