/** Every call to the server, with its types. A change of the API is a change of this file. */

import { type Json, parseJson } from './json'
import type { Level } from './levels'
import type { LogRecord } from './record'
import { FinalError } from './sse'

const BASE = 'api/v1'

/** Sent with every request: another site cannot send it without asking, so cookies are safe. */
const OWN_HEADER = { 'X-Opslog-Viewer': '1' }

export interface Problem {
  type: string
  title: string
  status: number
  detail: string
  requestId?: string
  errors?: { parameter: string; detail: string; position?: number }[]
}

/** An answer that is not the one hoped for; status 0 when no answer came at all. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly problem: Problem | null,
    readonly retryAfterS: number | null = null,
  ) {
    super(problem?.detail || problem?.title || (status ? `answer ${status}` : 'no answer'))
  }

  get isOffline(): boolean {
    return this.status === 0
  }

  /** The fault in a parameter; the server counts its place in characters, from 0. */
  about(parameter: string): { detail: string; position?: number } | null {
    return this.problem?.errors?.find((error) => error.parameter === parameter) ?? null
  }
}

export type Query = Record<string, string | string[] | number | undefined>

export function queryText(query: Query): string {
  const params = new URLSearchParams()
  for (const [name, value] of Object.entries(query)) {
    for (const item of Array.isArray(value) ? value : [value]) {
      if (item !== undefined && item !== '') params.append(name, String(item))
    }
  }
  const text = params.toString()
  return text ? `?${text}` : ''
}

interface Asked {
  method?: string
  query?: Query
  headers?: Record<string, string>
  body?: Json
  signal?: AbortSignal
}

/** Called once when the server says that nobody is logged in any more. */
let onUnauthorized: () => void = () => undefined

export function whenUnauthorized(listener: () => void): void {
  onUnauthorized = listener
}

async function send(path: string, asked: Asked = {}): Promise<Response> {
  const { method = 'GET', query = {}, headers = {}, body, signal } = asked
  const init: RequestInit = {
    method,
    headers: {
      Accept: 'application/json',
      ...OWN_HEADER,
      ...headers,
      ...(body === undefined ? {} : { 'Content-Type': 'application/json' }),
    },
    credentials: 'same-origin',
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    ...(signal ? { signal } : {}),
  }
  let answer: Response
  try {
    answer = await fetch(`${BASE}${path}${queryText(query)}`, init)
  } catch (error) {
    if (signal?.aborted) throw error
    throw new ApiError(0, null)
  }
  if (!answer.ok) throw await errorOf(answer)
  return answer
}

async function errorOf(answer: Response): Promise<ApiError> {
  if (answer.status === 401) onUnauthorized()
  const seconds = Number(answer.headers.get('Retry-After'))
  const isProblem = answer.headers.get('Content-Type')?.startsWith('application/problem+json')
  const problem = isProblem ? await answer.json().catch(() => null) : null
  return new ApiError(answer.status, problem as Problem | null, seconds || null)
}

async function ask<T>(path: string, asked: Asked = {}): Promise<T> {
  const answer = await send(path, asked)
  return parseJson(await answer.text()) as T
}

// ---- who is logged in ----

export type Permission =
  | 'logs.read'
  | 'logs.export'
  | 'logs.purge'
  | 'audit.read'
  | 'keys.manage'
  | 'holds.manage'
  | 'retention.manage'
  | 'operations.read'
  | 'operations.manage'
  | 'redaction.test'

export interface Session {
  subject: string
  role: string
  permissions: Permission[]
  expiresAt: string
}

export function login(token: string): Promise<Session> {
  return ask('/session', { method: 'POST', headers: { Authorization: `Bearer ${token}` } })
}

export function readSession(): Promise<Session> {
  return ask('/session')
}

export async function logout(): Promise<void> {
  await send('/session', { method: 'DELETE' })
}

// ---- records ----

/** What of the records is asked for; every view of records takes this. */
export interface Question {
  q: string
  start: string
  end: string
  kind?: string[]
}

export type Order = 'desc' | 'asc'

