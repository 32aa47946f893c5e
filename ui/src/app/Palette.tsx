import { type KeyboardEvent, useId, useMemo, useState } from 'react'
import { cx } from '@/components/class'
import { Dialog } from '@/components/dialog'
import { addressOf, go } from '@/lib/address'
import { usePreferences } from '@/lib/preferences'
import { useLinks } from './links'

interface Target {
  label: string
  hint: string
  address: string
}

/** Command palette: pages, pasted IDs, recent queries. */
export default function Palette({ onClose }: { onClose: () => void }) {
  const [typed, setTyped] = useState('')
  const [active, setActive] = useState(0)
  const listId = useId()
  const targets = useTargets(typed)
  const index = Math.min(active, targets.length - 1)
  const choose = (target: Target | undefined) => {
    if (!target) return
    onClose()
    go(target.address)
  }
  const onKeyDown = (event: KeyboardEvent) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key]
    if (step) setActive((index + step + targets.length) % Math.max(1, targets.length))
    else if (event.key === 'Enter') choose(targets[index])
    else return
    event.preventDefault()
  }
  return (
    <Dialog title="Go to" open onClose={onClose}>
      <input
        role="combobox"
        aria-expanded="true"
        aria-controls={listId}
        aria-activedescendant={targets.length ? `${listId}-${index}` : undefined}
        aria-label="Page, trace ID, record ID or query"
        placeholder="Page, trace ID, record ID or query"
        className="mb-2 h-9 w-full rounded-md border border-line-strong bg-sheet px-3"
        value={typed}
        onChange={(event) => {
          setTyped(event.target.value)
          setActive(0)
        }}
        onKeyDown={onKeyDown}
      />
      <div id={listId} role="listbox" aria-label="Results">
        {targets.map((target, position) => (
          <div
            key={target.address}
            id={`${listId}-${position}`}
            role="option"
            aria-selected={position === index}
            className={cx(
              'flex cursor-pointer justify-between gap-4 rounded-md px-2 py-1.5',
              position === index && 'bg-accent-wash',
            )}
            onClick={() => choose(target)}
          >
            <span className="truncate">{target.label}</span>
            <span className="shrink-0 text-ink-3">{target.hint}</span>
          </div>
        ))}
      </div>
    </Dialog>
  )
}

const MAX_TARGETS = 12

function useTargets(typed: string): Target[] {
  const links = useLinks()
  const recent = usePreferences((state) => state.recent)
  return useMemo(() => {
    const text = typed.trim()
    const pages = links.map((link) => ({
      label: link.label,
      hint: 'page',
      address: `#/${link.name}`,
    }))
    const queries = recent.map((query) => ({
      label: query,
      hint: 'recent query',
      address: addressOf(['search'], { q: query }),
    }))
    const matching = [...pages, ...queries].filter((target) =>
      target.label.toLowerCase().includes(text.toLowerCase()),
    )
    return [...directTargets(text), ...matching].slice(0, MAX_TARGETS)
  }, [typed, links, recent])
}

function directTargets(text: string): Target[] {
  if (!text) return []
  const digits = text.replaceAll('-', '').toLowerCase()
  const query = { label: text, hint: 'search', address: addressOf(['search'], { q: text }) }
  if (!/^[0-9a-f]{32}$/.test(digits)) return [query]
  return [
    { label: digits, hint: 'trace', address: addressOf(['trace', digits]) },
    { label: text, hint: 'record', address: addressOf(['record', text]) },
    { label: text, hint: 'correlation', address: addressOf(['timeline', 'correlation', text]) },
  ]
}
