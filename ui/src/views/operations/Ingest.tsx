/** What arrives: how much a second, what became of it, who sends it, and what still waits. */

import { useQuery } from '@tanstack/react-query'
import { lazy, Suspense } from 'react'
import type { BarSeries } from '@/components/figures/BarChart'
import { ErrorNotice, Loading } from '@/components/states'
import { Strange } from '@/components/strange'
import { addressOf } from '@/lib/address'
import { type IngestLedger, readLedger, readMetrics } from '@/lib/api'
import { formatBytes, formatCount, plural } from '@/lib/format'
import { quoted } from '@/lib/language'
import { sumsOf } from '@/lib/metrics'
import { FigureList, Part } from './FigureList'
import { barsOf, OUTCOMES, rateOf, type Source, sourcesOf } from './minutes'

const BarChart = lazy(() => import('@/components/figures/BarChart'))

const REFRESH_MS = 10_000
const HOUR_MS = 3_600_000
const HEIGHT_PX = 160
const MOST_SOURCES = 30
const COLOURS = ['--accent', '--fill-debug', '--fill-warn', '--fill-error']
const SERIES: BarSeries[] = OUTCOMES.map((name, at) => ({ name, colour: COLOURS[at] ?? '' }))

export function Ingest() {
  const minutes = useQuery({
    queryKey: ['operations', 'ingest', 'minutes'],
    queryFn: ({ signal }) => readLedger({ start: '-1h', by: 'minute' }, signal),
    refetchInterval: REFRESH_MS,
    staleTime: 0,
    retry: false,
  })
  if (minutes.isPending) return <Loading what="what arrives" />
  if (minutes.error)
    return (
      <ErrorNotice
        error={minutes.error}
        what="What arrives"
        onRetry={() => void minutes.refetch()}
      />
    )
  return (
    <>
      <Rate ledger={minutes.data} readAtMs={minutes.dataUpdatedAt} />
      <Spool />
      <Sources />
    </>
  )
}

function Rate({ ledger, readAtMs }: { ledger: IngestLedger; readAtMs: number }) {
  const { totals } = ledger
  const rate = rateOf(ledger.data, readAtMs)
  return (
    <Part title="The last hour">
      <FigureList
        label="What arrived"
        figures={[
          {
            name: 'Records a second',
            value: rate > 0 && rate < 10 ? rate.toFixed(1) : formatCount(Math.round(rate)),
            note: 'in the last whole minute',
          },
          { name: 'Received', value: formatCount(totals.received) },
          { name: 'Stored', value: formatCount(totals.stored) },
          {
            name: 'Sent twice',
            value: formatCount(totals.duplicate),
            note: totals.duplicate ? 'stored once' : undefined,
          },
          {
            name: 'Rejected',
            value: formatCount(totals.rejected),
            note: totals.rejected ? 'the reasons stand below' : undefined,
            tone: totals.rejected ? 'warning' : 'calm',
          },
          {
            name: 'Dead letters',
            value: formatCount(totals.dead),
            note: totals.dead ? 'refused by the database' : undefined,
            tone: totals.dead ? 'danger' : 'calm',
          },
        ]}
      />
      <div
        className="rounded-lg border border-line bg-sheet p-3"
        style={{ minHeight: HEIGHT_PX + 24 }}
      >
        {ledger.data.length === 0 ? (
          <p className="text-ink-2">
            Nothing arrived. Is anybody sending? The line to try stands where opslog was started.
          </p>
        ) : (
          <Suspense>
            <BarChart
              points={barsOf(ledger.data)}
              series={SERIES}
              intervalS={60}
              span={{ fromMs: readAtMs - HOUR_MS, toMs: readAtMs }}
              height={HEIGHT_PX}
              label={`Records a minute: ${plural(totals.received, 'record')} in the last hour; the figures stand above.`}
            />
          </Suspense>
        )}
      </div>
    </Part>
  )
}

