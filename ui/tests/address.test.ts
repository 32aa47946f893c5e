import { describe, expect, it } from 'vitest'
import { stack } from '@/components/charts/stack'
import { addressOf, changed, formatRoute, parseRoute } from '@/lib/address'
import { queryString } from '@/lib/api'
import { type LogRecord, RecordPages } from '@/lib/record'
import { patternQuery } from '@/views/search/patternQuery'
import { parseSearch } from '@/views/search/searchState'

describe('the route', () => {
  it('survives a round trip', () => {
    const hash = addressOf(['timeline', 'resource', 'a/b ?#%'], {
      q: 'x:"y z" & ä',
      kind: ['log', 'span'],
      none: null,
      empty: '',
    })
    const route = parseRoute(hash)

    expect(route.path).toEqual(['timeline', 'resource', 'a/b ?#%'])
    expect(route.params.get('q')).toBe('x:"y z" & ä')
    expect(route.params.getAll('kind')).toEqual(['log', 'span'])
    expect(route.params.has('none')).toBe(false)
    expect(formatRoute(route.path, route.params)).toBe(hash)
  })

  it('tolerates invalid input', () => {
    expect(parseRoute('#/trace/%E0%A4%A').path).toEqual(['trace', '%E0%A4%A'])
    expect(parseRoute('').path).toEqual([])
  })

  it('changes only what is named', () => {
    expect(changed(new URLSearchParams('a=1&b=2&b=3'), { a: null, c: '4' }).toString()).toBe(
      'b=2&b=3&c=4',
    )
  })

  it('holds the whole state of a search', () => {
    const search = parseSearch(
      parseRoute(
        '#/search?q=x&start=-1d&order=asc&cols=action,attr.a&wrap=1&full=1&show=patterns&id=7&refresh=10&group=kind',
      ),
    )

    expect(search).toEqual({
      q: 'x',
      range: { start: '-1d', end: 'now' },
      kinds: [],
      order: 'asc',
      columns: ['action', 'attr.a'],
      isWrapped: true,
      isFull: true,
      show: 'patterns',
      group: 'kind',
      selected: '7',
      refreshS: 10,
    })
  })
})

it('a query string has no empty parameters', () => {
  expect(queryString({ q: '', start: '-1h', kind: ['a', 'b'], cursor: undefined, limit: 5 })).toBe(
    '?start=-1h&kind=a&kind=b&limit=5',
  )
  expect(queryString({})).toBe('')
})

it('pages are joined incrementally without duplicates', () => {
  const page = (...ids: string[]) => ids.map((id) => ({ id }) as LogRecord)
  const first = page('a', 'b', 'a')
  const second = page('b', 'c')
  const pages = new RecordPages()
  const ids = (records: LogRecord[]) => records.map(({ id }) => id).join('')

  expect(ids(pages.join([first]))).toBe('ab')
  expect(ids(pages.join([first, second]))).toBe('abc')
  expect(pages.join([first, second])).toBe(pages.join([first, second]))
  expect(ids(pages.join([second]))).toBe('bc')
  expect(pages.join([])).toEqual([])
})

it('bars are stacked, with the empty buckets that the server omits', () => {
  const points = [
    { start: '2026-01-01T00:00:00Z', values: { a: 1, b: 2 } },
    { start: '2026-01-01T00:02:00Z', values: { b: 3 } },
  ]

  expect(stack(points, ['a', 'b'], 60)).toMatchObject({
    counts: [
      [1, 0, 0],
      [2, 0, 3],
    ],
    sums: [
      [1, 0, 0],
      [3, 0, 3],
    ],
  })
  expect(stack([], ['a'], 60).times).toEqual([])
})

it('a pattern becomes a query with phrases', () => {
  expect(patternQuery('order <num> for <*> failed: "x"')).toBe('"failed: \\"x\\"" "order" "for"')
})
