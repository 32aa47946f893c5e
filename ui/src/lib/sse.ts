/**
 * Server-sent events over fetch: unlike EventSource it tells the status of a refusal, takes the
 * last event id at its first connection, and can be paused without losing it.
 */

export interface ServerEvent {
  id: string | null
  type: string
  data: string
}

/** Takes the stream's text in any pieces and gives out whole events. */
export class EventParser {
  private rest = ''
  private id: string | null = null
  private type = ''
  private data: string[] = []
  /** Milliseconds that the server asks to wait before a reconnect. */
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
  /** Opens one connection; a refusal that will not change throws with `isFinal`. */
  connect: (lastEventId: string | null, signal: AbortSignal) => Promise<ReadableStream<Uint8Array>>
  onEvents: (events: ServerEvent[]) => void
  onState: (state: StreamState, detail?: { waitMs?: number; error?: unknown }) => void
  /** Replaced by tests. */
  wait?: (milliseconds: number, signal: AbortSignal) => Promise<void>
  /** Without any bytes for so long the connection counts as dead; heartbeats are more frequent. */
  silenceMs?: number
}

/** A refusal that a reconnect will not change, such as 400 or 403. */
export class FinalError extends Error {
  readonly isFinal = true
}

const FIRST_WAIT_MS = 500
const LONGEST_WAIT_MS = 15_000
const SILENCE_MS = 45_000

/** Reads until `signal` aborts, reconnecting with the last event id so that nothing is missed. */
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
      attempt.retryMs ?? Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** Math.max(0, failures - 1))
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
  const alarm = silenceAlarm(options.silenceMs ?? SILENCE_MS, stop)
  try {
    const body = await options.connect(from, attempt.signal)
    options.onState('open')
    const decoder = new TextDecoder()
    for await (const bytes of chunks(body, attempt.signal)) {
      alarm.restart()
      const events = parser.feed(decoder.decode(bytes, { stream: true }))
      if (!events.length) continue
      result.hadEvents = true
      result.lastId = events.at(-1)?.id ?? result.lastId
      options.onEvents(events)
    }
  } catch (error) {
    result.error = error
  } finally {
    alarm.stop()
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

function silenceAlarm(milliseconds: number, onSilence: () => void) {
  let timer = setTimeout(onSilence, milliseconds)
  return {
    restart: () => {
      clearTimeout(timer)
      timer = setTimeout(onSilence, milliseconds)
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
