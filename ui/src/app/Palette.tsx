import { type KeyboardEvent, useId, useMemo, useState } from 'react'
import { cx } from '@/components/class'
import { Dialog } from '@/components/dialog'
import { addressOf, go } from '@/lib/address'
import { usePreferences } from '@/lib/preferences'
import { useLinks } from './Shell'

interface Choice {
  label: string
  hint: string
  address: string
}

/** Go anywhere by typing: a page, an id that was pasted, a question of before. */
export default function Palette({ onClose }: { onClose: () => void }) {
  const [typed, setTyped] = useState('')
  const [active, setActive] = useState(0)
  const listId = useId()
  const choices = useChoices(typed)
  const index = Math.min(active, choices.length - 1)
  const choose = (choice: Choice | undefined) => {
    if (!choice) return
    onClose()
    go(choice.address)
  }
  const onKeyDown = (event: KeyboardEvent) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key]
    if (step) setActive((index + step + choices.length) % Math.max(1, choices.length))
    else if (event.key === 'Enter') choose(choices[index])
    else return
    event.preventDefault()
  }
  return (
    <Dialog title="Go to" open onClose={onClose}>
      <input
        role="combobox"
        aria-expanded="true"
        aria-controls={listId}
        aria-activedescendant={choices.length ? `${listId}-${index}` : undefined}
        aria-label="A page, a trace id, a record id or a question"
        placeholder="A page, a trace id, a record id or a question"
        className="mb-2 h-9 w-full rounded-md border border-line-strong bg-sheet px-3"
        value={typed}
        onChange={(event) => {
          setTyped(event.target.value)
          setActive(0)
        }}
        onKeyDown={onKeyDown}
      />
      <div id={listId} role="listbox" aria-label="Places">
        {choices.map((choice, position) => (
          <div
            key={choice.address}
            id={`${listId}-${position}`}
            role="option"
            aria-selected={position === index}
            className={cx(
              'flex cursor-pointer justify-between gap-4 rounded-md px-2 py-1.5',
              position === index && 'bg-accent-wash',
            )}
            onClick={() => choose(choice)}
          >
            <span className="truncate">{choice.label}</span>
            <span className="shrink-0 text-ink-3">{choice.hint}</span>
          </div>
        ))}
      </div>
    </Dialog>
  )
}

const MOST = 12

function useChoices(typed: string): Choice[] {
  const links = useLinks()
  const recent = usePreferences((state) => state.recent)
  return useMemo(() => {
    const text = typed.trim()
    const pages = links.map((link) => ({
      label: link.label,
      hint: 'page',
      address: `#/${link.name}`,
    }))
    const asked = recent.map((question) => ({
      label: question,
      hint: 'asked before',
      address: addressOf(['search'], { q: question }),
    }))
    const fitting = [...pages, ...asked].filter((choice) =>
      choice.label.toLowerCase().includes(text.toLowerCase()),
    )
    return [...meantBy(text), ...fitting].slice(0, MOST)
  }, [typed, links, recent])
}

function meantBy(text: string): Choice[] {
  if (!text) return []
  const digits = text.replaceAll('-', '').toLowerCase()
  const question = { label: text, hint: 'search', address: addressOf(['search'], { q: text }) }
  if (!/^[0-9a-f]{32}$/.test(digits)) return [question]
  return [
    { label: digits, hint: 'trace', address: addressOf(['trace', digits]) },
    { label: text, hint: 'record', address: addressOf(['record', text]) },
    { label: text, hint: 'correlation', address: addressOf(['timeline', 'correlation', text]) },
  ]
}
