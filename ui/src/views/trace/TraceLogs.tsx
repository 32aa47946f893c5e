/** The logs of a trace in chronological order, with and without a span. */

import { useMemo, useState } from 'react'
import { DownIcon, RightIcon } from '@/components/icons'
import { RecordList } from '@/components/records/RecordList'
import { useNarrow } from '@/components/useNarrow'
import { plural } from '@/lib/format'
import { usePreferences } from '@/lib/preferences'
import type { LogRecord } from '@/lib/record'
import type { Trace } from '@/lib/trace'

const COLUMNS = ['sourceModule']

export function TraceLogs({
  trace,
  selected,
  onSelect,
}: {
  trace: Trace
  selected: string | null
  onSelect: (record: LogRecord) => void
}) {
  const zone = usePreferences((state) => state.zone)
  const isNarrow = useNarrow()
  const [isOpen, setOpen] = useState(true)
  const logs = useMemo(
    () =>
      [...trace.loose, ...trace.spans.flatMap((span) => span.logs)]
        .sort((left, right) => left.atNs - right.atNs)
        .map((mark) => mark.record),
    [trace],
  )
  if (!logs.length) return null
  return (
    <section
      aria-label="Trace logs"
      className={
        isOpen
          ? 'flex max-h-[45%] min-h-40 flex-1 flex-col border-t border-line-strong'
          : 'border-t border-line-strong'
      }
    >
      <h2>
        <button
          type="button"
          aria-expanded={isOpen}
          className="flex w-full items-center gap-1 px-3 py-1 text-xs font-semibold hover:bg-wash"
          onClick={() => setOpen(!isOpen)}
        >
          {isOpen ? <DownIcon size={12} /> : <RightIcon size={12} />}
          {plural(logs.length, 'log')}
          {trace.loose.length > 0 && (
            <span className="font-normal text-ink-3">({trace.loose.length} without a span)</span>
          )}
        </button>
      </h2>
      {isOpen && (
        <RecordList
          records={logs}
          label="Trace logs"
          hasMore={false}
          selected={selected}
          onSelect={onSelect}
          onNearEnd={() => undefined}
          columns={COLUMNS}
          isWrapped={false}
          isNarrow={isNarrow}
          zone={zone}
          terms={null}
        />
      )}
    </section>
  )
}
