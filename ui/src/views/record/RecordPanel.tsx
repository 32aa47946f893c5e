/** One record beside the lines, or over them where there is no room. */

import { useQuery } from '@tanstack/react-query'
import { useMemo } from 'react'
import { useShortcuts } from '@/app/shortcuts'
import { buttonClass, IconButton } from '@/components/button'
import { CloseIcon, CopyIcon, LinkIcon, TimelineIcon, TraceIcon } from '@/components/icons'
import { LevelTag } from '@/components/level'
import { Menu, MenuItem } from '@/components/menu'
import { copyText } from '@/components/say'
import { ErrorNotice, Loading } from '@/components/states'
import { Strange } from '@/components/strange'
import { addressOf, change, go, linkTo, usePlace } from '@/lib/address'
import { readRecord } from '@/lib/api'
import { hitPattern } from '@/lib/language'
import { usePreferences } from '@/lib/preferences'
import type { LogRecord } from '@/lib/record'
import { recordJson } from '@/lib/save'
import { cut } from '@/lib/text'
import { formatTime } from '@/lib/time'
import { RecordBody, TABS, type Tab } from './RecordBody'

interface RecordPanelProps {
  id: string
  known?: LogRecord | undefined
  q: string
  onFilter?: (field: string, value: string, wanted: 'for' | 'out') => void
  onClose: () => void
}

export function useRecord(id: string, known?: LogRecord | undefined) {
  return useQuery({
    queryKey: ['record', id],
    queryFn: ({ signal }) => readRecord(id, signal),
    enabled: !known,
    ...(known ? { initialData: known } : {}),
  })
}

export function RecordPanel({ id, known, q, onFilter, onClose }: RecordPanelProps) {
  const { data: record, error, refetch } = useRecord(id, known)
  const { params } = usePlace()
  const terms = useMemo(() => hitPattern(q), [q])
  const tab = tabOf(params.get('tab'))
  return (
    <aside
      aria-label="Record"
      className="flex w-full min-w-0 shrink-0 flex-col border-l border-line bg-sheet lg:w-[min(44vw,640px)]"
      data-testid="record"
    >
      <Head id={id} record={record} onClose={onClose} />
      {record && (
        <RecordBody
          record={record}
          tab={tab}
          onTab={(next) => change({ tab: next === 'fields' ? null : next }, 'replace')}
          q={q}
          terms={terms}
          onFilter={onFilter}
        />
      )}
      {!record && error && (
        <ErrorNotice error={error} what="This record" onRetry={() => void refetch()} />
      )}
      {!record && !error && <Loading what="the record" />}
    </aside>
  )
}

export function tabOf(name: string | null): Tab {
  return TABS.find(([known]) => known === name)?.[0] ?? 'fields'
}

function Head({
  id,
  record,
  onClose,
}: {
  id: string
  record: LogRecord | undefined
  onClose: () => void
}) {
  const zone = usePreferences((state) => state.zone)
  return (
    <header className="flex items-center gap-2 px-3 py-1.5">
      {record && <LevelTag level={record.level} long />}
      <h2 className="min-w-0 flex-1 truncate font-mono text-xs" title={record?.createdAt}>
        <Strange
          text={
            record
              ? `${formatTime(record.createdAt, zone, 6)}  ${record.sourceModule}`
              : cut(id, 100)
          }
        />
      </h2>
      {record && <RecordActions record={record} />}
      <IconButton label="Close the record" shortcut="Esc" onClick={onClose}>
        <CloseIcon />
      </IconButton>
    </header>
  )
}

export function RecordActions({ record }: { record: LogRecord }) {
  const copyJson = () => void copyText(recordJson(record), 'JSON')
  const copyLink = () =>
    void copyText(linkTo(addressOf(['record', record.id])), 'Link to this record')
  useShortcuts({
    y: copyJson,
    Y: copyLink,
    c: () => change({ tab: 'around' }, 'replace'),
    t: () => record.traceId && go(traceAddress(record)),
  })
  return (
    <>
      {record.traceId && (
        <a className={buttonClass('outline')} href={traceAddress(record)} title="Its trace (t)">
          <TraceIcon size={14} /> Trace
        </a>
      )}
      <TimelineMenu record={record} />
      <IconButton label="Copy as JSON" shortcut="y" onClick={copyJson}>
        <CopyIcon />
      </IconButton>
      <IconButton label="Copy link to this record" shortcut="Shift Y" onClick={copyLink}>
        <LinkIcon />
      </IconButton>
    </>
  )
}

export function traceAddress(record: LogRecord): string {
  return addressOf(['trace', record.traceId ?? ''], { id: record.id })
}

function TimelineMenu({ record }: { record: LogRecord }) {
  const { resourceId, resourceType, correlationId, actorId } = record
  if (!resourceId && !correlationId && !actorId) return null
  const open = (of: string, id: string, type?: string | null) => () =>
    go(addressOf(['timeline', of, id], { resourceType: type }))
  return (
    <Menu
      label="Timelines"
      trigger={
        <IconButton label="Timelines">
          <TimelineIcon />
        </IconButton>
      }
    >
      {resourceId && (
        <MenuItem onSelect={open('resource', resourceId, resourceType)}>
          Timeline of its resource
        </MenuItem>
      )}
      {actorId && <MenuItem onSelect={open('actor', actorId)}>Timeline of its actor</MenuItem>}
      {correlationId && (
        <MenuItem onSelect={open('correlation', correlationId)}>
          Timeline of its correlation
        </MenuItem>
      )}
    </Menu>
  )
}
