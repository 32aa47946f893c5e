import { useCallback, useEffect, useMemo, useRef, useState } from 'react'
import { useShortcuts } from '@/app/shortcuts'
import { Button } from '@/components/button'
import { PauseIcon, PlayIcon } from '@/components/icons'
import { neighbour, RecordList } from '@/components/records/RecordList'
import { Notice } from '@/components/states'
import { useMedium, useNarrow } from '@/components/useNarrow'
import { change, useRoute } from '@/lib/address'
import { formatCount, plural } from '@/lib/format'
import { hitPattern } from '@/lib/language'
import { usePreferences } from '@/lib/preferences'
import { saveRecords } from '@/lib/save'
import type { StreamState } from '@/lib/sse'
import { Tail, type TailState, useTail } from '@/lib/tail'
import { RecordPanel } from '@/views/record/RecordPanel'
import { useLearnAttributes } from '@/views/search/knownAttributes'
import { QueryField } from '@/views/search/QueryField'
import { filterBy, toggleFlag, useSearchState } from '@/views/search/searchState'

const LAST_MINUTES = { start: '-15m', end: 'now' }

export default function LiveView() {
  const search = useSearchState()
  const { params } = useRoute()
  const isRunning = params.get('run') !== '0'
  const tail = useRunningTail(search.q, isRunning)
  const state = useTail()
  useLearnAttributes(state.records)
  const pause = (isPaused: boolean) => tail.current?.pause(isPaused)
  const clear = () => tail.current?.clear()
  const run = (isOn: boolean) => change({ run: isOn ? null : '0' }, 'replace')
  const step = (by: number) => () => {
    const record = neighbour(
      state.records,
      search.selected ?? state.records.at(-1)?.id ?? null,
      (index) => index + by,
    )
    if (record) open(record.id)
  }
  const open = (id: string | null) => {
    if (id) pause(true)
    change({ id, tab: null }, 'replace')
  }
  useShortcuts({
    '/': () => document.getElementById('query')?.focus(),
    Space: () => pause(!state.isPaused),
    x: clear,
    w: () => toggleFlag('wrap', search.isWrapped),
    j: step(1),
    k: step(-1),
    Escape: () => open(null),
  })
  return (
    <div className="flex min-h-0 flex-1 flex-col">
      <h1 className="sr-only">Live tail</h1>
      <div className="flex flex-wrap items-center gap-2 border-b border-line bg-paper px-2 py-1.5 sm:px-3">
        <QueryField
          value={search.q}
          error={null}
          scope={LAST_MINUTES}
          onSearch={(q) => change({ q, id: null })}
        />
        <Controls state={state} isRunning={isRunning} onRun={run} onPause={pause} onClear={clear} />
      </div>
      <StatusLine state={state} isRunning={isRunning} onResume={() => pause(false)} />
      <Records state={state} search={search} onOpen={open} onPause={pause} />
    </div>
  )
}

/** Runs the tail for this query while the page is open and the tail is on. */
function useRunningTail(q: string, isRunning: boolean) {
  const tail = useRef<Tail | null>(null)
  useEffect(() => {
    if (!isRunning) return
    const started = new Tail(q)
    tail.current = started
    started.start()
    return () => started.stop()
  }, [q, isRunning])
  return tail
}

interface ControlsProps {
  state: TailState
  isRunning: boolean
  onRun: (isOn: boolean) => void
  onPause: (isPaused: boolean) => void
  onClear: () => void
}

function Controls({ state, isRunning, onRun, onPause, onClear }: ControlsProps) {
  return (
    <div role="toolbar" aria-label="Live tail" className="flex flex-wrap gap-1">
      <Button
        variant="outline"
        disabled={!isRunning}
        aria-pressed={state.isPaused}
        title="Space"
        onClick={() => onPause(!state.isPaused)}
      >
        {state.isPaused ? <PlayIcon size={14} /> : <PauseIcon size={14} />}
        {state.isPaused ? 'Resume' : 'Pause'}
      </Button>
      <Button variant="outline" title="x" onClick={onClear}>
        Clear
      </Button>
      <Button variant="outline" onClick={() => onRun(!isRunning)}>
        {isRunning ? 'Stop' : 'Start'}
      </Button>
      <Button
        variant="outline"
        disabled={!state.records.length}
        onClick={() => saveRecords(state.records, 'txt')}
      >
        Save
      </Button>
    </div>
  )
}

