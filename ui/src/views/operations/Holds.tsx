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
  ['id', 'Hold'],
  ['reason', 'Why'],
  ['q', 'What'],
  ['createdBy', 'By'],
  ['createdAt', 'Since'],
  ['until', 'Until'],
  ['releasedAt', 'Released'],
] as const

/** Records under legal hold do not expire and are never purged. */
export function Holds() {
  const mayManage = useMay('holds.manage')
  const [isAdding, setAdding] = useState(false)
  const release = useDeed()
  const actions = (row: Row) =>
    !row.releasedAt && (
      <ActionButton
        label="Release"
        danger
        onClick={() =>
          release.mutate({
            method: 'DELETE',
            path: `/holds/${textOf(row.id)}`,
            done: 'Hold released',
          })
        }
      />
    )
  return (
    <>
      {mayManage && (
        <Button look="outline" className="mb-3" onClick={() => setAdding(true)}>
          New hold
        </Button>
      )}
      <Rows
        path="/holds"
        what="Holds"
        caption="Legal holds"
        columns={COLUMNS}
        empty="Nothing is held."
        {...(mayManage ? { actions } : {})}
      />
      {isAdding && <NewHold onClose={() => setAdding(false)} />}
    </>
  )
}

function NewHold({ onClose }: { onClose: () => void }) {
  const add = useDeed(onClose)
  const onSubmit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault()
    const { q, start, end, reason, until } = Object.fromEntries(
      new FormData(event.currentTarget),
    ) as Record<string, string>
    const body = {
      q: q ?? '',
      start: start || null,
      end: end || null,
      reason: reason ?? '',
      until: until || null,
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
        <TextField name="q" label="Question" required mono />
        <TextField
          name="start"
          label="From (empty: the beginning)"
          mono
          placeholder="2026-11-01T00:00:00Z"
        />
        <TextField name="end" label="To (empty: open)" mono placeholder="2026-11-30T00:00:00Z" />
        <TextField name="reason" label="Why" required />
        <TextField
          name="until"
          label="Until (empty: until it is released)"
          mono
          placeholder="2027-11-01T00:00:00Z"
        />
        {add.error && (
          <p role="alert" className="text-danger">
            {add.error.message}
          </p>
        )}
        <Button type="submit" look="solid" disabled={add.isPending}>
          Hold these records
        </Button>
      </form>
    </Dialog>
  )
}
