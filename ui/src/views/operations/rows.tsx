/** Tables of what the server keeps: the columns that the page knows, then whatever else there is. */

import { useQuery } from '@tanstack/react-query'
import type { ReactNode } from 'react'
import { Button } from '@/components/button'
import { ErrorNotice, Loading } from '@/components/states'
import { Strange } from '@/components/strange'
import { type Row, readObject, readRows } from '@/lib/api'
import { formatBytes, formatCount } from '@/lib/format'
import { ExactNumber, isObject, type Json } from '@/lib/json'
import { usePreferences } from '@/lib/preferences'
import { textOf } from '@/lib/record'
import { cut } from '@/lib/text'
import { formatTime, type Zone } from '@/lib/time'

const REFRESH_MS = 15_000
const MOST_CHARACTERS = 300

export function useRows(path: string) {
  return useQuery({
    queryKey: ['operations', path],
    queryFn: ({ signal }) => readRows(path, signal),
    refetchInterval: REFRESH_MS,
    staleTime: 0,
    retry: false,
  })
}

export function useObject(path: string) {
  return useQuery({
    queryKey: ['operations', path],
    queryFn: ({ signal }) => readObject(path, signal),
    refetchInterval: REFRESH_MS,
    staleTime: 0,
    retry: false,
  })
}

interface RowsProps {
  path: string
  what: string
  caption: string
  columns: Columns
  empty: ReactNode
  actions?: (row: Row) => ReactNode
}

export function Rows({ path, what, empty, ...table }: RowsProps) {
  const { data, error, isPending, refetch } = useRows(path)
  if (isPending) return <Loading what={what} />
  if (error) return <ErrorNotice error={error} what={what} onRetry={() => void refetch()} />
  if (!data.data.length) return <p className="text-ink-2">{empty}</p>
  return <RowTable rows={data.data} {...table} />
}

interface RowTableProps {
  rows: Row[]
  caption: string
  columns: Columns
  actions?: ((row: Row) => ReactNode) | undefined
}

export function RowTable({ rows, caption, columns, actions }: RowTableProps) {
  const zone = usePreferences((state) => state.zone)
  const shown = columnsOf(rows, columns)
  return (
    <div tabIndex={0} className="overflow-x-auto rounded-lg border border-line bg-sheet">
      <table className="w-full text-xs">
        <caption className="sr-only">{caption}</caption>
        <thead className="text-left text-ink-3">
          <tr>
            {shown.map(([name, label]) => (
              <th key={name} scope="col" className="px-3 py-1.5 font-normal whitespace-nowrap">
                {label}
              </th>
            ))}
            {actions && (
              <th scope="col" className="px-3">
                <span className="sr-only">Actions</span>
              </th>
            )}
          </tr>
        </thead>
        <tbody>
          {rows.map((row, index) => (
            // biome-ignore lint/suspicious/noArrayIndexKey: not every list has ids, and none is sorted here
            <tr key={index} className="border-t border-line align-top hover:bg-wash">
              {shown.map(([name]) => (
                <td key={name} className="px-3 py-1.5">
                  <Strange text={cut(shownValue(name, row[name], zone), MOST_CHARACTERS)} />
                </td>
              ))}
              {actions && (
                <td className="px-3 py-1 text-right whitespace-nowrap">{actions(row)}</td>
              )}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  )
}

export type Columns = readonly (readonly [string, string])[]

function columnsOf(rows: Row[], known: Columns): Columns {
  const names = new Set(rows.flatMap((row) => Object.keys(row)))
  const first = known.filter(([name]) => names.delete(name))
  return [...first, ...[...names].map((name) => [name, wordsOf(name)] as const)]
}

/** `heldRows` → `Held rows`. */
export function wordsOf(name: string): string {
  const words = name
    .replace(
      /([a-z])([A-Z])/g,
      (_, left: string, right: string) => `${left} ${right.toLowerCase()}`,
    )
    .replaceAll('_', ' ')
  return words.charAt(0).toUpperCase() + words.slice(1)
}

export function shownValue(name: string, value: Json | undefined, zone: Zone): string {
  if (value === null || value === undefined || value === '') return '–'
  if (Array.isArray(value) && value.some((item) => isObject(item))) return String(value.length)
  if (value instanceof ExactNumber) return value.text
  if (typeof value === 'number')
    return /bytes/i.test(name) ? formatBytes(value) : formatCount(value)
  if (typeof value === 'boolean') return value ? 'yes' : 'no'
  if (typeof value === 'string' && /^\d{4}-\d\d-\d\dT/.test(value))
    return formatTime(value, zone, 0)
  return textOf(value) ?? ''
}

/** Members of an object as a list of names and figures. */
export function Members({ value }: { value: Row }) {
  const zone = usePreferences((state) => state.zone)
  const entries = Object.entries(value).filter(
    ([name, item]) => name !== 'nextCursor' && (typeof item !== 'object' || item === null),
  )
  if (!entries.length) return null
  return (
    <dl className="mb-3 flex flex-wrap gap-2">
      {entries.map(([name, item]) => (
        <div key={name} className="min-w-28 rounded-lg border border-line bg-sheet px-3 py-1.5">
          <dt className="text-xs text-ink-2">{wordsOf(name)}</dt>
          <dd className="strange font-semibold">{shownValue(name, item, zone)}</dd>
        </div>
      ))}
    </dl>
  )
}

export function ActionButton({
  label,
  onClick,
  danger = false,
}: {
  label: string
  onClick: () => void
  danger?: boolean
}) {
  return (
    <Button look={danger ? 'danger' : 'outline'} className="ml-1 h-6!" onClick={onClick}>
      {label}
    </Button>
  )
}
