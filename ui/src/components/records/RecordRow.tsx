import { type MouseEvent, memo } from 'react'
import { cx } from '@/components/class'
import { untrustedParts } from '@/components/untrusted'
import { LEVEL_STYLE } from '@/lib/levels'
import { fieldText, type LogRecord, labelOf } from '@/lib/record'
import { cut, ROW_CHARACTERS } from '@/lib/text'
import { formatDuration, formatTime, type Zone } from '@/lib/time'

/** Limit of a wrapped row; the record panel shows the full message. */
const WRAPPED_CHARACTERS = 8000

export interface RowOptions {
  columns: string[]
  isWrapped: boolean
  isNarrow: boolean
  zone: Zone
  terms: RegExp | null
  onFilter?: ((field: string, value: string, wanted: 'for' | 'out') => void) | undefined
}

export interface RecordRowProps extends RowOptions {
  record: LogRecord
  isSelected: boolean
}

/** One row: time, level, selected columns, message. Few elements, because it renders while scrolling. */
export const RecordRow = memo(function RecordRow(props: RecordRowProps) {
  const { record, columns, zone, isNarrow, isWrapped } = props
  const wrap = isWrapped ? 'whitespace-pre-wrap' : 'truncate'
  return (
    <>
      <time className="row-time" dateTime={record.createdAt} role="gridcell">
        {shownTime(record.createdAt, zone, isNarrow)}
      </time>
      <span
        role="gridcell"
        aria-label={record.level}
        className={cx('row-level', LEVEL_STYLE[record.level].row)}
      >
        {LEVEL_STYLE[record.level].letter}
      </span>
      {columns.map((name) => value(name, props))}
      <span role="gridcell" className={cx('row-message untrusted', wrap)}>
        {message(props)}
      </span>
    </>
  )
})

function shownTime(text: string, zone: Zone, isNarrow: boolean): string {
  const whole = formatTime(text, zone)
  return isNarrow ? whole.slice(11) : whole.slice(5)
}

const BADGE = 'mr-2 rounded px-1 font-sans text-2xs'

function message({ record, terms, isWrapped }: RecordRowProps) {
  const text = cut(record.message || record.action, isWrapped ? WRAPPED_CHARACTERS : ROW_CHARACTERS)
  const parts = untrustedParts(text, terms, isWrapped)
  if (record.kind === 'log') return parts
  return (
    <>
      {record.kind === 'span' ? (
        <span className={cx(BADGE, 'bg-wash text-ink-2')}>
          span {formatDuration(Number(record.durationNs ?? 0))}
        </span>
      ) : (
        <span className={cx(BADGE, 'bg-accent-wash text-accent')}>audit</span>
      )}
      {parts}
    </>
  )
}

/** A column value; click to filter for it, Shift-click to exclude it. The record panel has buttons too. */
function value(name: string, { record, onFilter }: RecordRowProps) {
  const text = cut(fieldText(record, name) ?? '', 200)
  if (!text || !onFilter) {
    return (
      <span key={name} role="gridcell" className="untrusted truncate">
        {text ? untrustedParts(text) : '–'}
      </span>
    )
  }
  const onClick = (event: MouseEvent) => {
    event.stopPropagation()
    onFilter(name, fieldText(record, name) ?? '', event.shiftKey ? 'out' : 'for')
  }
  return (
    <span key={name} role="gridcell" className="flex min-w-0">
      <button
        type="button"
        tabIndex={-1}
        className="row-value untrusted truncate"
        title={`${labelOf(name)}: click to filter, Shift-click to exclude`}
        onClick={onClick}
      >
        {untrustedParts(text)}
      </button>
    </span>
  )
}
