/** Converts series of counts to the cumulative sums that uPlot needs for stacked bars. */

export interface Stacked {
  /** Seconds since 1970, one per bar. */
  times: number[]
  /** Bottom to top: the counts. */
  counts: number[][]
  /** Bottom to top: the cumulative sums. */
  sums: number[][]
}

export interface BarPoint {
  start: string
  values: Record<string, number>
}

export function stack(points: BarPoint[], names: readonly string[], intervalS: number): Stacked {
  const filled = withGaps(points, intervalS)
  const times = filled.map(([seconds]) => seconds)
  const counts = names.map((name) => filled.map(([, values]) => values?.[name] ?? 0))
  const sums: number[][] = []
  for (const [index, row] of counts.entries()) {
    const below = sums[index - 1]
    sums.push(row.map((count, at) => count + (below?.[at] ?? 0)))
  }
  return { times, counts, sums }
}

const MAX_BARS = 5000

/** Insert the empty buckets that the server omits. */
function withGaps(
  points: BarPoint[],
  intervalS: number,
): [number, Record<string, number> | null][] {
  const known = points.map(({ start, values }) => [Date.parse(start) / 1000, values] as const)
  const first = known[0]?.[0]
  const last = known.at(-1)?.[0]
  if (first === undefined || last === undefined) return []
  if (!(intervalS > 0) || (last - first) / intervalS > MAX_BARS)
    return known.map(([at, values]) => [at, values])
  const byTime = new Map(known)
  const filled: [number, Record<string, number> | null][] = []
  for (let at = first; at <= last; at += intervalS) filled.push([at, byTime.get(at) ?? null])
  return filled
}
