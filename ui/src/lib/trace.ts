/**
 * A trace as a tree of spans with their logs. Spans with missing parents and one span of each cycle
 * become roots, so that every record is shown.
 */

import type { LogRecord } from './record'
import { nanoseconds } from './time'

export interface SpanNode {
  record: LogRecord
  /** Nanoseconds after the start of the trace. */
  startNs: number
  endNs: number
  children: SpanNode[]
  logs: LogMark[]
  depth: number
  /** Its parent span was never received. */
  isOrphan: boolean
  isCritical: boolean
  hasError: boolean
}

export interface LogMark {
  record: LogRecord
  atNs: number
}

export interface Trace {
  roots: SpanNode[]
  spans: SpanNode[]
  /** Logs without a span, or of a span that was never received. */
  loose: LogMark[]
  startNs: bigint
  lengthNs: number
  errors: number
  orphans: number
  services: ServiceShare[]
  colours: Map<string, string>
}

export interface ServiceShare {
  name: string
  spans: number
  errors: number
  /** Time in its spans while none of their children was running. */
  selfNs: number
}

export function buildTrace(records: LogRecord[]): Trace {
  const spanRecords = records.filter((record) => record.kind === 'span')
  const startNs = earliest(spanRecords.length ? spanRecords : records)
  const nodes = new Map<string, SpanNode>()
  for (const record of spanRecords) {
    const key = record.spanId ?? record.id
    if (!nodes.has(key)) nodes.set(key, nodeOf(record, startNs))
  }
  const roots = link(nodes)
  const loose = putLogs(records, nodes, startNs)
  const spans = flatten(roots)
  markCriticalPath(roots)
  const lengthNs = Math.max(
    1,
    ...spans.map((span) => span.endNs),
    ...loose.map((mark) => mark.atNs),
  )
  return {
    roots,
    spans,
    loose,
    startNs,
    lengthNs,
    errors: spans.filter((span) => span.hasError).length,
    orphans: spans.filter((span) => span.isOrphan).length,
    services: sharesOf(spans),
    colours: serviceColours(spans.map((span) => span.record.sourceModule)),
  }
}

function earliest(records: LogRecord[]): bigint {
  let first: bigint | null = null
  for (const record of records) {
    const at = nanoseconds(record.createdAt)
    if (first === null || at < first) first = at
  }
  return first ?? 0n
}

function nodeOf(record: LogRecord, traceStart: bigint): SpanNode {
  const startNs = Number(nanoseconds(record.createdAt) - traceStart)
  return {
    record,
    startNs,
    endNs: startNs + Number(record.durationNs ?? 0),
    children: [],
    logs: [],
    depth: 0,
    isOrphan: false,
    isCritical: false,
    hasError: record.level === 'ERROR' || record.level === 'CRITICAL',
  }
}

function link(nodes: Map<string, SpanNode>): SpanNode[] {
  const breaks = breakCycles(nodes)
  const roots: SpanNode[] = []
  for (const node of nodes.values()) {
    const parent = parentOf(node, nodes)
    if (parent && !breaks.has(node)) parent.children.push(node)
    else roots.push(node)
    node.isOrphan = Boolean(node.record.parentSpanId) && !parent
  }
  const byStart = (left: SpanNode, right: SpanNode) => left.startNs - right.startNs
  for (const node of nodes.values()) node.children.sort(byStart)
  return roots.sort(byStart)
}

function parentOf(node: SpanNode, nodes: Map<string, SpanNode>): SpanNode | undefined {
  return node.record.parentSpanId ? nodes.get(node.record.parentSpanId) : undefined
}

/** One span of each parent cycle: the cycle is broken there. */
function breakCycles(nodes: Map<string, SpanNode>): Set<SpanNode> {
  const cuts = new Set<SpanNode>()
  const walked = new Set<SpanNode>()
  for (const start of nodes.values()) {
    const path = new Set<SpanNode>()
    let node: SpanNode | undefined = start
    while (node && !walked.has(node)) {
      walked.add(node)
      path.add(node)
      node = parentOf(node, nodes)
    }
    if (node && path.has(node)) cuts.add(node)
  }
  return cuts
}

