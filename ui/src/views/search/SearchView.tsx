import { useEffect, useMemo, useState } from 'react'
import { useShortcuts } from '@/app/shortcuts'
import { Dialog } from '@/components/dialog'
import { neighbour, RecordList } from '@/components/records/RecordList'
import { ErrorNotice, Loading, Notice } from '@/components/states'
import { useMedium, useNarrow, useSmall } from '@/components/useNarrow'
import { addressOf, change, go } from '@/lib/address'
import { ApiError, type Question } from '@/lib/api'
import { formatCount } from '@/lib/format'
import { hitPattern } from '@/lib/language'
import { usePreferences } from '@/lib/preferences'
import type { LogRecord } from '@/lib/record'
import { useMay } from '@/lib/session'
import { moved, widened } from '@/lib/time'
import { RecordPanel } from '@/views/record/RecordPanel'
import { Facets } from './Facets'
import { HistogramPanel } from './HistogramPanel'
import { useLearnAttributes } from './knownAttributes'
import { Patterns } from './Patterns'
import {
  filterBy,
  type SearchPlace,
  setRange,
  toggleFlag,
  useQuestion,
  useSearchPlace,
} from './place'
import { type Fault, QuestionField } from './QuestionField'
import { RangePicker } from './RangePicker'
import { Toolbar } from './Toolbar'
import { type Records, useSearch } from './useRecords'

export function SearchView() {
  const search = useSearchPlace()
  const question = useQuestion(search)
  const [round, setRound] = useState(0)
  const refresh = () => setRound((before) => before + 1)
  const mayReadLogs = useMay('logs.read')
  const asked = useMemo(
    () => (mayReadLogs ? question : { ...question, kind: ['audit'] }),
    [question, mayReadLogs],
  )
  const found = useSearch(asked, search.order, round)
  const values = useValuesPanel()
  const isMedium = useMedium()
  useLearnAttributes(found.records)
  useEvery(search.every, refresh)
  useSearchKeys(search, found, refresh)
  const selected = search.selected
  const isPanelOver = isMedium && selected !== null
  // On a telephone an open record has the screen; the question stays in sight.
  const isBrief = useNarrow() && selected !== null
  return (
    <div className="flex min-h-0 flex-1 flex-col">
      <h1 className="sr-only">Search</h1>
      {!search.isFull && (
        <Head search={search} question={asked} found={found} round={round} isBrief={isBrief} />
      )}
      {!isBrief && (
        <Toolbar
          search={search}
          question={asked}
          records={found.records}
          onRefresh={refresh}
          areValuesShown={values.isBeside}
          onValues={values.toggle}
        />
      )}
      {found.notice && (
        <p role="status" className="border-b border-line bg-warning-wash px-3 py-1">
          {found.notice}
        </p>
      )}
      {values.isOver && (
        <Dialog title="Values" open onClose={values.close}>
          <Facets question={asked} round={round} />
        </Dialog>
      )}
      <div className="flex min-h-0 flex-1">
        {values.isBeside && !search.isFull && !isPanelOver && (
          <aside className="w-60 shrink-0 overflow-y-auto border-r border-line">
            <Facets question={asked} round={round} />
          </aside>
        )}
        {!isPanelOver && <Lines search={search} question={asked} found={found} round={round} />}
        {selected && search.show === 'lines' && (
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

/** The values stand beside the lines where there is room, and open over them where there is none. */
function useValuesPanel() {
  const { facets, setFacets } = usePreferences()
  const [isOver, setOver] = useState(false)
  const isSmall = useSmall()
  return {
    isBeside: facets && !isSmall,
    isOver: isOver && isSmall,
    toggle: () => (isSmall ? setOver(!isOver) : setFacets(!facets)),
    close: () => setOver(false),
  }
}

interface Parts {
  search: SearchPlace
  question: Question
  found: Records
  round: number
}

function Head({ search, question, found, round, isBrief }: Parts & { isBrief: boolean }) {
  const remember = usePreferences((state) => state.remember)
  const ask = (q: string) => {
    if (q) remember(q)
    change({ q, id: null })
  }
  return (
    <>
      <div className="flex flex-wrap items-start gap-x-2 gap-y-1 border-b border-line bg-paper px-2 py-1.5 sm:px-3">
        <QuestionField
          value={search.q}
          fault={faultOf(found.error, search.q)}
          scope={search.range}
          onAsk={ask}
        />
        <RangePicker range={search.range} onChange={setRange} />
      </div>
      {!isBrief && <HistogramPanel question={question} group={search.group} round={round} />}
    </>
  )
}

/** The server counts characters, the browser halves of some of them. */
function unitsOf(text: string, characters: number): number {
  return [...text].slice(0, characters).join('').length
}

function faultOf(error: unknown, q: string): Fault | null {
  const fault = error instanceof ApiError ? error.about('q') : null
  if (!fault || fault.position === undefined) return fault
  return { ...fault, position: unitsOf(q, fault.position) }
}

function Lines({ search, question, found, round }: Parts) {
  const zone = usePreferences((state) => state.zone)
  const isNarrow = useNarrow()
  const terms = useMemo(() => hitPattern(search.q), [search.q])
  if (search.show === 'patterns') return <Patterns question={question} round={round} />
  if (found.isLoading) return <Loading what="records" />
  if (faultOf(found.error, search.q)) {
    return (
      <Notice title="The question cannot be read">
        Mend it above, where it is underlined. ? shows how to ask.
      </Notice>
    )
  }
  if (found.error && !found.records.length) {
    return <ErrorNotice error={found.error} what="Records" onRetry={found.retry} />
  }
  if (!found.records.length) return <Nothing search={search} />
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

/** Going from line to line is one step in the browser's history, opening the first one another. */
function select(record: LogRecord, search: SearchPlace): void {
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
          ? 'asking …'
          : `${formatCount(found.records.length)} loaded${found.hasMore ? ', more below' : ', that is all'}`}
      </span>
      {found.isLoadingMore && <span>loading more …</span>}
      {found.error instanceof Error && found.records.length > 0 && (
        <button type="button" className="text-danger underline" onClick={found.retry}>
          {found.error.message}: try again
        </button>
      )}
    </p>
  )
}

function Nothing({ search }: { search: SearchPlace }) {
  return (
    <Notice
      title="No records found"
      action={
        <div className="flex gap-2">
          <button
            type="button"
            className="text-accent underline"
            onClick={() => setRange(widened(search.range))}
          >
            Look further back
          </button>
          {search.q && (
            <button
              type="button"
              className="text-accent underline"
              onClick={() => change({ q: null })}
            >
              Clear the question
            </button>
          )}
        </div>
      }
    >
      {search.q
        ? 'Nothing in this range fits the question. Take a longer range, or fewer words.'
        : 'Nothing arrived in this range. Send something: opslog demo makes some records in a few seconds.'}
    </Notice>
  )
}

function useEvery(seconds: number, refresh: () => void): void {
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

function useSearchKeys(search: SearchPlace, found: Records, refresh: () => void): void {
  const step = (by: number) => () => {
    const record = neighbour(found.records, search.selected, (index) => index + by)
    if (record) select(record, search)
  }
  const selected = found.records.find((record) => record.id === search.selected)
  useShortcuts({
    '/': () => document.getElementById('question')?.focus(),
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
