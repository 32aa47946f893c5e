/** Times: nanosecond timestamps of the API, ranges as typed, and their display. */

export type Zone = 'local' | 'utc'

/** A range as in the URL and the API: RFC 3339 or relative times. */
export interface Range {
  start: string
  end: string
}

export interface Span {
  fromMs: number
  toMs: number
}

const UNITS = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 } as const
type Unit = keyof typeof UNITS

const RELATIVE = /^-(\d{1,9})([smhdw])$/

export const DEFAULT_RANGE: Range = { start: '-1h', end: 'now' }

export const QUICK_RANGES: readonly { start: string; label: string }[] = [
  { start: '-5m', label: 'Last 5 minutes' },
  { start: '-15m', label: 'Last 15 minutes' },
  { start: '-1h', label: 'Last hour' },
  { start: '-6h', label: 'Last 6 hours' },
  { start: '-1d', label: 'Last day' },
  { start: '-3d', label: 'Last 3 days' },
  { start: '-7d', label: 'Last 7 days' },
  { start: '-30d', label: 'Last 30 days' },
  { start: '-90d', label: 'Last 90 days' },
]

/** Milliseconds since 1970 of a typed time, or null. Relative times are relative to `nowMs`. */
export function parseMoment(text: string, nowMs: number): number | null {
  if (text === 'now' || text === '') return nowMs
  const relative = RELATIVE.exec(text)
  if (relative) return nowMs - Number(relative[1]) * UNITS[relative[2] as Unit]
  const moment = Date.parse(text)
  return Number.isNaN(moment) ? null : moment
}

export function isRelative(text: string): boolean {
  return text === 'now' || text === '' || RELATIVE.test(text)
}

/** The range in milliseconds; null when it is invalid or ends before it starts. */
export function spanOf(range: Range, nowMs: number): Span | null {
  const fromMs = parseMoment(range.start, nowMs)
  const toMs = parseMoment(range.end, nowMs)
  return fromMs === null || toMs === null || fromMs >= toMs ? null : { fromMs, toMs }
}

/** The range with absolute times, for a link that shows the same data later. */
export function fixedRange(range: Range, nowMs: number): Range {
  const span = spanOf(range, nowMs)
  return span ? rangeOf(span) : range
}

export function rangeOf(span: Span): Range {
  return {
    start: new Date(Math.floor(span.fromMs)).toISOString(),
    end: new Date(Math.ceil(span.toMs)).toISOString(),
  }
}

export function describeRange(range: Range, zone: Zone): string {
  const quick = QUICK_RANGES.find((item) => item.start === range.start)
  if (quick && isRelative(range.end)) return quick.label
  const end = isRelative(range.end) ? 'now' : shortMoment(range.end, zone)
  const start = isRelative(range.start) ? range.start : shortMoment(range.start, zone)
  return `${start} to ${end}`
}

function shortMoment(text: string, zone: Zone): string {
  const moment = Date.parse(text)
  return Number.isNaN(moment) ? text : formatMs(moment, zone).slice(0, 19)
}

/** `2026-11-23 09:00:00.123`, in the chosen time zone. */
export function formatMs(moment: number, zone: Zone): string {
  const date = new Date(moment)
  const shifted = zone === 'utc' ? date : new Date(moment - date.getTimezoneOffset() * 60_000)
  return shifted.toISOString().replace('T', ' ').replace('Z', '')
}

/** A time of the API (nine digits) with `digits` fractional digits, in the chosen time zone. */
export function formatTime(text: string, zone: Zone, digits = 3): string {
  const moment = Date.parse(text)
  if (Number.isNaN(moment)) return text
  const fraction = (/\.(\d+)/.exec(text)?.[1] ?? '').padEnd(9, '0').slice(0, digits)
  const whole = formatMs(moment, zone).slice(0, 19)
  return digits ? `${whole}.${fraction}` : whole
}