function putLogs(records: LogRecord[], nodes: Map<string, SpanNode>, start: bigint): LogMark[] {
  const loose: LogMark[] = []
  for (const record of records) {
    if (record.kind === 'span') continue
    const mark = { record, atNs: Number(nanoseconds(record.createdAt) - start) }
    const node = record.spanId ? nodes.get(record.spanId) : undefined
    ;(node ? node.logs : loose).push(mark)
  }
  return loose
}

/** Depth first, iterative: a chain of 10,000 spans must not overflow the stack. */
function flatten(roots: SpanNode[]): SpanNode[] {
  const found: SpanNode[] = []
  const todo = [...roots].reverse()
  for (let node = todo.pop(); node; node = todo.pop()) {
    found.push(node)
    for (const child of [...node.children].reverse()) {
      child.depth = node.depth + 1
      todo.push(child)
    }
  }
  return found
}

/** Spans of the flattened tree that are not below a collapsed one. */
export function unfolded(roots: SpanNode[], collapsed: ReadonlySet<string>): SpanNode[] {
  const found: SpanNode[] = []
  const todo = [...roots].reverse()
  for (let node = todo.pop(); node; node = todo.pop()) {
    found.push(node)
    if (!collapsed.has(node.record.id)) todo.push(...[...node.children].reverse())
  }
  return found
}

/**
 * Mark the spans that determine the end of the trace: walk back in time from the root that ends
 * last, always into the child that ended last before the current point.
 */
function markCriticalPath(roots: SpanNode[]): void {
  const last = roots.reduce<SpanNode | null>(
    (best, root) => (!best || root.endNs > best.endNs ? root : best),
    null,
  )
  const todo = last ? [{ node: last, until: last.endNs }] : []
  for (let item = todo.pop(); item; item = todo.pop()) {
    item.node.isCritical = true
    let until = item.until
    const byEnd = [...item.node.children].sort((left, right) => right.endNs - left.endNs)
    for (const child of byEnd) {
      if (child.startNs >= until || child.endNs > until) continue
      todo.push({ node: child, until: child.endNs })
      until = child.startNs
    }
  }
}

function sharesOf(spans: SpanNode[]): ServiceShare[] {
  const shares = new Map<string, ServiceShare>()
  for (const span of spans) {
    const name = span.record.sourceModule
    const share = shares.get(name) ?? { name, spans: 0, errors: 0, selfNs: 0 }
    share.spans += 1
    share.errors += span.hasError ? 1 : 0
    share.selfNs += selfTime(span)
    shares.set(name, share)
  }
  return [...shares.values()].sort((left, right) => right.selfNs - left.selfNs)
}

function selfTime(span: SpanNode): number {
  let covered = 0
  let reached = span.startNs
  for (const child of span.children) {
    const from = Math.max(reached, child.startNs)
    const to = Math.min(span.endNs, child.endNs)
    if (to > from) {
      covered += to - from
      reached = to
    }
  }
  return span.endNs - span.startNs - covered
}

const HUES = 10

/**
 * One of ten colours per service (`--service-0` … in styles.css): a hash of the name, so that it is
 * stable across traces; collisions take the next free colour.
 */
export function serviceColours(names: Iterable<string>): Map<string, string> {
  const colours = new Map<string, string>()
  const taken = new Set<number>()
  for (const name of [...new Set(names)].sort()) {
    let hue = hashOf(name) % HUES
    while (taken.has(hue) && taken.size < HUES) hue = (hue + 1) % HUES
    taken.add(hue)
    colours.set(name, `var(--service-${hue})`)
  }
  return colours
}

function hashOf(text: string): number {
  let hash = 2166136261
  for (const character of text) hash = Math.imul(hash ^ (character.codePointAt(0) ?? 0), 16777619)
  return hash >>> 0
}
