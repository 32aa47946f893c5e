import { lazy, Suspense, useState } from 'react'
import { Button, IconButton } from '@/components/button'
import {
  ColumnsIcon,
  DownloadIcon,
  ExpandIcon,
  LinkIcon,
  MoreIcon,
  PanelIcon,
  RefreshIcon,
  WrapIcon,
} from '@/components/icons'
import { Menu, MenuCheck, MenuItem, MenuLabel, MenuRadio, MenuSeparator } from '@/components/menu'
import { copyText } from '@/components/toast'
import { addressOf, change, linkTo } from '@/lib/address'
import { type ExportFormat, exportUrl, type LogQuery } from '@/lib/api'
import { FIELDS, type LogRecord, labelOf } from '@/lib/record'
import { saveRecords } from '@/lib/save'
import { usePermission } from '@/lib/session'
import { fixedRange } from '@/lib/time'
import { useKnownAttributes } from './knownAttributes'
import { type SearchState, setColumns, toggleFlag } from './searchState'

const PurgeDialog = lazy(() => import('./PurgeDialog'))

interface ToolbarProps {
  search: SearchState
  query: LogQuery
  records: LogRecord[]
  onRefresh: () => void
  areFiltersShown: boolean
  onToggleFilters: () => void
}

export function Toolbar({
  search,
  query,
  records,
  onRefresh,
  areFiltersShown,
  onToggleFilters,
}: ToolbarProps) {
  const { isWrapped, isFull, order, show } = search
  return (
    <div
      role="toolbar"
      aria-label="Results"
      className="flex shrink-0 flex-wrap items-center gap-0.5 border-b border-line bg-paper px-2 py-1"
    >
      <IconButton label="Show filters" aria-pressed={areFiltersShown} onClick={onToggleFilters}>
        <PanelIcon />
      </IconButton>
      <ShowTabs show={show} />
      <Button
        onClick={() => change({ order: order === 'desc' ? 'asc' : null, id: null })}
        title="Reverse order (o)"
      >
        {order === 'desc' ? 'Newest first' : 'Oldest first'}
      </Button>
      <span className="flex-1" />
      <IconButton
        label="Wrap long lines"
        shortcut="w"
        aria-pressed={isWrapped}
        onClick={() => toggleFlag('wrap', isWrapped)}
      >
        <WrapIcon />
      </IconButton>
      <IconButton
        label="Full screen"
        shortcut="f"
        aria-pressed={isFull}
        onClick={() => toggleFlag('full', isFull)}
      >
        <ExpandIcon />
      </IconButton>
      <ColumnsMenu columns={search.columns} />
      <IconButton label="Refresh" shortcut="r" onClick={onRefresh}>
        <RefreshIcon />
      </IconButton>
      <ExportMenu query={query} order={order} records={records} />
      <MoreMenu search={search} query={query} />
    </div>
  )
}

function ShowTabs({ show }: { show: SearchState['show'] }) {
  return (
    <>
      <Button aria-pressed={show === 'records'} onClick={() => change({ show: null }, 'replace')}>
        Records
      </Button>
      <Button
        aria-pressed={show === 'patterns'}
        onClick={() => change({ show: 'patterns', id: null }, 'replace')}
      >
        Patterns
      </Button>
    </>
  )
}

const MAX_OFFERED = 30

function ColumnsMenu({ columns }: { columns: string[] }) {
  const attributes = useKnownAttributes((state) => state.names)
  const fields = FIELDS.map((field) => field.name).filter(
    (name) => name !== 'level' && name !== 'message',
  )
  const others = columns.filter((name) => !fields.includes(name))
  const names = [
    ...new Set([...others, ...attributes.slice(0, MAX_OFFERED).map((name) => `attr.${name}`)]),
  ]
  const toggle = (name: string, isShown: boolean) =>
    setColumns(isShown ? [...columns, name] : columns.filter((column) => column !== name))
  const check = (name: string) => (
    <MenuCheck
      key={name}
      checked={columns.includes(name)}
      onChange={(isShown) => toggle(name, isShown)}
    >
      {labelOf(name).replace(/^attr\./, '')}
    </MenuCheck>
  )
  return (
    <Menu
      label="Columns"
      trigger={
        <IconButton label="Columns">
          <ColumnsIcon />
        </IconButton>
      }
    >
      <MenuLabel>Columns</MenuLabel>
      {fields.map(check)}
      {names.length > 0 && <MenuLabel>Attributes</MenuLabel>}
      {names.map(check)}
    </Menu>
  )
}

