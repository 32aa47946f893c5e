import { useQuery } from '@tanstack/react-query'
import { ErrorNotice, Loading } from '@/components/states'
import { readReadiness } from '@/lib/api'

const REFRESH_MS = 10_000
const STATE_CLASSES: Record<string, string> = {
  ok: 'text-accent',
  degraded: 'text-level-warn',
  failed: 'text-level-error',
}

const SUMMARIES: Record<string, string> = {
  ok: 'All systems OK',
  degraded: 'Degraded',
  failed: 'Not ready',
}

/** The checks of /readyz: database, spool, segments, retention. */
export function Health() {
  const { data, error, isPending, refetch } = useQuery({
    queryKey: ['readiness'],
    queryFn: ({ signal }) => readReadiness(signal),
    refetchInterval: REFRESH_MS,
    staleTime: 0,
  })
  if (isPending) return <Loading what="health" />
  if (error) return <ErrorNotice error={error} what="health" onRetry={() => void refetch()} />
  return (
    <>
      <p className="mb-3">
        <strong className={STATE_CLASSES[data.status]}>{SUMMARIES[data.status]}</strong>
      </p>
      <div className="max-w-3xl overflow-hidden rounded-lg border border-line bg-sheet">
        <table className="w-full text-xs">
          <caption className="sr-only">Checks</caption>
          <tbody>
            {Object.entries(data.checks).map(([name, check]) => (
              <tr key={name} className="border-t border-line first:border-t-0">
                <th scope="row" className="w-48 px-3 py-1.5 text-left font-normal">
                  {name}
                </th>
                <td className={`w-24 px-3 font-semibold ${STATE_CLASSES[check.state]}`}>
                  {check.state}
                </td>
                <td className="px-3 text-ink-2">{check.reason || '–'}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </>
  )
}
