import { useCallback, useEffect, useMemo, useRef, useState } from 'react'
import { useShortcuts } from '@/app/shortcuts'
import { Button } from '@/components/button'
import { PauseIcon, PlayIcon } from '@/components/icons'
import { neighbour, RecordList } from '@/components/records/RecordList'
import { Notice } from '@/components/states'
import { useMedium, useNarrow } from '@/components/useNarrow'
import { change, usePlace } from '@/lib/address'
import { formatCount, plural } from '@/lib/format'
import { hitPattern } from '@/lib/language'
import { usePreferences } from '@/lib/preferences'
import { saveLines } from '@/lib/save'
import type { StreamState } from '@/lib/sse'
import { Tail, type TailState, useTail } from '@/lib/tail'
import { RecordPanel } from '@/views/record/RecordPanel'
import { useLearnAttributes } from '@/views/search/knownAttributes'
import { filterBy, toggleFlag, useSearchPlace } from '@/views/search/place'
import { QuestionField } from '@/views/search/QuestionField'

const LAST_MINUTES = { start: '-15m', end: 'now' }

export default function LiveView() {
  const search = useSearchPlace()
  const { params } = usePlace()
  const isRunning = params.get('run') !== '0'
  const tail = useRunningTail(search.q, isRunning)
  const state = useTail()
  useLearnAttributes(state.lines)
  const pause = (isPaused: boolean) => tail.current?.pause(isPaused)
  const clear = () => tail.current?.clear()
  const run = (isOn: boolean) => change({ run: isOn ? null : '0' }, 'replace')
  const step = (by: number) => () => {
    const record = neighbour(
      state.lines,
      search.selected ?? state.lines.at(-1)?.id ?? null,
      (index) => index + by,
    )
    if (record) open(record.id)
  }
  const open = (id: string | null) => {
    if (id) pause(true)
    change({ id, tab: null }, 'replace')
  }
  useShortcuts({
    '/': () => document.getElementById('question')?.focus(),
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
        <QuestionField
          value={search.q}
          fault={null}
          scope={LAST_MINUTES}
          onAsk={(q) => change({ q, id: null })}
        />
        <Controls state={state} isRunning={isRunning} onRun={run} onPause={pause} onClear={clear} />
      </div>
      <StateLine state={state} isRunning={isRunning} onResume={() => pause(false)} />
      <Lines state={state} search={search} onOpen={open} onPause={pause} />
    </div>
  )
}

/** The tail for this question, started and ended with the page and the switch. */
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
    <div role="toolbar" aria-label="Tail" className="flex flex-wrap gap-1">
      <Button
        look="outline"
        disabled={!isRunning}
        aria-pressed={state.isPaused}
        title="Space"
        onClick={() => onPause(!state.isPaused)}
      >
        {state.isPaused ? <PlayIcon size={14} /> : <PauseIcon size={14} />}
        {state.isPaused ? 'Resume' : 'Pause'}
      </Button>
      <Button look="outline" title="x" onClick={onClear}>
        Clear
      </Button>
      <Button look="outline" onClick={() => onRun(!isRunning)}>
        {isRunning ? 'Stop' : 'Start'}
      </Button>
      <Button
        look="outline"
        disabled={!state.lines.length}
        onClick={() => saveLines(state.lines, 'txt')}
      >
        Save
      </Button>
    </div>
  )
}

const STATES: Record<StreamState, string> = {
  connecting: 'connecting …',
  open: 'live',
  waiting: 'connection lost, trying again …',
  ended: 'stopped',
}

function StateLine({
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
      <span className="text-ink-2">{plural(state.rate, 'line')} a second</span>
      <span className="text-ink-2">{formatCount(state.received)} received</span>
      {state.missed > 0 && (
        <span className="text-level-warn">
          {plural(state.missed, 'line')} missed: too many to show
        </span>
      )}
      {state.error && <span className="text-danger">{state.error}</span>}
      {state.isPaused && (
        <button
          type="button"
          className="ml-auto font-semibold text-accent underline"
          onClick={onResume}
        >
          Paused, {plural(state.waiting, 'new line')}: resume
        </button>
      )}
    </p>
  )
}

interface LinesProps {
  state: TailState
  search: ReturnType<typeof useSearchPlace>
  onOpen: (id: string | null) => void
  onPause: (isPaused: boolean) => void
}

function Lines({ state, search, onOpen, onPause }: LinesProps) {
  const zone = usePreferences((preferences) => preferences.zone)
  const isNarrow = useNarrow()
  const isMedium = useMedium()
  const terms = useMemo(() => hitPattern(search.q), [search.q])
  const onScrolledBy = usePauseOnScroll(state.isPaused, onPause)
  const chosen = state.lines.find((record) => record.id === search.selected)
  if (!state.lines.length) {
    return (
      <Notice title="Waiting for lines">
        New records appear here as they arrive. Nothing comes? The question may be too narrow, or
        nobody is sending.
      </Notice>
    )
  }
  return (
    <div className="flex min-h-0 flex-1">
      {!(isMedium && chosen) && (
        <section aria-label="Lines" className="flex min-w-0 flex-1 flex-col">
          <RecordList
            records={state.lines}
            label="Lines"
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
            onScrolledBy={onScrolledBy}
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

/** Scrolling up pauses; scrolling back down to the end resumes what a scroll had paused. */
function usePauseOnScroll(isPaused: boolean, onPause: (isPaused: boolean) => void) {
  const [byScroll, setByScroll] = useState(false)
  const current = useRef({ isPaused, byScroll, onPause })
  useEffect(() => {
    current.current = { isPaused, byScroll, onPause }
  })
  return useCallback((isAtEnd: boolean) => {
    const now = current.current
    const turnTo = (isPaused: boolean) => {
      // At once: the next event of the same scroll may come before the page is drawn again.
      current.current = { ...now, isPaused, byScroll: isPaused }
      setByScroll(isPaused)
      now.onPause(isPaused)
    }
    if (!isAtEnd && !now.isPaused) turnTo(true)
    else if (isAtEnd && now.isPaused && now.byScroll) turnTo(false)
  }, [])
}
