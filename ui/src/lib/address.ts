/**
 * The address bar as the one place of state: `#/search?q=…&start=-1h`. The fragment never reaches
 * a server or a proxy's log, needs no rewriting rules, and works under any path prefix.
 */

import { useMemo, useSyncExternalStore } from 'react'

export interface Place {
  /** Decoded steps of the path: ['trace', '4bf9…']. */
  path: string[]
  params: URLSearchParams
}

export type Changes = Record<string, string | string[] | null | undefined>

export function readPlace(hash: string): Place {
  const [path = '', query = ''] = splitOnce(hash.replace(/^#\/?/, ''), '?')
  return {
    path: path.split('/').filter(Boolean).map(decoded),
    params: new URLSearchParams(query),
  }
}

export function writePlace(path: readonly string[], params: URLSearchParams): string {
  const query = params.toString()
  return `#/${path.map(encodeURIComponent).join('/')}${query ? `?${query}` : ''}`
}

/** Address of a view; entries that are null, undefined or '' are left out. */
export function addressOf(path: readonly string[], changes: Changes = {}): string {
  return writePlace(path, changed(new URLSearchParams(), changes))
}

export function changed(params: URLSearchParams, changes: Changes): URLSearchParams {
  const next = new URLSearchParams(params)
  for (const [name, value] of Object.entries(changes)) {
    next.delete(name)
    for (const item of Array.isArray(value) ? value : [value]) {
      if (item) next.append(name, item)
    }
  }
  return next
}

function splitOnce(text: string, mark: string): [string, string] {
  const at = text.indexOf(mark)
  return at < 0 ? [text, ''] : [text.slice(0, at), text.slice(at + 1)]
}

function decoded(step: string): string {
  try {
    return decodeURIComponent(step)
  } catch {
    return step
  }
}

const MOVED = 'opslog:moved'

function subscribe(listener: () => void): () => void {
  window.addEventListener('hashchange', listener)
  window.addEventListener('popstate', listener)
  window.addEventListener(MOVED, listener)
  return () => {
    window.removeEventListener('hashchange', listener)
    window.removeEventListener('popstate', listener)
    window.removeEventListener(MOVED, listener)
  }
}

/** Goes to an address; `replace` where Back should not stop. */
export function go(hash: string, how: 'push' | 'replace' = 'push'): void {
  if (hash === window.location.hash) return
  if (how === 'push') window.history.pushState(null, '', hash)
  else window.history.replaceState(null, '', hash)
  window.dispatchEvent(new Event(MOVED))
}

/** Changes parameters of the present view. */
export function change(changes: Changes, how: 'push' | 'replace' = 'push'): void {
  const { path, params } = readPlace(window.location.hash)
  go(writePlace(path, changed(params, changes)), how)
}

export function usePlace(): Place {
  const hash = useSyncExternalStore(subscribe, () => window.location.hash)
  return useMemo(() => readPlace(hash), [hash])
}

/** The present address in full, for the clipboard. */
export function linkTo(hash: string): string {
  return `${window.location.href.split('#')[0]}${hash}`
}
