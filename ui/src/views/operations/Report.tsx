import { ErrorNotice, Loading } from '@/components/states'
import type { Row } from '@/lib/api'
import { isObject, type Json } from '@/lib/json'
import { type Columns, Members, RowTable, useObject, wordsOf } from './rows'

interface ReportProps {
  path: string
  what: string
  empty: string
  columns?: Columns
}

/** Any answer about the server itself: its figures first, then its lists as tables. */
export function Report({ path, what, empty, columns = [] }: ReportProps) {
  const { data, error, isPending, refetch } = useObject(path)
  if (isPending) return <Loading what={what} />
  if (error) return <ErrorNotice error={error} what={what} onRetry={() => void refetch()} />
  const parts = Object.entries(data)
    .filter(([name, value]) => isObject(value) || hasItems(value) || name === 'data')
    .sort(([, left], [, right]) => Number(isObject(right)) - Number(isObject(left)))
  return (
    <>
      <Members value={data} />
      {parts.map(([name, value]) => (
        <Part key={name} name={name} value={value} columns={columns} empty={empty} />
      ))}
    </>
  )
}

function hasItems(value: Json): boolean {
  return Array.isArray(value) && value.length > 0
}

interface PartProps {
  name: string
  value: Json
  columns: Columns
  empty: string
}

function Part({ name, value, columns, empty }: PartProps) {
  const title = name === 'data' ? '' : wordsOf(name)
  const rows = Array.isArray(value) && value.every((item) => isObject(item)) ? value : null
  return (
    <section className="mb-4">
      {title && <h2 className="mb-1 font-semibold">{title}</h2>}
      {isObject(value) && <Members value={value} />}
      {rows?.length === 0 && <p className="text-ink-2">{empty}</p>}
      {rows && rows.length > 0 && (
        <RowTable rows={rows as Row[]} caption={title || 'List'} columns={columns} />
      )}
      {!rows && Array.isArray(value) && <p>{value.map(String).join(', ')}</p>}
    </section>
  )
}
