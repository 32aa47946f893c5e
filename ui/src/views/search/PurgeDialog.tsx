/** Purging in two steps: first what would go, then, with that number typed in, the deed. */

import { useMutation, useQueryClient } from '@tanstack/react-query'
import { type FormEvent, useState } from 'react'
import { Button } from '@/components/button'
import { Dialog } from '@/components/dialog'
import { say } from '@/components/say'
import { carryOutPurge, type PurgePlan, planPurge, type Question } from '@/lib/api'
import { formatBytes, formatCount, plural } from '@/lib/format'
import { fixedRange } from '@/lib/time'

export default function PurgeDialog({
  question,
  onClose,
}: {
  question: Question
  onClose: () => void
}) {
  // Relative times would mean something else in the second step.
  const [fixed] = useState(() => ({ ...question, ...fixedRange(question, Date.now()) }))
  const plan = useMutation({ mutationFn: () => planPurge(fixed) })
  const client = useQueryClient()
  const deed = useMutation({
    mutationFn: (token: string) => carryOutPurge(fixed, token),
    onSuccess: ({ rows }) => {
      say(`${plural(rows, 'record')} purged`)
      void client.resetQueries()
      onClose()
    },
  })
  return (
    <Dialog
      title="Purge records"
      description="What is purged is gone for good. The purge itself is recorded."
      open
      onClose={onClose}
    >
      <dl className="mb-3 grid grid-cols-[auto_1fr] gap-x-3 rounded-md bg-wash p-2 font-mono text-xs break-all">
        <dt className="text-ink-2">question</dt>
        <dd>{fixed.q || '(none)'}</dd>
        <dt className="text-ink-2">from</dt>
        <dd>{fixed.start}</dd>
        <dt className="text-ink-2">to</dt>
        <dd>{fixed.end}</dd>
      </dl>
      {!fixed.q && (
        <p className="mb-3">A purge needs a question: an empty one would mean everything.</p>
      )}
      {!plan.data && (
        <Button look="outline" disabled={!fixed.q || plan.isPending} onClick={() => plan.mutate()}>
          {plan.isPending ? 'Counting …' : 'Show what would go'}
        </Button>
      )}
      {plan.data && (
        <Confirm
          plan={plan.data}
          isBusy={deed.isPending}
          onConfirm={() => deed.mutate(plan.data.token)}
        />
      )}
      {(plan.error ?? deed.error) && (
        <p role="alert" className="mt-2 text-danger">
          {(plan.error ?? deed.error)?.message}
        </p>
      )}
    </Dialog>
  )
}

function Confirm({
  plan,
  isBusy,
  onConfirm,
}: {
  plan: PurgePlan
  isBusy: boolean
  onConfirm: () => void
}) {
  const [typed, setTyped] = useState('')
  const onSubmit = (event: FormEvent) => {
    event.preventDefault()
    onConfirm()
  }
  if (!plan.rows) return <p>Nothing would go: no record fits, or all that fit are held.</p>
  return (
    <form onSubmit={onSubmit} className="flex flex-col gap-3">
      <p data-testid="purge-plan">
        <strong>{plural(plan.rows, 'record')}</strong> would go: {formatBytes(plan.bytes)} in{' '}
        {plural(plan.segments, 'segment')}.
        {plan.heldRows > 0 && ` ${plural(plan.heldRows, 'record')} under legal hold would stay.`}
      </p>
      <label className="flex flex-col gap-1">
        Type {formatCount(plan.rows)} to confirm
        <input
          inputMode="numeric"
          className="h-8 rounded-md border border-line-strong bg-sheet px-2 font-mono"
          value={typed}
          onChange={(event) => setTyped(event.target.value)}
        />
      </label>
      <Button
        type="submit"
        look="danger"
        disabled={isBusy || typed.replace(/\D/g, '') !== String(plan.rows)}
      >
        {isBusy ? 'Purging …' : `Purge ${plural(plan.rows, 'record')}`}
      </Button>
    </form>
  )
}
