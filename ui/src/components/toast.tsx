/** Short status messages, also announced by screen readers. */

import { useEffect } from 'react'
import { create } from 'zustand'

const useToast = create<{ text: string; count: number }>()(() => ({ text: '', count: 0 }))

export function showToast(text: string): void {
  useToast.setState(({ count }) => ({ text, count: count + 1 }))
}

export async function copyText(text: string, what: string): Promise<void> {
  try {
    await navigator.clipboard.writeText(text)
    showToast(`${what} copied`)
  } catch {
    // Browsers offer the clipboard API on TLS and localhost only.
    showToast(copyWithCommand(text) ? `${what} copied` : 'Copying is blocked by the browser')
  }
}

function copyWithCommand(text: string): boolean {
  const area = document.createElement('textarea')
  area.value = text
  area.className = 'fixed top-0 opacity-0'
  document.body.append(area)
  area.select()
  const done = document.execCommand('copy')
  area.remove()
  return done
}

const VISIBLE_MS = 2500

export function Toast() {
  const { text, count } = useToast()
  // biome-ignore lint/correctness/useExhaustiveDependencies: the same text restarts the timer
  useEffect(() => {
    if (!text) return
    const timer = setTimeout(() => useToast.setState({ text: '' }), VISIBLE_MS)
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
