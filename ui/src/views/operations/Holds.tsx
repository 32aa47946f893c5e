import { type FormEvent, useState } from 'react'
import { Button } from '@/components/button'
import { Dialog } from '@/components/dialog'
import type { Row } from '@/lib/api'
import { textOf } from '@/lib/record'
import { usePermission } from '@/lib/session'
import { FormError, TextField } from './fields'
import { ActionButton, Rows } from './rows'
import { useAction } from './useAction'

const COLUMNS = [
  ['name', 'Name'],
  ['reason', 'Reason'],
  ['q', 'Query'],
  ['createdBy', 'Created by'],
  ['createdAt', 'Created'],
  ['until', 'Expires'],
  ['releasedAt', 'Released'],
  ['releasedBy', 'Released by'],
  ['releaseReason', 'Release reason'],
] as const

/** Records under legal hold neither expire nor can be purged. */
export function Holds() {
  const canManage = usePermission('holds.manage')
  const [open, setOpen] = useState<'new' | Row | null>(null)
  const close = () => setOpen(null)
  const actions = (row: Row) =>
    !row.releasedAt && <ActionButton label="Release" danger onClick={() => setOpen(row)} />
  return (
    <>
      {canManage && (
        <Button variant="outline" className="mb-3" onClick={() => setOpen('new')}>
          New hold
        </Button>
      )}
      <Rows
        path="/holds"
        what="legal holds"
        caption="Legal holds"
        columns={COLUMNS}
        empty="No legal holds"
        {...(canManage ? { actions } : {})}
      />
      {open === 'new' && <NewHold onClose={close} />}
      {open !== null && open !== 'new' && <Release hold={open} onClose={close} />}
    </>
  )
}

function NewHold({ onClose }: { onClose: () => void }) {
  const create = useAction(onClose)
  const onSubmit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault()
    const values = formValues(event.currentTarget)
    const body = {
      name: values.name ?? '',
      q: values.q ?? '',
      start: values.start || null,
      end: values.end || null,
      reason: values.reason ?? '',
      until: values.until || null,
    }
    create.mutate({ method: 'POST', path: '/holds', body, success: 'Hold created' })
  }
  return (
    <Dialog
      title="New hold"
      description="Matching records are exempt from retention until released."
      open
      onClose={onClose}
    >
      <form onSubmit={onSubmit} className="flex flex-col gap-2">
        <TextField name="name" label="Name" required />
        <TextField name="q" label="Query" required mono />
        <TextField name="start" label="From (blank = unlimited)" mono placeholder={EXAMPLE} />
        <TextField name="end" label="To (blank = unlimited)" mono placeholder={EXAMPLE} />
        <TextField name="reason" label="Reason" required />
        <TextField name="until" label="Expires (blank = never)" mono placeholder={EXAMPLE} />
        <FormError error={create.error} />
        <Button type="submit" variant="solid" disabled={create.isPending}>
          Create hold
        </Button>
      </form>
    </Dialog>
  )
}

const EXAMPLE = '2026-11-30T00:00:00Z'

function Release({ hold, onClose }: { hold: Row; onClose: () => void }) {
  const release = useAction(onClose)
  const onSubmit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault()
    const params = { reason: formValues(event.currentTarget).reason }
    const path = `/holds/${textOf(hold.id)}`
    release.mutate({ method: 'DELETE', path, params, success: 'Hold released' })
  }
  return (
    <Dialog
      title={`Release ${textOf(hold.name)}?`}
      description="Its records are subject to their retention rules again."
      open
      onClose={onClose}
    >
      <form onSubmit={onSubmit} className="flex flex-col gap-2">
        <TextField name="reason" label="Reason" required />
        <FormError error={release.error} />
        <Button type="submit" variant="danger" disabled={release.isPending}>
          Release
        </Button>
      </form>
    </Dialog>
  )
}

function formValues(form: HTMLFormElement): Record<string, string> {
  return Object.fromEntries(new FormData(form)) as Record<string, string>
}
