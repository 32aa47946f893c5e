/** Highlighted, collapsible JSON with sorted keys and lossless numbers. */

import { useState } from 'react'
import { Button } from '@/components/button'
import { LongText } from '@/components/untrusted'
import { plural } from '@/lib/format'
import { ExactNumber, isObject, type Json, sortedEntries } from '@/lib/json'

const OPEN_DEPTH = 3
const MAX_MEMBERS = 200

export function JsonTree({
  value,
  terms = null,
  depth = 0,
}: {
  value: Json
  terms?: RegExp | null
  depth?: number
}) {
  if (isObject(value))
    return <Branch entries={sortedEntries(value)} open="{" close="}" {...{ terms, depth }} />
  if (Array.isArray(value)) {
    const entries = value.map((item, index): [string, Json] => [String(index), item])
    return <Branch entries={entries} open="[" close="]" {...{ terms, depth }} />
  }
  return <Leaf value={value} terms={terms} />
}

function Leaf({ value, terms }: { value: Json; terms: RegExp | null }) {
  if (typeof value === 'string') {
    return (
      <span className="text-json-text">
        “<LongText text={value} terms={terms} />”
      </span>
    )
  }
  const isNumber = typeof value === 'number' || value instanceof ExactNumber
  return (
    <span className={isNumber ? 'text-json-number' : 'text-level-critical'}>{String(value)}</span>
  )
}

interface BranchProps {
  entries: [string, Json][]
  open: '{' | '['
  close: '}' | ']'
  terms: RegExp | null
  depth: number
}

function Branch({ entries, open, close, terms, depth }: BranchProps) {
  const [isOpen, setOpen] = useState(depth < OPEN_DEPTH)
  const [shown, setShown] = useState(MAX_MEMBERS)
  if (!entries.length) return <span className="text-ink-3">{open + close}</span>
  const what = plural(entries.length, open === '{' ? 'member' : 'item')
  return (
    <>
      <button
        type="button"
        aria-expanded={isOpen}
        aria-label={`${isOpen ? 'Collapse' : 'Expand'} ${what}`}
        className="rounded px-0.5 text-ink-3 hover:bg-wash hover:text-ink"
        onClick={() => setOpen(!isOpen)}
      >
        {isOpen ? open : `${open} … ${close} ${what}`}
      </button>
      {isOpen && (
        <>
          <div className="border-l border-line pl-3">
            {entries.slice(0, shown).map(([key, item]) => (
              <div key={key}>
                <span className="untrusted text-json-key">{key}</span>
                <span className="text-ink-3">: </span>
                <JsonTree value={item} terms={terms} depth={depth + 1} />
              </div>
            ))}
            {entries.length > shown && (
              <Button variant="outline" onClick={() => setShown(entries.length)}>
                Show all {what}
              </Button>
            )}
          </div>
          <span className="text-ink-3">{close}</span>
        </>
      )}
    </>
  )
}
