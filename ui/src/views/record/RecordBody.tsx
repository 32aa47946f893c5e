import { lazy, Suspense } from 'react'
import { Button } from '@/components/button'
import { ShieldIcon } from '@/components/icons'
import { JsonTree } from '@/components/records/JsonTree'
import { Loading } from '@/components/states'
import { copyText } from '@/components/toast'
import { LongText } from '@/components/untrusted'
import { isObject, type Json } from '@/lib/json'
import { type LogRecord, textOf } from '@/lib/record'
import { recordJson } from '@/lib/save'
import { type FieldActions, FieldTables } from './FieldTable'
import { Message } from './Message'

const Context = lazy(() => import('./Context'))

export const TABS = [
  ['fields', 'Fields'],
  ['json', 'JSON'],
  ['context', 'Context'],
] as const
export type Tab = (typeof TABS)[number][0]

interface RecordBodyProps extends FieldActions {
  record: LogRecord
  tab: Tab
  onTab: (tab: Tab) => void
}

export function RecordBody({ record, tab, onTab, ...actions }: RecordBodyProps) {
  return (
    <>
      <div
        role="tablist"
        aria-label="Record views"
        className="flex gap-1 border-b border-line px-3"
      >
        {TABS.map(([name, label]) => (
          <button
            key={name}
            type="button"
            role="tab"
            id={`tab-${name}`}
            aria-selected={tab === name}
            aria-controls="tab-panel"
            className="border-b-2 border-transparent px-2 py-1 text-ink-2 aria-selected:border-accent aria-selected:text-ink"
            onClick={() => onTab(name)}
          >
            {label}
          </button>
        ))}
      </div>
      <div
        key={tab}
        id="tab-panel"
        role="tabpanel"
        aria-labelledby={`tab-${tab}`}
        tabIndex={0}
        className="relative min-h-0 flex-1 overflow-y-auto p-3"
      >
        {tab === 'fields' && <Fields record={record} {...actions} />}
        {tab === 'json' && <AsJson record={record} />}
        {tab === 'context' && (
          <Suspense fallback={<Loading what="context" />}>
            <Context record={record} />
          </Suspense>
        )}
      </div>
    </>
  )
}

function Fields({ record, ...actions }: FieldActions & { record: LogRecord }) {
  const { exception, body, redaction } = record.metadata
  return (
    <>
      <Message text={record.message} terms={actions.terms} />
      {isObject(exception) && <Exception value={exception} />}
      {body !== null && body !== undefined && typeof body === 'object' && (
        <section className="mt-3">
          <h3 className="text-xs font-semibold text-ink-2">Body</h3>
          <div className="font-mono text-xs">
            <JsonTree value={body} terms={actions.terms} />
          </div>
        </section>
      )}
      <Redaction entries={redaction} />
      <FieldTables record={record} {...actions} />
    </>
  )
}

function Exception({ value }: { value: Record<string, Json> }) {
  const stack = textOf(value.stacktrace)
  return (
    <section className="mt-3 rounded-md border border-line">
      <h3 className="untrusted px-2 py-1 font-mono text-xs font-semibold text-danger">
        {[textOf(value.type), textOf(value.message)].filter(Boolean).join(': ')}
      </h3>
      {stack && (
        <details open className="border-t border-line">
          <summary className="px-2 py-0.5 text-xs text-ink-2">Stack trace</summary>
          <div
            tabIndex={0}
            role="region"
            aria-label="Stack trace"
            className="max-h-96 overflow-auto px-2 pb-2 font-mono text-2xs"
          >
            <LongText text={stack} />
          </div>
        </details>
      )}
    </section>
  )
}

/** Which fields were redacted before the record was stored, and by which rule. */
function Redaction({ entries }: { entries: Json | undefined }) {
  if (!Array.isArray(entries) || !entries.length) return null
  return (
    <section className="mt-3 rounded-md border border-line bg-accent-wash p-2 text-xs">
      <h3 className="flex items-center gap-1.5 font-semibold">
        <ShieldIcon size={14} /> Redacted before storage
      </h3>
      <ul className="mt-1 font-mono">
        {entries.map((entry) => {
          const text = isObject(entry) ? describe(entry) : (textOf(entry) ?? '')
          return (
            <li key={text} className="untrusted">
              {text}
            </li>
          )
        })}
      </ul>
    </section>
  )
}

function describe(entry: Record<string, Json>): string {
  return Object.entries(entry)
    .map(([name, value]) => `${name} ${textOf(value)}`)
    .join(', ')
}

function AsJson({ record }: { record: LogRecord }) {
  return (
    <div className="font-mono text-xs">
      <Button
        variant="outline"
        className="float-right"
        onClick={() => void copyText(recordJson(record), 'JSON')}
      >
        Copy
      </Button>
      <JsonTree value={record as unknown as Json} />
    </div>
  )
}
