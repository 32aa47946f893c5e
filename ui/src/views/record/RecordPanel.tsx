/** The record panel beside the list, or over it on narrow screens. */

import { useQuery } from '@tanstack/react-query'
import { useMemo } from 'react'
import { useShortcuts } from '@/app/shortcuts'
import { buttonClass, IconButton } from '@/components/button'
import { CloseIcon, CopyIcon, LinkIcon, TimelineIcon, TraceIcon } from '@/components/icons'
import { LevelTag } from '@/components/level'
import { Menu, MenuItem } from '@/components/menu'
import { ErrorNotice, Loading } from '@/components/states'
import { copyText } from '@/components/toast'
import { UntrustedText } from '@/components/untrusted'
import { addressOf, change, go, linkTo, useRoute } from '@/lib/address'
import { readRecord } from '@/lib/api'
import { hitPattern } from '@/lib/language'
import { usePreferences } from '@/lib/preferences'
import type { LogRecord } from '@/lib/record'
import { recordJson } from '@/lib/save'
import { cut } from '@/lib/text'
import { formatTime } from '@/lib/time'
import { RecordBody, TABS, type Tab } from './RecordBody'

const MAX_MENU_CHARACTERS = 60

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
  const { params } = useRoute()
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
        <ErrorNotice error={error} what="the record" onRetry={() => void refetch()} />
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
        <UntrustedText
          text={
            record
              ? `${formatTime(record.createdAt, zone, 6)}  ${record.sourceModule}`
              : cut(id, 100)
          }
        />
      </h2>
      {record && <RecordActions record={record} />}
      <IconButton label="Close record" shortcut="Esc" onClick={onClose}>
        <CloseIcon />
      </IconButton>
    </header>
  )
}

export function RecordActions({ record }: { record: LogRecord }) {
  const copyJson = () => void copyText(recordJson(record), 'JSON')
  const copyLink = () => void copyText(linkTo(addressOf(['record', record.id])), 'Link')
  useShortcuts({
    y: copyJson,
    Y: copyLink,
    c: () => change({ tab: 'context' }, 'replace'),
    t: () => record.traceId && go(traceAddress(record)),
  })
  return (
    <>
      {record.traceId && (
        <a className={buttonClass('outline')} href={traceAddress(record)} title="Open trace (t)">
          <TraceIcon size={14} /> Trace
        </a>
      )}
      <RelatedMenu record={record} />
      <IconButton label="Copy as JSON" shortcut="y" onClick={copyJson}>
        <CopyIcon />
      </IconButton>
      <IconButton label="Copy link" shortcut="Shift Y" onClick={copyLink}>
        <LinkIcon />
      </IconButton>
    </>
  )
}

export function traceAddress(record: LogRecord): string {
  return addressOf(['trace', record.traceId ?? ''], { id: record.id })
}

function RelatedMenu({ record }: { record: LogRecord }) {
  const { resourceId, resourceType, correlationId, actorId } = record
  if (!resourceId && !correlationId && !actorId) return null
  const open = (of: string, id: string, type?: string | null) => () =>
    go(addressOf(['timeline', of, id], { resourceType: type }))
  return (
    <Menu
      label="Related records"
      trigger={
        <IconButton label="Related records">
          <TimelineIcon />
        </IconButton>
      }
    >
      {resourceId && (
        <MenuItem onSelect={open('resource', resourceId, resourceType)}>
          <span>
            Everything about <Value text={[resourceType, resourceId].filter(Boolean).join(' ')} />
          </span>
        </MenuItem>
      )}
      {actorId && (
        <MenuItem onSelect={open('actor', actorId)}>
          <span>
            Everything by <Value text={actorId} />
          </span>
        </MenuItem>
      )}
      {correlationId && (
        <MenuItem onSelect={open('correlation', correlationId)}>
          <span>
            Everything with correlation ID <Value text={correlationId} />
          </span>
        </MenuItem>
      )}
    </Menu>
  )
}

function Value({ text }: { text: string }) {
  return <UntrustedText text={cut(text, MAX_MENU_CHARACTERS)} />
}
