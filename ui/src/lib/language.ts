/**
 * A tokenizer for the query language: highlighting, completion, marking hits, adding and removing
 * filters. Only the server interprets queries; its tokenizer is query/language/lexer.py: change
 * both together.
 */

export type TokenType = 'space' | 'word' | 'phrase' | 'regex' | 'field' | 'operator' | 'parenthesis'

export interface Token {
  type: TokenType
  text: string
  from: number
  /** Field terms only: the name before the colon and the value after it. */
  field?: string
  value?: string
  negated: boolean
}

const PATTERN = new RegExp(
  [
    /(?<space>\s+)/u,
    /(?<parenthesis>[()])/u,
    /(?<operator>(?:OR|AND|NOT)(?=[\s()]|$))/u,
    /(?<field>-?(?:(?:attr\.|resource\.)?"(?:[^"\\]|\\.)+"|\*|(?!\d+:)(?:[\p{L}\p{N}_@$#%]|\{[^\s(){}":]+\})(?:[\p{L}\p{N}_.@/$#%-]|\{[^\s(){}":]+\})*):(?![:/]{1}[:/]|:)(?:[<>]=?|!=|=)?(?:"(?:[^"\\]|\\.)*"?|\/(?:[^/\\]|\\.)*\/i?(?=[\s()]|$)|[^\s()"]*))/u,
    /(?<phrase>-?"(?:[^"\\]|\\.)*"?)/u,
    /(?<regex>-?\/(?:[^/\\\n]|\\.)+\/i?(?=[\s()]|$))/u,
    /(?<word>[^\s()"]+|")/u,
  ]
    .map((part) => part.source)
    .join('|'),
  'gu',
)

const TYPES = ['space', 'parenthesis', 'operator', 'field', 'phrase', 'regex', 'word'] as const

export function tokens(text: string): Token[] {
  return [...text.matchAll(PATTERN)].map((found) => {
    const type = TYPES.find((name) => found.groups?.[name] !== undefined) ?? 'word'
    const token = { type, text: found[0], from: found.index, negated: isNegated(type, found[0]) }
    return type === 'field' ? { ...token, ...fieldParts(token) } : token
  })
}

function isNegated(type: TokenType, text: string): boolean {
  return type !== 'space' && text.length > 1 && text.startsWith('-')
}

const QUOTED_NAME = /^((?:attr\.|resource\.)?)"((?:[^"\\]|\\.)+)":/

/** The length of a term's name as written. */
function nameLength(term: string): number {
  const name = QUOTED_NAME.exec(term)
  return name ? name[0].length - 1 : term.indexOf(':')
}

function fieldParts(token: Pick<Token, 'text' | 'negated'>): { field: string; value: string } {
  const text = token.negated ? token.text.slice(1) : token.text
  const name = QUOTED_NAME.exec(text)
  if (name) {
    const field = `${name[1]}${unescaped(name[2] as string)}`
    return { field, value: unquoted(text.slice(name[0].length)) }
  }
  const colon = text.indexOf(':')
  return { field: text.slice(0, colon), value: unquoted(text.slice(colon + 1)) }
}

export function quoted(value: string): string {
  const plain = /^[\p{L}\p{N}_.@+-]+$/u.test(value) && !/^(?:OR|AND|NOT)$/.test(value)
  return plain ? value : `"${value.replace(/[\\"]/g, '\\$&')}"`
}

export function unquoted(text: string): string {
  const found = /^"((?:[^"\\]|\\.)*)"?$/.exec(text)
  return found ? unescaped(found[1] as string) : text
}

