import { lazy, Suspense, useMemo, useState } from 'react'
import { useShortcuts } from '@/app/shortcuts'
import { IconButton } from '@/components/button'
import type { BarSeries } from '@/components/charts/BarChart'
import { RefreshIcon } from '@/components/icons'
import { LevelTag } from '@/components/level'
import { ErrorNotice, Loading, Notice } from '@/components/states'
import { UntrustedText } from '@/components/untrusted'
import { addressOf, change } from '@/lib/address'
import type { LogQuery, Stats, ValueCount } from '@/lib/api'
import { formatCompact, formatCount, formatShare } from '@/lib/format'
import { quoted } from '@/lib/language'
import { isLevel, LEVELS } from '@/lib/levels'
import { cut } from '@/lib/text'
import { rangeOf, type Span, spanOf } from '@/lib/time'
import { useStats } from '@/views/search/HistogramPanel'
import { QueryField } from '@/views/search/QueryField'
import { RangePicker } from '@/views/search/RangePicker'
import { setRange, useLogQuery, useSearchState } from '@/views/search/searchState'

const BarChart = lazy(() => import('@/components/charts/BarChart'))

const HEIGHT_PX = 220
const MAX_ROWS = 15
const LEVEL_SERIES: BarSeries[] = LEVELS.map((name) => ({
  name,
  colour: `--fill-${name.toLowerCase()}`,
}))

export default function StatsView() {
  const search = useSearchState()
  const query = useLogQuery(search)
  const [refreshKey, setRefreshKey] = useState(0)
  const refresh = () => setRefreshKey(refreshKey + 1)
  useShortcuts({ r: refresh, '/': () => document.getElementById('query')?.focus() })
  const levels = useStats(query, 'level', refreshKey)
  return (
    <div className="flex min-h-0 flex-1 flex-col">
      <h1 className="sr-only">Statistics</h1>
      <div className="flex flex-wrap items-start gap-2 border-b border-line bg-paper px-2 py-1.5 sm:px-3">
        <QueryField
          value={search.q}
          error={null}
          scope={search.range}
          onSearch={(q) => change({ q })}
        />
        <RangePicker range={search.range} onChange={setRange} />
        <IconButton label="Refresh" shortcut="r" className="mt-0.5" onClick={refresh}>
          <RefreshIcon />
        </IconButton>
      </div>
      {/* Scrollable regions must be reachable by keyboard. */}
      <div
        className="min-h-0 flex-1 overflow-y-auto p-3 sm:p-4"
        tabIndex={0}
        role="region"
        aria-label="Statistics"
      >
        {levels.isPending && <Loading what="statistics" />}
        {levels.error && (
          <ErrorNotice
            error={levels.error}
            what="statistics"
            onRetry={() => void levels.refetch()}
          />
        )}
        {levels.data && <Dashboard query={query} stats={levels.data} refreshKey={refreshKey} />}
      </div>
    </div>
  )
}

function Dashboard({
  query,
  stats,
  refreshKey,
}: {
  query: LogQuery
  stats: Stats
  refreshKey: number
}) {
  if (!stats.total)
    return (
      <Notice title="No records in this range">Widen the time range or remove a filter.</Notice>
    )
  return (
    <div className="mx-auto flex max-w-6xl flex-col gap-4">
      <Totals stats={stats} query={query} />
      <Volume query={query} stats={stats} />
      <div className="grid gap-4 lg:grid-cols-2">
        <Top title="Services" by="sourceModule" query={query} refreshKey={refreshKey} />
        <Errors query={query} refreshKey={refreshKey} />
        <Top title="Actions" by="action" query={query} refreshKey={refreshKey} />
        <Top title="Kinds" by="kind" query={query} refreshKey={refreshKey} />
      </div>
    </div>
  )
}

function Totals({ stats, query }: { stats: Stats; query: LogQuery }) {
  const counts = new Map(stats.totals.map(({ value, count }) => [value, count]))
  const span = spanOf(query, Date.now())
  const perSecond = span ? stats.total / ((span.toMs - span.fromMs) / 1000) : 0
  return (
    <dl
      className="grid grid-cols-2 gap-px overflow-hidden rounded-lg border border-line bg-line sm:grid-cols-3 lg:grid-cols-7"
      data-testid="totals"
    >
      <Total name="Records" value={formatCompact(stats.total)} exact={formatCount(stats.total)} />
      <Total
        name="Per second"
        value={perSecond < 10 ? perSecond.toFixed(1) : formatCompact(Math.round(perSecond))}
      />
      {LEVELS.map((level) => (
        <div key={level} className="bg-sheet px-3 py-2">
          <dt className="flex h-[18px] items-center">
            <LevelTag level={level} long />
          </dt>
          <dd className="text-base font-semibold" title={formatCount(counts.get(level) ?? 0)}>
            {formatCompact(counts.get(level) ?? 0)}{' '}
            <span className="text-xs font-normal text-ink-3">
              {formatShare(counts.get(level) ?? 0, stats.total)}
            </span>
          </dd>
        </div>
      ))}
    </dl>
  )
}

