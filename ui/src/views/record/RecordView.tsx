/** The page of a single record, the target of record links. */

import { buttonClass } from '@/components/button'
import { LevelTag } from '@/components/level'
import { ErrorNotice, Loading } from '@/components/states'
import { UntrustedText } from '@/components/untrusted'
import { addressOf, change, go, useRoute } from '@/lib/address'
import { toggleFilter } from '@/lib/language'
import { usePreferences } from '@/lib/preferences'
import type { LogRecord } from '@/lib/record'
import { formatTime, rangeOf } from '@/lib/time'
import { RecordBody } from './RecordBody'
import { RecordActions, tabOf, useRecord } from './RecordPanel'

const NEAR_MS = 5 * 60_000

export default function RecordView({ path }: { path: string[] }) {
  const id = path[1] ?? ''
  const { data: record, error, refetch } = useRecord(id)
  if (error)
    return <ErrorNotice isPage error={error} what="the record" onRetry={() => void refetch()} />
  if (!record) return <Loading what="the record" />
  return <Shown record={record} />
}

function Shown({ record }: { record: LogRecord }) {
  const zone = usePreferences((state) => state.zone)
  const { params } = useRoute()
  const range = nearRange(record)
  const filterNear = (field: string, value: string, wanted: 'for' | 'out') =>
    go(addressOf(['search'], { q: toggleFilter('', field, value, wanted), ...range }))
  return (
    <div className="mx-auto flex min-h-0 w-full max-w-5xl flex-1 flex-col border-x border-line bg-sheet">
      <header className="flex flex-wrap items-center gap-2 px-3 py-2">
        <LevelTag level={record.level} long />
        <h1 className="min-w-0 flex-1 font-mono text-sm">
          {formatTime(record.createdAt, zone, 9)} <UntrustedText text={record.sourceModule} />
        </h1>
        <a
          className={buttonClass('outline')}
          href={addressOf(['search'], { id: record.id, ...range })}
        >
          Show in list
        </a>
        <RecordActions record={record} />
      </header>
      <RecordBody
        record={record}
        tab={tabOf(params.get('tab'))}
        onTab={(tab) => change({ tab: tab === 'fields' ? null : tab }, 'replace')}
        q=""
        terms={null}
        onFilter={filterNear}
      />
    </div>
  )
}

/** A few minutes around the record, for searches that start from it. */
function nearRange(record: LogRecord) {
  const at = Date.parse(record.createdAt)
  return rangeOf({ fromMs: at - NEAR_MS, toMs: at + NEAR_MS })
}
