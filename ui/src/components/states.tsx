/** What is shown where there is nothing to show: why, and what to do about it. */

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
  /** It stands for the whole page, so its title is the page's heading. */
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

/** What happened, in words that help; the server's own words come last. */
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
          <Button look="outline" onClick={onRetry}>
            Try again
          </Button>
        )
      }
    >
      <p>{advice}</p>
      {requestId && <p className="mt-1 font-mono text-2xs text-ink-3">request {requestId}</p>}
    </Notice>
  )
}

function explain(error: unknown, what: string): { title: string; advice: string } {
  if (!(error instanceof ApiError)) {
    return {
      title: `${what} cannot be shown`,
      advice:
        'The answer of the server could not be read. Reload the page; if it stays, tell whoever runs opslog.',
    }
  }
  if (error.isOffline) {
    return {
      title: 'The server does not answer',
      advice:
        'Check your connection, or whether opslog is running. The page tries again by itself when you are back online.',
    }
  }
  const found = ADVICE[error.status]
  return found ? found(what, error) : { title: `${what} cannot be shown`, advice: error.message }
}

type Advice = (what: string, error: ApiError) => { title: string; advice: string }

const ADVICE: Record<number, Advice> = {
  400: (_, error) => ({
    title: 'The server does not understand the question',
    advice: error.message,
  }),
  401: () => ({
    title: 'You are not logged in any more',
    advice: 'Log in again with a fresh token.',
  }),
  403: (what) => ({
    title: `Your role may not see this`,
    advice: `${what} needs another role. Ask whoever gave you the token.`,
  }),
  404: (what, error) => ({ title: `${what} was not found`, advice: error.message }),
  429: (_, error) => ({
    title: 'Too many questions at a time',
    advice: `Wait ${error.retryAfterS ?? 'a few'} seconds and try again.`,
  }),
  503: (_, error) => ({
    title: 'The server cannot answer just now',
    advice: `${error.message} Narrow the range or the words, or try again in a moment.`,
  }),
}

/** Appears only when the wait is long enough to be noticed. */
export function Loading({ what }: { what: string }) {
  const isLate = useLate(250)
  return (
    <div role="status" aria-live="polite" className="grid flex-1 place-items-center p-8 text-ink-3">
      {isLate && (
        <span className="flex items-center gap-2">
          <span className="size-3 animate-spin rounded-full border-2 border-line-strong border-t-accent" />
          Loading {what} …
        </span>
      )}
    </div>
  )
}

function useLate(milliseconds: number): boolean {
  const [isLate, setLate] = useState(false)
  useEffect(() => {
    const timer = setTimeout(() => setLate(true), milliseconds)
    return () => clearTimeout(timer)
  }, [milliseconds])
  return isLate
}
