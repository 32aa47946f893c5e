/** Human-readable numbers and sizes. */

const NUMBER = new Intl.NumberFormat('en')
const COMPACT = new Intl.NumberFormat('en', { notation: 'compact', maximumFractionDigits: 1 })

export function formatCount(count: number): string {
  return NUMBER.format(count)
}

export function formatCompact(count: number): string {
  return Math.abs(count) < 10_000 ? NUMBER.format(count) : COMPACT.format(count)
}

const SIZES = ['B', 'kB', 'MB', 'GB', 'TB', 'PB']

export function formatBytes(bytes: number): string {
  const step = bytes < 1 ? 0 : Math.min(SIZES.length - 1, Math.floor(Math.log10(bytes) / 3))
  const value = bytes / 1000 ** step
  return `${step && value < 10 ? value.toFixed(1) : Math.round(value)} ${SIZES[step]}`
}

export function formatShare(part: number, whole: number): string {
  if (!whole) return '0 %'
  const percent = (100 * part) / whole
  return `${percent > 0 && percent < 10 ? percent.toFixed(1) : Math.round(percent)} %`
}

export function plural(count: number, word: string, words = `${word}s`): string {
  return `${formatCount(count)} ${count === 1 ? word : words}`
}
