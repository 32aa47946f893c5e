/** Placeholders for empty, loading and failed views. */

import { type ReactNode, useEffect, useState } from 'react'
import { ApiError } from '@/lib/api'
import { Button } from './button'
import { cx } from './class'
import { WarningIcon } from './icons'

export function Notice({
  title,
  children,
  action,
  tone = 'calm',
  className,
  isPage = false,
}: {
  title: string
  children?: ReactNode
  action?: ReactNode
  tone?: 'calm' | 'danger'
  className?: string
  /** Replaces the whole page, so its title is the page heading. */
  isPage?: boolean
}) {
  const Title = isPage ? 'h1' : 'p'
  return (
    <div
      role={tone === 'danger' ? 'alert' : 'status'}
      className={cx(
        'mx-auto flex max-w-md flex-col items-center gap-2 px-4 py-10 text-center',
        className,
      )}
    >
      {tone === 'danger' && (
        <span className="text-danger">
          <WarningIcon size={22} />
        </span>
      )}
      <Title className="text-base font-semibold">{title}</Title>
      {children && <div className="text-ink-2">{children}</div>}
      {action}
    </div>
  )
}

/** An error with advice and the request ID. */
export function ErrorNotice({
  error,
  onRetry,
  what,
  isPage = false,
}: {
  error: unknown
  onRetry?: () => void
  what: string
  isPage?: boolean
}) {
  const { title, advice } = explain(error, what)
  const requestId = error instanceof ApiError ? error.problem?.requestId : undefined
  return (
    <Notice
      tone="danger"
      title={title}
      isPage={isPage}
      action={
        onRetry && (
          <Button variant="outline" onClick={onRetry}>
            Try again
          </Button>
        )
      }
    >
      <p>{advice}</p>
      {requestId && <p className="mt-1 font-mono text-2xs text-ink-3">Request ID {requestId}</p>}
    </Notice>
  )
}

function explain(error: unknown, what: string): { title: string; advice: string } {
  if (!(error instanceof ApiError)) {
    return {
      title: `Failed to load ${what}`,
      advice:
        'Unexpected response from the server. Reload the page; if the error persists, contact your opslog administrator.',
    }
  }
  if (error.isOffline) {
    return {
      title: 'Cannot reach the server',
      advice:
        'Check your connection and whether opslog is running. The viewer retries when you are back online.',
    }
  }
  const found = ADVICE[error.status]
  return found ? found(what, error) : { title: `Failed to load ${what}`, advice: error.message }
}

function capitalized(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1)
}

type Advice = (what: string, error: ApiError) => { title: string; advice: string }

const ADVICE: Record<number, Advice> = {
  400: (_, error) => ({
    title: 'Invalid request',
    advice: error.message,
  }),
  401: () => ({
    title: 'Your session has expired',
    advice: 'Log in with a new token.',
  }),
  403: (what) => ({
    title: 'Permission denied',
    advice: `Your role cannot access ${what}. Contact your opslog administrator.`,
  }),
  404: (what, error) => ({ title: `${capitalized(what)} not found`, advice: error.message }),
  429: (_, error) => ({
    title: 'Too many concurrent queries',
    advice: `Try again in ${error.retryAfterS ?? 'a few'} seconds.`,
  }),
  503: (_, error) => ({
    title: 'Server unavailable',
    advice: `${error.message} Narrow the time range or add filters, or try again in a moment.`,
  }),
}

/** Appears after a short delay, so that fast loads do not flicker. */
export function Loading({ what }: { what: string }) {
  const isVisible = useDelay(250)
  return (
    <div role="status" aria-live="polite" className="grid flex-1 place-items-center p-8 text-ink-3">
      {isVisible && (
        <span className="flex items-center gap-2">
          <span className="size-3 animate-spin rounded-full border-2 border-line-strong border-t-accent" />
          Loading {what} …
        </span>
      )}
    </div>
  )
}

function useDelay(milliseconds: number): boolean {
  const [isVisible, setVisible] = useState(false)
  useEffect(() => {
    const timer = setTimeout(() => setVisible(true), milliseconds)
    return () => clearTimeout(timer)
  }, [milliseconds])
  return isVisible
}
