import { type FormEvent, useState } from 'react'
import { Button } from '@/components/button'
import { Dialog } from '@/components/dialog'
import { JsonTree } from '@/components/records/JsonTree'
import { ErrorNotice, Loading } from '@/components/states'
import type { Row } from '@/lib/api'
import { textOf } from '@/lib/record'
import { usePermission } from '@/lib/session'
import { FormError, TextField } from './fields'
import { ActionButton, Rows, useObject } from './rows'
import { useAction } from './useAction'

const COLUMNS = [
  ['id', 'ID'],
  ['receivedAt', 'Received'],
  ['class', 'Class'],
  ['reason', 'Reason'],
  ['sqlstate', 'SQLSTATE'],
  ['note', 'Note'],
] as const
const STATES = [
  ['waiting', 'Pending'],
  ['replayed', 'Replayed'],
  ['discarded', 'Discarded'],
] as const
const EMPTY: Record<string, string> = {
  waiting: 'No dead letters.',
  replayed: 'No replayed dead letters.',
  discarded: 'No discarded dead letters.',
}

/** Redacted rows rejected by the database, to replay or discard. */
export function DeadLetters() {
  const canManage = usePermission('operations.manage')
  const [state, setState] = useState('waiting')
  const [shown, setShown] = useState<string | null>(null)
  const [discarding, setDiscarding] = useState<string | null>(null)
  const change = useAction(() => setDiscarding(null))
  const actions = (row: Row) => {
    const id = textOf(row.id) ?? ''
    return (
      <>
        <ActionButton label="Show" onClick={() => setShown(id)} />
        {canManage && state === 'waiting' && (
          <>
            <ActionButton
              label="Replay"
              onClick={() =>
                change.mutate({
                  method: 'POST',
                  path: `/dead-letters/${id}/replay`,
                  success: (response) =>
                    response.isStored ? 'Stored' : `Rejected again: ${response.reason}`,
                })
              }
            />
            <ActionButton label="Discard" danger onClick={() => setDiscarding(id)} />
          </>
        )}
      </>
    )
  }
  return (
    <>
      <p className="mb-3 max-w-prose text-ink-2">
        Rows rejected by the database, redacted like all others. Replay them after fixing the cause.
        Discarded rows remain in the ledger with your reason.
      </p>
      <fieldset className="mb-3 flex gap-1">
        <legend className="sr-only">State</legend>
        {STATES.map(([name, label]) => (
          <Button key={name} aria-pressed={state === name} onClick={() => setState(name)}>
            {label}
          </Button>
        ))}
      </fieldset>
      <Rows
        path={`/dead-letters?state=${state}`}
        what="dead letters"
        caption="Dead letters"
        columns={COLUMNS}
        empty={EMPTY[state]}
        actions={actions}
      />
      {shown && <Letter id={shown} onClose={() => setShown(null)} />}
      {discarding && (
        <Discard
          error={change.error}
          onClose={() => setDiscarding(null)}
          onDiscard={(reason) =>
            change.mutate({
              method: 'POST',
              path: `/dead-letters/${discarding}/discard`,
              body: { reason },
              success: 'Discarded',
            })
          }
        />
      )}
    </>
  )
}

function Letter({ id, onClose }: { id: string; onClose: () => void }) {
  const { data, error, isPending } = useObject(`/dead-letters/${id}`)
  return (
    <Dialog title={`Dead letter ${id}`} open wide onClose={onClose}>
      {isPending && <Loading what="the dead letter" />}
      {error && <ErrorNotice error={error} what="the dead letter" />}
      {data && (
        <div className="font-mono text-xs">
          <JsonTree value={data} />
        </div>
      )}
    </Dialog>
  )
}

interface DiscardProps {
  error: Error | null
  onClose: () => void
  onDiscard: (reason: string) => void
}

function Discard({ error, onClose, onDiscard }: DiscardProps) {
  const onSubmit = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault()
    onDiscard(String(new FormData(event.currentTarget).get('reason') ?? ''))
  }
  return (
    <Dialog
      title="Discard this dead letter?"
      description="It remains in the ledger as discarded, with your reason."
      open
      onClose={onClose}
    >
      <form onSubmit={onSubmit} className="flex flex-col gap-2">
        <TextField name="reason" label="Reason" required />
        <FormError error={error} />
        <Button type="submit" variant="danger">
          Discard
        </Button>
      </form>
    </Dialog>
  )
}
