import { type MouseEvent, memo } from 'react'
import { cx } from '@/components/class'
import { LevelTag } from '@/components/level'
import { Strange } from '@/components/strange'
import { fieldText, type LogRecord, labelOf } from '@/lib/record'
import { cut, ROW_CHARACTERS } from '@/lib/text'
import { formatDuration, formatTime, type Zone } from '@/lib/time'

/** Of a wrapped line; more is in the record itself. */
const WRAPPED_CHARACTERS = 8000

export interface RowLook {
  columns: string[]
  isWrapped: boolean
  isNarrow: boolean
  zone: Zone
  terms: RegExp | null
  onFilter?: ((field: string, value: string, wanted: 'for' | 'out') => void) | undefined
}

export interface RecordRowProps extends RowLook {
  record: LogRecord
  isSelected: boolean
}

/** One line: when, how bad, the chosen columns, what. */
export const RecordRow = memo(function RecordRow(props: RecordRowProps) {
  const { record, columns, zone, isNarrow, isWrapped } = props
  return (
    <>
      <time className="row-time" dateTime={record.createdAt} role="gridcell">
        {shownTime(record.createdAt, zone, isNarrow)}
      </time>
      <span role="gridcell">
        <LevelTag level={record.level} />
      </span>
      {columns.map((name) => (
        <Value key={name} name={name} {...props} />
      ))}
      <span
        role="gridcell"
        className={cx('row-message', isWrapped ? 'whitespace-pre-wrap' : 'truncate')}
      >
        <Message {...props} />
      </span>
    </>
  )
})

function shownTime(text: string, zone: Zone, isNarrow: boolean): string {
  const whole = formatTime(text, zone)
  return isNarrow ? whole.slice(11) : whole.slice(5)
}

function Message({ record, terms, isWrapped }: RecordRowProps) {
  const text = record.message || record.action
  return (
    <>
      {record.kind === 'span' && (
        <span className="mr-2 rounded bg-wash px-1 font-sans text-2xs text-ink-2">
          span {formatDuration(Number(record.durationNs ?? 0))}
        </span>
      )}
      {record.kind === 'audit' && (
        <span className="mr-2 rounded bg-accent-wash px-1 font-sans text-2xs text-accent">
          audit
        </span>
      )}
      <Strange
        text={cut(text, isWrapped ? WRAPPED_CHARACTERS : ROW_CHARACTERS)}
        terms={terms}
        multiline={isWrapped}
      />
    </>
  )
}

/** A column's value; a click filters for it, with Shift against it. The record's page has buttons. */
function Value({ name, record, onFilter }: RecordRowProps & { name: string }) {
  const value = fieldText(record, name)
  if (value === null || value === '') {
    return (
      <span role="gridcell" className="text-ink-3">
        –
      </span>
    )
  }
  const onClick = (event: MouseEvent) => {
    event.stopPropagation()
    onFilter?.(name, value, event.shiftKey ? 'out' : 'for')
  }
  return (
    <span role="gridcell" className="truncate">
      {onFilter ? (
        <button
          type="button"
          tabIndex={-1}
          className="max-w-full truncate hover:text-accent hover:underline"
          title={`${labelOf(name)}: ${cut(value, 300)}\nClick: filter for it. Shift and click: filter it out.`}
          onClick={onClick}
        >
          <Strange text={cut(value, 200)} />
        </button>
      ) : (
        <Strange text={cut(value, 200)} />
      )}
    </span>
  )
}
