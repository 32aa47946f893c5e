/** Tables of server data, refreshed periodically. */

import { useQuery } from '@tanstack/react-query'
import type { ReactNode } from 'react'
import { Button } from '@/components/button'
import { cx } from '@/components/class'
import { ErrorNotice, Loading } from '@/components/states'
import { UntrustedText } from '@/components/untrusted'
import { type Row, readObject, readRows } from '@/lib/api'
import { formatBytes, formatCount } from '@/lib/format'
import { ExactNumber, type Json } from '@/lib/json'
import { usePreferences } from '@/lib/preferences'
import { textOf } from '@/lib/record'
import { cut } from '@/lib/text'
import { formatTime, type Zone } from '@/lib/time'

const REFRESH_MS = 15_000
const MAX_CHARACTERS = 300

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
  const right = new Set(columns.map(([name]) => name).filter((name) => isNumeric(name, rows)))
  return (
    <div tabIndex={0} className="overflow-x-auto rounded-lg border border-line bg-sheet">
      <table className="w-full text-xs">
        <caption className="sr-only">{caption}</caption>
        <thead className="text-left text-ink-3">
          <tr>
            {columns.map(([name, label]) => (
              <th
                key={name}
                scope="col"
                className={cx(
                  'px-3 py-1.5 font-normal whitespace-nowrap',
                  right.has(name) && 'text-right',
                )}
              >
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
            // biome-ignore lint/suspicious/noArrayIndexKey: not every list has IDs, and the rows are not reordered
            <tr key={index} className="border-t border-line align-top hover:bg-wash">
              {columns.map(([name]) => (
                <td
                  key={name}
                  className={cx(
                    'px-3 py-1.5',
                    right.has(name) && 'text-right tabular-nums',
                    isTime(row[name]) && 'whitespace-nowrap',
                  )}
                >
                  <UntrustedText text={cut(displayValue(name, row[name], zone), MAX_CHARACTERS)} />
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

/** Numeric columns are right-aligned. */
function isNumeric(name: string, rows: Row[]): boolean {
  const values = rows.map((row) => row[name]).filter((value) => value != null)
  return name !== 'id' && values.length > 0 && values.every((value) => typeof value === 'number')
}

function isTime(value: Json | undefined): value is string {
  return typeof value === 'string' && /^\d{4}-\d\d-\d\dT/.test(value)
}

export function displayValue(name: string, value: Json | undefined, zone: Zone): string {
  if (value === null || value === undefined || value === '') return '–'
  if (Array.isArray(value)) return value.map((item) => textOf(item) ?? '').join(', ') || '–'
  if (value instanceof ExactNumber) return value.text
  if (typeof value === 'number')
    return /bytes/i.test(name) ? formatBytes(value) : formatCount(value)
  if (typeof value === 'boolean') return value ? 'yes' : 'no'
  if (isTime(value)) return formatTime(value, zone, 0)
  return textOf(value) ?? ''
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
    <Button variant={danger ? 'danger' : 'outline'} className="ml-1 h-6!" onClick={onClick}>
      {label}
    </Button>
  )
}
