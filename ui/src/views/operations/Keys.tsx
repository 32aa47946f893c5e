import { type FormEvent, useState } from 'react'
import { Button } from '@/components/button'
import { Dialog } from '@/components/dialog'
import { copyText } from '@/components/toast'
import type { Row } from '@/lib/api'
import { LEVELS } from '@/lib/levels'
import { textOf } from '@/lib/record'
import { FormError, TextField } from './fields'
import { ActionButton, Rows } from './rows'
import { useAction } from './useAction'

const COLUMNS = [
  ['name', 'Name'],
  ['hint', 'Prefix'],
  ['rights', 'Permissions'],
  ['minLevel', 'Minimum level'],
  ['recordsPerS', 'Rate limit (records/s)'],
  ['createdBy', 'Created by'],
  ['createdAt', 'Created'],
  ['lastUsedAt', 'Last used'],
  ['expiresAt', 'Expires'],
  ['revokedAt', 'Revoked'],
] as const
const PERMISSIONS = [
  ['logs', 'logs', true],
  ['traces', 'traces', true],
  ['audit', 'audit records', false],
] as const

type Open = { what: 'new' } | { what: 'rotate' | 'revoke'; row: Row } | null

/** Keys that authenticate senders; a key is shown only once, when it is created. */
export function Keys() {
  const [open, setOpen] = useState<Open>(null)
  const [secret, setSecret] = useState<string | null>(null)
  const close = () => setOpen(null)
  const onCreated = (response: Row) => {
    close()
    if (typeof response.key === 'string') setSecret(response.key)
  }
  const actions = (row: Row) =>
    !row.revokedAt && (
      <>
        <ActionButton label="Rotate" onClick={() => setOpen({ what: 'rotate', row })} />
        <ActionButton label="Revoke" danger onClick={() => setOpen({ what: 'revoke', row })} />
      </>
    )
  return (
    <>
      <Button variant="outline" className="mb-3" onClick={() => setOpen({ what: 'new' })}>
        New key
      </Button>
      <Rows
        path="/ingest/keys"
        what="ingest keys"
        caption="Ingest keys"
        columns={COLUMNS}
        empty="No ingest keys. Local senders don't need one; remote senders can't send until you create one."
        actions={actions}
      />
      {open?.what === 'new' && <NewKey onClose={close} onCreated={onCreated} />}
      {open?.what === 'rotate' && <Rotate row={open.row} onClose={close} onCreated={onCreated} />}
      {open?.what === 'revoke' && <Revoke row={open.row} onClose={close} onCreated={onCreated} />}
      {secret && <Secret secret={secret} onClose={() => setSecret(null)} />}
    </>
  )
}

interface FormProps {
  onClose: () => void
  onCreated: (response: Row) => void
}

function NewKey({ onClose, onCreated }: FormProps) {
  const change = useAction(onCreated)
  const onSubmit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault()
    const form = new FormData(event.currentTarget)
    const text = (name: string) => String(form.get(name) ?? '').trim()
    const perSecond = Number(text('recordsPerS'))
    change.mutate({
      method: 'POST',
      path: '/ingest/keys',
      body: {
        name: text('name'),
        rights: form.getAll('rights').map(String),
        minLevel: text('minLevel') || null,
        recordsPerS: perSecond > 0 ? perSecond : null,
        expiresAt: text('expiresAt') || null,
      },
      success: 'Key created',
    })
  }
  return (
    <Dialog title="New ingest key" open onClose={onClose}>
      <form onSubmit={onSubmit} className="flex flex-col gap-2">
        <TextField name="name" label="Name" required maxLength={100} />
        <fieldset className="flex flex-wrap gap-x-4 text-xs">
          <legend className="text-ink-2">Permissions</legend>
          {PERMISSIONS.map(([value, label, isDefault]) => (
            <label key={value} className="flex items-center gap-1.5 py-1">
              <input type="checkbox" name="rights" value={value} defaultChecked={isDefault} />
              {label}
            </label>
          ))}
        </fieldset>
        <label className="flex flex-col gap-0.5 text-xs text-ink-2">
          Minimum level (lower levels are rejected and counted)
          <select
            name="minLevel"
            className="h-8 rounded-md border border-line-strong bg-sheet px-2 text-sm text-ink"
          >
            <option value="">all levels</option>
            {LEVELS.map((level) => (
              <option key={level}>{level}</option>
            ))}
          </select>
        </label>
        <TextField
          name="recordsPerS"
          label="Rate limit (records/s, blank = unlimited)"
          type="number"
          min={1}
        />
        <TextField
          name="expiresAt"
          label="Expires (blank = never)"
          mono
          placeholder="2027-01-01T00:00:00Z"
        />
        <FormError error={change.error} />
        <Button type="submit" variant="solid" disabled={change.isPending}>
          Create
        </Button>
      </form>
    </Dialog>
  )
}

const GRACES = [
  ['0', 'immediately'],
  ['3600', 'after an hour'],
  ['86400', 'after a day'],
  ['604800', 'after a week'],
] as const

function Rotate({ row, onClose, onCreated }: FormProps & { row: Row }) {
  const change = useAction(onCreated)
  const onSubmit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault()
    const graceS = Number(new FormData(event.currentTarget).get('grace'))
    change.mutate({
      method: 'POST',
      path: `${pathOf(row)}/rotate`,
      body: { graceS },
      success: 'Key rotated',
    })
  }
  return (
    <Dialog
      title={`Rotate ${textOf(row.name)}?`}
      description="Creates a new key with the same permissions. The old key stays valid for a grace period."
      open
      onClose={onClose}
    >
      <form onSubmit={onSubmit} className="flex flex-col gap-2">
        <label className="flex flex-col gap-0.5 text-xs text-ink-2">
          Old key expires
          <select
            name="grace"
            defaultValue="3600"
            className="h-8 rounded-md border border-line-strong bg-sheet px-2 text-sm text-ink"
          >
            {GRACES.map(([seconds, label]) => (
              <option key={seconds} value={seconds}>
                {label}
              </option>
            ))}
          </select>
        </label>
        <FormError error={change.error} />
        <Button type="submit" variant="solid" disabled={change.isPending}>
          Rotate
        </Button>
      </form>
    </Dialog>
  )
}

function Revoke({ row, onClose, onCreated }: FormProps & { row: Row }) {
  const change = useAction(onCreated)
  return (
    <Dialog
      title={`Revoke ${textOf(row.name)}?`}
      description="Senders with this key are rejected within seconds."
      open
      onClose={onClose}
    >
      <FormError error={change.error} />
      <Button
        variant="danger"
        disabled={change.isPending}
        onClick={() =>
          change.mutate({ method: 'DELETE', path: pathOf(row), success: 'Key revoked' })
        }
      >
        Revoke
      </Button>
    </Dialog>
  )
}

function pathOf(row: Row): string {
  return `/ingest/keys/${encodeURIComponent(textOf(row.name) ?? '')}`
}

function Secret({ secret, onClose }: { secret: string; onClose: () => void }) {
  return (
    <Dialog
      title="New ingest key created"
      description="Copy it now: it is not shown again. Only its hash is stored."
      open
      onClose={onClose}
    >
      <code className="block rounded-md bg-wash p-2 font-mono text-xs break-all select-all">
        {secret}
      </code>
      <p className="mt-2 text-xs text-ink-2">
        Configure senders with OTEL_EXPORTER_OTLP_HEADERS=Authorization=Bearer%20KEY
      </p>
      <Button variant="outline" className="mt-2" onClick={() => void copyText(secret, 'Key')}>
        Copy
      </Button>
    </Dialog>
  )
}
