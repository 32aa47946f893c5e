/** Records before and after a record of the same service and host, ignoring filters. */

import { keepPreviousData, useQuery } from '@tanstack/react-query'
import { useEffect, useRef, useState } from 'react'
import { Button } from '@/components/button'
import { cx } from '@/components/class'
import { LevelTag } from '@/components/level'
import { ErrorNotice, Loading } from '@/components/states'
import { UntrustedText } from '@/components/untrusted'
import { addressOf } from '@/lib/address'
import { readContext } from '@/lib/api'
import { usePreferences } from '@/lib/preferences'
import type { LogRecord } from '@/lib/record'
import { cut, unescaped } from '@/lib/text'
import { formatOffset, formatTime } from '@/lib/time'

const STEP = 20
const MAX_CHARACTERS = 1500

export default function Context({ record }: { record: LogRecord }) {
  const [before, setBefore] = useState(STEP)
  const [after, setAfter] = useState(STEP)
  const [isWrapped, setWrapped] = useState(true)
  const { data, error, isPending, refetch } = useQuery({
    queryKey: ['context', record.id, before, after],
    queryFn: ({ signal }) => readContext(record.id, before, after, signal),
    placeholderData: keepPreviousData,
  })
  if (isPending) return <Loading what="context" />
  if (error) return <ErrorNotice error={error} what="the context" onRetry={() => void refetch()} />
  return (
    <div className="font-mono text-xs" data-testid="context">
      <div className="mb-1 flex gap-1 font-sans">
        <Button
          variant="outline"
          disabled={data.before.length < before}
          onClick={() => setBefore(before + STEP)}
        >
          {data.before.length < before ? 'No earlier records' : 'Load earlier'}
        </Button>
        <Button aria-pressed={isWrapped} onClick={() => setWrapped(!isWrapped)}>
          Wrap
        </Button>
      </div>
      <ol>
        {data.before.map((item) => (
          <Line key={item.id} item={item} base={record} isWrapped={isWrapped} />
        ))}
        <Line item={data.record} base={record} isWrapped={isWrapped} isCurrent />
        {data.after.map((item) => (
          <Line key={item.id} item={item} base={record} isWrapped={isWrapped} />
        ))}
      </ol>
      <Button
        variant="outline"
        className="mt-1 font-sans"
        disabled={data.after.length < after}
        onClick={() => setAfter(after + STEP)}
      >
        {data.after.length < after ? 'No later records' : 'Load later'}
      </Button>
    </div>
  )
}

function Line({
  item,
  base,
  isWrapped,
  isCurrent = false,
}: {
  item: LogRecord
  base: LogRecord
  isWrapped: boolean
  isCurrent?: boolean
}) {
  const zone = usePreferences((state) => state.zone)
  const element = useRef<HTMLLIElement>(null)
  useEffect(() => {
    const panel = element.current?.closest('[role="tabpanel"]')
    if (!isCurrent || !element.current || !panel) return
    const box = element.current.getBoundingClientRect()
    panel.scrollTop += box.top - panel.getBoundingClientRect().top - panel.clientHeight / 2
  }, [isCurrent])
  const text = cut(item.message || item.action, MAX_CHARACTERS)
  return (
    <li
      ref={element}
      aria-current={isCurrent || undefined}
      className={cx('flex gap-2 rounded px-1 py-0.5', isCurrent && 'bg-accent-wash')}
    >
      <a
        href={addressOf(['record', item.id])}
        className="shrink-0 text-ink-3 hover:text-accent hover:underline"
        title={formatTime(item.createdAt, zone, 9)}
      >
        {isCurrent
          ? formatTime(item.createdAt, zone).slice(11)
          : formatOffset(base.createdAt, item.createdAt)}
      </a>
      <LevelTag level={item.level} />
      <span className={cx('min-w-0 flex-1', isWrapped ? 'whitespace-pre-wrap' : 'truncate')}>
        <UntrustedText text={isWrapped ? unescaped(text) : text} multiline={isWrapped} />
      </span>
    </li>
  )
}
