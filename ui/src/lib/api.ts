/** All API calls with their types. */

import { type Json, parseJson } from './json'
import type { Level } from './levels'
import type { LogRecord } from './record'
import { FinalError } from './sse'

const BASE = 'api/v1'

/** CSRF protection: other sites cannot send this header without a CORS preflight. */
const OWN_HEADER = { 'X-Opslog-Viewer': '1' }

export interface Problem {
  type: string
  title: string
  status: number
  detail: string
  requestId?: string
  errors?: { parameter: string; detail: string; position?: number }[]
}

/** An error response; status 0 when there was no response at all. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly problem: Problem | null,
    readonly retryAfterS: number | null = null,
  ) {
    super(problem?.detail || problem?.title || (status ? `HTTP ${status}` : 'no response'))
  }

  get isOffline(): boolean {
    return this.status === 0
  }

  /** The error of a parameter; its position is in characters, from 0. */
  errorOf(parameter: string): { detail: string; position?: number } | null {
    return this.problem?.errors?.find((error) => error.parameter === parameter) ?? null
  }
}

export type Params = Record<string, string | string[] | number | undefined>

export function queryString(params: Params): string {
  const encoded = new URLSearchParams()
  for (const [name, value] of Object.entries(params)) {
    for (const item of Array.isArray(value) ? value : [value]) {
      if (item === undefined || item === '') continue
      // By default, the server searches until a day from now: clocks that are fast are included.
      if (name === 'end' && item === 'now') continue
      encoded.append(name, String(item))
    }
  }
  const text = encoded.toString()
  return text ? `?${text}` : ''
}

interface RequestOptions {
  method?: string
  params?: Params
  headers?: Record<string, string>
  body?: Json
  signal?: AbortSignal
}

/** Called when a request fails because the session has ended. */
let unauthorizedListener: () => void = () => undefined

export function onUnauthorized(listener: () => void): void {
  unauthorizedListener = listener
}

async function send(path: string, options: RequestOptions = {}): Promise<Response> {
  const { method = 'GET', params = {}, headers = {}, body, signal } = options
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
  let response: Response
  try {
    response = await fetch(`${BASE}${path}${queryString(params)}`, init)
  } catch (error) {
    if (signal?.aborted) throw error
    throw new ApiError(0, null)
  }
  if (!response.ok) throw await errorOf(response)
  return response
}

async function errorOf(response: Response): Promise<ApiError> {
  if (response.status === 401) unauthorizedListener()
  const seconds = Number(response.headers.get('Retry-After'))
  const isProblem = response.headers.get('Content-Type')?.startsWith('application/problem+json')
  const problem = isProblem ? await response.json().catch(() => null) : null
  return new ApiError(response.status, problem as Problem | null, seconds || null)
}

async function request<T>(path: string, options: RequestOptions = {}): Promise<T> {
  const response = await send(path, options)
  return parseJson(await response.text()) as T
}

// ---- session ----

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
  return request('/session', { method: 'POST', headers: { Authorization: `Bearer ${token}` } })
}

export function readSession(): Promise<Session> {
  return request('/session')
}

export async function logout(): Promise<void> {
  await send('/session', { method: 'DELETE' })
}

// ---- records ----

/** Query, time range and kinds: the filter that all record views share. */
export interface LogQuery {
  q: string
  start: string
  end: string
  kind?: string[]
}

export type Order = 'desc' | 'asc'

export interface RecordPage {
  data: LogRecord[]
  nextCursor: string | null
  /** Set when the search ran out of time: which part of the range is missing. */
  partial?: { detail: string }
  /** What to know about the result, such as that only the last 7 days were searched. */
  notices?: ResultNotice[]
}

export interface ResultNotice {
  detail: string
  /** Parameters that may be what was meant. */
  change: Record<string, string> | null
}

export interface PageOptions {
  order?: Order
  limit?: number
  cursor?: string
}

export function search(query: LogQuery, page: PageOptions, signal: AbortSignal) {
  return request<RecordPage>('/logs', { params: { ...query, ...page }, signal })
}

export function readRecord(id: string, signal: AbortSignal) {
  return request<LogRecord>(`/logs/${encodeURIComponent(id)}`, { signal })
}

export interface Context {
  before: LogRecord[]
  record: LogRecord
  after: LogRecord[]
}

export function readContext(id: string, before: number, after: number, signal: AbortSignal) {
  const params = { before, after }
  return request<Context>(`/logs/${encodeURIComponent(id)}/context`, { params, signal })
}

export type TimelineOf = 'resource' | 'correlation' | 'actor'

export function readTimeline(of: TimelineOf, id: string, params: Params, signal: AbortSignal) {
  return request<RecordPage>(`/logs/${of}/${encodeURIComponent(id)}`, { params, signal })
}

const MAX_TRACE_PAGES = 20

