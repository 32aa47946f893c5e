import { useQuery } from '@tanstack/react-query'
import { LevelTag } from '@/components/level'
import { ErrorNotice, Loading, Notice } from '@/components/states'
import { Strange } from '@/components/strange'
import { change } from '@/lib/address'
import { type Pattern, type Question, readPatterns } from '@/lib/api'
import { formatCount, formatShare } from '@/lib/format'
import { cut, ROW_CHARACTERS } from '@/lib/text'
import { wordsOf } from './patternWords'

/** Messages grouped by their shape: what is said often, and what only once. */
export function Patterns({ question, round }: { question: Question; round: number }) {
  const { data, error, isPending, refetch } = useQuery({
    queryKey: ['patterns', question, round],
    queryFn: ({ signal }) => readPatterns(question, signal),
  })
  if (isPending) return <Loading what="patterns" />
  if (error) return <ErrorNotice error={error} what="Patterns" onRetry={() => void refetch()} />
  if (!data.data.length)
    return <Notice title="No messages, no patterns">Ask for a longer range or fewer words.</Notice>
  const total = data.data.reduce((sum, { count }) => sum + count, 0)
  return (
    <div className="min-h-0 flex-1 overflow-auto bg-sheet">
      {data.sampled && (
        <p className="px-3 py-1 text-xs text-ink-3">Counted over a sample of the records.</p>
      )}
      <table className="w-full text-xs">
        <caption className="sr-only">Patterns of messages with their counts</caption>
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
              q={question.q}
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
          title="Show these lines"
          onClick={() => change({ show: null, q: `${q} ${wordsOf(pattern.pattern)}`.trim() })}
        >
          <Strange text={cut(pattern.pattern, ROW_CHARACTERS)} />
        </button>
      </td>
    </tr>
  )
}
