/** The state of the search page, kept in the URL. */

import { useMemo } from 'react'
import { change, type Route, useRoute } from '@/lib/address'
import type { LogQuery, Order } from '@/lib/api'
import { toggleFilter } from '@/lib/language'
import { DEFAULT_RANGE, type Range } from '@/lib/time'

export type Show = 'records' | 'patterns'
export type GroupBy = 'level' | 'sourceModule' | 'action' | 'kind'

export interface SearchState {
  q: string
  range: Range
  kinds: string[]
  order: Order
  columns: string[]
  isWrapped: boolean
  isFull: boolean
  show: Show
  group: GroupBy
  selected: string | null
  /** Auto-refresh interval in seconds, 0 for off. */
  refreshS: number
}

export const DEFAULT_COLUMNS = ['sourceModule']

export function parseSearch({ params }: Route): SearchState {
  return {
    q: params.get('q') ?? '',
    range: {
      start: params.get('start') ?? DEFAULT_RANGE.start,
      end: params.get('end') ?? DEFAULT_RANGE.end,
    },
    kinds: params.getAll('kind'),
    order: params.get('order') === 'asc' ? 'asc' : 'desc',
    columns: params.has('cols')
      ? (params.get('cols') as string).split(',').filter(Boolean)
      : DEFAULT_COLUMNS,
    isWrapped: params.get('wrap') === '1',
    isFull: params.get('full') === '1',
    show: params.get('show') === 'patterns' ? 'patterns' : 'records',
    group: (params.get('group') as GroupBy | null) ?? 'level',
    selected: params.get('id'),
    refreshS: Number(params.get('refresh')) || 0,
  }
}

export function useSearchState(): SearchState {
  const route = useRoute()
  return useMemo(() => parseSearch(route), [route])
}

export function useLogQuery(search: SearchState): LogQuery {
  const { q, range, kinds } = search
  return useMemo(
    () => ({ q, start: range.start, end: range.end, kind: kinds }),
    [q, range.start, range.end, kinds],
  )
}

export function setRange(range: Range): void {
  change({ start: range.start, end: range.end === 'now' ? null : range.end, id: null })
}

export function setColumns(columns: string[]): void {
  const isDefault = columns.join() === DEFAULT_COLUMNS.join()
  change({ cols: isDefault ? null : columns.join() || ',' }, 'replace')
}

export function toggleFlag(name: 'wrap' | 'full', isSet: boolean): void {
  change({ [name]: isSet ? null : '1' }, 'replace')
}

export type OnFilter = (field: string, value: string, wanted: 'for' | 'out') => void

/** Include or exclude a value, or remove the filter when it is set already. */
export function filterBy(q: string, field: string, value: string, wanted: 'for' | 'out'): void {
  change({ q: toggleFilter(q, field, value, wanted) })
}
