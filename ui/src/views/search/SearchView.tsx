import { useEffect, useMemo, useState } from 'react'
import { useShortcuts } from '@/app/shortcuts'
import { Dialog } from '@/components/dialog'
import { neighbour, RecordList } from '@/components/records/RecordList'
import { ErrorNotice, Loading, Notice } from '@/components/states'
import { useMedium, useNarrow, useSmall } from '@/components/useNarrow'
import { addressOf, change, go } from '@/lib/address'
import { ApiError, type LogQuery, type ResultNotice } from '@/lib/api'
import { formatCount, plural } from '@/lib/format'
import { hitPattern } from '@/lib/language'
import { usePreferences } from '@/lib/preferences'
import type { LogRecord } from '@/lib/record'
import { usePermission } from '@/lib/session'
import { moved, widened } from '@/lib/time'
import { RecordPanel } from '@/views/record/RecordPanel'
import { Facets } from './Facets'
import { HistogramPanel } from './HistogramPanel'
import { useLearnAttributes } from './knownAttributes'
import { Patterns } from './Patterns'
import { type QueryError, QueryField } from './QueryField'
import { RangePicker } from './RangePicker'
import {
  filterBy,
  type SearchState,
  setRange,
  toggleFlag,
  useLogQuery,
  useSearchState,
} from './searchState'
import { Toolbar } from './Toolbar'
import { type Records, useSearch } from './useRecords'

export function SearchView() {
  const search = useSearchState()
  const query = useLogQuery(search)
  const [refreshKey, setRefreshKey] = useState(0)
  const refresh = () => setRefreshKey((before) => before + 1)
  const canReadLogs = usePermission('logs.read')
  const scopedQuery = useMemo(
    () => (canReadLogs ? query : { ...query, kind: ['audit'] }),
    [query, canReadLogs],
  )
  const found = useSearch(scopedQuery, search.order, refreshKey)
  const filters = useFilterPanel()
  const isMedium = useMedium()
  useLearnAttributes(found.records)
  useAutoRefresh(search.refreshS, refresh)
  useSearchKeys(search, found, refresh)
  const selected = search.selected
  const isListHidden = isMedium && selected !== null
  // On a phone an open record fills the screen below the search field.
  const isCompact = useNarrow() && selected !== null
  return (
    <div className="flex min-h-0 flex-1 flex-col">
      <h1 className="sr-only">Search</h1>
      {!search.isFull && (
        <Head
          search={search}
          query={scopedQuery}
          found={found}
          refreshKey={refreshKey}
          isCompact={isCompact}
        />
      )}
      {!isCompact && (
        <Toolbar
          search={search}
          query={scopedQuery}
          records={found.records}
          onRefresh={refresh}
          areFiltersShown={filters.isDocked}
          onToggleFilters={filters.toggle}
        />
      )}
      {found.notices.map((notice) => (
        <ResultNoticeLine key={notice.detail} notice={notice} />
      ))}
      {filters.isOverlay && (
        <Dialog title="Filters" open onClose={filters.close}>
          <Facets query={scopedQuery} refreshKey={refreshKey} />
        </Dialog>
      )}
      <div className="flex min-h-0 flex-1">
        {filters.isDocked && !search.isFull && !isListHidden && (
          <aside className="w-60 shrink-0 overflow-y-auto border-r border-line">
            <Facets query={scopedQuery} refreshKey={refreshKey} />
          </aside>
        )}
        {!isListHidden && (
          <Results search={search} query={scopedQuery} found={found} refreshKey={refreshKey} />
        )}
        {selected && search.show === 'records' && (
          <RecordPanel
            id={selected}
            known={found.records.find((record) => record.id === selected)}
            q={search.q}
            onFilter={(field, value, wanted) => filterBy(search.q, field, value, wanted)}
            onClose={() => change({ id: null, tab: null }, 'replace')}
          />
        )}
      </div>
    </div>
  )
}

/** A notice, and a button that sends the parameters that it suggests. */
function ResultNoticeLine({ notice }: { notice: ResultNotice }) {
  const suggested = notice.change
  return (
    <p role="status" className="border-b border-line bg-warning-wash px-3 py-1">
      {notice.detail}
      {suggested && (
        <button
          type="button"
          className="ml-2 text-accent underline"
          onClick={() => change({ ...suggested, id: null })}
        >
          {suggested.q
            ? `Search ${suggested.q}`
            : suggested.end
              ? 'Include them'
              : 'Search 30 days'}
        </button>
      )}
    </p>
  )
}

/** The filter panel: beside the list on wide screens, in a dialog on narrow ones. */
function useFilterPanel() {
  const { facets, setFacets } = usePreferences()
  const [isOverlay, setOverlay] = useState(false)
  const isSmall = useSmall()
  return {
    isDocked: facets && !isSmall,
    isOverlay: isOverlay && isSmall,
    toggle: () => (isSmall ? setOverlay(!isOverlay) : setFacets(!facets)),
    close: () => setOverlay(false),
  }
}

interface Parts {
  search: SearchState
  query: LogQuery
  found: Records
  refreshKey: number
}

