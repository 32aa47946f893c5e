import { type FormEvent, useState } from 'react'
import { Button } from '@/components/button'
import { Dialog } from '@/components/dialog'
import type { Row } from '@/lib/api'
import { textOf } from '@/lib/record'
import { useMay } from '@/lib/session'
import { ActionButton, Rows } from './rows'
import { TextField } from './TextField'
import { useDeed } from './useDeed'

const COLUMNS = [
  ['name', 'Hold'],
  ['reason', 'Why'],
  ['q', 'What'],
  ['createdBy', 'By'],
  ['createdAt', 'Since'],
  ['until', 'Until'],
  ['releasedAt', 'Released'],
  ['releasedBy', 'Released by'],
  ['releaseReason', 'Why released'],
] as const

/** Records under legal hold do not expire and are never purged. */
export function Holds() {
  const mayManage = useMay('holds.manage')
  const [open, setOpen] = useState<'new' | Row | null>(null)
  const close = () => setOpen(null)
  const actions = (row: Row) =>
    !row.releasedAt && <ActionButton label="Release" danger onClick={() => setOpen(row)} />
  return (
    <>
      {mayManage && (
        <Button look="outline" className="mb-3" onClick={() => setOpen('new')}>
          New hold
        </Button>
      )}
      <Rows
        path="/holds"
        what="The list of holds"
        caption="Legal holds"
        columns={COLUMNS}
        empty="Nothing is held."
        {...(mayManage ? { actions } : {})}
      />
      {open === 'new' && <NewHold onClose={close} />}
      {open !== null && open !== 'new' && <Release hold={open} onClose={close} />}
    </>
  )
}

function NewHold({ onClose }: { onClose: () => void }) {
  const add = useDeed(onClose)
  const onSubmit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault()
    const typed = typedIn(event.currentTarget)
    const body = {
      name: typed.name ?? '',
      q: typed.q ?? '',
      start: typed.start || null,
      end: typed.end || null,
      reason: typed.reason ?? '',
      until: typed.until || null,
    }
    add.mutate({ method: 'POST', path: '/holds', body, done: 'Hold added' })
  }
  return (
    <Dialog
      title="New hold"
      description="What fits the question is kept until the hold is released, whatever retention says."
      open
      onClose={onClose}
    >
      <form onSubmit={onSubmit} className="flex flex-col gap-2">
        <TextField name="name" label="Name" required />
        <TextField name="q" label="Question" required mono />
        <TextField name="start" label="From (empty: the beginning)" mono placeholder={EXAMPLE} />
        <TextField name="end" label="To (empty: open)" mono placeholder={EXAMPLE} />
        <TextField name="reason" label="Why" required />
        <TextField
          name="until"
          label="Until (empty: until it is released)"
          mono
          placeholder={EXAMPLE}
        />
        <Fault error={add.error} />
        <Button type="submit" look="solid" disabled={add.isPending}>
          Hold these records
        </Button>
      </form>
    </Dialog>
  )
}

const EXAMPLE = '2026-11-30T00:00:00Z'

function Release({ hold, onClose }: { hold: Row; onClose: () => void }) {
  const release = useDeed(onClose)
  const onSubmit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault()
    const query = { reason: typedIn(event.currentTarget).reason }
    const path = `/holds/${textOf(hold.id)}`
    release.mutate({ method: 'DELETE', path, query, done: 'Hold released' })
  }
  return (
    <Dialog
      title={`Release ${textOf(hold.name)}?`}
      description="Its records expire again as their rules say."
      open
      onClose={onClose}
    >
      <form onSubmit={onSubmit} className="flex flex-col gap-2">
        <TextField name="reason" label="Why" required />
        <Fault error={release.error} />
        <Button type="submit" look="danger" disabled={release.isPending}>
          Release it
        </Button>
      </form>
    </Dialog>
  )
}

function typedIn(form: HTMLFormElement): Record<string, string> {
  return Object.fromEntries(new FormData(form)) as Record<string, string>
}

function Fault({ error }: { error: Error | null }) {
  if (!error) return null
  return (
    <p role="alert" className="text-danger">
      {error.message}
    </p>
  )
}
