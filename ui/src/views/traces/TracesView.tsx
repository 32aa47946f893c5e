import { useInfiniteQuery } from '@tanstack/react-query'
import { type FormEvent, useState } from 'react'
import { useShortcuts } from '@/app/shortcuts'
import { Button } from '@/components/button'
import { cx } from '@/components/class'
import { ErrorNotice, Loading, Notice } from '@/components/states'
import { UntrustedText } from '@/components/untrusted'
import { addressOf, change, go, useRoute } from '@/lib/address'
import { searchTraces, type TraceSummary } from '@/lib/api'
import { formatCount } from '@/lib/format'
import { usePreferences } from '@/lib/preferences'
import { cut } from '@/lib/text'
import { DEFAULT_RANGE, formatDuration, formatTime, type Range } from '@/lib/time'
import { RangePicker } from '@/views/search/RangePicker'
import { setRange } from '@/views/search/searchState'

const PAGE = 100

interface TraceFilter {
  service: string
  operation: string
  minDuration: string
  status: string
}

export default function TracesView() {
  const { params } = useRoute()
  const range: Range = {
    start: params.get('start') ?? DEFAULT_RANGE.start,
    end: params.get('end') ?? DEFAULT_RANGE.end,
  }
  const filter: TraceFilter = {
    service: params.get('service') ?? '',
    operation: params.get('operation') ?? '',
    minDuration: params.get('minDuration') ?? '',
    status: params.get('status') ?? '',
  }
  const [refreshKey, setRefreshKey] = useState(0)
  const query = useInfiniteQuery({
    queryKey: ['traces', range, filter, refreshKey],
    queryFn: ({ pageParam, signal }) =>
      searchTraces({ ...filter, ...range, limit: PAGE, cursor: pageParam }, signal),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (page) => page.nextCursor ?? undefined,
  })
  useShortcuts({
    r: () => setRefreshKey(refreshKey + 1),
    '/': () => document.getElementById('trace-service')?.focus(),
  })
  const traces = query.data?.pages.flatMap((page) => page.data) ?? []
  return (
    <div className="flex min-h-0 flex-1 flex-col">
      <h1 className="sr-only">Traces</h1>
      <div className="flex flex-wrap items-end gap-2 border-b border-line bg-paper px-2 py-2 sm:px-3">
        <FilterForm key={JSON.stringify(filter)} filter={filter} />
        <span className="flex-1" />
        <RangePicker range={range} onChange={setRange} />
      </div>
      {query.isPending && <Loading what="traces" />}
      {query.error && (
        <ErrorNotice error={query.error} what="traces" onRetry={() => void query.refetch()} />
      )}
      {query.data && !traces.length && (
        <Notice title="No traces found">
          Widen the time range or remove a filter. Services send traces over OTLP to /v1/traces.
        </Notice>
      )}
      {traces.length > 0 && (
        <div className="min-h-0 flex-1 overflow-auto bg-sheet">
          <TraceTable traces={traces} />
          {query.hasNextPage && (
            <Button
              variant="outline"
              className="m-3"
              disabled={query.isFetching}
              onClick={() => void query.fetchNextPage()}
            >
              {query.isFetching ? 'Loading …' : 'Load more'}
            </Button>
          )}
        </div>
      )}
    </div>
  )
}

const FIELD = 'h-8 w-full rounded-md border border-line-strong bg-sheet px-2'

function FilterForm({ filter }: { filter: TraceFilter }) {
  const onSubmit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault()
    const typed = Object.fromEntries(new FormData(event.currentTarget)) as Record<string, string>
    if (/^[0-9a-f-]{32,36}$/i.test(typed.service ?? ''))
      go(addressOf(['trace', typed.service?.replaceAll('-', '') ?? '']))
    else change(typed)
  }
  return (
    <form onSubmit={onSubmit} className="grid w-full grid-cols-2 items-end gap-2 sm:flex sm:w-auto">
      <label className="text-xs text-ink-2 sm:w-44">
        Service or trace ID
        <input id="trace-service" name="service" defaultValue={filter.service} className={FIELD} />
      </label>
      <label className="text-xs text-ink-2 sm:w-44">
        Operation
        <input name="operation" defaultValue={filter.operation} className={FIELD} />
      </label>
      <label className="text-xs text-ink-2 sm:w-28">
        Min duration
        <input
          name="minDuration"
          placeholder="250ms"
          defaultValue={filter.minDuration}
          className={FIELD}
        />
      </label>
      <label className="text-xs text-ink-2">
        Status
        <select name="status" defaultValue={filter.status} className={FIELD}>
          <option value="">any</option>
          <option value="error">error</option>
          <option value="ok">ok</option>
        </select>
      </label>
      <Button type="submit" variant="solid" className="h-8">
        Search
      </Button>
    </form>
  )
}

function TraceTable({ traces }: { traces: TraceSummary[] }) {
  const longest = Math.max(1, ...traces.map((trace) => Number(trace.durationNs)))
  return (
    <table className="w-full text-xs">
      <caption className="sr-only">Traces, newest first</caption>
      <thead className="row-heads text-left">
        <tr>
          {['Started', 'Service', 'Operation', 'Duration', 'Spans', 'Errors', 'Services'].map(
            (name) => (
              <th
                key={name}
                scope="col"
                className={cx('px-3 py-1 font-normal', name === 'Services' && 'max-md:hidden')}
              >
                {name}
              </th>
            ),
          )}
        </tr>
      </thead>
      <tbody>
        {traces.map((trace) => (
          <TraceLine key={trace.traceId} trace={trace} longest={longest} />
        ))}
      </tbody>
    </table>
  )
}

function TraceLine({ trace, longest }: { trace: TraceSummary; longest: number }) {
  const zone = usePreferences((state) => state.zone)
  const duration = Number(trace.durationNs)
  return (
    <tr className="border-b border-line hover:bg-wash">
      <td className="px-3 py-1.5 font-mono whitespace-nowrap text-ink-2">
        {formatTime(trace.start, zone).slice(5)}
      </td>
      <td className="px-3">
        <UntrustedText text={cut(trace.service, 60)} />
      </td>
      <td className="px-3">
        <a
          className="font-medium text-accent hover:underline"
          href={addressOf(['trace', trace.traceId])}
        >
          <UntrustedText text={cut(trace.operation || trace.traceId, 120)} />
        </a>
      </td>
      <td className="px-3">
        <span className="flex items-center gap-2 whitespace-nowrap">
          <span className="hidden w-24 sm:block" aria-hidden="true">
            <span
              className="block h-1.5 rounded bg-accent"
              style={{ width: `${Math.max(1, (100 * duration) / longest)}%` }}
            />
          </span>
          {formatDuration(duration)}
        </span>
      </td>
      <td className="px-3">{formatCount(trace.spans)}</td>
      <td className={cx('px-3', trace.errors > 0 && 'font-semibold text-level-error')}>
        {trace.errors || '–'}
      </td>
      <td className="px-3 text-ink-2 max-md:hidden">
        <UntrustedText text={cut((trace.services ?? []).join(', '), 80)} />
      </td>
    </tr>
  )
}