/** All spans and logs of a trace, oldest first; `isCut` when it has more than the viewer loads. */
export async function readTrace(id: string, signal: AbortSignal) {
  const records: LogRecord[] = []
  let cursor: string | undefined
  for (let page = 0; page < MAX_TRACE_PAGES; page += 1) {
    const params = { limit: 1000, cursor }
    const found = await request<RecordPage>(`/logs/trace/${encodeURIComponent(id)}`, {
      params,
      signal,
    })
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

export function searchTraces(params: Params, signal: AbortSignal) {
  return request<TracePage>('/traces', { params, signal })
}

// ---- statistics ----

export interface ValueCount {
  value: string
  count: number
}

export interface Facet {
  field: string
  values: ValueCount[]
  /** The counts are estimated from a sample of the records. */
  sample?: boolean
}

export function readFacets(query: LogQuery, fields: string[], limit: number, signal: AbortSignal) {
  const params = { ...query, field: fields, limit }
  return request<{ data: Facet[] }>('/logs/facets', { params, signal }).then(
    (response) => response.data,
  )
}

export type StatsBy = 'level' | 'sourceModule' | 'action' | 'kind'

export interface Bucket {
  start: string
  count: number
  values: Record<string, number>
}

export interface Stats {
  total: number
  /** Later than now if records are dated ahead. */
  end: string
  /** Seconds of one bucket; null without a series. */
  interval: number | null
  totals: ValueCount[]
  series: Bucket[]
}

export function readStats(query: LogQuery, by: StatsBy, signal: AbortSignal) {
  return request<Stats>('/logs/stats', { params: { ...query, by, interval: 'auto' }, signal })
}

export interface Pattern {
  pattern: string
  count: number
  level?: Level
  sample?: LogRecord
}

export interface PatternPage {
  data: Pattern[]
  /** Only the newest `records` records were grouped. */
  sampled: boolean
  records: number
}

export function readPatterns(query: LogQuery, signal: AbortSignal) {
  return request<PatternPage>('/logs/patterns', {
    params: { ...query },
    signal,
  })
}

// ---- live ----

export async function openTail(q: string, lastEventId: string | null, signal: AbortSignal) {
  const headers: Record<string, string> = { Accept: 'text/event-stream' }
  if (lastEventId !== null) headers['Last-Event-ID'] = lastEventId
  try {
    const response = await send('/logs/tail', { params: { q }, headers, signal })
    if (!response.body) throw new ApiError(0, null)
    return response.body
  } catch (error) {
    if (error instanceof ApiError && [400, 401, 403, 404].includes(error.status)) {
      throw new FinalError(error.message, { cause: error })
    }
    throw error
  }
}

// ---- export and purge ----

export type ExportFormat = 'ndjson' | 'json' | 'csv' | 'otlp'

/** Download URL; the browser streams it to disk, whatever its size. */
export function exportUrl(query: LogQuery, format: ExportFormat, order: Order): string {
  const bom = format === 'csv' ? 'true' : undefined
  return `${BASE}/logs/export${queryString({ ...query, format, order, bom })}`
}

/** Response of both steps: the preview has a token, the purge itself has none. */
export interface Purge {
  token: string | null
  rows: number
  bytes: number | null
  segments: number | null
  heldRows: number | null
  /** Younger than the minimum retention of their class. */
  protectedRows: number | null
  /** False when a long purge continues in the background. */
  isDone: boolean
}

export function previewPurge(query: LogQuery, reason: string) {
  return request<Purge>('/logs/purge', { method: 'DELETE', params: { ...query, reason } })
}

export function executePurge(query: LogQuery, reason: string, token: string) {
  return request<Purge>('/logs/purge', { method: 'DELETE', params: { ...query, reason, token } })
}

// ---- operations ----

/** A row of an operations list; the viewer shows the members that it knows. */
export type Row = Record<string, Json>

export function readRows(path: string, signal: AbortSignal) {
  return request<{ data: Row[] }>(path, { signal })
}

export function readObject(path: string, signal: AbortSignal) {
  return request<Row>(path, { signal })
}

export function change(
  method: 'POST' | 'DELETE',
  path: string,
  { params, body }: { params?: Params | undefined; body?: Json | undefined },
) {
  return request<Row>(path, {
    method,
    ...(params ? { params } : {}),
    ...(body === undefined ? {} : { body }),
  })
}

export interface Readiness {
  status: 'ok' | 'degraded' | 'failed'
  checks: Record<string, { state: string; reason: string }>
}

/** The checks of /readyz; a 503 response has them too. */
export async function readReadiness(signal: AbortSignal): Promise<Readiness> {
  const response = await fetch('readyz', { headers: OWN_HEADER, signal }).catch(() => null)
  if (!response) throw new ApiError(0, null)
  return (await response.json()) as Readiness
}

/** Counts of the records received in one minute, by outcome. */
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
  /** There are more rows than a response holds. */
  isCut: boolean
  lastCheck: { endedAt: string; rows: number; segments: number; differences: string[] } | null
}

export function readLedger(params: { start: string; by?: 'minute' }, signal: AbortSignal) {
  return request<IngestLedger>('/ingest/ledger', { params, signal })
}

/** The latest signed head of the ledger, as published; null before the first one. */
export async function readCheckpoint(signal: AbortSignal): Promise<string | null> {
  try {
    return await (await send('/ledger/checkpoint', { signal })).text()
  } catch (error) {
    if (error instanceof ApiError && error.status === 404) return null
    throw error
  }
}

/** Prometheus metrics of the processes on the server's host. */
export async function readMetrics(signal: AbortSignal): Promise<string> {
  const response = await fetch('metrics', { headers: OWN_HEADER, signal }).catch(() => null)
  if (!response?.ok) throw new ApiError(response?.status ?? 0, null)
  return response.text()
}

/** Redact a text or attributes without storing them. */
export function previewRedaction(payload: string | Record<string, Json>) {
  const body = typeof payload === 'string' ? { text: payload } : { attributes: payload }
  return request<{ result: Json; hits: { rule: string; count: number }[] }>('/redaction/test', {
    method: 'POST',
    body,
  })
}
