import { useMemo, useState } from 'react'
import { Button } from '@/components/button'
import { JsonTree } from '@/components/records/JsonTree'
import { LongText } from '@/components/untrusted'
import { type Json, parseJson } from '@/lib/json'
import { looksLikeJson, unescaped } from '@/lib/text'

/** A message, raw or formatted: JSON as a tree, escaped \n as line breaks. */
export function Message({ text, terms }: { text: string; terms: RegExp | null }) {
  const [isPretty, setPretty] = useState(true)
  const tree = useMemo(() => jsonIn(text), [text])
  const hasEscapes = /\\[nrt]/.test(text)
  const canBePretty = tree !== null || hasEscapes
  return (
    <div className="rounded-md border border-line bg-paper p-2 font-mono text-xs">
      {canBePretty && (
        <Button
          className="float-right -mt-1"
          aria-pressed={isPretty}
          onClick={() => setPretty(!isPretty)}
        >
          {tree ? 'Pretty' : 'Line breaks'}
        </Button>
      )}
      {tree && isPretty ? (
        <JsonTree value={tree} terms={terms} />
      ) : (
        <LongText
          text={hasEscapes && isPretty ? unescaped(text) : text || '(no message)'}
          terms={terms}
        />
      )}
    </div>
  )
}

function jsonIn(text: string): Json {
  if (!looksLikeJson(text)) return null
  try {
    return parseJson(text)
  } catch {
    return null
  }
}
