import { Report } from './Report'

/** received = stored + duplicate + rejected + dead-lettered + still in the spool. */
export function Ledger() {
  return (
    <>
      <p className="mb-3 max-w-prose text-ink-2">
        Every record that was received is stored, a duplicate, rejected with a reason, a dead
        letter, or still in the spool. The figures must balance.
      </p>
      <Report path="/ingest/ledger" what="The ledger" empty="Nothing was received yet." />
    </>
  )
}
