/**
 * Records as a virtual grid: only some dozens of rows are in the DOM. The grid keeps the focus and
 * reports its active row to screen readers.
 */

import { useVirtualizer, type VirtualItem } from '@tanstack/react-virtual'
import {
  type CSSProperties,
  type KeyboardEvent,
  type MouseEvent,
  type ReactNode,
  useEffect,
  useRef,
} from 'react'
import { cx } from '@/components/class'
import type { LogRecord } from '@/lib/record'
import { labelOf } from '@/lib/record'
import { RecordRow, type RowOptions } from './RecordRow'

const ROW_PX = 26
const NARROW_ROW_PX = 46
const OVERSCAN = 8
/** More rows than a screen shows: row elements are recycled as the list scrolls. */
const POOL_ROWS = 256
/** The next page is requested when this many rows are left. */
const LOAD_AHEAD = 400

export interface RecordListProps extends RowOptions {
  records: LogRecord[]
  label: string
  hasMore: boolean
  selected: string | null
  onSelect: (record: LogRecord) => void
  onNearEnd: () => void
  footer?: ReactNode
  /** Keep the newest record in view (live tail). */
  follow?: boolean
  /** Called when the user scrolls. */
  onUserScroll?: (isAtEnd: boolean) => void
}

export function RecordList(props: RecordListProps) {
  const { records, label, hasMore, isWrapped, isNarrow, selected, onNearEnd, columns } = props
  const scroller = useRef<HTMLDivElement>(null)
  const virtualizer = useVirtualizer({
    count: records.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => (isNarrow ? NARROW_ROW_PX : ROW_PX),
    overscan: OVERSCAN,
  })
  const rows = virtualizer.getVirtualItems()
  const last = rows.at(-1)?.index ?? 0
  useEffect(() => {
    if (hasMore && last >= records.length - LOAD_AHEAD) onNearEnd()
  }, [hasMore, last, records.length, onNearEnd])
  // biome-ignore lint/correctness/useExhaustiveDependencies: row sizes depend on these
  useEffect(() => virtualizer.measure(), [isWrapped, isNarrow])
  useSelectedInView(props, virtualizer.scrollToIndex)
  useFollow(props, scroller)
  const isMeasured = isWrapped
  return (
    <div
      ref={scroller}
      role="grid"
      aria-label={label}
      aria-rowcount={hasMore ? -1 : records.length}
      aria-colcount={columns.length + 3}
      aria-activedescendant={activeRow(rows, records, selected)}
      style={{ '--row-grid': gridOf(columns, isNarrow) } as CSSProperties}
      tabIndex={0}
      className="min-h-0 flex-1 overflow-auto overscroll-contain bg-sheet font-mono text-xs contain-strict focus-visible:outline-offset-[-2px]"
      onKeyDown={(event) => onGridKey(event, props)}
      data-testid="records"
    >
      <ColumnHeads columns={columns} isNarrow={isNarrow} />
      <div role="rowgroup" className="relative" style={{ height: virtualizer.getTotalSize() }}>
        {rows.map((row) => {
          const record = records[row.index]
          if (!record) return null
          return (
            <div
              key={isMeasured ? row.index : row.index % POOL_ROWS}
              ref={isMeasured ? virtualizer.measureElement : undefined}
              data-index={row.index}
              id={rowId(record.id)}
              role="row"
              aria-rowindex={row.index + 1}
              aria-selected={record.id === selected}
              className={cx('row', isNarrow && 'row-narrow', isWrapped && 'row-wrapped')}
              style={{ transform: `translateY(${row.start}px)` }}
              onClick={(event) => onRowClick(event, record, props.onSelect)}
            >
              <RecordRow
                {...rowOptions(props)}
                record={record}
                isSelected={record.id === selected}
              />
            </div>
          )
        })}
      </div>
      {props.footer}
    </div>
  )
}

function rowOptions({
  columns,
  isWrapped,
  isNarrow,
  zone,
  terms,
  onFilter,
}: RecordListProps): RowOptions {
  return { columns, isWrapped, isNarrow, zone, terms, onFilter }
}

/** The element ID of the selected row, if it is rendered. */
function activeRow(rows: VirtualItem[], records: LogRecord[], selected: string | null) {
  const isShown = selected && rows.some(({ index }) => records[index]?.id === selected)
  return isShown ? rowId(selected) : undefined
}

