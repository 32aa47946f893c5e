import { type FormEvent, useState } from 'react'
import { Button } from '@/components/button'
import { Dialog } from '@/components/dialog'
import { copyText } from '@/components/say'
import type { Row } from '@/lib/api'
import { textOf } from '@/lib/record'
import { ActionButton, Rows } from './rows'
import { TextField } from './TextField'
import { useDeed } from './useDeed'

const COLUMNS = [
  ['name', 'Name'],
  ['hint', 'Begins with'],
  ['rights', 'Rights'],
  ['createdAt', 'Created'],
  ['lastUsedAt', 'Last used'],
  ['revokedAt', 'Revoked'],
] as const

export function Keys() {
  const [open, setOpen] = useState<'new' | Row | null>(null)
  const [secret, setSecret] = useState<string | null>(null)
  const deed = useDeed((answer) => {
    setOpen(null)
    if (typeof answer.key === 'string') setSecret(answer.key)
  })
  const actions = (row: Row) =>
    !row.revokedAt && <ActionButton label="Revoke" danger onClick={() => setOpen(row)} />
  return (
    <>
      <Button look="outline" className="mb-3" onClick={() => setOpen('new')}>
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
      {open === 'new' && (
        <NewKey
          error={deed.error}
          onClose={() => setOpen(null)}
          onCreate={(name) =>
            deed.mutate({
              method: 'POST',
              path: '/ingest/keys',
              body: { name },
              done: 'Key created',
            })
          }
        />
      )}
      {open !== null && open !== 'new' && (
        <Dialog
          title={`Revoke ${textOf(open.name)}?`}
          description="Senders with this key are refused within seconds."
          open
          onClose={() => setOpen(null)}
        >
          <Button
            look="danger"
            onClick={() =>
              deed.mutate({
                method: 'DELETE',
                path: `/ingest/keys/${encodeURIComponent(textOf(open.name) ?? '')}`,
                done: 'Key revoked',
              })
            }
          >
            Revoke it
          </Button>
        </Dialog>
      )}
      {secret && <Secret secret={secret} onClose={() => setSecret(null)} />}
    </>
  )
}

function NewKey({
  error,
  onClose,
  onCreate,
}: {
  error: Error | null
  onClose: () => void
  onCreate: (name: string) => void
}) {
  const onSubmit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault()
    onCreate(String(new FormData(event.currentTarget).get('name') ?? ''))
  }
  return (
    <Dialog title="New ingest key" open onClose={onClose}>
      <form onSubmit={onSubmit} className="flex flex-col gap-2">
        <TextField name="name" label="Name of the sender" required />
        {error && (
          <p role="alert" className="text-danger">
            {error.message}
          </p>
        )}
        <Button type="submit" look="solid">
          Create
        </Button>
      </form>
    </Dialog>
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
      <Button look="outline" className="mt-2" onClick={() => void copyText(secret, 'Key')}>
        Copy
      </Button>
    </Dialog>
  )
}
