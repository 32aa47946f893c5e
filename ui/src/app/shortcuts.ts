/** Keyboard shortcuts; the help dialog lists them. */

import { useEffect, useRef } from 'react'

export interface Shortcut {
  keys: string
  text: string
}

export interface ShortcutGroup {
  title: string
  shortcuts: Shortcut[]
}

export const SHORTCUTS: readonly ShortcutGroup[] = [
  {
    title: 'Global',
    shortcuts: [
      { keys: '?', text: 'keyboard shortcuts' },
      { keys: 'Ctrl K', text: 'go to page, trace or record' },
      { keys: 'g s', text: 'search' },
      { keys: 'g l', text: 'live tail' },
      { keys: 'g t', text: 'traces' },
      { keys: 'g f', text: 'statistics' },
      { keys: 'g o', text: 'operations' },
      { keys: 'Shift T', text: 'light or dark theme' },
      { keys: 'Shift Z', text: 'local time or UTC' },
    ],
  },
  {
    title: 'Records',
    shortcuts: [
      { keys: '/', text: 'focus the search field' },
      { keys: 'j  ↓', text: 'next record' },
      { keys: 'k  ↑', text: 'previous record' },
      { keys: 'Home  End', text: 'first or last loaded record' },
      { keys: 'Enter', text: 'open record' },
      { keys: 'Esc', text: 'close or go back' },
      { keys: 'w', text: 'wrap long lines' },
      { keys: 'f', text: 'full screen' },
      { keys: 'o', text: 'reverse order' },
      { keys: 'r', text: 'refresh' },
      { keys: '[  ]', text: 'earlier or later range' },
      { keys: '-', text: 'zoom out' },
    ],
  },
  {
    title: 'Open record',
    shortcuts: [
      { keys: 't', text: 'open trace' },
      { keys: 'c', text: 'context' },
      { keys: 'y', text: 'copy as JSON' },
      { keys: 'Shift Y', text: 'copy link' },
    ],
  },
  {
    title: 'Live tail and trace',
    shortcuts: [
      { keys: 'Space', text: 'pause or resume' },
      { keys: 'x', text: 'clear' },
      { keys: '←  →', text: 'collapse or expand span' },
      { keys: 'p', text: 'critical path only' },
    ],
  },
]

export type Handlers = Record<string, (event: KeyboardEvent) => void>

const SEQUENCE_MS = 900

/** Active while the component is mounted; ignores keys typed into fields, menus and dialogs. */
export function useShortcuts(handlers: Handlers): void {
  const current = useRef(handlers)
  useEffect(() => {
    current.current = handlers
  })
  useEffect(() => {
    let prefix = ''
    let at = 0
    const onKey = (event: KeyboardEvent) => {
      if (event.defaultPrevented || isIgnored(event)) return
      const name = keyName(event)
      const isLate = event.timeStamp - at > SEQUENCE_MS
      const sequence = prefix && !isLate ? `${prefix} ${name}` : name
      const handler = current.current[sequence] ?? current.current[name]
      prefix = name
      at = event.timeStamp
      if (!handler) return
      event.preventDefault()
      handler(event)
    }
    window.addEventListener('keydown', onKey)
    return () => window.removeEventListener('keydown', onKey)
  }, [])
}

function keyName(event: KeyboardEvent): string {
  const key = event.key === ' ' ? 'Space' : event.key
  const control = event.ctrlKey || event.metaKey ? 'Ctrl+' : ''
  return `${control}${key}`
}

function isIgnored(event: KeyboardEvent): boolean {
  const target = event.target instanceof Element ? event.target : null
  if (event.altKey || ((event.ctrlKey || event.metaKey) && event.key !== 'k')) return true
  if (target?.closest('[role="dialog"], [role="menu"]')) return true
  if (event.key === 'k' && (event.ctrlKey || event.metaKey)) return false
  if (event.key === ' ' && target?.closest('button, a, summary')) return true
  return Boolean(target?.closest('input, textarea, select, [contenteditable]'))
}
