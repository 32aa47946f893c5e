/** The live tail: a bounded buffer of the newest records. */

import { create } from 'zustand'
import { openTail } from './api'
import { parseJson } from './json'
import type { LogRecord } from './record'
import { FinalError, follow, type ServerEvent, type StreamState } from './sse'

/** More than anyone reads; few enough for any browser. */
export const MAX_RECORDS = 20_000
/** Render interval: short enough to look live, long enough to stay smooth. */
const RENDER_INTERVAL_MS = 150
/** Buffer while paused; when it is full, the oldest records are dropped and counted. */
const MAX_BUFFERED = 20_000

export interface TailState {
  records: LogRecord[]
  waiting: number
  missed: number
  received: number
  /** Records in the last full second. */
  rate: number
  state: StreamState
  error: string | null
  isPaused: boolean
}

const EMPTY: TailState = {
  records: [],
  waiting: 0,
  missed: 0,
  received: 0,
  rate: 0,
  state: 'ended',
  error: null,
  isPaused: false,
}

export const useTail = create<TailState>()(() => EMPTY)

/** One tail session; records stay on screen after `stop` until they are cleared. */
export class Tail {
  private readonly abort = new AbortController()
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
      setInterval(() => this.show(), RENDER_INTERVAL_MS),
      setInterval(() => this.measure(), 1000),
    ]
    void follow(
      {
        connect: (lastEventId, signal) => openTail(this.q, lastEventId, signal),
        onEvents: (events) => this.take(events),
        onState: (state, detail) => useTail.setState({ state, error: errorText(detail?.error) }),
      },
      this.abort.signal,
    )
  }

  stop(): void {
    this.abort.abort()
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
    useTail.setState({ records: [], waiting: 0, missed: 0 })
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
    // After a reconnect the server may send the last records again.
    if (this.seen.has(record.id)) return
    this.seen.add(record.id)
    if (this.seen.size > 2 * MAX_RECORDS) forgetOldest(this.seen, MAX_RECORDS)
    this.received += 1
    this.second += 1
    this.waiting.push(record)
    if (this.waiting.length > 2 * MAX_BUFFERED) {
      this.missed += this.waiting.length - MAX_BUFFERED
      this.waiting = this.waiting.slice(-MAX_BUFFERED)
    }
  }

  private show(): void {
    const { isPaused, records, waiting } = useTail.getState()
    const counts = { missed: this.missed, received: this.received }
    if (isPaused) {
      if (waiting !== this.waiting.length)
        useTail.setState({ ...counts, waiting: this.waiting.length })
      return
    }
    if (!this.waiting.length) return
    const next = records.concat(this.waiting)
    this.waiting = []
    useTail.setState({
      ...counts,
      waiting: 0,
      records: next.length > MAX_RECORDS ? next.slice(-MAX_RECORDS) : next,
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
