import { type MouseEvent, memo } from 'react'
import { cx } from '@/components/class'
import { strangeParts } from '@/components/strange'
import { LEVEL_LOOK } from '@/lib/levels'
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

/** One line: when, how bad, the chosen columns, what. Few elements: it is drawn while scrolling. */
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
        className={cx('row-level', LEVEL_LOOK[record.level].row)}
      >
        {LEVEL_LOOK[record.level].letter}
      </span>
      {columns.map((name) => value(name, props))}
      <span role="gridcell" className={cx('row-message strange', wrap)}>
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
  const parts = strangeParts(text, terms, isWrapped)
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

/** A column's value; a click filters for it, with Shift against it. The record's page has buttons. */
function value(name: string, { record, onFilter }: RecordRowProps) {
  const text = cut(fieldText(record, name) ?? '', 200)
  if (!text || !onFilter) {
    return (
      <span key={name} role="gridcell" className="strange truncate">
        {text ? strangeParts(text) : '–'}
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
        className="row-value strange truncate"
        title={`${labelOf(name)}: click to filter for it, with Shift to filter it out`}
        onClick={onClick}
      >
        {strangeParts(text)}
      </button>
    </span>
  )
}
