/** Ingest rate, outcomes, sending services, and the spool backlog. */

import { useQuery } from '@tanstack/react-query'
import { lazy, Suspense } from 'react'
import type { BarSeries } from '@/components/charts/BarChart'
import { ErrorNotice, Loading } from '@/components/states'
import { UntrustedText } from '@/components/untrusted'
import { addressOf } from '@/lib/address'
import { type IngestLedger, readLedger, readMetrics } from '@/lib/api'
import { formatBytes, formatCount, plural } from '@/lib/format'
import { quoted } from '@/lib/language'
import { sumsOf } from '@/lib/metrics'
import { barsOf, ingestRate, OUTCOMES, type Source, sourcesOf } from './minutes'
import { Section, StatList } from './StatList'

const BarChart = lazy(() => import('@/components/charts/BarChart'))

const REFRESH_MS = 10_000
const HOUR_MS = 3_600_000
const HEIGHT_PX = 160
const MAX_SOURCES = 30
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
  if (minutes.isPending) return <Loading what="ingest statistics" />
  if (minutes.error)
    return (
      <ErrorNotice
        error={minutes.error}
        what="ingest statistics"
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
  const rate = ingestRate(ledger.data, readAtMs)
  return (
    <Section title="Last hour">
      <StatList
        label="Ingested"
        stats={[
          {
            name: 'Records/s',
            value: rate > 0 && rate < 10 ? rate.toFixed(1) : formatCount(Math.round(rate)),
            note: 'in the last full minute',
          },
          { name: 'Received', value: formatCount(totals.received) },
          { name: 'Stored', value: formatCount(totals.stored) },
          {
            name: 'Duplicates',
            value: formatCount(totals.duplicate),
            note: totals.duplicate ? 'stored once' : undefined,
          },
          {
            name: 'Rejected',
            value: formatCount(totals.rejected),
            note: totals.rejected ? 'reasons below' : undefined,
            tone: totals.rejected ? 'warning' : 'calm',
          },
          {
            name: 'Dead letters',
            value: formatCount(totals.dead),
            note: totals.dead ? 'rejected by the database' : undefined,
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
            No records received. See the output of opslog up for an example request.
          </p>
        ) : (
          <Suspense>
            <BarChart
              points={barsOf(ledger.data)}
              series={SERIES}
              intervalS={60}
              span={{ fromMs: readAtMs - HOUR_MS, toMs: readAtMs }}
              height={HEIGHT_PX}
              label={`Records per minute: ${plural(totals.received, 'record')} in the last hour. The totals are listed above.`}
            />
          </Suspense>
        )}
      </div>
    </Section>
  )
}

/** Acknowledged records on disk that are not in the database yet. */
function Spool() {
  const { data, error } = useQuery({
    queryKey: ['operations', 'metrics'],
    queryFn: ({ signal }) => readMetrics(signal).then(sumsOf),
    refetchInterval: REFRESH_MS,
    staleTime: 0,
    retry: false,
  })
  if (error) return <p className="mb-4 text-danger">Failed to load the spool metrics.</p>
  if (!data) return null
  const metric = (name: string) => data.get(`opslog_${name}`) ?? 0
  const isDatabaseDown = metric('writer_away') > 0
  const damaged = metric('spool_quarantined_rows_total')
  return (
    <Section title="Spool of this host">
      {isDatabaseDown && (
        <p role="alert" className="mb-2 rounded-md bg-warning-wash px-3 py-2 text-level-warn">
          The database is unavailable. Records are spooled safely on disk until it is back.
        </p>
      )}
      <StatList
        label="Spool"
        stats={[
          {
            name: 'Pending records',
            value: formatCount(metric('spool_waiting_rows')),
            note: 'acknowledged, not in the database yet',
            tone: isDatabaseDown ? 'warning' : 'calm',
          },
          { name: 'Pending requests', value: formatCount(metric('spool_waiting_requests')) },
          { name: 'On disk', value: formatBytes(metric('spool_bytes')) },
          {
            name: 'Quarantined',
            value: formatCount(damaged),
            tone: damaged ? 'danger' : 'calm',
          },
        ]}
      />
    </Section>
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
    <Section title={data.isCut ? 'By service (newest minutes only)' : 'By service'}>
      <div tabIndex={0} className="overflow-x-auto rounded-lg border border-line bg-sheet">
        <table className="w-full text-xs">
          <caption className="sr-only">Records by service</caption>
          <thead className="text-ink-3">
            <tr>
              {['Service', 'Received', 'Stored', 'Duplicates', 'Rejected', 'Dead letters'].map(
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
                Reason
              </th>
            </tr>
          </thead>
          <tbody>
            {sources.slice(0, MAX_SOURCES).map((source) => (
              <SourceRow key={source.name} source={source} />
            ))}
          </tbody>
        </table>
      </div>
    </Section>
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
            <UntrustedText text={name} />
          </a>
        ) : (
          <span className="text-ink-3">(unnamed)</span>
        )}
      </th>
      {Object.entries({ received, stored, duplicate, rejected, dead }).map(([key, count]) => (
        <td key={key} className="px-3 py-1.5 text-right tabular-nums">
          {formatCount(count)}
        </td>
      ))}
      <td className="px-3 py-1.5 text-ink-2">
        <UntrustedText
          text={[...reasons].map(([reason, count]) => `${reason} ${formatCount(count)}`).join(', ')}
        />
      </td>
    </tr>
  )
}