export interface RecordPage {
  data: LogRecord[]
  nextCursor: string | null
  /** The part of the answer that is missing, where not everything could be searched in time. */
  partial?: { detail: string }
  /** What the server did on its own, such as searching the last 7 days only. */
  notice?: string
}

export interface PageWish {
  order?: Order
  limit?: number
  cursor?: string
}

export function search(question: Question, page: PageWish, signal: AbortSignal) {
  return ask<RecordPage>('/logs', { query: { ...question, ...page }, signal })
}

export function readRecord(id: string, signal: AbortSignal) {
  return ask<LogRecord>(`/logs/${encodeURIComponent(id)}`, { signal })
}

export interface Context {
  before: LogRecord[]
  record: LogRecord
  after: LogRecord[]
}

export function readContext(id: string, before: number, after: number, signal: AbortSignal) {
  const query = { before, after }
  return ask<Context>(`/logs/${encodeURIComponent(id)}/context`, { query, signal })
}

export type TimelineOf = 'resource' | 'correlation' | 'actor'

export function readTimeline(of: TimelineOf, id: string, query: Query, signal: AbortSignal) {
  return ask<RecordPage>(`/logs/${of}/${encodeURIComponent(id)}`, { query, signal })
}

const MOST_TRACE_PAGES = 20

/** All spans and logs of a trace, oldest first; `isCut` when it has more than a page can show. */
export async function readTrace(id: string, signal: AbortSignal) {
  const records: LogRecord[] = []
  let cursor: string | undefined
  for (let page = 0; page < MOST_TRACE_PAGES; page += 1) {
    const query = { limit: 1000, cursor }
    const found = await ask<RecordPage>(`/logs/trace/${encodeURIComponent(id)}`, { query, signal })
    records.push(...found.data)
    if (!found.nextCursor) return { records, isCut: false }
    cursor = found.nextCursor
  }
  return { records, isCut: true }
}

export interface TraceSummary {
  traceId: string
  service: string
  operation: string
  start: string
  durationNs: number
  spans: number
  errors: number
  services: string[]
}

export interface TracePage {
  data: TraceSummary[]
  nextCursor: string | null
}

export function searchTraces(query: Query, signal: AbortSignal) {
  return ask<TracePage>('/traces', { query, signal })
}

// ---- figures ----

export interface ValueCount {
  value: string
  count: number
}

export interface Facet {
  field: string
  values: ValueCount[]
  /** The counts are of a sample of the records. */
  sample?: boolean
}

export function readFacets(
  question: Question,
  fields: string[],
  limit: number,
  signal: AbortSignal,
) {
  const query = { ...question, field: fields, limit }
  return ask<{ data: Facet[] }>('/logs/facets', { query, signal }).then((answer) => answer.data)
}

export type StatsBy = 'level' | 'sourceModule' | 'action' | 'kind'

export interface Bucket {
  start: string
  count: number
  values: Record<string, number>
}

export interface Stats {
  total: number
  /** Seconds of one bucket; null without a series. */
  interval: number | null
  totals: ValueCount[]
  series: Bucket[]
}

export function readStats(question: Question, by: StatsBy, signal: AbortSignal) {
  return ask<Stats>('/logs/stats', { query: { ...question, by, interval: 'auto' }, signal })
}

export interface Pattern {
  pattern: string
  count: number
  level?: Level
  sample?: LogRecord
}

export function readPatterns(question: Question, signal: AbortSignal) {
  return ask<{ data: Pattern[]; sampled?: boolean }>('/logs/patterns', {
    query: { ...question },
    signal,
  })
}

// ---- live ----

export async function openTail(
  question: { q: string },
  lastEventId: string | null,
  signal: AbortSignal,
) {
  const headers: Record<string, string> = { Accept: 'text/event-stream' }
  if (lastEventId !== null) headers['Last-Event-ID'] = lastEventId
  try {
    const answer = await send('/logs/tail', { query: question, headers, signal })
    if (!answer.body) throw new ApiError(0, null)
    return answer.body
  } catch (error) {
    if (error instanceof ApiError && [400, 401, 403, 404].includes(error.status)) {
      throw new FinalError(error.message, { cause: error })
    }
    throw error
  }
}

