/**
 * View state in the URL fragment: `#/search?q=…&start=-1h`. The fragment never reaches a server or
 * a proxy's log, needs no rewrite rules, and works under any path prefix.
 */

import { useMemo, useSyncExternalStore } from 'react'

export interface Route {
  /** Decoded path segments: ['trace', '4bf9…']. */
  path: string[]
  params: URLSearchParams
}

export type Changes = Record<string, string | string[] | null | undefined>

export function parseRoute(hash: string): Route {
  const [path = '', query = ''] = splitOnce(hash.replace(/^#\/?/, ''), '?')
  return {
    path: path.split('/').filter(Boolean).map(decoded),
    params: new URLSearchParams(query),
  }
}

export function formatRoute(path: readonly string[], params: URLSearchParams): string {
  const query = params.toString()
  return `#/${path.map(encodeURIComponent).join('/')}${query ? `?${query}` : ''}`
}

/** URL fragment of a view; null, undefined and '' are left out. */
export function addressOf(path: readonly string[], changes: Changes = {}): string {
  return formatRoute(path, changed(new URLSearchParams(), changes))
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

function decoded(segment: string): string {
  try {
    return decodeURIComponent(segment)
  } catch {
    return segment
  }
}

const NAVIGATED = 'opslog:navigated'

function subscribe(listener: () => void): () => void {
  window.addEventListener('hashchange', listener)
  window.addEventListener('popstate', listener)
  window.addEventListener(NAVIGATED, listener)
  return () => {
    window.removeEventListener('hashchange', listener)
    window.removeEventListener('popstate', listener)
    window.removeEventListener(NAVIGATED, listener)
  }
}

/** Navigate; `replace` adds no history entry. */
export function go(hash: string, how: 'push' | 'replace' = 'push'): void {
  if (hash === window.location.hash) return
  if (how === 'push') window.history.pushState(null, '', hash)
  else window.history.replaceState(null, '', hash)
  window.dispatchEvent(new Event(NAVIGATED))
}

/** Change parameters of the current view. */
export function change(changes: Changes, how: 'push' | 'replace' = 'push'): void {
  const { path, params } = parseRoute(window.location.hash)
  go(formatRoute(path, changed(params, changes)), how)
}

export function useRoute(): Route {
  const hash = useSyncExternalStore(subscribe, () => window.location.hash)
  return useMemo(() => parseRoute(hash), [hash])
}

/** The full URL of a fragment, for the clipboard. */
export function linkTo(hash: string): string {
  return `${window.location.href.split('#')[0]}${hash}`
}
