import { lazy, Suspense, useMemo, useState } from 'react'
import { useShortcuts } from '@/app/shortcuts'
import { IconButton } from '@/components/button'
import type { BarSeries } from '@/components/figures/BarChart'
import { RefreshIcon } from '@/components/icons'
import { LevelTag } from '@/components/level'
import { ErrorNotice, Loading, Notice } from '@/components/states'
import { Strange } from '@/components/strange'
import { addressOf, change } from '@/lib/address'
import type { Question, Stats, ValueCount } from '@/lib/api'
import { formatCompact, formatCount, formatShare } from '@/lib/format'
import { quoted } from '@/lib/language'
import { isLevel, LEVELS } from '@/lib/levels'
import { cut } from '@/lib/text'
import { rangeOf, type Span, spanOf } from '@/lib/time'
import { useStats } from '@/views/search/HistogramPanel'
import { setRange, useQuestion, useSearchPlace } from '@/views/search/place'
import { QuestionField } from '@/views/search/QuestionField'
import { RangePicker } from '@/views/search/RangePicker'

const BarChart = lazy(() => import('@/components/figures/BarChart'))

const HEIGHT_PX = 220
const MOST_ROWS = 15
const LEVEL_SERIES: BarSeries[] = LEVELS.map((name) => ({
  name,
  colour: `--fill-${name.toLowerCase()}`,
}))

export default function StatsView() {
  const search = useSearchPlace()
  const question = useQuestion(search)
  const [round, setRound] = useState(0)
  const refresh = () => setRound(round + 1)
  useShortcuts({ r: refresh, '/': () => document.getElementById('question')?.focus() })
  const levels = useStats(question, 'level', round)
  return (
    <div className="flex min-h-0 flex-1 flex-col">
      <h1 className="sr-only">Statistics</h1>
      <div className="flex flex-wrap items-start gap-2 border-b border-line bg-paper px-2 py-1.5 sm:px-3">
        <QuestionField
          value={search.q}
          fault={null}
          scope={search.range}
          onAsk={(q) => change({ q })}
        />
        <RangePicker range={search.range} onChange={setRange} />
        <IconButton label="Ask again" shortcut="r" className="mt-0.5" onClick={refresh}>
          <RefreshIcon />
        </IconButton>
      </div>
      {/* What scrolls must be reachable by keyboard. */}
      <div
        className="min-h-0 flex-1 overflow-y-auto p-3 sm:p-4"
        tabIndex={0}
        role="region"
        aria-label="Figures"
      >
        {levels.isPending && <Loading what="figures" />}
        {levels.error && (
          <ErrorNotice
            error={levels.error}
            what="Statistics"
            onRetry={() => void levels.refetch()}
          />
        )}
        {levels.data && <Figures question={question} stats={levels.data} round={round} />}
      </div>
    </div>
  )
}

function Figures({ question, stats, round }: { question: Question; stats: Stats; round: number }) {
  if (!stats.total)
    return <Notice title="No records in this range">Take a longer range or fewer words.</Notice>
  return (
    <div className="mx-auto flex max-w-6xl flex-col gap-4">
      <Totals stats={stats} question={question} />
      <Volume question={question} stats={stats} />
      <div className="grid gap-4 lg:grid-cols-2">
        <Top title="Services" by="sourceModule" question={question} round={round} />
        <Errors question={question} round={round} />
        <Top title="Actions" by="action" question={question} round={round} />
        <Top title="Kinds" by="kind" question={question} round={round} />
      </div>
    </div>
  )
}

function Totals({ stats, question }: { stats: Stats; question: Question }) {
  const counts = new Map(stats.totals.map(({ value, count }) => [value, count]))
  const span = spanOf(question, Date.now())
  const perSecond = span ? stats.total / ((span.toMs - span.fromMs) / 1000) : 0
  return (
    <dl
      className="grid grid-cols-2 gap-px overflow-hidden rounded-lg border border-line bg-line sm:grid-cols-3 lg:grid-cols-7"
      data-testid="totals"
    >
      <Figure name="Records" value={formatCompact(stats.total)} exact={formatCount(stats.total)} />
      <Figure
        name="A second"
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

function Figure({ name, value, exact }: { name: string; value: string; exact?: string }) {
  return (
    <div className="bg-sheet px-3 py-2">
      <dt className="text-xs text-ink-2">{name}</dt>
      <dd className="text-base font-semibold" title={exact}>
        {value}
      </dd>
    </div>
  )
}

function Volume({ question, stats }: { question: Question; stats: Stats }) {
  const span = useMemo(() => spanOf(question, Date.now()), [question])
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
            label={`Volume by level: ${formatCount(stats.total)} records; the figures stand above.`}
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
  question: Question
  round: number
}

function Top({ title, by, question, round }: TopProps) {
  const { data, error } = useStats(question, by, round)
  return (
    <CountTable title={title} field={by} totals={data?.totals} error={error} question={question} />
  )
}

/** Errors by service: how many, and what share of everything the service said. */
function Errors({ question, round }: { question: Question; round: number }) {
  const errors = useMemo(
    () => ({ ...question, q: joined(question.q, 'level:>=ERROR') }),
    [question],
  )
  const all = useStats(question, 'sourceModule', round)
  const bad = useStats(errors, 'sourceModule', round)
  const of = new Map(all.data?.totals.map(({ value, count }) => [value, count]))
  return (
    <CountTable
      title="Errors by service"
      field="sourceModule"
      totals={bad.data?.totals}
      error={bad.error}
      question={errors}
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
  question: Question
  share?: (row: ValueCount) => string
  danger?: boolean
}

function CountTable({
  title,
  field,
  totals,
  error,
  question,
  share,
  danger = false,
}: CountTableProps) {
  const rows = totals?.slice(0, MOST_ROWS) ?? []
  const most = Math.max(1, ...rows.map(({ count }) => count))
  const sum = totals?.reduce((total, { count }) => total + count, 0) ?? 0
  return (
    <section className="rounded-lg border border-line bg-sheet p-3">
      <h2 className="mb-1 font-semibold">{title}</h2>
      {error && <p className="text-danger">{error.message}</p>}
      {totals && !rows.length && <p className="text-ink-3">None in this range.</p>}
      <table className="w-full text-xs">
        <caption className="sr-only">{title}</caption>
        <tbody>
          {rows.map((row) => (
            <tr key={row.value} className="border-t border-line">
              <th scope="row" className="max-w-0 w-[45%] truncate py-1 pr-2 text-left font-normal">
                <a
                  className="hover:text-accent hover:underline"
                  href={addressOf(['search'], {
                    ...question,
                    kind: question.kind,
                    q: joined(question.q, `${field}:${quoted(row.value)}`),
                  })}
                >
                  {isLevel(row.value) ? (
                    <LevelTag level={row.value} long />
                  ) : (
                    <Strange text={cut(row.value, 100)} />
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
