import { type FormEvent, useState } from 'react'
import { Button, buttonClass, IconButton } from '@/components/button'
import { ClockIcon, LeftIcon, MinusIcon, RightIcon } from '@/components/icons'
import { Popover } from '@/components/popover'
import { usePreferences } from '@/lib/preferences'
import {
  describeRange,
  formatMs,
  fromTyped,
  isRelative,
  moved,
  parseMoment,
  QUICK_RANGES,
  type Range,
  spanOf,
  widened,
  type Zone,
  zoneName,
} from '@/lib/time'

interface RangePickerProps {
  range: Range
  onChange: (range: Range) => void
}

export function RangePicker({ range, onChange }: RangePickerProps) {
  const zone = usePreferences((state) => state.zone)
  const [isOpen, setOpen] = useState(false)
  const choose = (next: Range) => {
    setOpen(false)
    onChange(next)
  }
  return (
    <div className="flex items-center">
      <IconButton label="Earlier" shortcut="[" onClick={() => onChange(moved(range, -1))}>
        <LeftIcon />
      </IconButton>
      <Popover
        label="Time range"
        open={isOpen}
        onOpenChange={setOpen}
        trigger={
          <button
            type="button"
            className={buttonClass('outline', 'h-8 max-w-[70vw]')}
            aria-label={`Time range: ${describeRange(range, zone)}`}
          >
            <ClockIcon size={14} />
            <span className="truncate">{describeRange(range, zone)}</span>
          </button>
        }
      >
        <div className="flex flex-col gap-4 sm:flex-row">
          <QuickRanges range={range} onChoose={choose} />
          <ExactRange range={range} zone={zone} onChoose={choose} />
        </div>
      </Popover>
      <IconButton label="Later" shortcut="]" onClick={() => onChange(moved(range, 1))}>
        <RightIcon />
      </IconButton>
      <IconButton label="Zoom out" shortcut="-" onClick={() => onChange(widened(range))}>
        <MinusIcon />
      </IconButton>
    </div>
  )
}

function QuickRanges({ range, onChoose }: { range: Range; onChoose: (range: Range) => void }) {
  return (
    <ul className="grid grid-cols-2 gap-0.5 sm:w-36 sm:grid-cols-1">
      {QUICK_RANGES.map(({ start, label }) => (
        <li key={start}>
          <Button
            className="w-full justify-start"
            aria-pressed={range.start === start && isRelative(range.end)}
            onClick={() => onChoose({ start, end: 'now' })}
          >
            {label}
          </Button>
        </li>
      ))}
    </ul>
  )
}

function ExactRange({
  range,
  zone,
  onChoose,
}: {
  range: Range
  zone: Zone
  onChoose: (range: Range) => void
}) {
  const [start, setStart] = useState(() => asTyped(range.start, zone))
  const [end, setEnd] = useState(() => asTyped(range.end, zone))
  const [error, setError] = useState<string | null>(null)
  const onSubmit = (event: FormEvent) => {
    event.preventDefault()
    const next = { start: fromTyped(start, zone), end: fromTyped(end, zone) }
    if (!next.start || !next.end)
      setError('Enter a time such as 2026-11-23 09:00:00, -15m, -1h, -7d or now.')
    else if (!spanOf({ start: next.start, end: next.end }, Date.now()))
      setError('The start must be before the end.')
    else onChoose({ start: next.start, end: next.end })
  }
  const field = 'h-8 w-full rounded-md border border-line-strong bg-sheet px-2 font-mono text-xs'
  return (
    <form onSubmit={onSubmit} className="flex w-64 flex-col gap-2">
      <label className="text-xs text-ink-2">
        From
        <input className={field} value={start} onChange={(event) => setStart(event.target.value)} />
      </label>
      <label className="text-xs text-ink-2">
        To
        <input className={field} value={end} onChange={(event) => setEnd(event.target.value)} />
      </label>
      <p className="text-2xs text-ink-3">
        {zoneName(zone)} time, or relative: -15m, -1h, -7d, now.
      </p>
      {error && (
        <p role="alert" className="text-danger">
          {error}
        </p>
      )}
      <Button type="submit" variant="solid">
        Apply
      </Button>
    </form>
  )
}

function asTyped(text: string, zone: Zone): string {
  if (isRelative(text)) return text || 'now'
  const moment = parseMoment(text, Date.now())
  return moment === null ? text : formatMs(moment, zone).replace(/\.000$/, '')
}
