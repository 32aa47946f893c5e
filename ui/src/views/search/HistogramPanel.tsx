import { useQuery } from '@tanstack/react-query'
import { lazy, Suspense, useMemo } from 'react'
import type { BarSeries } from '@/components/charts/BarChart'
import { cx } from '@/components/class'
import { change } from '@/lib/address'
import { type LogQuery, readStats, type Stats, type ValueCount } from '@/lib/api'
import { formatCompact, formatCount, plural } from '@/lib/format'
import { filterState } from '@/lib/language'
import { LEVELS } from '@/lib/levels'
import { rangeOf, type Span, spanOf } from '@/lib/time'
import { filterBy, type GroupBy, setRange } from './searchState'

const BarChart = lazy(() => import('@/components/charts/BarChart'))

import { UntrustedText } from '@/components/untrusted'

const HEIGHT_PX = 96
const MAX_SERIES = 8

export function useStats(query: LogQuery, by: GroupBy, refreshKey: number) {
  return useQuery({
    queryKey: ['stats', query, by, refreshKey],
    queryFn: ({ signal }) => readStats(query, by, signal),
    placeholderData: (before) => before,
    retry: false,
  })
}

/** Record counts over time, coloured by level or another field; drag to zoom in. */
export function HistogramPanel({
  query,
  group,
  refreshKey,
}: {
  query: LogQuery
  group: GroupBy
  refreshKey: number
}) {
  const { data, error, isPending } = useStats(query, group, refreshKey)
  // biome-ignore lint/correctness/useExhaustiveDependencies: a refresh re-evaluates relative times
  const range = useMemo(
    () => spanOf({ start: query.start, end: query.end }, Date.now()),
    [query, refreshKey],
  )
  const endMs = data && query.end === 'now' ? Date.parse(data.end) : 0
  const span = range && { ...range, toMs: Math.max(range.toMs, endMs) }
  const series = useMemo(() => seriesOf(group, data?.totals ?? []), [group, data])
  return (
    <section aria-label="Histogram" className="border-b border-line bg-sheet px-2 pt-1 sm:px-3">
      <div className="flex flex-wrap items-center gap-x-3 gap-y-0.5 text-xs">
        <strong className="font-semibold" data-testid="total">
          {data ? plural(data.total, 'record') : isPending ? '…' : ''}
        </strong>
        {error && <span className="text-ink-3">{error.message}</span>}
        <Legend q={query.q} group={group} series={series} totals={data?.totals ?? []} />
        <GroupSelect group={group} />
      </div>
      <div style={{ height: HEIGHT_PX }}>
        {data && data.series.length > 0 && (
          <Suspense>
            <BarChart
              points={data.series}
              series={series}
              intervalS={data.interval ?? 0}
              span={span}
              height={HEIGHT_PX}
              label={summary(data)}
              onBrush={(brushed: Span) => setRange(rangeOf(brushed))}
            />
          </Suspense>
        )}
      </div>
    </section>
  )
}

function seriesOf(group: GroupBy, totals: ValueCount[]): BarSeries[] {
  if (group === 'level')
    return LEVELS.map((name) => ({ name, colour: `--fill-${name.toLowerCase()}` }))
  return totals
    .slice(0, MAX_SERIES)
    .map(({ value }, index) => ({ name: value, colour: `--service-${index}` }))
}

function summary({ total, totals }: Stats): string {
  const parts = totals.map(({ value, count }) => `${value} ${formatCount(count)}`)
  return `Histogram of ${plural(total, 'record')}: ${parts.join(', ')}. Use the time range button or keyboard shortcuts to change the range.`
}

function Legend({
  q,
  group,
  series,
  totals,
}: {
  q: string
  group: GroupBy
  series: BarSeries[]
  totals: ValueCount[]
}) {
  const counts = new Map(totals.map(({ value, count }) => [value, count]))
  return (
    <ul className="flex min-w-0 flex-wrap gap-x-1 max-sm:hidden" aria-label="Legend">
      {series.map(({ name, colour }) => {
        const state = filterState(q, group, name)
        return (
          <li key={name}>
            <button
              type="button"
              aria-pressed={state === 'for'}
              title={`Filter for ${name}`}
              className={cx(
                'inline-flex items-center gap-1.5 rounded px-1.5 py-0.5 text-ink-2 hover:bg-wash',
                state === 'for' && 'bg-accent-wash text-accent',
                state === 'out' && 'line-through',
              )}
              onClick={() => filterBy(q, group, name, 'for')}
            >
              <span
                className="size-2 rounded-[2px]"
                style={{ background: `var(${colour})` }}
                aria-hidden="true"
              />
              <span className="max-w-32 truncate">
                <UntrustedText text={name} />
              </span>
              <span className="text-ink-3">{formatCompact(counts.get(name) ?? 0)}</span>
            </button>
          </li>
        )
      })}
    </ul>
  )
}

const GROUPS: readonly (readonly [GroupBy, string])[] = [
  ['level', 'by level'],
  ['sourceModule', 'by service'],
  ['action', 'by action'],
  ['kind', 'by kind'],
]

function GroupSelect({ group }: { group: GroupBy }) {
  return (
    <select
      aria-label="Group histogram by"
      className="ml-auto rounded bg-sheet px-1 py-0.5 text-ink-2 hover:bg-wash"
      value={group}
      onChange={(event) =>
        change({ group: event.target.value === 'level' ? null : event.target.value }, 'replace')
      }
    >
      {GROUPS.map(([value, label]) => (
        <option key={value} value={value}>
          {label}
        </option>
      ))}
    </select>
  )
}