/** Acknowledged, on disk, and not in the database yet. */
function Spool() {
  const { data, error } = useQuery({
    queryKey: ['operations', 'metrics'],
    queryFn: ({ signal }) => readMetrics(signal).then(sumsOf),
    refetchInterval: REFRESH_MS,
    staleTime: 0,
    retry: false,
  })
  if (error) return <p className="mb-4 text-danger">The figures of the spool cannot be read.</p>
  if (!data) return null
  const figure = (name: string) => data.get(`opslog_${name}`) ?? 0
  const isAway = figure('writer_away') > 0
  const damaged = figure('spool_quarantined_rows_total')
  return (
    <Part title="Spool of this machine">
      {isAway && (
        <p role="alert" className="mb-2 rounded-md bg-warning-wash px-3 py-2 text-level-warn">
          The database takes nothing just now. Records wait here, safe on disk, until it does.
        </p>
      )}
      <FigureList
        label="Spool"
        figures={[
          {
            name: 'Records waiting',
            value: formatCount(figure('spool_waiting_rows')),
            note: 'acknowledged, not in the database yet',
            tone: isAway ? 'warning' : 'calm',
          },
          { name: 'Requests waiting', value: formatCount(figure('spool_waiting_requests')) },
          { name: 'On disk', value: formatBytes(figure('spool_bytes')) },
          {
            name: 'Set aside as damaged',
            value: formatCount(damaged),
            tone: damaged ? 'danger' : 'calm',
          },
        ]}
      />
    </Part>
  )
}

function Sources() {
  const { data, error } = useQuery({
    queryKey: ['operations', 'ingest', 'sources'],
    queryFn: ({ signal }) => readLedger({ start: '-1h' }, signal),
    refetchInterval: REFRESH_MS,
    staleTime: 0,
    retry: false,
  })
  if (error) return <p className="text-danger">{error.message}</p>
  if (!data?.data.length) return null
  const sources = sourcesOf(data.data)
  return (
    <Part title={data.isCut ? 'Who sent it (in the newest of these minutes)' : 'Who sent it'}>
      <div tabIndex={0} className="overflow-x-auto rounded-lg border border-line bg-sheet">
        <table className="w-full text-xs">
          <caption className="sr-only">Records by service</caption>
          <thead className="text-ink-3">
            <tr>
              {['Service', 'Received', 'Stored', 'Sent twice', 'Rejected', 'Dead letters'].map(
                (name, at) => (
                  <th
                    key={name}
                    scope="col"
                    className={`px-3 py-1.5 font-normal whitespace-nowrap ${at ? 'text-right' : 'text-left'}`}
                  >
                    {name}
                  </th>
                ),
              )}
              <th scope="col" className="px-3 py-1.5 text-left font-normal">
                Why rejected
              </th>
            </tr>
          </thead>
          <tbody>
            {sources.slice(0, MOST_SOURCES).map((source) => (
              <SourceRow key={source.name} source={source} />
            ))}
          </tbody>
        </table>
      </div>
    </Part>
  )
}

function SourceRow({ source }: { source: Source }) {
  const { name, received, stored, duplicate, rejected, dead, reasons } = source
  return (
    <tr className="border-t border-line hover:bg-wash">
      <th scope="row" className="px-3 py-1.5 text-left font-normal">
        {name ? (
          <a
            className="hover:text-accent hover:underline"
            href={addressOf(['search'], { q: `sourceModule:${quoted(name)}` })}
          >
            <Strange text={name} />
          </a>
        ) : (
          <span className="text-ink-3">said none</span>
        )}
      </th>
      {Object.entries({ received, stored, duplicate, rejected, dead }).map(([key, count]) => (
        <td key={key} className="px-3 py-1.5 text-right tabular-nums">
          {formatCount(count)}
        </td>
      ))}
      <td className="px-3 py-1.5 text-ink-2">
        <Strange
          text={[...reasons].map(([reason, count]) => `${reason} ${formatCount(count)}`).join(', ')}
        />
      </td>
    </tr>
  )
}
