import { describe, expect, it } from 'vitest'
import { stack } from '@/components/figures/stack'
import { addressOf, changed, readPlace, writePlace } from '@/lib/address'
import { queryText } from '@/lib/api'
import { type LogRecord, RecordPages } from '@/lib/record'
import { wordsOf } from '@/views/search/patternWords'
import { readSearch } from '@/views/search/place'

describe('the address', () => {
  it('comes back as it was written', () => {
    const hash = addressOf(['timeline', 'resource', 'a/b ?#%'], {
      q: 'x:"y z" & ä',
      kind: ['log', 'span'],
      none: null,
      empty: '',
    })
    const place = readPlace(hash)

    expect(place.path).toEqual(['timeline', 'resource', 'a/b ?#%'])
    expect(place.params.get('q')).toBe('x:"y z" & ä')
    expect(place.params.getAll('kind')).toEqual(['log', 'span'])
    expect(place.params.has('none')).toBe(false)
    expect(writePlace(place.path, place.params)).toBe(hash)
  })

  it('survives nonsense', () => {
    expect(readPlace('#/trace/%E0%A4%A').path).toEqual(['trace', '%E0%A4%A'])
    expect(readPlace('').path).toEqual([])
  })

  it('changes only what is named', () => {
    expect(changed(new URLSearchParams('a=1&b=2&b=3'), { a: null, c: '4' }).toString()).toBe(
      'b=2&b=3&c=4',
    )
  })

  it('holds the whole state of a search', () => {
    const search = readSearch(
      readPlace(
        '#/search?q=x&start=-1d&order=asc&cols=action,attr.a&wrap=1&full=1&show=patterns&id=7&every=10&group=kind',
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
      every: 10,
    })
  })
})

it('a query has no empty parameters', () => {
  expect(queryText({ q: '', start: '-1h', kind: ['a', 'b'], cursor: undefined, limit: 5 })).toBe(
    '?start=-1h&kind=a&kind=b&limit=5',
  )
  expect(queryText({})).toBe('')
})

it('a record that came twice is shown once, and pages are joined as they come', () => {
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

it('bars are stacked, with the gaps that the server left out', () => {
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

it('a pattern becomes the phrases that find it', () => {
  expect(wordsOf('order <num> for <*> failed: "x"')).toBe('"failed: \\"x\\"" "order" "for"')
})