function Head({ search, query, found, refreshKey, isCompact }: Parts & { isCompact: boolean }) {
  const remember = usePreferences((state) => state.remember)
  const run = (q: string) => {
    if (q) remember(q)
    change({ q, id: null })
  }
  return (
    <>
      <div className="flex flex-wrap items-start gap-x-2 gap-y-1 border-b border-line bg-paper px-2 py-1.5 sm:px-3">
        <QueryField
          value={search.q}
          error={queryErrorOf(found.error, search.q)}
          scope={search.range}
          onSearch={run}
        />
        <RangePicker range={search.range} onChange={setRange} />
      </div>
      {!isCompact && <HistogramPanel query={query} group={search.group} refreshKey={refreshKey} />}
    </>
  )
}

/** Convert a position in characters to UTF-16 code units. */
function unitsOf(text: string, characters: number): number {
  return [...text].slice(0, characters).join('').length
}

function queryErrorOf(error: unknown, q: string): QueryError | null {
  const found = error instanceof ApiError ? error.errorOf('q') : null
  if (!found || found.position === undefined) return found
  return { ...found, position: unitsOf(q, found.position) }
}

function Results({ search, query, found, refreshKey }: Parts) {
  const zone = usePreferences((state) => state.zone)
  const isNarrow = useNarrow()
  const terms = useMemo(() => hitPattern(search.q), [search.q])
  if (search.show === 'patterns')
    return <Patterns query={query} group={search.group} refreshKey={refreshKey} />
  if (found.isLoading) return <Loading what="records" />
  if (queryErrorOf(found.error, search.q)) {
    return (
      <Notice title="Syntax error">Fix the underlined part. Press ? for the query syntax.</Notice>
    )
  }
  if (found.error && !found.records.length) {
    return <ErrorNotice error={found.error} what="records" onRetry={found.retry} />
  }
  if (!found.records.length) return <Empty search={search} />
  return (
    <section
      aria-label="Records"
      aria-busy={found.isStale}
      className="flex min-w-0 flex-1 flex-col aria-busy:opacity-60"
    >
      <RecordList
        records={found.records}
        label="Records"
        hasMore={found.hasMore}
        selected={search.selected}
        onSelect={(record) => select(record, search)}
        onNearEnd={found.loadMore}
        columns={search.columns}
        isWrapped={search.isWrapped}
        isNarrow={isNarrow}
        zone={zone}
        terms={terms}
        onFilter={(field, value, wanted) => filterBy(search.q, field, value, wanted)}
      />
      <StatusLine found={found} />
    </section>
  )
}

/** Opening a record adds a history entry; moving to another record replaces it. */
function select(record: LogRecord, search: SearchState): void {
  change({ id: record.id }, search.selected ? 'replace' : 'push')
}

function StatusLine({ found }: { found: Records }) {
  return (
    <p
      role="status"
      className="flex gap-3 border-t border-line bg-paper px-3 py-0.5 text-2xs text-ink-3"
      data-testid="loaded"
    >
      <span>
        {found.isStale
          ? 'Loading …'
          : found.hasMore
            ? `${formatCount(found.records.length)} loaded, scroll for more`
            : plural(found.records.length, 'record')}
      </span>
      {found.isLoadingMore && <span>Loading more …</span>}
      {found.error instanceof Error && found.records.length > 0 && (
        <button type="button" className="text-danger underline" onClick={found.retry}>
          {found.error.message} Try again
        </button>
      )}
    </p>
  )
}

function Empty({ search }: { search: SearchState }) {
  return (
    <Notice
      title={search.q ? 'No records match' : 'No records in this range'}
      action={
        <div className="flex gap-2">
          <button
            type="button"
            className="text-accent underline"
            onClick={() => setRange(widened(search.range))}
          >
            Search a longer period
          </button>
          {search.q && (
            <button
              type="button"
              className="text-accent underline"
              onClick={() => change({ q: null })}
            >
              Clear query
            </button>
          )}
        </div>
      }
    >
      {search.q
        ? 'Widen the time range or remove a filter.'
        : 'Widen the time range, or send test data with opslog demo.'}
    </Notice>
  )
}

function useAutoRefresh(seconds: number, refresh: () => void): void {
  // biome-ignore lint/correctness/useExhaustiveDependencies: refresh only counts up
  useEffect(() => {
    if (!seconds) return
    const timer = setInterval(
      () => document.visibilityState === 'visible' && refresh(),
      seconds * 1000,
    )
    return () => clearInterval(timer)
  }, [seconds])
}

function useSearchKeys(search: SearchState, found: Records, refresh: () => void): void {
  const step = (by: number) => () => {
    const record = neighbour(found.records, search.selected, (index) => index + by)
    if (record) select(record, search)
  }
  const selected = found.records.find((record) => record.id === search.selected)
  useShortcuts({
    '/': () => document.getElementById('query')?.focus(),
    j: step(1),
    k: step(-1),
    Enter: () => search.selected === null && step(1)(),
    Escape: () =>
      search.selected
        ? change({ id: null, tab: null }, 'replace')
        : search.isFull && toggleFlag('full', true),
    w: () => toggleFlag('wrap', search.isWrapped),
    f: () => toggleFlag('full', search.isFull),
    o: () => change({ order: search.order === 'desc' ? 'asc' : null, id: null }),
    r: refresh,
    '[': () => setRange(moved(search.range, -1)),
    ']': () => setRange(moved(search.range, 1)),
    '-': () => setRange(widened(search.range)),
    t: () => selected?.traceId && go(addressOf(['trace', selected.traceId], { id: selected.id })),
  })
}
