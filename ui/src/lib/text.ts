/**
 * Untrusted text, made safe to display: control, bidirectional and invisible characters are shown
 * by name, and very long texts are truncated.
 */

/** A piece of text: literal, or a character that is shown by its name. */
export interface Piece {
  text: string
  mark?: string
  hit?: boolean
}

export const ROW_CHARACTERS = 1000
export const SHOWN_CHARACTERS = 65_536

const NAMES: Record<number, string> = {
  0: 'NUL',
  7: 'BEL',
  8: 'BS',
  9: '⇥',
  10: '↵',
  13: 'CR',
  27: 'ESC',
  127: 'DEL',
  173: 'SHY',
  1564: 'ALM',
  8203: 'ZWSP',
  8206: 'LRM',
  8207: 'RLM',
  8232: 'LS',
  8233: 'PS',
  8234: 'LRE',
  8235: 'RLE',
  8236: 'PDF',
  8237: 'LRO',
  8238: 'RLO',
  8288: 'WJ',
  8294: 'LRI',
  8295: 'RLI',
  8296: 'FSI',
  8297: 'PDI',
  65279: 'BOM',
}

const SPECIAL =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: this pattern matches control characters
  /[\x00-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g

/** Display name of a special character. */
export function markOf(character: string): string {
  const code = character.codePointAt(0) ?? 0
  return NAMES[code] ?? `U+${code.toString(16).toUpperCase().padStart(4, '0')}`
}

/** The text split at special characters; `multiline` keeps line breaks and tabs. */
export function visible(text: string, multiline = false): Piece[] {
  const pieces: Piece[] = []
  let from = 0
  for (const found of text.matchAll(SPECIAL)) {
    if (multiline && (found[0] === '\n' || found[0] === '\t')) continue
    if (found.index > from) pieces.push({ text: text.slice(from, found.index) })
    pieces.push({ text: found[0], mark: markOf(found[0]) })
    from = found.index + found[0].length
  }
  if (from < text.length) pieces.push({ text: text.slice(from) })
  return pieces
}

/** The pieces with every match of a term marked as a hit. */
export function highlighted(pieces: Piece[], terms: RegExp | null): Piece[] {
  return terms ? pieces.flatMap((piece) => (piece.mark ? piece : split(piece.text, terms))) : pieces
}

function split(text: string, terms: RegExp): Piece[] {
  const pieces: Piece[] = []
  let from = 0
  for (const found of text.matchAll(terms)) {
    if (!found[0]) continue
    if (found.index > from) pieces.push({ text: text.slice(from, found.index) })
    pieces.push({ text: found[0], hit: true })
    from = found.index + found[0].length
  }
  if (from < text.length) pieces.push({ text: text.slice(from) })
  return pieces
}

/** The first characters of a text, never half of a surrogate pair. */
export function cut(text: string, characters: number): string {
  if (text.length <= characters) return text
  const code = text.charCodeAt(characters - 1)
  return text.slice(0, code >= 0xd800 && code < 0xdc00 ? characters - 1 : characters)
}

/** The text with escaped `\n` and `\t` replaced by line breaks and tabs. */
export function unescaped(text: string): string {
  return text.replace(/\\r\\n|\\n|\\r/g, '\n').replaceAll('\\t', '\t')
}

/** Whether the text looks like a JSON object or array. */
export function looksLikeJson(text: string): boolean {
  const trimmed = text.trim()
  return /^\{[\s\S]*\}$|^\[[\s\S]*\]$/.test(trimmed) && trimmed.length < 200_000
}
