/** The live tail: records as they come, in a ring that holds the newest of them. */

import { create } from 'zustand'
import { openTail } from './api'
import { parseJson } from './json'
import type { LogRecord } from './record'
import { FinalError, follow, type ServerEvent, type StreamState } from './sse'

/** More than anybody reads; few enough for any browser. */
export const MOST_LINES = 20_000
/** How often new lines are shown: often enough to look live, rarely enough to stay smooth. */
const SHOW_EVERY_MS = 150
/** While the reader has paused; beyond it the oldest waiting lines go, and are counted. */
const MOST_WAITING = 20_000

export interface TailState {
  lines: LogRecord[]
  waiting: number
  missed: number
  received: number
  /** Lines in the last whole second. */
  rate: number
  state: StreamState
  error: string | null
  isPaused: boolean
}

const EMPTY: TailState = {
  lines: [],
  waiting: 0,
  missed: 0,
  received: 0,
  rate: 0,
  state: 'ended',
  error: null,
  isPaused: false,
}

export const useTail = create<TailState>()(() => EMPTY)

/** One run of the tail; `stop` ends it. Lines that came stay until they are cleared. */
export class Tail {
  private readonly ending = new AbortController()
  private readonly seen = new Set<string>()
  private waiting: LogRecord[] = []
  private missed = 0
  private received = 0
  private second = 0
  private timers: ReturnType<typeof setInterval>[] = []

  constructor(private readonly q: string) {}

  start(): void {
    useTail.setState({ ...EMPTY, state: 'connecting' })
    this.timers = [
      setInterval(() => this.show(), SHOW_EVERY_MS),
      setInterval(() => this.measure(), 1000),
    ]
    void follow(
      {
        connect: (lastEventId, signal) => openTail({ q: this.q }, lastEventId, signal),
        onEvents: (events) => this.take(events),
        onState: (state, detail) => useTail.setState({ state, error: errorText(detail?.error) }),
      },
      this.ending.signal,
    )
  }

  stop(): void {
    this.ending.abort()
    for (const timer of this.timers) clearInterval(timer)
    this.show()
    useTail.setState({ rate: 0 })
  }

  pause(isPaused: boolean): void {
    useTail.setState({ isPaused })
    if (!isPaused) this.show()
  }

  clear(): void {
    this.waiting = []
    useTail.setState({ lines: [], waiting: 0, missed: 0 })
    this.missed = 0
  }

  private take(events: ServerEvent[]): void {
    for (const event of events) {
      if (event.type === 'missed') this.missed += countOf(event.data)
      else if (event.type === 'message' || event.type === 'record') this.add(event.data)
    }
  }

  private add(data: string): void {
    const record = parseJson(data) as unknown as LogRecord
    // After a reconnect the server may send the last lines again.
    if (this.seen.has(record.id)) return
    this.seen.add(record.id)
    if (this.seen.size > 2 * MOST_LINES) forgetOldest(this.seen, MOST_LINES)
    this.received += 1
    this.second += 1
    this.waiting.push(record)
    if (this.waiting.length > 2 * MOST_WAITING) {
      this.missed += this.waiting.length - MOST_WAITING
      this.waiting = this.waiting.slice(-MOST_WAITING)
    }
  }

  private show(): void {
    const { isPaused, lines, waiting } = useTail.getState()
    const counts = { missed: this.missed, received: this.received }
    if (isPaused) {
      if (waiting !== this.waiting.length)
        useTail.setState({ ...counts, waiting: this.waiting.length })
      return
    }
    if (!this.waiting.length) return
    const next = lines.concat(this.waiting)
    this.waiting = []
    useTail.setState({
      ...counts,
      waiting: 0,
      lines: next.length > MOST_LINES ? next.slice(-MOST_LINES) : next,
    })
  }

  private measure(): void {
    useTail.setState({ rate: this.second })
    this.second = 0
  }
}

function forgetOldest(seen: Set<string>, keep: number): void {
  for (const id of seen) {
    if (seen.size <= keep) return
    seen.delete(id)
  }
}

function countOf(data: string): number {
  const value = parseJson(data) as { count?: number } | number
  return typeof value === 'number' ? value : (value.count ?? 0)
}

function errorText(error: unknown): string | null {
  if (error instanceof FinalError || error instanceof Error) return error.message
  return null
}
