import { useQuery } from '@tanstack/react-query'
import { useMemo, useState } from 'react'
import { useShortcuts } from '@/app/shortcuts'
import { Button, buttonClass } from '@/components/button'
import { ErrorNotice, Loading, Notice } from '@/components/states'
import { UntrustedText } from '@/components/untrusted'
import { addressOf, change, useRoute } from '@/lib/address'
import { readTrace } from '@/lib/api'
import { plural } from '@/lib/format'
import { usePreferences } from '@/lib/preferences'
import type { LogRecord } from '@/lib/record'
import { cut } from '@/lib/text'
import { formatDuration, formatTime } from '@/lib/time'
import { buildTrace, type SpanNode, type Trace, unfolded } from '@/lib/trace'
import { RecordPanel } from '@/views/record/RecordPanel'
import { TraceLogs } from './TraceLogs'
import { Waterfall } from './Waterfall'

export default function TraceView({ path }: { path: string[] }) {
  const id = path[1] ?? ''
  const { data, error, isPending, refetch } = useQuery({
    queryKey: ['trace', id],
    queryFn: ({ signal }) => readTrace(id, signal),
  })
  const trace = useMemo(() => buildTrace(data?.records ?? []), [data])
  if (isPending) return <Loading what="the trace" />
  if (error)
    return <ErrorNotice isPage error={error} what="the trace" onRetry={() => void refetch()} />
  if (!data.records.length) {
    return (
      <Notice
        isPage
        title="Trace not found"
        action={
          <a className="text-accent underline" href="#/traces">
            Search traces
          </a>
        }
      >
        No spans or logs with trace ID {id}. They may not have arrived yet, or may have expired.
      </Notice>
    )
  }
  return (
    <Shown
      id={id}
      trace={trace}
      records={data.records}
      isCut={data.isCut}
      onRefresh={() => void refetch()}
    />
  )
}

interface ShownProps {
  id: string
  trace: Trace
  records: LogRecord[]
  isCut: boolean
  onRefresh: () => void
}

function Shown({ id, trace, records, isCut, onRefresh }: ShownProps) {
  const { params } = useRoute()
  const selected = params.get('id')
  const [collapsed, setCollapsed] = useState<ReadonlySet<string>>(new Set())
  const isCriticalOnly = params.get('critical') === '1'
  const spans = useMemo(() => {
    const shown = unfolded(trace.roots, collapsed)
    return isCriticalOnly ? shown.filter((span) => span.isCritical) : shown
  }, [trace, collapsed, isCriticalOnly])
  const select = (record: LogRecord) => change({ id: record.id }, 'replace')
  const fold = (span: SpanNode, isFolded: boolean) =>
    setCollapsed((before) => {
      const next = new Set(before)
      isFolded ? next.add(span.record.id) : next.delete(span.record.id)
      return next
    })
  useTraceKeys({ spans, selected, select, fold, isCriticalOnly, onRefresh })
  const chosen = records.find((record) => record.id === selected)
  return (
    <div className="flex min-h-0 flex-1 flex-col">
      <Head id={id} trace={trace} records={records} isCriticalOnly={isCriticalOnly} />
      {isCut && (
        <p role="status" className="border-b border-line bg-warning-wash px-3 py-1">
          This trace is too large to display in full. Showing the first {records.length} records.
        </p>
      )}
      <div className="flex min-h-0 flex-1">
        <div
          className={
            chosen
              ? 'hidden min-h-0 min-w-0 flex-1 flex-col lg:flex'
              : 'flex min-h-0 min-w-0 flex-1 flex-col'
          }
        >
          {trace.spans.length > 0 && (
            <Waterfall
              trace={trace}
              spans={spans}
              selected={selected}
              collapsed={collapsed}
              onSelect={select}
              onFold={fold}
            />
          )}
          <TraceLogs trace={trace} selected={selected} onSelect={select} />
        </div>
        {chosen && (
          <RecordPanel
            id={chosen.id}
            known={chosen}
            q=""
            onClose={() => change({ id: null, tab: null }, 'replace')}
          />
        )}
      </div>
    </div>
  )
}