const FORMATS: readonly (readonly [ExportFormat, string])[] = [
  ['ndjson', 'NDJSON'],
  ['json', 'JSON'],
  ['csv', 'CSV'],
  ['otlp', 'OTLP JSON lines'],
]

function ExportMenu({
  query,
  order,
  records,
}: {
  query: LogQuery
  order: SearchState['order']
  records: LogRecord[]
}) {
  const canExport = usePermission('logs.export')
  return (
    <Menu
      label="Download"
      trigger={
        <IconButton label="Download">
          <DownloadIcon />
        </IconButton>
      }
    >
      <MenuLabel>Loaded records ({records.length})</MenuLabel>
      <MenuItem onSelect={() => saveRecords(records, 'txt')}>Text</MenuItem>
      <MenuItem onSelect={() => saveRecords(records, 'json')}>JSON</MenuItem>
      {canExport && (
        <>
          <MenuSeparator />
          <MenuLabel>All matching records</MenuLabel>
          {FORMATS.map(([format, label]) => (
            <MenuItem key={format} onSelect={() => download(exportUrl(query, format, order))}>
              {label}
            </MenuItem>
          ))}
        </>
      )}
    </Menu>
  )
}

function download(url: string): void {
  const link = document.createElement('a')
  link.href = url
  link.download = ''
  link.click()
}

const REFRESH_INTERVALS: readonly (readonly [string, string])[] = [
  ['0', 'Auto-refresh: off'],
  ['10', 'Auto-refresh: 10 s'],
  ['60', 'Auto-refresh: 1 min'],
]

function MoreMenu({ search, query }: { search: SearchState; query: LogQuery }) {
  const canPurge = usePermission('logs.purge')
  const [isPurging, setPurging] = useState(false)
  const copyFixed = () => {
    const range = fixedRange(search.range, Date.now())
    const hash = window.location.hash.replace(/[?&](start|end)=[^&]*/g, (found) =>
      found[0] === '?' ? '?' : '',
    )
    const joint = hash.includes('?') ? '&' : '?'
    const base = hash === '' || hash === '#' ? addressOf(['search']) : hash
    const query = new URLSearchParams({ start: range.start, end: range.end })
    void copyText(linkTo(`${base}${joint}${query}`), 'Link with fixed times')
  }
  return (
    <>
      <Menu
        label="More"
        trigger={
          <IconButton label="More">
            <MoreIcon />
          </IconButton>
        }
      >
        <MenuItem onSelect={() => void copyText(window.location.href, 'Link')}>
          <LinkIcon /> Copy link
        </MenuItem>
        <MenuItem onSelect={copyFixed}>
          <LinkIcon /> Copy link with fixed times
        </MenuItem>
        <MenuSeparator />
        <MenuRadio
          value={String(search.refreshS)}
          options={REFRESH_INTERVALS}
          onChange={(seconds) => change({ refresh: seconds === '0' ? null : seconds }, 'replace')}
        />
        {canPurge && (
          <>
            <MenuSeparator />
            <MenuItem danger onSelect={() => setPurging(true)}>
              Purge these records …
            </MenuItem>
          </>
        )}
      </Menu>
      {isPurging && (
        <Suspense>
          <PurgeDialog query={query} onClose={() => setPurging(false)} />
        </Suspense>
      )}
    </>
  )
}
