import { type FormEvent, useState } from 'react'
import { Button } from '@/components/button'
import { Dialog } from '@/components/dialog'
import { copyText } from '@/components/say'
import type { Row } from '@/lib/api'
import { LEVELS } from '@/lib/levels'
import { textOf } from '@/lib/record'
import { ActionButton, Rows } from './rows'
import { TextField } from './TextField'
import { useDeed } from './useDeed'

const COLUMNS = [
  ['name', 'Name'],
  ['hint', 'Begins with'],
  ['rights', 'May send'],
  ['minLevel', 'From level'],
  ['recordsPerS', 'Records a second'],
  ['createdBy', 'Made by'],
  ['createdAt', 'Made'],
  ['lastUsedAt', 'Last used'],
  ['expiresAt', 'Ends'],
  ['revokedAt', 'Revoked'],
] as const
const RIGHTS = [
  ['logs', 'logs', true],
  ['traces', 'traces', true],
  ['audit', 'audit records', false],
] as const

type Open = { what: 'new' } | { what: 'rotate' | 'revoke'; row: Row } | null

/** What senders prove themselves with; each key is shown once, when it is made. */
export function Keys() {
  const [open, setOpen] = useState<Open>(null)
  const [secret, setSecret] = useState<string | null>(null)
  const close = () => setOpen(null)
  const onDone = (answer: Row) => {
    close()
    if (typeof answer.key === 'string') setSecret(answer.key)
  }
  const actions = (row: Row) =>
    !row.revokedAt && (
      <>
        <ActionButton label="Renew" onClick={() => setOpen({ what: 'rotate', row })} />
        <ActionButton label="Revoke" danger onClick={() => setOpen({ what: 'revoke', row })} />
      </>
    )
  return (
    <>
      <Button look="outline" className="mb-3" onClick={() => setOpen({ what: 'new' })}>
        New key
      </Button>
      <Rows
        path="/ingest/keys"
        what="Ingest keys"
        caption="Ingest keys"
        columns={COLUMNS}
        empty="No keys: senders need none on this machine, or cannot send yet."
        actions={actions}
      />
      {open?.what === 'new' && <NewKey onClose={close} onDone={onDone} />}
      {open?.what === 'rotate' && <Renew row={open.row} onClose={close} onDone={onDone} />}
      {open?.what === 'revoke' && <Revoke row={open.row} onClose={close} onDone={onDone} />}
      {secret && <Secret secret={secret} onClose={() => setSecret(null)} />}
    </>
  )
}

interface FormProps {
  onClose: () => void
  onDone: (answer: Row) => void
}

function NewKey({ onClose, onDone }: FormProps) {
  const deed = useDeed(onDone)
  const onSubmit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault()
    const typed = new FormData(event.currentTarget)
    const text = (name: string) => String(typed.get(name) ?? '').trim()
    const perSecond = Number(text('recordsPerS'))
    deed.mutate({
      method: 'POST',
      path: '/ingest/keys',
      body: {
        name: text('name'),
        rights: typed.getAll('rights').map(String),
        minLevel: text('minLevel') || null,
        recordsPerS: perSecond > 0 ? perSecond : null,
        expiresAt: text('expiresAt') || null,
      },
      done: 'Key made',
    })
  }
  return (
    <Dialog title="New ingest key" open onClose={onClose}>
      <form onSubmit={onSubmit} className="flex flex-col gap-2">
        <TextField name="name" label="Name of the sender" required maxLength={100} />
        <fieldset className="flex flex-wrap gap-x-4 text-xs">
          <legend className="text-ink-2">May send</legend>
          {RIGHTS.map(([value, label, isGiven]) => (
            <label key={value} className="flex items-center gap-1.5 py-1">
              <input type="checkbox" name="rights" value={value} defaultChecked={isGiven} />
              {label}
            </label>
          ))}
        </fieldset>
        <label className="flex flex-col gap-0.5 text-xs text-ink-2">
          From level (records below it are rejected and counted)
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
          label="Records a second at most (empty: no limit)"
          type="number"
          min={1}
        />
        <TextField
          name="expiresAt"
          label="Ends (empty: never)"
          mono
          placeholder="2027-01-01T00:00:00Z"
        />
        <Fault error={deed.error} />
        <Button type="submit" look="solid" disabled={deed.isPending}>
          Create
        </Button>
      </form>
    </Dialog>
  )
}

const GRACES = [
  ['0', 'at once'],
  ['3600', 'after an hour'],
  ['86400', 'after a day'],
  ['604800', 'after a week'],
] as const

function Renew({ row, onClose, onDone }: FormProps & { row: Row }) {
  const deed = useDeed(onDone)
  const onSubmit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault()
    const graceS = Number(new FormData(event.currentTarget).get('grace'))
    deed.mutate({
      method: 'POST',
      path: `${pathOf(row)}/rotate`,
      body: { graceS },
      done: 'Renewed',
    })
  }
  return (
    <Dialog
      title={`Renew ${textOf(row.name)}?`}
      description="A new key with the same rights; senders have time to take it over."
      open
      onClose={onClose}
    >
      <form onSubmit={onSubmit} className="flex flex-col gap-2">
        <label className="flex flex-col gap-0.5 text-xs text-ink-2">
          The old key ends
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
        <Fault error={deed.error} />
        <Button type="submit" look="solid" disabled={deed.isPending}>
          Renew it
        </Button>
      </form>
    </Dialog>
  )
}

function Revoke({ row, onClose, onDone }: FormProps & { row: Row }) {
  const deed = useDeed(onDone)
  return (
    <Dialog
      title={`Revoke ${textOf(row.name)}?`}
      description="Senders with this key are refused within seconds."
      open
      onClose={onClose}
    >
      <Fault error={deed.error} />
      <Button
        look="danger"
        disabled={deed.isPending}
        onClick={() => deed.mutate({ method: 'DELETE', path: pathOf(row), done: 'Key revoked' })}
      >
        Revoke it
      </Button>
    </Dialog>
  )
}

function pathOf(row: Row): string {
  return `/ingest/keys/${encodeURIComponent(textOf(row.name) ?? '')}`
}

function Fault({ error }: { error: Error | null }) {
  if (!error) return null
  return (
    <p role="alert" className="text-danger">
      {error.message}
    </p>
  )
}

function Secret({ secret, onClose }: { secret: string; onClose: () => void }) {
  return (
    <Dialog
      title="The new key"
      description="It is shown this once; only its hash is kept."
      open
      onClose={onClose}
    >
      <code className="block rounded-md bg-wash p-2 font-mono text-xs break-all select-all">
        {secret}
      </code>
      <p className="mt-2 text-xs text-ink-2">
        Senders give it in OTEL_EXPORTER_OTLP_HEADERS: Authorization=Bearer%20KEY
      </p>
      <Button look="outline" className="mt-2" onClick={() => void copyText(secret, 'Key')}>
        Copy
      </Button>
    </Dialog>
  )
}
