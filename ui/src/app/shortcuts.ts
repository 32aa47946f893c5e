/** Keys of the page. What is written here is what the help shows. */

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
    title: 'Everywhere',
    shortcuts: [
      { keys: '?', text: 'this help' },
      { keys: 'Ctrl K', text: 'go to a page, a trace or a record' },
      { keys: 'g s', text: 'search' },
      { keys: 'g l', text: 'live tail' },
      { keys: 'g t', text: 'traces' },
      { keys: 'g f', text: 'statistics' },
      { keys: 'g o', text: 'operations' },
      { keys: 'Shift T', text: 'light or dark' },
      { keys: 'Shift Z', text: 'local time or UTC' },
    ],
  },
  {
    title: 'Lines',
    shortcuts: [
      { keys: '/', text: 'write a question' },
      { keys: 'j  ↓', text: 'next line' },
      { keys: 'k  ↑', text: 'previous line' },
      { keys: 'Home  End', text: 'first and last line that is loaded' },
      { keys: 'Enter', text: 'open the line' },
      { keys: 'Esc', text: 'close, or back' },
      { keys: 'w', text: 'wrap long lines' },
      { keys: 'f', text: 'lines on the full screen' },
      { keys: 'o', text: 'newest or oldest first' },
      { keys: 'r', text: 'ask again' },
      { keys: '[  ]', text: 'earlier, later' },
      { keys: '-', text: 'zoom out' },
    ],
  },
  {
    title: 'An open line',
    shortcuts: [
      { keys: 't', text: 'its trace' },
      { keys: 'c', text: 'lines around it' },
      { keys: 'y', text: 'copy as JSON' },
      { keys: 'Shift Y', text: 'copy a link to it' },
    ],
  },
  {
    title: 'Live tail and trace',
    shortcuts: [
      { keys: 'Space', text: 'pause or resume the tail' },
      { keys: 'x', text: 'clear the tail' },
      { keys: '←  →', text: 'collapse or open a span' },
      { keys: 'p', text: 'show the critical path only' },
    ],
  },
]

export type Handlers = Record<string, (event: KeyboardEvent) => void>

const SEQUENCE_MS = 900

/** Listens while the component is shown; keys typed into fields, menus and dialogs are left alone. */
export function useShortcuts(handlers: Handlers): void {
  const current = useRef(handlers)
  useEffect(() => {
    current.current = handlers
  })
  useEffect(() => {
    let prefix = ''
    let at = 0
    const onKey = (event: KeyboardEvent) => {
      if (event.defaultPrevented || isElsewhere(event)) return
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

function isElsewhere(event: KeyboardEvent): boolean {
  const target = event.target instanceof Element ? event.target : null
  if (event.altKey || ((event.ctrlKey || event.metaKey) && event.key !== 'k')) return true
  if (target?.closest('[role="dialog"], [role="menu"]')) return true
  if (event.key === 'k' && (event.ctrlKey || event.metaKey)) return false
  if (event.key === ' ' && target?.closest('button, a, summary')) return true
  return Boolean(target?.closest('input, textarea, select, [contenteditable]'))
}
