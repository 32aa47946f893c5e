/** All records of a resource, an actor or a correlation ID in chronological order. */

import { useMemo, useState } from 'react'
import { useShortcuts } from '@/app/shortcuts'
import { Button, buttonClass } from '@/components/button'
import { neighbour, RecordList } from '@/components/records/RecordList'
import { ErrorNotice, Loading, Notice } from '@/components/states'
import { UntrustedText } from '@/components/untrusted'
import { useMedium, useNarrow } from '@/components/useNarrow'
import { addressOf, change, useRoute } from '@/lib/address'
import { type Order, readTimeline, type TimelineOf } from '@/lib/api'
import { plural } from '@/lib/format'
import { quoted } from '@/lib/language'
import { usePreferences } from '@/lib/preferences'
import type { LogRecord } from '@/lib/record'
import { cut } from '@/lib/text'
import { formatLength, formatTime } from '@/lib/time'
import { RecordPanel } from '@/views/record/RecordPanel'
import { type Records, useRecordPages } from '@/views/search/useRecords'

interface Kind {
  of: TimelineOf
  title: string
  field: string
  columns: string[]
}

const KINDS: Record<string, Kind> = {
  resource: {
    of: 'resource',
    title: 'Resource',
    field: 'resourceId',
    columns: ['sourceModule', 'action', 'actorId'],
  },
  actor: {
    of: 'actor',
    title: 'Actor',
    field: 'actorId',
    columns: ['sourceModule', 'action', 'resourceId'],
  },
  correlation: {
    of: 'correlation',
    title: 'Correlation ID',
    field: 'correlationId',
    columns: ['sourceModule', 'action'],
  },
}

export default function TimelineView({ path }: { path: string[] }) {
  const kind = KINDS[path[1] ?? '']
  if (!kind || !path[2]) {
    return (
      <Notice isPage title="Timeline not found">
        Timelines exist for resources, actors and correlation IDs.
      </Notice>
    )
  }
  return <Timeline key={path.join('/')} kind={kind} id={path[2]} />
}

function Timeline({ kind, id }: { kind: Kind; id: string }) {
  const { params } = useRoute()
  const order: Order = params.get('order') === 'desc' ? 'desc' : 'asc'
  const resourceType = params.get('resourceType') ?? undefined
  const [refreshKey, setRefreshKey] = useState(0)
  const found = useRecordPages(
    ['timeline', kind.of, id, resourceType, order, refreshKey],
    (cursor, limit, signal) =>
      readTimeline(kind.of, id, { resourceType, order, limit, cursor }, signal),
  )
  const selected = params.get('id')
  const select = (record: LogRecord) => change({ id: record.id }, selected ? 'replace' : 'push')
  const step = (by: number) => () => {
    const record = neighbour(found.records, selected, (index) => index + by)
    if (record) select(record)
  }
  const reverse = () => change({ order: order === 'asc' ? 'desc' : null, id: null }, 'replace')
  useShortcuts({
    j: step(1),
    k: step(-1),
    o: reverse,
    r: () => setRefreshKey(refreshKey + 1),
    Escape: () => (selected ? change({ id: null, tab: null }, 'replace') : window.history.back()),
  })
  return (
    <div className="flex min-h-0 flex-1 flex-col">
      <header className="flex flex-wrap items-center gap-x-3 gap-y-1 border-b border-line bg-sheet px-3 py-2">
        <h1 className="text-base font-semibold">
          {kind.title}{' '}
          <UntrustedText text={cut(id, 300)} className="font-mono text-sm font-normal" />
        </h1>
        {resourceType && (
          <span className="rounded bg-wash px-1.5 text-ink-2">
            <UntrustedText text={cut(resourceType, 100)} />
          </span>
        )}
        <Summary records={found.records} hasMore={found.hasMore} />
        <span className="flex-1" />
        <Button variant="outline" title="Reverse order (o)" onClick={reverse}>
          {order === 'asc' ? 'Oldest first' : 'Newest first'}
        </Button>
        <a
          className={buttonClass('outline')}
          href={addressOf(['search'], { q: `${kind.field}:${quoted(id)}`, start: '-7d' })}
        >
          Open in search
        </a>
      </header>
      <Body kind={kind} found={found} selected={selected} onSelect={select} />
    </div>
  )
}

function Summary({ records, hasMore }: { records: LogRecord[]; hasMore: boolean }) {
  const zone = usePreferences((state) => state.zone)
  const times = records.map((record) => Date.parse(record.createdAt))
  const first = records[0]
  const last = records.at(-1)
  if (!first || !last) return null
  const services = new Set(records.map((record) => record.sourceModule)).size
  const length = Math.abs((times.at(-1) ?? 0) - (times[0] ?? 0))
  return (
    <p className="text-xs text-ink-2">
      {plural(records.length, 'record')}
      {hasMore && ' or more'} from {plural(services, 'service')} over {formatLength(length)},
      starting {formatTime(first.createdAt, zone, 0)}
    </p>
  )
}

interface BodyProps {
  kind: Kind
  found: Records
  selected: string | null
  onSelect: (record: LogRecord) => void
}

function Body({ kind, found, selected, onSelect }: BodyProps) {
  const zone = usePreferences((state) => state.zone)
  const isNarrow = useNarrow()
  const isMedium = useMedium()
  const columns = useMemo(
    () => (isNarrow ? kind.columns.slice(0, 2) : kind.columns),
    [kind, isNarrow],
  )
  if (found.isLoading) return <Loading what="the timeline" />
  if (found.error && !found.records.length)
    return <ErrorNotice error={found.error} what="the timeline" onRetry={found.retry} />
  if (!found.records.length)
    return <Notice title="No records found">No records reference it, or they have expired.</Notice>
  return (
    <div className="flex min-h-0 flex-1">
      {!(isMedium && selected) && (
        <section aria-label="Timeline" className="flex min-w-0 flex-1 flex-col">
          <RecordList
            records={found.records}
            label="Timeline"
            hasMore={found.hasMore}
            selected={selected}
            onSelect={onSelect}
            onNearEnd={found.loadMore}
            columns={columns}
            isWrapped={false}
            isNarrow={isNarrow}
            zone={zone}
            terms={null}
          />
        </section>
      )}
      {selected && (
        <RecordPanel
          id={selected}
          known={found.records.find((record) => record.id === selected)}
          q=""
          onClose={() => change({ id: null, tab: null }, 'replace')}
        />
      )}
    </div>
  )
}
