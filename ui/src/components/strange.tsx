/** Text of strangers as text nodes and nothing else; special characters become visible marks. */

import { useMemo, useState } from 'react'
import { formatCount } from '@/lib/format'
import { cut, highlighted, type Piece, SHOWN_CHARACTERS, visible } from '@/lib/text'
import { Button } from './button'
import { cx } from './class'

export function Strange({
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
  return <span className={cx('strange', className)}>{pieces.map(shown)}</span>
}

/** The same without an element of its own, for rows; what holds it has the class `strange`. */
export function strangeParts(text: string, terms: RegExp | null = null, multiline = false) {
  return highlighted(visible(text, multiline), terms).map(shown)
}

function shown(piece: Piece, index: number) {
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

/** A text of any length: its beginning, and the rest on demand. */
export function LongText({ text, terms = null }: { text: string; terms?: RegExp | null }) {
  const [isWhole, setWhole] = useState(false)
  const part = isWhole ? text : cut(text, SHOWN_CHARACTERS)
  return (
    <>
      <Strange text={part} terms={terms} multiline className="whitespace-pre-wrap" />
      {part.length < text.length && (
        <Button look="outline" className="mt-2" onClick={() => setWhole(true)}>
          Show all {formatCount(text.length)} characters
        </Button>
      )}
    </>
  )
}