function rowId(id: string): string {
  return `row-${id}`
}

function gridOf(columns: string[], isNarrow: boolean): string {
  if (isNarrow) return `13ch 3ch ${'minmax(0,1fr) '.repeat(columns.length)}`
  const chosen = columns.map(() => 'minmax(8ch,15ch)').join(' ')
  return `19ch 3ch ${chosen} minmax(24ch,1fr)`
}

function ColumnHeads({ columns, isNarrow }: { columns: string[]; isNarrow: boolean }) {
  const names = ['Time', 'Level', ...columns.map(labelOf), 'Message']
  return (
    <div role="rowgroup" className={isNarrow ? 'sr-only' : 'row-heads'}>
      <div role="row" className="row-grid gap-x-3 px-3">
        {names.map((name) => (
          <span
            key={name}
            role="columnheader"
            className={cx('truncate', name === 'Level' && 'sr-only-head')}
          >
            {name}
          </span>
        ))}
      </div>
    </div>
  )
}

/** A click selects the record, unless it ends a text selection. */
function onRowClick(event: MouseEvent, record: LogRecord, onSelect: (record: LogRecord) => void) {
  if (event.detail > 1 || !window.getSelection()?.isCollapsed) return
  onSelect(record)
}

const STEPS: Record<string, (index: number, count: number) => number> = {
  ArrowDown: (index) => index + 1,
  ArrowUp: (index) => index - 1,
  PageDown: (index) => index + 20,
  PageUp: (index) => index - 20,
  Home: () => 0,
  End: (_, count) => count - 1,
}

function onGridKey(event: KeyboardEvent, props: RecordListProps) {
  const step = STEPS[event.key]
  if (!step || event.altKey || event.ctrlKey || event.metaKey) return
  event.preventDefault()
  const record = neighbour(props.records, props.selected, step)
  if (record) props.onSelect(record)
}

/** The record a step away from the selected one; the first one when none is selected. */
export function neighbour(
  records: LogRecord[],
  selected: string | null,
  step: (index: number, count: number) => number,
): LogRecord | undefined {
  const index = records.findIndex((record) => record.id === selected)
  const target = index < 0 && step(0, records.length) === 1 ? 0 : step(index, records.length)
  return records[Math.min(Math.max(target, 0), records.length - 1)]
}

function useSelectedInView(
  { records, selected }: RecordListProps,
  scrollToIndex: (index: number, options: { align: 'auto' }) => void,
) {
  // biome-ignore lint/correctness/useExhaustiveDependencies: only a new selection moves the list
  useEffect(() => {
    const index = selected ? records.findIndex((record) => record.id === selected) : -1
    if (index >= 0) scrollToIndex(index, { align: 'auto' })
  }, [selected])
}

const NEAR_END_PX = 40
/** A scroll that ends within this time after user input counts as a user scroll. */
const SETTLED_MS = 1000

function useFollow(
  { follow, records, onUserScroll }: RecordListProps,
  scroller: { current: HTMLDivElement | null },
) {
  // biome-ignore lint/correctness/useExhaustiveDependencies: each new record scrolls the list
  useEffect(() => {
    const element = scroller.current
    if (follow && element) element.scrollTop = element.scrollHeight
  }, [follow, records])
  useEffect(() => {
    const element = scroller.current
    if (!element || !onUserScroll) return
    // Only user input counts: wheel, touch, keys, the scroll bar.
    const isAtEnd = () =>
      element.scrollHeight - element.scrollTop - element.clientHeight < NEAR_END_PX
    let lastInput = Number.NEGATIVE_INFINITY
    const onInput = () => {
      lastInput = performance.now()
      requestAnimationFrame(() => onUserScroll(isAtEnd()))
    }
    // The wheel event precedes the scrolling, which a busy page delays.
    const onScrollEnd = () => {
      if (isAtEnd() || performance.now() - lastInput < SETTLED_MS) onUserScroll(isAtEnd())
    }
    const names = ['wheel', 'touchmove', 'pointerup', 'keyup'] as const
    for (const name of names) element.addEventListener(name, onInput, { passive: true })
    element.addEventListener('scrollend', onScrollEnd)
    return () => {
      element.removeEventListener('scrollend', onScrollEnd)
      for (const name of names) element.removeEventListener(name, onInput)
    }
  }, [onUserScroll, scroller])
}
