import { IconButton } from '@/components/button'
import { ColumnsIcon, CopyIcon, MinusIcon, PlusIcon } from '@/components/icons'
import { JsonTree } from '@/components/records/JsonTree'
import { copyText } from '@/components/toast'
import { LongText } from '@/components/untrusted'
import { filterState } from '@/lib/language'
import { type LogRecord, textOf } from '@/lib/record'
import { type FieldEntry, fieldGroups } from './fields'

export interface FieldActions {
  q: string
  terms: RegExp | null
  onFilter?: ((field: string, value: string, wanted: 'for' | 'out') => void) | undefined
  columns?: string[] | undefined
  onColumn?: ((name: string) => void) | undefined
}

export function FieldTables({ record, ...actions }: FieldActions & { record: LogRecord }) {
  return fieldGroups(record).map(({ title, entries }) => (
    <section key={title} className="mt-3">
      <h3 className="mb-0.5 text-xs font-semibold text-ink-2">{title}</h3>
      <table className="w-full table-fixed text-xs">
        <caption className="sr-only">{title}</caption>
        <colgroup>
          <col className="w-[30%]" />
          <col />
          <col className={actions.onFilter ? 'w-[72px]' : 'w-7'} />
        </colgroup>
        <tbody>
          {entries.map((entry) => (
            <FieldRow key={entry.label} entry={entry} {...actions} />
          ))}
        </tbody>
      </table>
    </section>
  ))
}

function FieldRow({ entry, terms, ...actions }: FieldActions & { entry: FieldEntry }) {
  const text = textOf(entry.value) ?? 'null'
  return (
    <tr className="border-t border-line align-top hover:bg-wash">
      <th scope="row" className="untrusted py-1 pr-2 text-left font-normal text-ink-2">
        {entry.label}
      </th>
      <td className="py-1 font-mono">
        {typeof entry.value === 'object' ? (
          <JsonTree value={entry.value} terms={terms} />
        ) : (
          <LongText text={text} terms={terms} />
        )}
      </td>
      <td className="py-0.5 text-right">
        <FieldButtons entry={entry} text={text} {...actions} />
      </td>
    </tr>
  )
}

const SMALL = 'h-5! w-5! text-ink-3'

function FieldButtons({
  entry,
  text,
  q,
  onFilter,
  columns,
  onColumn,
}: Omit<FieldActions, 'terms'> & { entry: FieldEntry; text: string }) {
  const { filter, label } = entry
  const state = filter ? filterState(q, filter, text) : 'none'
  return (
    <span className="inline-flex">
      {filter && onFilter && (
        <>
          <IconButton
            label={`Filter for ${label}`}
            aria-pressed={state === 'for'}
            className={SMALL}
            onClick={() => onFilter(filter, text, 'for')}
          >
            <PlusIcon size={12} />
          </IconButton>
          <IconButton
            label={`Exclude ${label}`}
            aria-pressed={state === 'out'}
            className={SMALL}
            onClick={() => onFilter(filter, text, 'out')}
          >
            <MinusIcon size={12} />
          </IconButton>
        </>
      )}
      {filter && onColumn && (
        <IconButton
          label={`Column ${label}`}
          aria-pressed={columns?.includes(filter) ?? false}
          className={SMALL}
          onClick={() => onColumn(filter)}
        >
          <ColumnsIcon size={12} />
        </IconButton>
      )}
      <IconButton
        label={`Copy ${label}`}
        className={SMALL}
        onClick={() => void copyText(text, label)}
      >
        <CopyIcon size={12} />
      </IconButton>
    </span>
  )
}
