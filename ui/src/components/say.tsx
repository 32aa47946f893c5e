/** Short words about what was just done, for eyes and for screen readers. */

import { useEffect } from 'react'
import { create } from 'zustand'

const useSaid = create<{ text: string; count: number }>()(() => ({ text: '', count: 0 }))

export function say(text: string): void {
  useSaid.setState(({ count }) => ({ text, count: count + 1 }))
}

export async function copyText(text: string, what: string): Promise<void> {
  try {
    await navigator.clipboard.writeText(text)
    say(`${what} copied`)
  } catch {
    // Without TLS browsers have no clipboard interface, except on the same machine.
    say(copyTheOldWay(text) ? `${what} copied` : 'The browser does not let this page copy')
  }
}

function copyTheOldWay(text: string): boolean {
  const area = document.createElement('textarea')
  area.value = text
  area.className = 'fixed top-0 opacity-0'
  document.body.append(area)
  area.select()
  const done = document.execCommand('copy')
  area.remove()
  return done
}

const SHOWN_MS = 2500

export function Said() {
  const { text, count } = useSaid()
  // biome-ignore lint/correctness/useExhaustiveDependencies: the same words said again are shown again
  useEffect(() => {
    if (!text) return
    const timer = setTimeout(() => useSaid.setState({ text: '' }), SHOWN_MS)
    return () => clearTimeout(timer)
  }, [text, count])
  return (
    <div
      role="status"
      aria-live="polite"
      className="pointer-events-none fixed inset-x-0 bottom-4 z-50 flex justify-center"
    >
      {text && (
        <span className="rounded-lg border border-line bg-raised px-3 py-1.5 shadow-float">
          {text}
        </span>
      )}
    </div>
  )
}