// ---- export and purge ----

export type ExportFormat = 'ndjson' | 'json' | 'csv' | 'otlp'

/** Address of a download; the browser saves it while it comes, whatever its size. */
export function exportAddress(question: Question, format: ExportFormat, order: Order): string {
  return `${BASE}/logs/export${queryText({ ...question, format, order })}`
}

/** The first step's answer, with a token for the second; the second one's, without. */
export interface Purge {
  token: string | null
  rows: number
  bytes: number | null
  segments: number | null
  heldRows: number | null
  /** Younger than the least time that their class is kept. */
  protectedRows: number | null
  /** False in the second step where it takes long: it goes on by itself. */
  isDone: boolean
}

export function planPurge(question: Question, reason: string) {
  return ask<Purge>('/logs/purge', { method: 'DELETE', query: { ...question, reason } })
}

export function carryOutPurge(question: Question, reason: string, token: string) {
  return ask<Purge>('/logs/purge', { method: 'DELETE', query: { ...question, reason, token } })
}

// ---- operations ----

/** A list as the server keeps it; the operations page shows the members that it knows. */
export type Row = Record<string, Json>

export function readRows(path: string, signal: AbortSignal) {
  return ask<{ data: Row[] }>(path, { signal })
}

export function readObject(path: string, signal: AbortSignal) {
  return ask<Row>(path, { signal })
}

export function change(
  method: 'POST' | 'DELETE',
  path: string,
  { query, body }: { query?: Query | undefined; body?: Json | undefined },
) {
  return ask<Row>(path, {
    method,
    ...(query ? { query } : {}),
    ...(body === undefined ? {} : { body }),
  })
}

export interface Readiness {
  status: 'ok' | 'degraded' | 'failed'
  checks: Record<string, { state: string; reason: string }>
}

/** The checks of /readyz, also when they say 503. */
export async function readReadiness(signal: AbortSignal): Promise<Readiness> {
  const answer = await fetch('readyz', { headers: OWN_HEADER, signal }).catch(() => null)
  if (!answer) throw new ApiError(0, null)
  return (await answer.json()) as Readiness
}

/** What came in a minute of arrival, and what became of it. */
export interface IngestMinute {
  minute: string
  ingestKeyId: number | null
  sourceModule: string | null
  reason: string | null
  received: number
  derived: number
  stored: number
  duplicate: number
  dead: number
  rejected: number
}

export interface IngestLedger {
  data: IngestMinute[]
  totals: Record<'received' | 'derived' | 'stored' | 'duplicate' | 'dead' | 'rejected', number>
  /** There are more rows than an answer holds. */
  isCut: boolean
  lastCheck: { endedAt: string; rows: number; segments: number; differences: string[] } | null
}

export function readLedger(query: { start: string; by?: 'minute' }, signal: AbortSignal) {
  return ask<IngestLedger>('/ingest/ledger', { query, signal })
}

/** The newest signed head of the ledger, as it is published; null before the first one. */
export async function readCheckpoint(signal: AbortSignal): Promise<string | null> {
  try {
    return await (await send('/ledger/checkpoint', { signal })).text()
  } catch (error) {
    if (error instanceof ApiError && error.status === 404) return null
    throw error
  }
}

/** Prometheus text about the processes on the server's machine. */
export async function readMetrics(signal: AbortSignal): Promise<string> {
  const answer = await fetch('metrics', { headers: OWN_HEADER, signal }).catch(() => null)
  if (!answer?.ok) throw new ApiError(answer?.status ?? 0, null)
  return answer.text()
}

/** What redaction would make of a text or of attributes; the server keeps neither. */
export function tryRedaction(payload: string | Record<string, Json>) {
  const body = typeof payload === 'string' ? { text: payload } : { attributes: payload }
  return ask<{ result: Json; hits: { rule: string; count: number }[] }>('/redaction/test', {
    method: 'POST',
    body,
  })
}
