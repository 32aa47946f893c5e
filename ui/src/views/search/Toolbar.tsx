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
import { Menu, MenuCheck, MenuChoice, MenuItem, MenuLabel, MenuLine } from '@/components/menu'
import { copyText } from '@/components/say'
import { addressOf, change, linkTo } from '@/lib/address'
import { type ExportFormat, exportAddress, type Question } from '@/lib/api'
import { FIELDS, type LogRecord, labelOf } from '@/lib/record'
import { saveLines } from '@/lib/save'
import { useMay } from '@/lib/session'
import { fixedRange } from '@/lib/time'
import { useKnownAttributes } from './knownAttributes'
import { type SearchPlace, setColumns, toggleFlag } from './place'

const PurgeDialog = lazy(() => import('./PurgeDialog'))

interface ToolbarProps {
  search: SearchPlace
  question: Question
  records: LogRecord[]
  onRefresh: () => void
  areValuesShown: boolean
  onValues: () => void
}

export function Toolbar({
  search,
  question,
  records,
  onRefresh,
  areValuesShown,
  onValues,
}: ToolbarProps) {
  const { isWrapped, isFull, order, show } = search
  return (
    <div
      role="toolbar"
      aria-label="Lines"
      className="flex shrink-0 flex-wrap items-center gap-0.5 border-b border-line bg-paper px-2 py-1"
    >
      <IconButton label="Values beside the lines" aria-pressed={areValuesShown} onClick={onValues}>
        <PanelIcon />
      </IconButton>
      <ShowTabs show={show} />
      <Button
        onClick={() => change({ order: order === 'desc' ? 'asc' : null, id: null })}
        title="Turn the order round (o)"
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
      <IconButton label="Ask again" shortcut="r" onClick={onRefresh}>
        <RefreshIcon />
      </IconButton>
      <ExportMenu question={question} order={order} records={records} />
      <MoreMenu search={search} question={question} />
    </div>
  )
}

function ShowTabs({ show }: { show: SearchPlace['show'] }) {
  return (
    <>
      <Button aria-pressed={show === 'lines'} onClick={() => change({ show: null }, 'replace')}>
        Lines
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

const MOST_OFFERED = 30

function ColumnsMenu({ columns }: { columns: string[] }) {
  const attributes = useKnownAttributes((state) => state.names)
  const fields = FIELDS.map((field) => field.name).filter(
    (name) => name !== 'level' && name !== 'message',
  )
  const others = columns.filter((name) => !fields.includes(name))
  const names = [
    ...new Set([...others, ...attributes.slice(0, MOST_OFFERED).map((name) => `attr.${name}`)]),
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
  ['ndjson', 'NDJSON, one record a line'],
  ['json', 'JSON'],
  ['csv', 'CSV, for spreadsheets'],
  ['otlp', 'OTLP JSON lines, for a Collector'],
]

function ExportMenu({
  question,
  order,
  records,
}: {
  question: Question
  order: SearchPlace['order']
  records: LogRecord[]
}) {
  const mayExport = useMay('logs.export')
  return (
    <Menu
      label="Download"
      trigger={
        <IconButton label="Download">
          <DownloadIcon />
        </IconButton>
      }
    >
      <MenuLabel>What is loaded here ({records.length})</MenuLabel>
      <MenuItem onSelect={() => saveLines(records, 'txt')}>Text</MenuItem>
      <MenuItem onSelect={() => saveLines(records, 'json')}>JSON</MenuItem>
      {mayExport && (
        <>
          <MenuLine />
          <MenuLabel>Everything that the question finds</MenuLabel>
          {FORMATS.map(([format, label]) => (
            <MenuItem
              key={format}
              onSelect={() => download(exportAddress(question, format, order))}
            >
              {label}
            </MenuItem>
          ))}
        </>
      )}
    </Menu>
  )
}

function download(address: string): void {
  const link = document.createElement('a')
  link.href = address
  link.download = ''
  link.click()
}

const EVERY: readonly (readonly [string, string])[] = [
  ['0', 'Do not ask again by itself'],
  ['10', 'Every 10 seconds'],
  ['60', 'Every minute'],
]

function MoreMenu({ search, question }: { search: SearchPlace; question: Question }) {
  const mayPurge = useMay('logs.purge')
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
        <MenuItem onSelect={() => void copyText(window.location.href, 'Link to this view')}>
          <LinkIcon /> Copy link to this view
        </MenuItem>
        <MenuItem onSelect={copyFixed}>
          <LinkIcon /> Copy link with fixed times
        </MenuItem>
        <MenuLine />
        <MenuChoice
          value={String(search.every)}
          options={EVERY}
          onChange={(every) => change({ every: every === '0' ? null : every }, 'replace')}
        />
        {mayPurge && (
          <>
            <MenuLine />
            <MenuItem danger onSelect={() => setPurging(true)}>
              Purge these records …
            </MenuItem>
          </>
        )}
      </Menu>
      {isPurging && (
        <Suspense>
          <PurgeDialog question={question} onClose={() => setPurging(false)} />
        </Suspense>
      )}
    </>
  )
}
