import { useQuery } from '@tanstack/react-query'
import { LevelTag } from '@/components/level'
import { ErrorNotice, Loading, Notice } from '@/components/states'
import { UntrustedText } from '@/components/untrusted'
import { change } from '@/lib/address'
import { type LogQuery, type Pattern, readPatterns } from '@/lib/api'
import { formatCount, formatShare } from '@/lib/format'
import { cut, ROW_CHARACTERS } from '@/lib/text'
import { useStats } from './HistogramPanel'
import { patternQuery } from './patternQuery'
import type { GroupBy } from './searchState'

/** Messages grouped by pattern. */
export function Patterns({
  query,
  group,
  refreshKey,
}: {
  query: LogQuery
  group: GroupBy
  refreshKey: number
}) {
  // The histogram above has loaded this already.
  const { data: stats } = useStats(query, group, refreshKey)
  const { data, error, isPending, refetch } = useQuery({
    queryKey: ['patterns', query, refreshKey],
    queryFn: ({ signal }) => readPatterns(query, signal),
  })
  if (isPending) return <Loading what="patterns" />
  if (error) return <ErrorNotice error={error} what="patterns" onRetry={() => void refetch()} />
  if (!data.data.length)
    return <Notice title="No patterns found">Widen the time range or remove a filter.</Notice>
  const total = data.data.reduce((sum, { count }) => sum + count, 0)
  return (
    <div className="min-h-0 flex-1 overflow-auto bg-sheet">
      {data.sampled && (
        <p className="px-3 py-1 text-xs text-ink-3">
          Based on the newest {formatCount(data.records)}
          {stats ? ` of ${formatCount(stats.total)}` : ''} records
        </p>
      )}
      <table className="w-full text-xs">
        <caption className="sr-only">Message patterns with counts</caption>
        <thead className="row-heads text-left">
          <tr>
            <th scope="col" className="px-3 text-right font-normal">
              Count
            </th>
            <th scope="col" className="font-normal">
              Share
            </th>
            <th scope="col" className="font-normal">
              Level
            </th>
            <th scope="col" className="font-normal">
              Message
            </th>
          </tr>
        </thead>
        <tbody>
          {data.data.map((pattern) => (
            <PatternRow
              key={`${pattern.level}${pattern.pattern}`}
              pattern={pattern}
              total={total}
              q={query.q}
            />
          ))}
        </tbody>
      </table>
    </div>
  )
}

function PatternRow({ pattern, total, q }: { pattern: Pattern; total: number; q: string }) {
  return (
    <tr className="border-b border-line align-top hover:bg-wash">
      <td className="px-3 py-1 text-right font-semibold">{formatCount(pattern.count)}</td>
      <td className="py-1 pr-3 text-ink-3">{formatShare(pattern.count, total)}</td>
      <td className="py-1 pr-3">{pattern.level && <LevelTag level={pattern.level} />}</td>
      <td className="py-1 pr-3 font-mono">
        <button
          type="button"
          className="text-left hover:text-accent hover:underline"
          title="Show matching records"
          onClick={() => change({ show: null, q: `${q} ${patternQuery(pattern.pattern)}`.trim() })}
        >
          <UntrustedText text={cut(pattern.pattern, ROW_CHARACTERS)} />
        </button>
      </td>
    </tr>
  )
}
