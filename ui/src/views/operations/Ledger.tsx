/** received + derived = stored + duplicate + rejected + dead letters: the figures, and their proof. */

import { useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import { Button } from '@/components/button'
import { copyText } from '@/components/say'
import { ErrorNotice, Loading } from '@/components/states'
import { type IngestLedger, type Row, readCheckpoint, readLedger } from '@/lib/api'
import { formatCount, plural } from '@/lib/format'
import { usePreferences } from '@/lib/preferences'
import { formatTime } from '@/lib/time'
import { FigureList, Part } from './FigureList'
import { RowTable } from './rows'

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
  ['derived', 'Made from others'],
  ['stored', 'Stored'],
  ['duplicate', 'Sent twice'],
  ['rejected', 'Rejected'],
  ['dead', 'Dead letters'],
  ['reason', 'Why rejected'],
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
  if (error) return <ErrorNotice error={error} what="The ledger" onRetry={() => void refetch()} />
  return (
    <>
      <p className="mb-3 max-w-prose text-ink-2">
        Every record that was received is stored, was sent twice, was rejected with a reason, or is
        a dead letter. The figures must balance; once an hour they are compared with the rows
        themselves.
      </p>
      <Balance ledger={data} />
      <Head />
      <Part title="Minute by minute">
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
          {data.isCut && <span>Only the newest rows are shown and added up.</span>}
        </label>
        {data.data.length ? (
          <RowTable rows={rowsOf(data)} caption="Ledger by minute" columns={COLUMNS} />
        ) : (
          <p className="text-ink-2">Nothing was received in this range.</p>
        )}
      </Part>
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
      <FigureList
        label="Balance"
        figures={[
          { name: 'Received', value: formatCount(received) },
          { name: '+ made from others', value: formatCount(derived) },
          { name: '= stored', value: formatCount(stored) },
          { name: '+ sent twice', value: formatCount(duplicate) },
          { name: '+ rejected', value: formatCount(rejected) },
          { name: '+ dead letters', value: formatCount(dead) },
          difference === 0
            ? { name: 'Difference', value: 'none', note: 'it balances', tone: 'good' }
            : { name: 'Difference', value: formatCount(difference), tone: 'danger' },
        ]}
      />
      <LastCheck check={ledger.lastCheck} />
    </>
  )
}

function LastCheck({ check }: { check: IngestLedger['lastCheck'] }) {
  const zone = usePreferences((state) => state.zone)
  if (!check)
    return <p className="mb-4 text-ink-2">The rows have not been counted against it yet.</p>
  const when = formatTime(check.endedAt, zone, 0)
  if (!check.differences.length)
    return (
      <p className="mb-4 text-ink-2">
        Counted at {when}: {plural(check.rows, 'row')} in {plural(check.segments, 'segment')}, no
        differences.
      </p>
    )
  return (
    <div role="alert" className="mb-4 rounded-md bg-danger-wash px-3 py-2 text-danger">
      <p className="font-semibold">Counted at {when}: the rows differ from the ledger.</p>
      <ul className="list-disc pl-5">
        {check.differences.map((words) => (
          <li key={words}>{words}</li>
        ))}
      </ul>
    </div>
  )
}

/** What an auditor compares with the copy that was published elsewhere. */
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
    <Part title="The newest signed head">
      <pre
        tabIndex={0}
        className="max-w-3xl overflow-x-auto rounded-lg border border-line bg-sheet p-3 font-mono text-xs"
      >
        {data.trimEnd()}
      </pre>
      <Button look="outline" className="mt-2" onClick={() => void copyText(data, 'Signed head')}>
        Copy
      </Button>
    </Part>
  )
}
