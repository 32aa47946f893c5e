/** received + derived = stored + duplicates + rejected + dead letters: counts and verification. */

import { useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import { Button } from '@/components/button'
import { ErrorNotice, Loading } from '@/components/states'
import { copyText } from '@/components/toast'
import { type IngestLedger, type Row, readCheckpoint, readLedger } from '@/lib/api'
import { formatCount, plural } from '@/lib/format'
import { usePreferences } from '@/lib/preferences'
import { formatTime } from '@/lib/time'
import { RowTable } from './rows'
import { Section, StatList } from './StatList'

const REFRESH_MS = 15_000
const RANGES = [
  ['-1h', 'Last hour'],
  ['-6h', 'Last 6 hours'],
  ['-1d', 'Last day'],
] as const
const COLUMNS = [
  ['minute', 'Minute'],
  ['sourceModule', 'Service'],
  ['key', 'Key'],
  ['received', 'Received'],
  ['derived', 'Derived'],
  ['stored', 'Stored'],
  ['duplicate', 'Duplicates'],
  ['rejected', 'Rejected'],
  ['dead', 'Dead letters'],
  ['reason', 'Reason'],
] as const

export function Ledger() {
  const [start, setStart] = useState('-1h')
  const { data, error, isPending, refetch } = useQuery({
    queryKey: ['operations', 'ledger', start],
    queryFn: ({ signal }) => readLedger({ start }, signal),
    placeholderData: (before) => before,
    refetchInterval: REFRESH_MS,
    staleTime: 0,
    retry: false,
  })
  if (isPending) return <Loading what="the ledger" />
  if (error) return <ErrorNotice error={error} what="the ledger" onRetry={() => void refetch()} />
  return (
    <>
      <p className="mb-3 max-w-prose text-ink-2">
        Every received record is stored, a duplicate, rejected with a reason, or a dead letter. The
        counts must balance; they are checked against the stored rows every hour.
      </p>
      <Balance ledger={data} />
      <Head />
      <Section title="By minute">
        <label className="mb-2 flex items-center gap-2 text-xs text-ink-2">
          Range
          <select
            className="h-7 rounded-md border border-line-strong bg-sheet px-1.5 text-ink"
            value={start}
            onChange={(event) => setStart(event.target.value)}
          >
            {RANGES.map(([value, label]) => (
              <option key={value} value={value}>
                {label}
              </option>
            ))}
          </select>
          {data.isCut && <span>Only the newest rows are shown and counted.</span>}
        </label>
        {data.data.length ? (
          <RowTable rows={rowsOf(data)} caption="Ledger by minute" columns={COLUMNS} />
        ) : (
          <p className="text-ink-2">No records received in this range.</p>
        )}
      </Section>
    </>
  )
}

function rowsOf(ledger: IngestLedger): Row[] {
  return ledger.data.map((row) => ({
    ...row,
    key: row.ingestKeyId ? String(row.ingestKeyId) : null,
  }))
}

function Balance({ ledger }: { ledger: IngestLedger }) {
  const { received, derived, stored, duplicate, rejected, dead } = ledger.totals
  const difference = received + derived - stored - duplicate - rejected - dead
  return (
    <>
      <StatList
        label="Balance"
        stats={[
          { name: 'Received', value: formatCount(received) },
          { name: '+ derived', value: formatCount(derived) },
          { name: '= stored', value: formatCount(stored) },
          { name: '+ duplicates', value: formatCount(duplicate) },
          { name: '+ rejected', value: formatCount(rejected) },
          { name: '+ dead letters', value: formatCount(dead) },
          difference === 0
            ? { name: 'Difference', value: 'none', note: 'balanced', tone: 'good' }
            : { name: 'Difference', value: formatCount(difference), tone: 'danger' },
        ]}
      />
      <LastCheck check={ledger.lastCheck} />
    </>
  )
}

function LastCheck({ check }: { check: IngestLedger['lastCheck'] }) {
  const zone = usePreferences((state) => state.zone)
  if (!check) return <p className="mb-4 text-ink-2">Not checked against the stored rows yet.</p>
  const when = formatTime(check.endedAt, zone, 0)
  if (!check.differences.length)
    return (
      <p className="mb-4 text-ink-2">
        Checked at {when}: {plural(check.rows, 'row')} in {plural(check.segments, 'segment')}, no
        differences.
      </p>
    )
  return (
    <div role="alert" className="mb-4 rounded-md bg-danger-wash px-3 py-2 text-danger">
      <p className="font-semibold">Checked at {when}: the stored rows differ from the ledger.</p>
      <ul className="list-disc pl-5">
        {check.differences.map((text) => (
          <li key={text}>{text}</li>
        ))}
      </ul>
    </div>
  )
}

/** The head that an auditor compares with the published copy. */
function Head() {
  const { data } = useQuery({
    queryKey: ['operations', 'head'],
    queryFn: ({ signal }) => readCheckpoint(signal),
    refetchInterval: REFRESH_MS,
    staleTime: 0,
    retry: false,
  })
  if (!data) return null
  return (
    <Section title="Latest signed head">
      <pre
        tabIndex={0}
        className="max-w-3xl overflow-x-auto rounded-lg border border-line bg-sheet p-3 font-mono text-xs"
      >
        {data.trimEnd()}
      </pre>
      <Button variant="outline" className="mt-2" onClick={() => void copyText(data, 'Signed head')}>
        Copy
      </Button>
    </Section>
  )
}
