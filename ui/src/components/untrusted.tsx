/** Untrusted text, rendered as text nodes only; special characters become visible marks. */

import { useMemo, useState } from 'react'
import { formatCount } from '@/lib/format'
import { cut, highlighted, type Piece, SHOWN_CHARACTERS, visible } from '@/lib/text'
import { Button } from './button'
import { cx } from './class'

export function UntrustedText({
  text,
  terms = null,
  multiline = false,
  className,
}: {
  text: string
  terms?: RegExp | null
  multiline?: boolean
  className?: string
}) {
  const pieces = useMemo(
    () => highlighted(visible(text, multiline), terms),
    [text, multiline, terms],
  )
  return <span className={cx('untrusted', className)}>{pieces.map(rendered)}</span>
}

/** The same without a wrapper element, for rows; the parent needs the class `untrusted`. */
export function untrustedParts(text: string, terms: RegExp | null = null, multiline = false) {
  return highlighted(visible(text, multiline), terms).map(rendered)
}

function rendered(piece: Piece, index: number) {
  if (piece.mark) {
    return (
      <span key={index} className="mark">
        {piece.mark}
      </span>
    )
  }
  if (piece.hit) {
    return (
      <mark key={index} className="hit">
        {piece.text}
      </mark>
    )
  }
  return piece.text
}

/** A text of any length, truncated until the user expands it. */
export function LongText({ text, terms = null }: { text: string; terms?: RegExp | null }) {
  const [isExpanded, setExpanded] = useState(false)
  const part = isExpanded ? text : cut(text, SHOWN_CHARACTERS)
  return (
    <>
      <UntrustedText text={part} terms={terms} multiline className="whitespace-pre-wrap" />
      {part.length < text.length && (
        <Button variant="outline" className="mt-2" onClick={() => setExpanded(true)}>
          Show all {formatCount(text.length)} characters
        </Button>
      )}
    </>
  )
}
