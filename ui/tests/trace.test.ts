import { describe, expect, it } from 'vitest'
import type { LogRecord } from '@/lib/record'
import { buildTrace, serviceColours, unfolded } from '@/lib/trace'

function span(
  spanId: string,
  parent: string | null,
  startMs: number,
  lengthMs: number,
  more: Partial<LogRecord> = {},
): LogRecord {
  return {
    id: `record-${spanId}`,
    kind: 'span',
    level: 'INFO',
    sourceModule: 'shop',
    action: spanId,
    spanId,
    parentSpanId: parent,
    createdAt: new Date(1_000_000 + startMs).toISOString().replace('Z', '000000Z'),
    durationNs: lengthMs * 1e6,
    ...more,
  } as LogRecord
}

function log(id: string, spanId: string | null, atMs: number): LogRecord {
  return { ...span(id, null, atMs, 0), kind: 'log', spanId, durationNs: null }
}

describe('the tree', () => {
  it('has children under their parents in chronological order', () => {
    const trace = buildTrace([
      span('a', null, 0, 100),
      span('c', 'a', 50, 10),
      span('b', 'a', 10, 10),
      span('d', 'b', 12, 2),
    ])

    expect(trace.spans.map(({ record, depth }) => `${record.spanId}${depth}`)).toEqual([
      'a0',
      'b1',
      'd2',
      'c1',
    ])
    expect(trace.lengthNs).toBe(100e6)
  })

  it('shows orphans as roots and marks them', () => {
    const trace = buildTrace([span('a', null, 0, 10), span('x', 'gone', 3, 1)])

    expect(trace.roots.map(({ record, isOrphan }) => [record.spanId, isOrphan])).toEqual([
      ['a', false],
      ['x', true],
    ])
    expect(trace.orphans).toBe(1)
  })

  it('loses no span of a cycle', () => {
    const trace = buildTrace([
      span('a', 'b', 0, 5),
      span('b', 'a', 1, 5),
      span('c', 'c', 2, 1),
      span('d', 'a', 3, 1),
    ])

    expect(trace.spans.map(({ record }) => record.spanId).sort()).toEqual(['a', 'b', 'c', 'd'])
  })

  it('holds a chain of 20,000 spans', () => {
    const chain = Array.from({ length: 20_000 }, (_, index) =>
      span(`s${index}`, index ? `s${index - 1}` : null, index, 1),
    )

    expect(buildTrace(chain).spans).toHaveLength(20_000)
  })

  it('hides the descendants of a collapsed span', () => {
    const trace = buildTrace([
      span('a', null, 0, 9),
      span('b', 'a', 1, 5),
      span('c', 'b', 2, 1),
      span('d', 'a', 7, 1),
    ])

    expect(unfolded(trace.roots, new Set(['record-b'])).map(({ record }) => record.spanId)).toEqual(
      ['a', 'b', 'd'],
    )
  })
})

it('logs are marks on their span, or loose', () => {
  const trace = buildTrace([
    span('a', null, 0, 10),
    log('l', 'a', 4),
    log('m', null, 5),
    log('n', 'gone', 6),
  ])

  expect(trace.spans[0]?.logs.map((mark) => mark.atNs)).toEqual([4e6])
  expect(trace.loose.map((mark) => mark.record.id)).toEqual(['record-m', 'record-n'])
})

it('the critical path determines the end of the trace', () => {
  const trace = buildTrace([
    span('root', null, 0, 100),
    span('early', 'root', 0, 30),
    span('beside', 'root', 5, 20),
    span('late', 'root', 40, 55),
    span('inner', 'late', 60, 30),
  ])

  expect(trace.spans.filter((node) => node.isCritical).map(({ record }) => record.spanId)).toEqual([
    'root',
    'early',
    'late',
    'inner',
  ])
})

it('self time excludes the time of children', () => {
  const trace = buildTrace([
    span('a', null, 0, 100),
    span('b', 'a', 10, 50, { sourceModule: 'bank' }),
    span('c', 'a', 40, 40, { sourceModule: 'bank', level: 'ERROR' }),
  ])

  expect(trace.services).toEqual([
    { name: 'bank', spans: 2, errors: 1, selfNs: 90e6 },
    { name: 'shop', spans: 1, errors: 0, selfNs: 30e6 },
  ])
})

it('services have distinct colours while there are enough', () => {
  const names = [
    'storefront',
    'checkout',
    'inventory',
    'payment',
    'auth',
    'catalog',
    'notification',
    'cart',
  ]

  expect(new Set(serviceColours(names).values()).size).toBe(names.length)
})
