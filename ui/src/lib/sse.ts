/**
 * Server-sent events over fetch: unlike EventSource it reports the HTTP status of an error, accepts
 * a last event id for the first connection, and keeps it while paused.
 */

export interface ServerEvent {
  id: string | null
  type: string
  data: string
}

/** Parses the stream incrementally into events. */
export class EventParser {
  private rest = ''
  private id: string | null = null
  private type = ''
  private data: string[] = []
  /** Reconnection time set by the server, in milliseconds. */
  retryMs: number | null = null

  feed(text: string): ServerEvent[] {
    const events: ServerEvent[] = []
    // A CR at the end may be the first half of a CR LF.
    const whole = this.rest + text
    const lines = whole.split(/\r\n|\n|\r(?!$)/)
    this.rest = lines.pop() ?? ''
    for (const line of lines) {
      const event = this.line(line)
      if (event) events.push(event)
    }
    return events
  }

  private line(line: string): ServerEvent | null {
    if (line === '') return this.dispatch()
    if (line.startsWith(':')) return null
    const colon = line.indexOf(':')
    const field = colon < 0 ? line : line.slice(0, colon)
    const value = colon < 0 ? '' : line.slice(colon + 1).replace(/^ /, '')
    if (field === 'data') this.data.push(value)
    else if (field === 'event') this.type = value
    else if (field === 'id' && !value.includes('\0')) this.id = value
    else if (field === 'retry' && /^\d+$/.test(value)) this.retryMs = Number(value)
    return null
  }

  private dispatch(): ServerEvent | null {
    const event = { id: this.id, type: this.type || 'message', data: this.data.join('\n') }
    const isEmpty = this.data.length === 0
    this.type = ''
    this.data = []
    return isEmpty ? null : event
  }
}

export type StreamState = 'connecting' | 'open' | 'waiting' | 'ended'

export interface StreamOptions {
  /** Opens one connection; throws `FinalError` for an error that a retry will not fix. */
  connect: (lastEventId: string | null, signal: AbortSignal) => Promise<ReadableStream<Uint8Array>>
  onEvents: (events: ServerEvent[]) => void
  onState: (state: StreamState, detail?: { waitMs?: number; error?: unknown }) => void
  /** Replaced by tests. */
  wait?: (milliseconds: number, signal: AbortSignal) => Promise<void>
  /** Idle timeout of a connection; heartbeats are more frequent. */
  idleTimeoutMs?: number
}

/** An error that a reconnect will not fix, such as 400 or 403. */
export class FinalError extends Error {
  readonly isFinal = true
}

const MIN_WAIT_MS = 500
const MAX_WAIT_MS = 15_000
const IDLE_TIMEOUT_MS = 45_000

/** Read until `signal` aborts; reconnect with the last event id so that no event is lost. */
export async function follow(options: StreamOptions, signal: AbortSignal): Promise<void> {
  const { onState, wait = sleep } = options
  let lastId: string | null = null
  let failures = 0
  while (!signal.aborted) {
    onState('connecting')
    const attempt: {
      error: unknown
      hadEvents: boolean
      retryMs: number | null
      lastId: string | null
    } = await readOnce(options, lastId, signal)
    lastId = attempt.lastId
    if (signal.aborted) break
    if (attempt.error instanceof FinalError) {
      onState('ended', { error: attempt.error })
      return
    }
    failures = attempt.hadEvents ? 0 : failures + 1
    const waitMs =
      attempt.retryMs ?? Math.min(MAX_WAIT_MS, MIN_WAIT_MS * 2 ** Math.max(0, failures - 1))
    onState('waiting', { waitMs, error: attempt.error })
    await wait(waitMs, signal)
  }
  onState('ended')
}

async function readOnce(options: StreamOptions, from: string | null, outer: AbortSignal) {
  const parser = new EventParser()
  const result = {
    error: undefined as unknown,
    hadEvents: false,
    retryMs: null as number | null,
    lastId: from,
  }
  const attempt = new AbortController()
  const stop = () => attempt.abort()
  outer.addEventListener('abort', stop)
  const idle = idleTimer(options.idleTimeoutMs ?? IDLE_TIMEOUT_MS, stop)
  try {
    const body = await options.connect(from, attempt.signal)
    options.onState('open')
    const decoder = new TextDecoder()
    for await (const bytes of chunks(body, attempt.signal)) {
      idle.restart()
      const events = parser.feed(decoder.decode(bytes, { stream: true }))
      if (!events.length) continue
      result.hadEvents = true
      result.lastId = events.at(-1)?.id ?? result.lastId
      options.onEvents(events)
    }
  } catch (error) {
    result.error = error
  } finally {
    idle.stop()
    outer.removeEventListener('abort', stop)
  }
  result.retryMs = parser.retryMs
  return result
}

async function* chunks(body: ReadableStream<Uint8Array>, signal: AbortSignal) {
  const reader = body.getReader()
  const cancel = () => void reader.cancel().catch(() => undefined)
  signal.addEventListener('abort', cancel)
  try {
    for (;;) {
      const { done, value } = await reader.read()
      if (done) return
      yield value
    }
  } finally {
    signal.removeEventListener('abort', cancel)
    cancel()
  }
}

function idleTimer(milliseconds: number, onTimeout: () => void) {
  let timer = setTimeout(onTimeout, milliseconds)
  return {
    restart: () => {
      clearTimeout(timer)
      timer = setTimeout(onTimeout, milliseconds)
    },
    stop: () => clearTimeout(timer),
  }
}

function sleep(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, milliseconds)
    signal.addEventListener('abort', () => {
      clearTimeout(timer)
      resolve()
    })
  })
}
