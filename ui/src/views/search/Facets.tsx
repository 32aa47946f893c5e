import { useQuery } from '@tanstack/react-query'
import { type FormEvent, useId, useState } from 'react'
import { Button, IconButton } from '@/components/button'
import { cx } from '@/components/class'
import { DownIcon, MinusIcon, RightIcon } from '@/components/icons'
import { LevelTag } from '@/components/level'
import { UntrustedText } from '@/components/untrusted'
import { type Facet, type LogQuery, readFacets } from '@/lib/api'
import { formatCompact, formatCount, formatShare } from '@/lib/format'
import { type FilterState, filterState } from '@/lib/language'
import { isLevel, LEVELS } from '@/lib/levels'
import { isField, labelOf } from '@/lib/record'
import { cut } from '@/lib/text'
import { useKnownAttributes } from './knownAttributes'
import { filterBy } from './searchState'

const FIELDS = ['level', 'sourceModule', 'kind', 'action', 'resourceType', 'actorId']
const MAX_VALUES = 10

/** The most frequent values of the main fields for the current query. */
export function Facets({ query, refreshKey }: { query: LogQuery; refreshKey: number }) {
  const [added, setAdded] = useState<string[]>([])
  const fields = [...FIELDS, ...added]
  const { data, error, isPending } = useQuery({
    queryKey: ['facets', query, fields, refreshKey],
    queryFn: ({ signal }) => readFacets(query, fields, MAX_VALUES, signal),
    placeholderData: (before) => before,
    retry: false,
  })
  return (
    <nav aria-label="Filters" className="flex flex-col gap-2 p-2 pb-6 text-xs" data-testid="facets">
      {error && <p className="px-1 text-ink-3">{error.message}</p>}
      {isPending && <p className="px-1 text-ink-3">Loading …</p>}
      {fields.map((field) => {
        const facet = data?.find((item) => item.field === field)
        return facet ? <FacetList key={field} facet={facet} q={query.q} /> : null
      })}
      <AddField onAdd={(field) => setAdded((before) => [...new Set([...before, field])])} />
    </nav>
  )
}

function FacetList({ facet, q }: { facet: Facet; q: string }) {
  const [isOpen, setOpen] = useState(true)
  const listId = useId()
  const values = facet.field === 'level' ? bySeverity(facet) : facet.values
  const most = Math.max(1, ...values.map(({ count }) => count))
  const total = values.reduce((sum, { count }) => sum + count, 0)
  return (
    <section>
      <h2>
        <button
          type="button"
          aria-expanded={isOpen}
          aria-controls={listId}
          className="flex w-full items-center gap-1 rounded px-1 py-0.5 font-semibold text-ink-2 hover:bg-wash"
          onClick={() => setOpen(!isOpen)}
        >
          {isOpen ? <DownIcon size={12} /> : <RightIcon size={12} />}
          <span className="truncate">{labelOf(facet.field).replace(/^attr\./, '')}</span>
          {facet.sample && <span className="ml-auto font-normal text-ink-3">approx.</span>}
        </button>
      </h2>
      <ul id={listId} hidden={!isOpen}>
        {values.map(({ value, count }) => (
          <FacetValue
            key={value}
            {...{ value, count }}
            field={facet.field}
            state={filterState(q, facet.field, value)}
            part={count / most}
            share={formatShare(count, total)}
            q={q}
          />
        ))}
        {!values.length && <li className="px-5 text-ink-3">(none)</li>}
      </ul>
    </section>
  )
}

function bySeverity(facet: Facet) {
  const rank = (value: string) => (isLevel(value) ? LEVELS.indexOf(value) : -1)
  return [...facet.values].sort((left, right) => rank(right.value) - rank(left.value))
}

interface FacetValueProps {
  field: string
  value: string
  count: number
  state: FilterState
  part: number
  share: string
  q: string
}

function FacetValue({ field, value, count, state, part, share, q }: FacetValueProps) {
  const shown = cut(value, 120)
  return (
    <li className="group relative flex items-center rounded hover:bg-wash focus-within:bg-wash">
      <span
        aria-hidden="true"
        className="absolute inset-y-0.5 left-4 rounded-sm bg-accent-wash"
        style={{ width: `calc((100% - 48px) * ${part})` }}
      />
      <button
        type="button"
        aria-pressed={state === 'for'}
        title={`${shown}: ${formatCount(count)}, ${share}. Click to filter.`}
        className={cx(
          'relative flex min-w-0 flex-1 items-center gap-2 py-0.5 pr-1 pl-5 text-left',
          state === 'for' && 'font-semibold text-accent',
          state === 'out' && 'line-through',
        )}
        onClick={() => filterBy(q, field, value, 'for')}
      >
        <span className="min-w-0 flex-1 truncate">
          {field === 'level' && isLevel(value) ? (
            <LevelTag level={value} long />
          ) : (
            <UntrustedText text={shown || '(empty)'} />
          )}
        </span>
        <span className="text-ink-2">{formatCompact(count)}</span>
      </button>
      <IconButton
        label={`Exclude ${shown}`}
        aria-pressed={state === 'out'}
        className="relative h-5! w-5! text-ink-3"
        onClick={() => filterBy(q, field, value, 'out')}
      >
        <MinusIcon size={12} />
      </IconButton>
    </li>
  )
}

function AddField({ onAdd }: { onAdd: (field: string) => void }) {
  const names = useKnownAttributes((state) => state.names)
  const [name, setName] = useState('')
  const listId = useId()
  const onSubmit = (event: FormEvent) => {
    event.preventDefault()
    const typed = name.trim()
    if (!typed) return
    onAdd(isField(typed) || /^(attr|resource)\./.test(typed) ? typed : `attr.${typed}`)
    setName('')
  }
  return (
    <form onSubmit={onSubmit} className="mt-1 flex gap-1">
      <input
        aria-label="Add a field"
        placeholder="Add a field …"
        list={listId}
        className="h-7 min-w-0 flex-1 rounded-md border border-line-strong bg-sheet px-2"
        value={name}
        onChange={(event) => setName(event.target.value)}
      />
      <datalist id={listId}>
        {names.map((item) => (
          <option key={item} value={`attr.${item}`} />
        ))}
      </datalist>
      <Button type="submit" variant="outline">
        Add
      </Button>
    </form>
  )
}
