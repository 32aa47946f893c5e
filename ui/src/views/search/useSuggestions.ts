/** Completions at the caret: field names, values, recent queries. */

import { useQuery } from '@tanstack/react-query'
import { useDeferredValue, useMemo } from 'react'
import { readFacets } from '@/lib/api'
import { formatCompact } from '@/lib/format'
import { type CaretTerm, quoted } from '@/lib/language'
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

const MAX_CHOICES = 12
const FIXED_VALUES: Record<string, readonly string[]> = {
  level: LEVELS,
  kind: ['log', 'span', 'audit'],
}

export function useSuggestions(
  text: string,

  term: CaretTerm,
  scope: Scope,
  isOpen: boolean,
): Suggestion[] {
  const recent = usePreferences((state) => state.recent)
  const attributes = useKnownAttributes((state) => state.names)
  const values = useValues(term.field, scope, isOpen)
  return useMemo(() => {
    if (!isOpen) return []
    if (!text.trim())
      return [...recentQueries(recent), ...fieldNames('', attributes)].slice(0, MAX_CHOICES)
    if (term.field !== null) return matchingValues(values, term.typed)
    return term.typed ? fieldNames(term.typed, attributes).slice(0, MAX_CHOICES) : []
  }, [isOpen, text, term.field, term.typed, recent, attributes, values])
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

function matchingValues(values: FoundValue[], typed: string): Suggestion[] {
  const wanted = typed.toLowerCase().replace(/\*$/, '')
  return values
    .filter(({ value }) => value.toLowerCase().includes(wanted) && value !== typed)
    .slice(0, MAX_CHOICES)
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

function recentQueries(recent: string[]): Suggestion[] {
  return recent.slice(0, 5).map((query) => ({
    label: query,
    hint: 'recent query',
    insert: query,
    replacesAll: true,
  }))
}
