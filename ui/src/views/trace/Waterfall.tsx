/** Spans over time, one row each, with their logs as dots on the bar. */

import { useVirtualizer } from '@tanstack/react-virtual'
import { type CSSProperties, useEffect, useRef } from 'react'
import { cx } from '@/components/class'
import { DownIcon, RightIcon, WarningIcon } from '@/components/icons'
import { UntrustedText } from '@/components/untrusted'
import { LEVEL_STYLE } from '@/lib/levels'
import type { LogRecord } from '@/lib/record'
import { cut } from '@/lib/text'
import { formatDuration } from '@/lib/time'
import type { LogMark, SpanNode, Trace } from '@/lib/trace'

const ROW_PX = 28
const INDENT_PX = 14
const MAX_INDENT = 12

interface WaterfallProps {
  trace: Trace
  spans: SpanNode[]
  selected: string | null
  collapsed: ReadonlySet<string>
  onSelect: (record: LogRecord) => void
  onFold: (span: SpanNode, isFolded: boolean) => void
}

export function Waterfall({ trace, spans, selected, collapsed, onSelect, onFold }: WaterfallProps) {
  const scroller = useRef<HTMLDivElement>(null)
  const virtualizer = useVirtualizer({
    count: spans.length,
    getScrollElement: () => scroller.current,
    estimateSize: () => ROW_PX,
    overscan: 15,
  })
  const index = spans.findIndex(
    (span) => span.record.id === selected || span.logs.some((log) => log.record.id === selected),
  )
  // biome-ignore lint/correctness/useExhaustiveDependencies: only a new selection moves the rows
  useEffect(() => {
    if (index >= 0) virtualizer.scrollToIndex(index, { align: 'auto' })
  }, [selected])
  return (
    <div
      ref={scroller}
      role="treegrid"
      aria-label="Spans"
      aria-rowcount={spans.length}
      aria-activedescendant={index >= 0 ? `span-${spans[index]?.record.id}` : undefined}
      tabIndex={0}
      className="min-h-0 flex-1 overflow-auto bg-sheet text-xs focus-visible:outline-offset-[-2px]"
      data-testid="waterfall"
    >
      <Ruler lengthNs={trace.lengthNs} />
      <div role="rowgroup" className="relative" style={{ height: virtualizer.getTotalSize() }}>
        {virtualizer.getVirtualItems().map((row) => {
          const span = spans[row.index]
          if (!span) return null
          return (
            <div
              key={span.record.id}
              id={`span-${span.record.id}`}
              role="row"
              aria-level={span.depth + 1}
              aria-rowindex={row.index + 1}
              aria-selected={index === row.index}
              aria-expanded={span.children.length ? !collapsed.has(span.record.id) : undefined}
              className={cx(
                'waterfall-row absolute inset-x-0 top-0 hover:bg-wash',
                index === row.index && 'bg-accent-wash',
              )}
              style={{ height: ROW_PX, transform: `translateY(${row.start}px)` }}
              onClick={() => onSelect(span.record)}
            >
              <Name
                span={span}
                colour={trace.colours.get(span.record.sourceModule)}
                isFolded={collapsed.has(span.record.id)}
                onFold={onFold}
              />
              <Bar span={span} trace={trace} onSelect={onSelect} />
            </div>
          )
        })}
      </div>
    </div>
  )
}

function Name({
  span,
  colour,
  isFolded,
  onFold,
}: {
  span: SpanNode
  colour: string | undefined
  isFolded: boolean
  onFold: WaterfallProps['onFold']
}) {
  const { record, children, isOrphan, hasError } = span
  const label = `${isFolded ? 'Expand' : 'Collapse'} ${record.action}`
  return (
    <div
      role="rowheader"
      className="flex min-w-0 items-center gap-1 pr-2"
      style={{ paddingLeft: Math.min(span.depth, MAX_INDENT) * INDENT_PX }}
    >
      {children.length > 0 ? (
        <button
          type="button"
          tabIndex={-1}
          aria-label={label}
          className="grid size-5 shrink-0 place-items-center rounded text-ink-3 hover:bg-line"
          onClick={(event) => {
            event.stopPropagation()
            onFold(span, !isFolded)
          }}
        >
          {isFolded ? <RightIcon size={12} /> : <DownIcon size={12} />}
        </button>
      ) : (
        <span className="w-5 shrink-0" />
      )}
      <span
        className="h-4 w-1 shrink-0 rounded-full"
        style={{ background: colour }}
        aria-hidden="true"
      />
      <span className="shrink-0 text-ink-3">
        <UntrustedText text={cut(record.sourceModule, 30)} />
      </span>
      <span className={cx('truncate', hasError && 'font-semibold text-level-error')}>
        <UntrustedText text={cut(record.action, 200)} />
      </span>
      {hasError && (
        <span className="text-level-error" title="Error">
          <WarningIcon size={12} />
          <span className="sr-only">error</span>
        </span>
      )}
      {isOrphan && (
        <span
          className="shrink-0 rounded bg-warning-wash px-1 text-2xs text-level-warn"
          title="The parent span was not received"
        >
          no parent
        </span>
      )}
      {isFolded && <span className="shrink-0 text-ink-3">+{countBelow(span)}</span>}
    </div>
  )
}