function Total({ name, value, exact }: { name: string; value: string; exact?: string }) {
  return (
    <div className="bg-sheet px-3 py-2">
      <dt className="text-xs text-ink-2">{name}</dt>
      <dd className="text-base font-semibold" title={exact}>
        {value}
      </dd>
    </div>
  )
}

function Volume({ query, stats }: { query: LogQuery; stats: Stats }) {
  const span = useMemo(() => spanOf(query, Date.now()), [query])
  return (
    <section aria-label="Volume" className="rounded-lg border border-line bg-sheet p-3">
      <h2 className="mb-1 font-semibold">Volume by level</h2>
      <div style={{ height: HEIGHT_PX }}>
        <Suspense>
          <BarChart
            points={stats.series}
            series={LEVEL_SERIES}
            intervalS={stats.interval ?? 0}
            span={span}
            height={HEIGHT_PX}
            label={`Volume by level: ${formatCount(stats.total)} records. The totals are listed above.`}
            onBrush={(brushed: Span) => setRange(rangeOf(brushed))}
          />
        </Suspense>
      </div>
    </section>
  )
}

interface TopProps {
  title: string
  by: 'sourceModule' | 'action' | 'kind'
  query: LogQuery
  refreshKey: number
}

function Top({ title, by, query, refreshKey }: TopProps) {
  const { data, error } = useStats(query, by, refreshKey)
  return <CountTable title={title} field={by} totals={data?.totals} error={error} query={query} />
}

/** Errors by service, and their share of the service's records. */
function Errors({ query, refreshKey }: { query: LogQuery; refreshKey: number }) {
  const errors = useMemo(() => ({ ...query, q: joined(query.q, 'level:>=ERROR') }), [query])
  const all = useStats(query, 'sourceModule', refreshKey)
  const failed = useStats(errors, 'sourceModule', refreshKey)
  const of = new Map(all.data?.totals.map(({ value, count }) => [value, count]))
  return (
    <CountTable
      title="Errors by service"
      field="sourceModule"
      totals={failed.data?.totals}
      error={failed.error}
      query={errors}
      share={({ value, count }) => formatShare(count, of.get(value) ?? 0)}
      danger
    />
  )
}

function joined(q: string, term: string): string {
  return q ? `(${q}) ${term}` : term
}

interface CountTableProps {
  title: string
  field: string
  totals: ValueCount[] | undefined
  error: Error | null
  query: LogQuery
  share?: (row: ValueCount) => string
  danger?: boolean
}

function CountTable({
  title,
  field,
  totals,
  error,
  query,
  share,
  danger = false,
}: CountTableProps) {
  const rows = totals?.slice(0, MAX_ROWS) ?? []
  const most = Math.max(1, ...rows.map(({ count }) => count))
  const sum = totals?.reduce((total, { count }) => total + count, 0) ?? 0
  return (
    <section className="rounded-lg border border-line bg-sheet p-3">
      <h2 className="mb-1 font-semibold">{title}</h2>
      {error && <p className="text-danger">{error.message}</p>}
      {totals && !rows.length && <p className="text-ink-3">No records in this range.</p>}
      <table className="w-full text-xs">
        <caption className="sr-only">{title}</caption>
        <tbody>
          {rows.map((row) => (
            <tr key={row.value} className="border-t border-line">
              <th scope="row" className="max-w-0 w-[45%] truncate py-1 pr-2 text-left font-normal">
                <a
                  className="hover:text-accent hover:underline"
                  href={addressOf(['search'], {
                    ...query,
                    kind: query.kind,
                    q: joined(query.q, `${field}:${quoted(row.value)}`),
                  })}
                >
                  {isLevel(row.value) ? (
                    <LevelTag level={row.value} long />
                  ) : (
                    <UntrustedText text={cut(row.value, 100)} />
                  )}
                </a>
              </th>
              <td className="w-[30%]" aria-hidden="true">
                <span
                  className={`block h-1.5 rounded ${danger ? 'bg-fill-error' : 'bg-accent'}`}
                  style={{ width: `${Math.max(1, (100 * row.count) / most)}%` }}
                />
              </td>
              <td className="py-1 pl-2 text-right font-semibold" title={formatCount(row.count)}>
                {formatCompact(row.count)}
              </td>
              <td className="w-14 py-1 pl-2 text-right text-ink-3">
                {share ? share(row) : formatShare(row.count, sum)}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  )
}