function Head({
  id,
  trace,
  records,
  isCriticalOnly,
}: {
  id: string
  trace: Trace
  records: LogRecord[]
  isCriticalOnly: boolean
}) {
  const zone = usePreferences((state) => state.zone)
  const root = trace.spans[0]?.record ?? records[0]
  const logs = records.length - trace.spans.length
  return (
    <header className="border-b border-line bg-sheet px-3 py-2">
      <div className="flex flex-wrap items-center gap-x-3 gap-y-1">
        <h1 className="min-w-0 truncate text-base font-semibold">
          {root?.action ? <UntrustedText text={cut(root.action, 200)} /> : 'Trace'}
        </h1>
        <span className="text-ink-2">
          <UntrustedText text={root?.sourceModule ?? ''} />
        </span>
        <span className="flex-1" />
        <Button
          variant="outline"
          aria-pressed={isCriticalOnly}
          title="Critical path only (p)"
          onClick={() => toggleCritical(isCriticalOnly)}
        >
          Critical path
        </Button>
        <a
          className={buttonClass('outline')}
          href={addressOf(['search'], { q: `traceId:${id}`, start: startBefore(records) })}
        >
          View logs
        </a>
      </div>
      <p className="flex flex-wrap gap-x-3 text-xs text-ink-2">
        <span>{root && formatTime(root.createdAt, zone, 6)}</span>
        <strong className="font-semibold text-ink">{formatDuration(trace.lengthNs)}</strong>
        <span>{plural(trace.spans.length, 'span')}</span>
        <span>{plural(logs, 'log')}</span>
        {trace.errors > 0 && (
          <span className="font-semibold text-level-error">{plural(trace.errors, 'error')}</span>
        )}
        {trace.orphans > 0 && (
          <span className="text-level-warn">{plural(trace.orphans, 'span')} without a parent</span>
        )}
        <span className="untrusted font-mono">{id}</span>
      </p>
      <Services trace={trace} />
    </header>
  )
}

function Services({ trace: { services, colours } }: { trace: Trace }) {
  if (!services.length) return null
  return (
    <ul
      aria-label="Services"
      tabIndex={0}
      className="mt-1 flex gap-x-4 gap-y-0.5 overflow-x-auto text-xs sm:flex-wrap"
    >
      {services.map(({ name, spans, errors, selfNs }) => (
        <li key={name} className="flex items-center gap-1.5 whitespace-nowrap">
          <span
            className="size-2.5 rounded-[3px]"
            style={{ background: colours.get(name) }}
            aria-hidden="true"
          />
          <UntrustedText text={name} />
          <span className="text-ink-3">
            {formatDuration(selfNs)} in {plural(spans, 'span')}
          </span>
          {errors > 0 && <span className="text-level-error">{plural(errors, 'error')}</span>}
        </li>
      ))}
    </ul>
  )
}

function startBefore(records: LogRecord[]): string {
  const first = records[0]
  return first ? new Date(Date.parse(first.createdAt) - 60_000).toISOString() : '-7d'
}

function toggleCritical(isSet: boolean): void {
  change({ critical: isSet ? null : '1' }, 'replace')
}

interface Keys {
  spans: SpanNode[]
  selected: string | null
  select: (record: LogRecord) => void
  fold: (span: SpanNode, isFolded: boolean) => void
  isCriticalOnly: boolean
  onRefresh: () => void
}

function useTraceKeys({ spans, selected, select, fold, isCriticalOnly, onRefresh }: Keys): void {
  const index = spans.findIndex((span) => span.record.id === selected)
  const step = (by: number) => () => {
    const next = spans[Math.min(Math.max(index + by, 0), spans.length - 1)]
    if (next) select(next.record)
  }
  const current = spans[index]
  useShortcuts({
    j: step(1),
    k: step(-1),
    ArrowDown: step(1),
    ArrowUp: step(-1),
    ArrowLeft: () => current && fold(current, true),
    ArrowRight: () => current && fold(current, false),
    p: () => toggleCritical(isCriticalOnly),
    r: onRefresh,
    Escape: () => (selected ? change({ id: null, tab: null }, 'replace') : window.history.back()),
  })
}
