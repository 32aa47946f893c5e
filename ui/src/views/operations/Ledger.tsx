import { ErrorNotice, Loading } from '@/components/states'
import type { Row } from '@/lib/api'
import { isObject, type Json } from '@/lib/json'
import { Members, RowTable, useObject, wordsOf } from './rows'

/** received = stored + duplicate + rejected + dead-lettered + still in the spool. */
export function Ledger() {
  const { data, error, isPending, refetch } = useObject('/ingest/ledger')
  if (isPending) return <Loading what="the ledger" />
  if (error) return <ErrorNotice error={error} what="The ledger" onRetry={() => void refetch()} />
  return (
    <>
      <p className="mb-3 max-w-prose text-ink-2">
        Every record that was received is stored, a duplicate, rejected with a reason, a dead
        letter, or still in the spool. The figures must balance.
      </p>
      <Members value={data} />
      {Object.entries(data).map(([name, value]) => (
        <Part key={name} name={name} value={value} />
      ))}
    </>
  )
}

function Part({ name, value }: { name: string; value: Json }) {
  if (isObject(value)) {
    return (
      <section>
        <h2 className="mb-1 font-semibold">{wordsOf(name)}</h2>
        <Members value={value} />
      </section>
    )
  }
  if (!Array.isArray(value) || !value.every((item) => isObject(item)) || !value.length) return null
  return (
    <section className="mb-4">
      <h2 className="mb-1 font-semibold">{wordsOf(name)}</h2>
      <RowTable rows={value as Row[]} caption={wordsOf(name)} columns={[]} />
    </section>
  )
}
