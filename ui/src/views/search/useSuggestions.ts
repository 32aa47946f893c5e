/** What may stand at the caret: names of fields, values that occur, questions asked before. */

import { useQuery } from '@tanstack/react-query'
import { useDeferredValue, useMemo } from 'react'
import { readFacets } from '@/lib/api'
import { formatCompact } from '@/lib/format'
import { type Place, quoted } from '@/lib/language'
import { LEVELS } from '@/lib/levels'
import { usePreferences } from '@/lib/preferences'
import { FIELDS } from '@/lib/record'
import { useKnownAttributes } from './knownAttributes'

export interface Suggestion {
  label: string
  hint: string
  insert: string
  replacesAll?: boolean
}

interface Scope {
  start: string
  end: string
}

const MOST = 12
const FIXED_VALUES: Record<string, readonly string[]> = {
  level: LEVELS,
  kind: ['log', 'span', 'audit'],
}

export function useSuggestions(
  text: string,
  place: Place,
  scope: Scope,
  isOpen: boolean,
): Suggestion[] {
  const recent = usePreferences((state) => state.recent)
  const attributes = useKnownAttributes((state) => state.names)
  const values = useValues(place.field, scope, isOpen)
  return useMemo(() => {
    if (!isOpen) return []
    if (!text.trim()) return [...recentOnes(recent), ...fieldNames('', attributes)].slice(0, MOST)
    if (place.field !== null) return fittingValues(values, place.typed)
    return place.typed ? fieldNames(place.typed, attributes).slice(0, MOST) : []
  }, [isOpen, text, place.field, place.typed, recent, attributes, values])
}

interface FoundValue {
  value: string
  hint: string
}

function useValues(field: string | null, scope: Scope, isOpen: boolean): FoundValue[] {
  const name = useDeferredValue(field)
  const fixed = name ? FIXED_VALUES[name] : undefined
  const { data } = useQuery({
    queryKey: ['values', name, scope.start, scope.end],
    queryFn: ({ signal }) => readFacets({ q: '', ...scope }, [name ?? ''], 50, signal),
    enabled: isOpen && Boolean(name) && !fixed && name !== 'message' && name !== 'durationNs',
    retry: false,
  })
  if (fixed) return fixed.map((value) => ({ value, hint: '' }))
  const found = data?.[0]?.values ?? []
  return found.map(({ value, count }) => ({ value, hint: formatCompact(count) }))
}

function fittingValues(values: FoundValue[], typed: string): Suggestion[] {
  const wanted = typed.toLowerCase().replace(/\*$/, '')
  return values
    .filter(({ value }) => value.toLowerCase().includes(wanted) && value !== typed)
    .slice(0, MOST)
    .map(({ value, hint }) => ({ label: value, hint, insert: quoted(value) }))
}

function fieldNames(typed: string, attributes: readonly string[]): Suggestion[] {
  const wanted = typed.toLowerCase()
  const fields = FIELDS.filter(
    ({ name, label }) =>
      name.toLowerCase().startsWith(wanted) || label.toLowerCase().startsWith(wanted),
  ).map(({ name, hint }) => ({ label: `${name}:`, hint, insert: `${name}:` }))
  const named = wanted ? attributes.filter((name) => name.toLowerCase().includes(wanted)) : []
  return [
    ...fields,
    ...named.map((name) => ({ label: `${name}:`, hint: 'attribute', insert: `${name}:` })),
  ]
}

function recentOnes(recent: string[]): Suggestion[] {
  return recent.slice(0, 5).map((question) => ({
    label: question,
    hint: 'asked before',
    insert: question,
    replacesAll: true,
  }))
}