export function zoneName(zone: Zone): string {
  return zone === 'utc' ? 'UTC' : Intl.DateTimeFormat().resolvedOptions().timeZone
}

/** Nanoseconds since 1970 of a time of the API, exact. */
export function nanoseconds(text: string): bigint {
  const seconds = Date.parse(`${text.slice(0, 19)}Z`)
  if (Number.isNaN(seconds)) return 0n
  const fraction = (/\.(\d+)/.exec(text)?.[1] ?? '').padEnd(9, '0').slice(0, 9)
  return BigInt(seconds) * 1_000_000n + BigInt(fraction)
}

const PARTS: readonly (readonly [number, string])[] = [
  [86_400_000, 'd'],
  [3_600_000, 'h'],
  [60_000, 'min'],
  [1000, 's'],
]

/** `2 d 3 h`, `4 min 5 s`: at most two parts. */
export function formatLength(milliseconds: number): string {
  if (milliseconds < 1000) return `${Math.round(milliseconds)} ms`
  const index = PARTS.findIndex(([size]) => milliseconds >= size)
  const [size, unit] = PARTS[index] as readonly [number, string]
  const next = PARTS[index + 1]
  const whole = Math.floor(milliseconds / size)
  const rest = next ? Math.floor((milliseconds - whole * size) / next[0]) : 0
  return next && rest ? `${whole} ${unit} ${rest} ${next[1]}` : `${whole} ${unit}`
}

/** `+2.5 ms`, `-3 s`: how far `other` lies after `base`. */
export function formatOffset(base: string, other: string): string {
  const distance = nanoseconds(other) - nanoseconds(base)
  const sign = distance < 0n ? '−' : '+'
  return sign + formatDuration(Number(distance < 0n ? -distance : distance))
}

/** `830 ns`, `4.2 µs`, `17 ms`, `1.25 s`, `2 min 5 s`. */
export function formatDuration(ns: number): string {
  if (ns < 1000) return `${ns} ns`
  if (ns < 1e6) return `${threeDigits(ns / 1e3)} µs`
  if (ns < 1e9) return `${threeDigits(ns / 1e6)} ms`
  return ns < 60e9 ? `${threeDigits(ns / 1e9)} s` : formatLength(ns / 1e6)
}

function threeDigits(value: number): string {
  return value >= 100 ? value.toFixed(0) : value.toPrecision(3).replace(/\.?0+$/, '')
}

/** Convert typed text for the API: relative, RFC 3339, or a date and time in the zone. */
export function fromTyped(typed: string, zone: Zone): string | null {
  const text = typed.trim()
  if (text !== '' && isRelative(text)) return text
  if (/(Z|[+-]\d\d:\d\d)$/i.test(text))
    return Number.isNaN(Date.parse(text)) ? null : new Date(text).toISOString()
  const found = /^(\d{4}-\d\d-\d\d)(?:[T ](\d\d:\d\d)(:\d\d(?:\.\d{1,3})?)?)?$/.exec(text)
  if (!found) return null
  const whole = `${found[1]}T${found[2] ?? '00:00'}${found[3] ?? ':00'}${zone === 'utc' ? 'Z' : ''}`
  const moment = Date.parse(whole)
  return Number.isNaN(moment) ? null : new Date(moment).toISOString()
}

/** The range moved by half its length, into the past or the future. */
export function moved(range: Range, direction: -1 | 1): Range {
  const span = spanOf(range, Date.now())
  if (!span) return range
  const step = ((span.toMs - span.fromMs) / 2) * direction
  return rangeOf({ fromMs: span.fromMs + step, toMs: span.toMs + step })
}

/** The range at twice its length; it does not extend past now. */
export function widened(range: Range): Range {
  const span = spanOf(range, Date.now())
  if (!span) return range
  const length = span.toMs - span.fromMs
  const toMs = Math.min(span.toMs + length / 2, Math.max(Date.now(), span.toMs))
  return rangeOf({ fromMs: toMs - 2 * length, toMs })
}
