/** The query input: syntax highlighting, completion, and errors underlined in place. */

import { type KeyboardEvent, useEffect, useId, useRef, useState } from 'react'
import { IconButton } from '@/components/button'
import { cx } from '@/components/class'
import { CloseIcon, SearchIcon } from '@/components/icons'
import { type CaretTerm, caretTerm, type Token, tokens } from '@/lib/language'
import { type Suggestion, useSuggestions } from './useSuggestions'

export interface QueryError {
  detail: string
  position?: number
}

interface QueryFieldProps {
  value: string
  error: QueryError | null
  scope: { start: string; end: string }
  onSearch: (query: string) => void
}

export function QueryField({ value, error, scope, onSearch }: QueryFieldProps) {
  const [typed, setTyped] = useState(value)
  const [caret, setCaret] = useState(value.length)
  const [isOpen, setOpen] = useState(false)
  const [active, setActive] = useState(-1)
  const input = useRef<HTMLInputElement>(null)
  const backdrop = useRef<HTMLDivElement>(null)
  const listId = useId()
  useEffect(() => setTyped(value), [value])
  const term = caretTerm(typed, caret)
  const suggestions = useSuggestions(typed, term, scope, isOpen)
  const isListOpen = isOpen && suggestions.length > 0
  const update = (text: string, at: number) => {
    setTyped(text)
    setCaret(at)
    setActive(-1)
    setOpen(true)
  }
  const accept = (suggestion: Suggestion) => {
    const next = completed(typed, term, suggestion)
    update(next.text, next.caret)
    requestAnimationFrame(() => input.current?.setSelectionRange(next.caret, next.caret))
  }
  const search = () => {
    setOpen(false)
    onSearch(typed.trim())
  }
  const onKeyDown = (event: KeyboardEvent<HTMLInputElement>) => {
    const chosen = isListOpen ? suggestions[active] : undefined
    if (event.key === 'Enter') chosen ? accept(chosen) : search()
    else if (event.key === 'Tab' && chosen) accept(chosen)
    else if (event.key === 'Escape') isListOpen ? setOpen(false) : input.current?.blur()
    else if (event.key === 'ArrowDown' && !isListOpen) setOpen(true)
    else if (event.key === 'ArrowDown') setActive((active + 1) % suggestions.length)
    else if (event.key === 'ArrowUp' && isListOpen)
      setActive((active <= 0 ? suggestions.length : active) - 1)
    else return
    event.preventDefault()
  }
  return (
    <div className="relative min-w-0 flex-1 max-sm:basis-full">
      <div
        className={cx(
          'flex h-8 items-center rounded-md border bg-sheet pl-2 focus-within:border-accent focus-within:ring-1 focus-within:ring-accent',
          error ? 'border-danger' : 'border-line-strong',
        )}
      >
        <span className="text-ink-3">
          <SearchIcon />
        </span>
        <div className="relative ml-2 h-full min-w-0 flex-1 overflow-hidden font-mono text-sm">
          <div
            ref={backdrop}
            aria-hidden="true"
            className="pointer-events-none absolute inset-0 overflow-hidden leading-[30px] whitespace-pre"
          >
            <Highlighted text={typed} error={typed === value ? error : null} />
          </div>
          <input
            ref={input}
            id="query"
            role="combobox"
            aria-label="Query"
            aria-expanded={isListOpen}
            aria-controls={listId}
            aria-autocomplete="list"
            aria-activedescendant={isListOpen && active >= 0 ? `${listId}-${active}` : undefined}
            aria-invalid={error !== null}
            aria-describedby={error ? 'query-error' : undefined}
            autoComplete="off"
            autoCapitalize="off"
            spellCheck={false}
            placeholder="Words, “phrases”, field:value …   ( / )"
            className="absolute inset-0 w-full bg-transparent leading-[30px] text-transparent caret-ink outline-none placeholder:font-sans placeholder:text-ink-3"
            value={typed}
            onChange={(event) =>
              update(event.target.value, event.target.selectionStart ?? event.target.value.length)
            }
            onSelect={(event) => setCaret(event.currentTarget.selectionStart ?? 0)}
            onScroll={(event) => {
              if (backdrop.current) backdrop.current.scrollLeft = event.currentTarget.scrollLeft
            }}
            onFocus={() => setOpen(true)}
            onBlur={() => setOpen(false)}
            onKeyDown={onKeyDown}
          />
        </div>
        {typed && (
          <IconButton label="Clear query" onClick={() => onSearch('')}>
            <CloseIcon />
          </IconButton>
        )}
      </div>
      {isListOpen && (
        <SuggestionList id={listId} suggestions={suggestions} active={active} onAccept={accept} />
      )}
      {error && <ErrorLine error={error} />}
    </div>
  )
}

function ErrorLine({ error }: { error: QueryError }) {
  return (
    <p id="query-error" role="alert" className="mt-1 text-danger">
      {error.position !== undefined && (
        <span className="font-mono">character {error.position + 1}: </span>
      )}
      {error.detail}
    </p>
  )
}

const CLASSES: Record<Token['type'], string> = {
  space: '',
  word: 'text-ink',
  phrase: 'text-json-text',
  regex: 'text-level-critical',
  field: 'text-ink',
  operator: 'text-accent font-semibold',
  parenthesis: 'text-accent',
}

function Highlighted({ text, error }: { text: string; error: QueryError | null }) {
  const at = error?.position ?? -1
  return tokens(text).map((token) => {
    const isError = at >= token.from && at < token.from + token.text.length
    return (
      <span
        key={token.from}
        className={cx(
          CLASSES[token.type],
          isError && 'underline decoration-danger decoration-wavy',
        )}
      >
        {token.type === 'field' ? <FieldTerm text={token.text} /> : token.text}
      </span>
    )
  })
}

function FieldTerm({ text }: { text: string }) {
  const colon = text.indexOf(':') + 1
  return (
    <>
      <span className="text-level-info">{text.slice(0, colon)}</span>
      {text.slice(colon)}
    </>
  )
}

function completed(
  text: string,
  term: CaretTerm,
  suggestion: Suggestion,
): { text: string; caret: number } {
  const whole = suggestion.replacesAll ? '' : text.slice(0, term.from)
  const rest = suggestion.replacesAll ? '' : text.slice(term.to)
  const tail = suggestion.insert.endsWith(':') || rest.startsWith(' ') ? '' : ' '
  const head = `${whole}${suggestion.insert}${tail}`
  return { text: head + rest, caret: head.length }
}

function SuggestionList({
  id,
  suggestions,
  active,
  onAccept,
}: {
  id: string
  suggestions: Suggestion[]
  active: number
  onAccept: (suggestion: Suggestion) => void
}) {
  return (
    <div
      id={id}
      role="listbox"
      aria-label="Suggestions"
      className="absolute top-full left-0 z-30 mt-1 max-h-80 w-full max-w-xl overflow-y-auto rounded-lg border border-line bg-raised p-1 shadow-float"
    >
      {suggestions.map((suggestion, index) => (
        <div
          key={suggestion.insert}
          id={`${id}-${index}`}
          role="option"
          aria-selected={index === active}
          className={cx(
            'flex cursor-pointer items-baseline gap-3 rounded-md px-2 py-1 hover:bg-wash',
            index === active && 'bg-accent-wash',
          )}
          onMouseDown={(event) => {
            event.preventDefault()
            onAccept(suggestion)
          }}
        >
          <span className="min-w-0 truncate font-mono text-xs">{suggestion.label}</span>
          <span className="ml-auto shrink-0 text-xs text-ink-3">{suggestion.hint}</span>
        </div>
      ))}
    </div>
  )
}