function countBelow(span: SpanNode): number {
  let count = 0
  const todo = [...span.children]
  for (let node = todo.pop(); node; node = todo.pop()) {
    count += 1
    todo.push(...node.children)
  }
  return count
}

function Bar({
  span,
  trace,
  onSelect,
}: {
  span: SpanNode
  trace: Trace
  onSelect: (record: LogRecord) => void
}) {
  const duration = span.endNs - span.startNs
  const share = (ns: number) => `${Math.min(100, Math.max(0, (100 * ns) / trace.lengthNs))}%`
  const isLate = span.startNs > trace.lengthNs * 0.6
  const style: CSSProperties = {
    left: share(span.startNs),
    width: `max(2px, ${share(duration)})`,
    background: trace.colours.get(span.record.sourceModule),
  }
  return (
    <div role="gridcell" className="relative mr-16 h-full">
      <span
        className={cx(
          'absolute top-[9px] h-2.5 rounded-[3px]',
          span.isCritical ? 'ring-[1.5px] ring-ink/80' : 'opacity-70',
        )}
        style={style}
        title={span.isCritical ? 'On the critical path' : undefined}
      />
      <span
        className="absolute top-1 px-1 whitespace-nowrap text-ink-2"
        style={
          isLate
            ? { right: `calc(100% - ${share(span.startNs)})` }
            : { left: `max(${share(span.endNs)}, calc(${share(span.startNs)} + 2px))` }
        }
      >
        {formatDuration(duration)}
      </span>
      {span.logs.map((log) => (
        <LogDot key={log.record.id} log={log} left={share(log.atNs)} onSelect={onSelect} />
      ))}
    </div>
  )
}

function LogDot({
  log,
  left,
  onSelect,
}: {
  log: LogMark
  left: string
  onSelect: (record: LogRecord) => void
}) {
  const { record } = log
  return (
    <button
      type="button"
      tabIndex={-1}
      className={cx(
        'absolute top-[10px] size-2 -translate-x-1/2 rounded-full border border-sheet hover:scale-150',
        LEVEL_STYLE[record.level].fill,
      )}
      style={{ left }}
      title={`${record.level} ${cut(record.message, 200)}`}
      aria-label={`${record.level} log: ${cut(record.message, 80)}`}
      onClick={(event) => {
        event.stopPropagation()
        onSelect(record)
      }}
    />
  )
}

const TICKS = [0, 0.25, 0.5, 0.75, 1]

function Ruler({ lengthNs }: { lengthNs: number }) {
  return (
    <div role="rowgroup" className="waterfall-row row-heads h-6">
      <div role="row" className="contents">
        <span role="columnheader" className="pl-3">
          Service and operation
        </span>
        <span role="columnheader" className="relative mr-16 h-4">
          <span className="sr-only">Time</span>
          {TICKS.map((tick) => (
            <span
              key={tick}
              aria-hidden="true"
              className={cx(
                'absolute whitespace-nowrap',
                tick % 0.5 > 0 && 'max-lg:hidden',
                tick === 1 ? '-translate-x-full' : tick > 0 && '-translate-x-1/2',
              )}
              style={{ left: `${tick * 100}%` }}
            >
              {tick ? formatDuration(Math.round(lengthNs * tick)) : '0'}
            </span>
          ))}
        </span>
      </div>
    </div>
  )
}
