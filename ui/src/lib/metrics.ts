/** Server metrics in the Prometheus text format, summed over labels. */

/** Metric name → sum of its samples; unreadable lines are skipped. */
export function sumsOf(text: string): Map<string, number> {
  const sums = new Map<string, number>()
  for (const line of text.split('\n')) {
    const sample = /^([a-zA-Z_:][\w:]*)(?:\{.*\})? (\S+)(?: \S+)?$/.exec(line)
    const value = Number(sample?.[2])
    if (sample?.[1] && Number.isFinite(value))
      sums.set(sample[1], (sums.get(sample[1]) ?? 0) + value)
  }
  return sums
}
