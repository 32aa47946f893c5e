/**
 * Lossless JSON: integers beyond 2^53 and numbers with more digits than a double holds become
 * `ExactNumber`, which keeps their digits. Everything else is parsed like JSON.parse.
 */

export type Json = null | boolean | number | string | ExactNumber | Json[] | JsonObject
export interface JsonObject {
  [key: string]: Json
}

/** The digits of a number that a double cannot represent. */
export class ExactNumber {
  constructor(readonly text: string) {}
  toString(): string {
    return this.text
  }
}

// A double may lose digits of a number with sixteen or more. The server writes plain decimals
// only, so exponents need no check.
const MAY_LOSE_DIGITS = /\d[\d.]{15}/

export function parseJson(text: string): Json {
  if (!MAY_LOSE_DIGITS.test(text)) return JSON.parse(text) as Json
  return parseMarked(text) ?? new Parser(text).document()
}

const LONG_NUMBER = /([:,[]\s*)(-?\d[\d.]{15,})(?=\s*[,}\]])/g

/**
 * JSON.parse is eight times as fast as `Parser`: wrap long numbers in marked strings, parse, then
 * unwrap them. Null when a match was inside a string of the document: wrapping it leaves text after
 * a closing quote, which is a syntax error.
 */
function parseMarked(text: string): Json | null {
  const mark = `#${Math.random().toString(36).slice(2)}:`
  const marked = text.replace(LONG_NUMBER, (whole, before: string, digits: string) =>
    isExact(digits, Number(digits)) ? whole : `${before}"${mark}${digits}"`,
  )
  try {
    return unmarked(JSON.parse(marked) as Json, mark)
  } catch {
    return null
  }
}

function unmarked(value: Json, mark: string): Json {
  if (typeof value === 'string') {
    return value.startsWith(mark) ? new ExactNumber(value.slice(mark.length)) : value
  }
  if (typeof value !== 'object' || value === null) return value
  const members = value as JsonObject
  for (const key of Object.keys(members)) {
    const member = members[key] as Json
    const next = unmarked(member, mark)
    if (next !== member) members[key] = next
  }
  return value
}

export function isObject(value: Json | undefined): value is JsonObject {
  return (
    typeof value === 'object' &&
    value !== null &&
    !Array.isArray(value) &&
    !(value instanceof ExactNumber)
  )
}

/** Members sorted by name, so that wide objects can be scanned. */
export function sortedEntries(value: JsonObject): [string, Json][] {
  return Object.entries(value).sort(([left], [right]) => (left < right ? -1 : 1))
}

/** The inverse of `parseJson`; exact numbers are written as numbers. `indent` 0 writes one line. */
export function formatJson(value: Json, indent = 0): string {
  return write(value, indent, '')
}

function write(value: Json, indent: number, margin: string): string {
  if (value instanceof ExactNumber) return value.text
  if (typeof value !== 'object' || value === null) return JSON.stringify(value)
  const inner = margin + ' '.repeat(indent)
  const open = indent ? `\n${inner}` : ''
  const close = indent ? `\n${margin}` : ''
  const comma = indent ? `,\n${inner}` : ','
  if (Array.isArray(value)) {
    if (!value.length) return '[]'
    return `[${open}${value.map((item) => write(item, indent, inner)).join(comma)}${close}]`
  }
  const members = Object.entries(value).map(
    ([key, item]) => `${JSON.stringify(key)}:${indent ? ' ' : ''}${write(item, indent, inner)}`,
  )
  return members.length ? `{${open}${members.join(comma)}${close}}` : '{}'
}

const SPACE = /[ \t\n\r]*/y
const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y
const LITERAL = /true|false|null/y
const LITERALS: Record<string, Json> = { true: true, false: false, null: null }
const MAX_DEPTH = 512

class Parser {
  private at = 0
  private depth = 0

  constructor(private readonly text: string) {}

  document(): Json {
    const value = this.value()
    this.skipSpace()
    if (this.at !== this.text.length) throw this.error()
    return value
  }

  private value(): Json {
    this.skipSpace()
    switch (this.text[this.at]) {
      case '{':
        return this.nested(() => this.object())
      case '[':
        return this.nested(() => this.array())
      case '"':
        return this.string()
      case 't':
      case 'f':
      case 'n':
        return LITERALS[this.take(LITERAL)] as Json
      default:
        return this.number()
    }
  }

  private nested<T>(read: () => T): T {
    if (++this.depth > MAX_DEPTH) throw this.error()
    const value = read()
    this.depth -= 1
    return value
  }

  private object(): JsonObject {
    const found: JsonObject = {}
    this.at += 1
    if (this.closes('}')) return found
    do {
      this.skipSpace()
      if (this.text[this.at] !== '"') throw this.error()
      const key = this.string()
      this.expect(':')
      const value = this.value()
      // An assignment to this key would change the prototype.
      if (key === '__proto__') Object.defineProperty(found, key, { value, enumerable: true })
      else found[key] = value
    } while (this.hasMore('}'))
    return found
  }

  private array(): Json[] {
    const found: Json[] = []
    this.at += 1
    if (this.closes(']')) return found
    do found.push(this.value())
    while (this.hasMore(']'))
    return found
  }

  private string(): string {
    const from = this.at
    let end = this.text.indexOf('"', from + 1)
    while (end > 0 && this.isEscaped(end)) end = this.text.indexOf('"', end + 1)
    if (end < 0) throw this.error()
    this.at = end + 1
    return JSON.parse(this.text.slice(from, this.at)) as string
  }

  private isEscaped(quote: number): boolean {
    let slashes = 0
    while (this.text[quote - 1 - slashes] === '\\') slashes += 1
    return slashes % 2 === 1
  }

  private number(): number | ExactNumber {
    const text = this.take(NUMBER)
    const value = Number(text)
    return isExact(text, value) ? value : new ExactNumber(text)
  }

  private take(pattern: RegExp): string {
    pattern.lastIndex = this.at
    const found = pattern.exec(this.text)
    if (!found) throw this.error()
    this.at += found[0].length
    return found[0]
  }

  private skipSpace(): void {
    SPACE.lastIndex = this.at
    this.at += SPACE.exec(this.text)?.[0].length ?? 0
  }

  private expect(mark: string): void {
    this.skipSpace()
    if (this.text[this.at] !== mark) throw this.error()
    this.at += 1
  }

  private closes(mark: string): boolean {
    this.skipSpace()
    if (this.text[this.at] !== mark) return false
    this.at += 1
    return true
  }

  private hasMore(closing: string): boolean {
    if (this.closes(closing)) return false
    this.expect(',')
    return true
  }

  private error(): SyntaxError {
    return new SyntaxError(`not JSON at character ${this.at}`)
  }
}

function isExact(text: string, value: number): boolean {
  if (Number.isSafeInteger(value)) return !Object.is(value, -0) || text === '-0'
  if (/^-?\d+$/.test(text)) return false
  return Number.isFinite(value) && sameDigits(text, String(value))
}

/** Whether both texts are the same decimal number; an exponent on either side counts as equal. */
function sameDigits(written: string, shown: string): boolean {
  if (/[eE]/.test(written) || /e/.test(shown)) return true
  return written.replace(/\.?0+$/, '') === shown.replace(/\.?0+$/, '')
}