const STATES: Record<StreamState, string> = {
  connecting: 'connecting …',
  open: 'live',
  waiting: 'connection lost, reconnecting …',
  ended: 'stopped',
}

function StatusLine({
  state,
  isRunning,
  onResume,
}: {
  state: TailState
  isRunning: boolean
  onResume: () => void
}) {
  const isOpen = isRunning && state.state === 'open'
  return (
    <p
      className="flex flex-wrap items-center gap-x-4 border-b border-line bg-sheet px-3 py-1 text-xs"
      data-testid="tail-state"
    >
      <span role="status" className="flex items-center gap-1.5">
        <span
          aria-hidden="true"
          className={`size-2 rounded-full ${isOpen ? 'bg-accent' : 'bg-fill-warn'}`}
        />
        {isRunning ? STATES[state.state] : 'stopped'}
      </span>
      <span className="text-ink-2">{formatCount(state.rate)} lines/s</span>
      <span className="text-ink-2">{formatCount(state.received)} received</span>
      {state.missed > 0 && (
        <span className="text-level-warn">
          {plural(state.missed, 'record')} dropped: rate too high
        </span>
      )}
      {state.error && <span className="text-danger">{state.error}</span>}
      {state.isPaused && (
        <button
          type="button"
          className="ml-auto font-semibold text-accent underline"
          onClick={onResume}
        >
          Paused, {plural(state.waiting, 'new record')}: resume
        </button>
      )}
    </p>
  )
}

interface RecordsProps {
  state: TailState
  search: ReturnType<typeof useSearchState>
  onOpen: (id: string | null) => void
  onPause: (isPaused: boolean) => void
}

function Records({ state, search, onOpen, onPause }: RecordsProps) {
  const zone = usePreferences((preferences) => preferences.zone)
  const isNarrow = useNarrow()
  const isMedium = useMedium()
  const terms = useMemo(() => hitPattern(search.q), [search.q])
  const onUserScroll = usePauseOnScroll(state.isPaused, onPause)
  const chosen = state.records.find((record) => record.id === search.selected)
  if (!state.records.length) {
    return (
      <Notice title="No data yet">
        New records appear here as they arrive. Check the filter, or whether anything is sending.
      </Notice>
    )
  }
  return (
    <div className="flex min-h-0 flex-1">
      {!(isMedium && chosen) && (
        <section aria-label="Records" className="flex min-w-0 flex-1 flex-col">
          <RecordList
            records={state.records}
            label="Records"
            hasMore={false}
            selected={search.selected}
            onSelect={(record) => onOpen(record.id)}
            onNearEnd={() => undefined}
            columns={search.columns}
            isWrapped={search.isWrapped}
            isNarrow={isNarrow}
            zone={zone}
            terms={terms}
            onFilter={(field, value, wanted) => filterBy(search.q, field, value, wanted)}
            follow={!state.isPaused}
            onUserScroll={onUserScroll}
          />
        </section>
      )}
      {chosen && (
        <RecordPanel
          id={chosen.id}
          known={chosen}
          q={search.q}
          onFilter={(field, value, wanted) => filterBy(search.q, field, value, wanted)}
          onClose={() => onOpen(null)}
        />
      )}
    </div>
  )
}

/** Scrolling up pauses; scrolling back to the end resumes, if scrolling had paused the tail. */
function usePauseOnScroll(isPaused: boolean, onPause: (isPaused: boolean) => void) {
  const [pausedByScroll, setPausedByScroll] = useState(false)
  const current = useRef({ isPaused, pausedByScroll, onPause })
  useEffect(() => {
    current.current = { isPaused, pausedByScroll, onPause }
  })
  return useCallback((isAtEnd: boolean) => {
    const now = current.current
    const setPaused = (isPaused: boolean) => {
      // Immediately: the next event of the same scroll may precede the next render.
      current.current = { ...now, isPaused, pausedByScroll: isPaused }
      setPausedByScroll(isPaused)
      now.onPause(isPaused)
    }
    if (!isAtEnd && !now.isPaused) setPaused(true)
    else if (isAtEnd && now.isPaused && now.pausedByScroll) setPaused(false)
  }, [])
}
