/** Purging in two steps: first what would go, then, with that number typed in, the deed. */

import { useMutation, useQueryClient } from '@tanstack/react-query'
import { type FormEvent, useState } from 'react'
import { Button } from '@/components/button'
import { Dialog } from '@/components/dialog'
import { say } from '@/components/say'
import { carryOutPurge, type Purge, planPurge, type Question } from '@/lib/api'
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
  const [reason, setReason] = useState('')
  const client = useQueryClient()
  const plan = useMutation({ mutationFn: () => planPurge(fixed, reason) })
  const deed = useMutation({
    mutationFn: (token: string) => carryOutPurge(fixed, reason, token),
    onSuccess: ({ rows, isDone }) => {
      say(isDone ? `${plural(rows, 'record')} purged` : 'The purge goes on; see retention runs')
      void client.resetQueries()
      onClose()
    },
  })
  const error = plan.error ?? deed.error
  const token = plan.data?.token
  return (
    <Dialog
      title="Purge records"
      description="What is purged is gone for good. The purge itself is recorded."
      open
      onClose={onClose}
    >
      <Meant question={fixed} />
      {!plan.data && (
        <Ask
          isEmpty={!fixed.q}
          isBusy={plan.isPending}
          reason={reason}
          onReason={setReason}
          onAsk={() => plan.mutate()}
        />
      )}
      {plan.data && token && (
        <Confirm plan={plan.data} isBusy={deed.isPending} onConfirm={() => deed.mutate(token)} />
      )}
      {error && (
        <p role="alert" className="mt-2 text-danger">
          {error.message}
        </p>
      )}
    </Dialog>
  )
}

function Meant({ question }: { question: Question }) {
  return (
    <dl className="mb-3 grid grid-cols-[auto_1fr] gap-x-3 rounded-md bg-wash p-2 font-mono text-xs break-all">
      <dt className="text-ink-2">question</dt>
      <dd>{question.q || '(none)'}</dd>
      <dt className="text-ink-2">from</dt>
      <dd>{question.start}</dd>
      <dt className="text-ink-2">to</dt>
      <dd>{question.end}</dd>
    </dl>
  )
}

const FIELD = 'h-8 rounded-md border border-line-strong bg-sheet px-2'

interface AskProps {
  isEmpty: boolean
  isBusy: boolean
  reason: string
  onReason: (reason: string) => void
  onAsk: () => void
}

function Ask({ isEmpty, isBusy, reason, onReason, onAsk }: AskProps) {
  if (isEmpty) return <p>A purge needs a question: an empty one would mean everything.</p>
  const onSubmit = (event: FormEvent) => {
    event.preventDefault()
    onAsk()
  }
  return (
    <form onSubmit={onSubmit} className="flex flex-col gap-3">
      <label className="flex flex-col gap-1">
        Why
        <input
          required
          className={FIELD}
          value={reason}
          onChange={(event) => onReason(event.target.value)}
        />
      </label>
      <Button type="submit" look="outline" disabled={isBusy || !reason.trim()}>
        {isBusy ? 'Counting …' : 'Show what would go'}
      </Button>
    </form>
  )
}

interface ConfirmProps {
  plan: Purge
  isBusy: boolean
  onConfirm: () => void
}

function Confirm({ plan, isBusy, onConfirm }: ConfirmProps) {
  const [typed, setTyped] = useState('')
  const onSubmit = (event: FormEvent) => {
    event.preventDefault()
    onConfirm()
  }
  if (!plan.rows) return <p>Nothing would go. {staying(plan)}</p>
  return (
    <form onSubmit={onSubmit} className="flex flex-col gap-3">
      <p data-testid="purge-plan">
        <strong>{plural(plan.rows, 'record')}</strong> would go: {formatBytes(plan.bytes ?? 0)} in{' '}
        {plural(plan.segments ?? 0, 'segment')}. {staying(plan)}
      </p>
      <label className="flex flex-col gap-1">
        Type {formatCount(plan.rows)} to confirm
        <input
          inputMode="numeric"
          className={FIELD}
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

function staying({ heldRows, protectedRows }: Purge): string {
  const parts = [
    heldRows ? `${plural(heldRows, 'record')} under legal hold would stay.` : '',
    protectedRows ? `${plural(protectedRows, 'record')} are too young to go.` : '',
  ]
  return parts.filter(Boolean).join(' ')
}
