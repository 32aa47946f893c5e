import { useQuery } from '@tanstack/react-query'
import { lazy, Suspense, useMemo } from 'react'
import { cx } from '@/components/class'
import type { BarSeries } from '@/components/figures/BarChart'
import { change } from '@/lib/address'
import { type Question, readStats, type Stats, type ValueCount } from '@/lib/api'
import { formatCompact, formatCount, plural } from '@/lib/format'
import { filterState } from '@/lib/language'
import { LEVELS } from '@/lib/levels'
import { rangeOf, type Span, spanOf } from '@/lib/time'
import { filterBy, type GroupBy, setRange } from './place'

const BarChart = lazy(() => import('@/components/figures/BarChart'))

import { Strange } from '@/components/strange'

const HEIGHT_PX = 96
const MOST_SERIES = 8

export function useStats(question: Question, by: GroupBy, round: number) {
  return useQuery({
    queryKey: ['stats', question, by, round],
    queryFn: ({ signal }) => readStats(question, by, signal),
    placeholderData: (before) => before,
    retry: false,
  })
}

/** How many records when, coloured by level or by another field; drag to look closer. */
export function HistogramPanel({
  question,
  group,
  round,
}: {
  question: Question
  group: GroupBy
  round: number
}) {
  const { data, error, isPending } = useStats(question, group, round)
  // biome-ignore lint/correctness/useExhaustiveDependencies: a new round is a new now
  const span = useMemo(
    () => spanOf({ start: question.start, end: question.end }, Date.now()),
    [question, round],
  )
  const series = useMemo(() => seriesOf(group, data?.totals ?? []), [group, data])
  return (
    <section aria-label="Histogram" className="border-b border-line bg-sheet px-2 pt-1 sm:px-3">
      <div className="flex flex-wrap items-center gap-x-3 gap-y-0.5 text-xs">
        <strong className="font-semibold" data-testid="total">
          {data ? plural(data.total, 'record') : isPending ? '…' : 'No figures'}
        </strong>
        {error && <span className="text-ink-3">{error.message}</span>}
        <Legend q={question.q} group={group} series={series} totals={data?.totals ?? []} />
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
    .slice(0, MOST_SERIES)
    .map(({ value }, index) => ({ name: value, colour: `--service-${index}` }))
}

function summary({ total, totals }: Stats): string {
  const parts = totals.map(({ value, count }) => `${value} ${formatCount(count)}`)
  return `Histogram of ${plural(total, 'record')}: ${parts.join(', ')}. The range can be chosen with the keys or the time range button.`
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
                <Strange text={name} />
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
      aria-label="Colours of the histogram"
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
