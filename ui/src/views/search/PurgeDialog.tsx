/** Purging in two steps: a preview, then the purge, confirmed by typing the number of records. */

import { useMutation, useQueryClient } from '@tanstack/react-query'
import { type FormEvent, useState } from 'react'
import { Button } from '@/components/button'
import { Dialog } from '@/components/dialog'
import { showToast } from '@/components/toast'
import { executePurge, type LogQuery, type Purge, previewPurge } from '@/lib/api'
import { formatBytes, formatCount, plural } from '@/lib/format'
import { fixedRange } from '@/lib/time'

export default function PurgeDialog({ query, onClose }: { query: LogQuery; onClose: () => void }) {
  // Relative times would select a different range in the second step.
  const [fixed] = useState(() => ({ ...query, ...fixedRange(query, Date.now()) }))
  const [reason, setReason] = useState('')
  const client = useQueryClient()
  const preview = useMutation({ mutationFn: () => previewPurge(fixed, reason) })
  const purge = useMutation({
    mutationFn: (token: string) => executePurge(fixed, reason, token),
    onSuccess: ({ rows, isDone }) => {
      showToast(
        isDone
          ? `${plural(rows, 'record')} purged`
          : 'Purge in progress; see the retention history',
      )
      void client.resetQueries()
      onClose()
    },
  })
  const error = preview.error ?? purge.error
  const token = preview.data?.token
  return (
    <Dialog
      title="Purge records"
      description="Purged records cannot be recovered. The purge itself is recorded."
      open
      onClose={onClose}
    >
      <Scope query={fixed} />
      {!preview.data && (
        <ReasonForm
          isEmpty={!fixed.q}
          isBusy={preview.isPending}
          reason={reason}
          onReason={setReason}
          onPreview={() => preview.mutate()}
        />
      )}
      {preview.data && token && (
        <Confirm
          preview={preview.data}
          isBusy={purge.isPending}
          onConfirm={() => purge.mutate(token)}
        />
      )}
      {error && (
        <p role="alert" className="mt-2 text-danger">
          {error.message}
        </p>
      )}
    </Dialog>
  )
}

function Scope({ query }: { query: LogQuery }) {
  return (
    <dl className="mb-3 grid grid-cols-[auto_1fr] gap-x-3 rounded-md bg-wash p-2 font-mono text-xs break-all">
      <dt className="text-ink-2">query</dt>
      <dd>{query.q || '(none)'}</dd>
      <dt className="text-ink-2">from</dt>
      <dd>{query.start}</dd>
      <dt className="text-ink-2">to</dt>
      <dd>{query.end === 'now' ? 'one day from now' : query.end}</dd>
    </dl>
  )
}

const FIELD = 'h-8 rounded-md border border-line-strong bg-sheet px-2'

interface ReasonFormProps {
  isEmpty: boolean
  isBusy: boolean
  reason: string
  onReason: (reason: string) => void
  onPreview: () => void
}

function ReasonForm({ isEmpty, isBusy, reason, onReason, onPreview }: ReasonFormProps) {
  if (isEmpty) return <p>Enter a query first: an empty query would purge all records.</p>
  const onSubmit = (event: FormEvent) => {
    event.preventDefault()
    onPreview()
  }
  return (
    <form onSubmit={onSubmit} className="flex flex-col gap-3">
      <label className="flex flex-col gap-1">
        Reason
        <input
          required
          className={FIELD}
          value={reason}
          onChange={(event) => onReason(event.target.value)}
        />
      </label>
      <Button type="submit" variant="outline" disabled={isBusy || !reason.trim()}>
        {isBusy ? 'Loading …' : 'Preview'}
      </Button>
    </form>
  )
}

interface ConfirmProps {
  preview: Purge
  isBusy: boolean
  onConfirm: () => void
}

function Confirm({ preview, isBusy, onConfirm }: ConfirmProps) {
  const [typed, setTyped] = useState('')
  const onSubmit = (event: FormEvent) => {
    event.preventDefault()
    onConfirm()
  }
  if (!preview.rows) return <p>No records would be purged. {exceptions(preview)}</p>
  return (
    <form onSubmit={onSubmit} className="flex flex-col gap-3">
      <p data-testid="purge-plan">
        <strong>{plural(preview.rows, 'record')}</strong> will be purged:{' '}
        {formatBytes(preview.bytes ?? 0)} in {plural(preview.segments ?? 0, 'segment')}.{' '}
        {exceptions(preview)}
      </p>
      <label className="flex flex-col gap-1">
        Type {formatCount(preview.rows)} to confirm
        <input
          inputMode="numeric"
          className={FIELD}
          value={typed}
          onChange={(event) => setTyped(event.target.value)}
        />
      </label>
      <Button
        type="submit"
        variant="danger"
        disabled={isBusy || typed.replace(/\D/g, '') !== String(preview.rows)}
      >
        {isBusy ? 'Purging …' : `Purge ${plural(preview.rows, 'record')}`}
      </Button>
    </form>
  )
}

function exceptions({ heldRows, protectedRows }: Purge): string {
  const parts = [
    heldRows ? `${plural(heldRows, 'record')} under legal hold will be kept.` : '',
    protectedRows
      ? `${plural(protectedRows, 'record')} within the minimum retention will be kept.`
      : '',
  ]
  return parts.filter(Boolean).join(' ')
}