/** Without the backslashes before quotes and backslashes; others are themselves. */
function unescaped(text: string): string {
  return text.replace(/\\(["'\\])/g, '$1')
}

const FIELD_NAME = /^(?!\d+$)[\p{L}\p{N}_@][\p{L}\p{N}_.@/-]*$/u

/** A field's name as a query has to write it. */
export function named(field: string): string {
  const [, place = '', name = field] = /^(attr\.|resource\.)?(.*)$/su.exec(field) ?? []
  if (FIELD_NAME.test(field)) return field
  return `${place}"${name.replace(/[\\"]/g, '\\$&')}"`
}

export type FilterState = 'for' | 'out' | 'none'

/** Whether the query includes or excludes this value at its top level. */
export function filterState(text: string, field: string, value: string): FilterState {
  const term = topLevel(text).find((token) => token.field === field && token.value === value)
  if (!term) return 'none'
  return term.negated ? 'out' : 'for'
}

/** The query with the filter added, inverted, or removed when it was set already. */
export function toggleFilter(text: string, field: string, value: string, wanted: 'for' | 'out') {
  const state = filterState(text, field, value)
  const rest = state === 'none' ? text.trim() : without(text, field, value)
  if (state === wanted) return rest
  const term = `${wanted === 'out' ? '-' : ''}${named(field)}:${quoted(value)}`
  return joined(rest, term)
}

/** The query without the terms on this field. */
export function withoutField(text: string, field: string): string {
  return filtered(text, (token) => token.field !== field)
}

function without(text: string, field: string, value: string): string {
  return filtered(text, (token) => token.field !== field || token.value !== value)
}

function filtered(text: string, keep: (token: Token) => boolean): string {
  const inner = new Set(topLevel(text).filter((token) => !keep(token)))
  const dropped = new Set([...inner].map((token) => token.from))
  return tokens(text)
    .filter((token) => !dropped.has(token.from))
    .map((token) => token.text)
    .join('')
    .replace(/\s+/g, ' ')
    .trim()
}

/** AND binds tighter than OR, so a query with a top-level OR needs parentheses before a term is added. */
function joined(rest: string, term: string): string {
  if (!rest) return term
  const hasOr = topLevel(rest).some((token) => token.type === 'operator' && token.text === 'OR')
  return `${hasOr ? `(${rest})` : rest} ${term}`
}

function topLevel(text: string): Token[] {
  let depth = 0
  return tokens(text).filter((token) => {
    if (token.text === '(') depth += 1
    if (token.text === ')') depth -= 1
    return depth === 0 && token.type !== 'space'
  })
}

const MAX_TERMS = 40

/** Matches the parts of a message to highlight; null when there are none. */
export function hitPattern(text: string): RegExp | null {
  const sources = tokens(text)
    .filter((token) => !token.negated)
    .flatMap(hitSource)
    .slice(0, MAX_TERMS)
  if (!sources.length) return null
  try {
    return new RegExp(sources.join('|'), 'giu')
  } catch {
    return null
  }
}

function hitSource(token: Token): string[] {
  if (token.type === 'word') return literal(token.text.replace(/\*+$/, ''))
  if (token.type === 'phrase') return literal(unquoted(token.text))
  if (token.type === 'field' && token.field === 'message') return literal(token.value ?? '')
  return []
}

function literal(text: string): string[] {
  return text ? [text.replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&')] : []
}

/** What is being typed at the caret, for completion: a field name or a field value. */
export interface CaretTerm {
  from: number
  to: number
  field: string | null
  typed: string
  negated: boolean
}

export function caretTerm(text: string, caret: number): CaretTerm {
  const token = tokens(text).find(
    (item) => item.from < caret && caret <= item.from + item.text.length,
  )
  if (!token || token.type === 'space' || token.type === 'parenthesis') {
    return { from: caret, to: caret, field: null, typed: '', negated: false }
  }
  const { negated } = token
  const from = token.from + (negated ? 1 : 0)
  const to = token.from + token.text.length
  const colon = token.field === undefined ? -1 : from + nameLength(text.slice(from, to))
  if (colon >= 0 && caret > colon) {
    const typed = unquoted(text.slice(colon + 1, caret)).replace(/^[<>]=?/, '')
    return { from: colon + 1, to, field: token.field ?? null, typed, negated }
  }
  return {
    from,
    to: colon >= 0 ? colon + 1 : to,
    field: null,
    typed: text.slice(from, caret),
    negated,
  }
}
