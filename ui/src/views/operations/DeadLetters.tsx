import { type FormEvent, useState } from 'react'
import { Button } from '@/components/button'
import { Dialog } from '@/components/dialog'
import { JsonTree } from '@/components/records/JsonTree'
import { ErrorNotice, Loading } from '@/components/states'
import type { Row } from '@/lib/api'
import { textOf } from '@/lib/record'
import { useMay } from '@/lib/session'
import { ActionButton, Rows, useObject } from './rows'
import { TextField } from './TextField'
import { useDeed } from './useDeed'

const COLUMNS = [
  ['id', 'Letter'],
  ['receivedAt', 'Received'],
  ['class', 'Class'],
  ['reason', 'Why'],
  ['sqlstate', 'Code'],
  ['note', 'Note'],
] as const
const STATES = [
  ['waiting', 'Waiting'],
  ['replayed', 'Sent again'],
  ['discarded', 'Discarded'],
] as const
const NONE: Record<string, string> = {
  waiting: 'None: the database has taken everything.',
  replayed: 'None has been sent again.',
  discarded: 'None has been discarded.',
}

/** Records that the database refused, redacted, with the reason; they can be sent again. */
export function DeadLetters() {
  const mayManage = useMay('operations.manage')
  const [state, setState] = useState('waiting')
  const [shown, setShown] = useState<string | null>(null)
  const [discarding, setDiscarding] = useState<string | null>(null)
  const deed = useDeed(() => setDiscarding(null))
  const actions = (row: Row) => {
    const id = textOf(row.id) ?? ''
    return (
      <>
        <ActionButton label="Show" onClick={() => setShown(id)} />
        {mayManage && state === 'waiting' && (
          <>
            <ActionButton
              label="Replay"
              onClick={() =>
                deed.mutate({
                  method: 'POST',
                  path: `/dead-letters/${id}/replay`,
                  done: (answer) =>
                    answer.isStored ? 'It is stored now' : `Refused again: ${answer.reason}`,
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
        Rows that the database refused, redacted like all others. After a remedy they can be sent
        again; given up, they stay in the ledger with your reason.
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
        what="Dead letters"
        caption="Dead letters"
        columns={COLUMNS}
        empty={NONE[state]}
        actions={actions}
      />
      {shown && <Letter id={shown} onClose={() => setShown(null)} />}
      {discarding && (
        <Discard
          error={deed.error}
          onClose={() => setDiscarding(null)}
          onDiscard={(reason) =>
            deed.mutate({
              method: 'POST',
              path: `/dead-letters/${discarding}/discard`,
              body: { reason },
              done: 'Discarded',
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
    <Dialog title={`Letter ${id}`} open wide onClose={onClose}>
      {isPending && <Loading what="the letter" />}
      {error && <ErrorNotice error={error} what="The letter" />}
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
      title="Discard this letter?"
      description="It stays in the ledger as discarded, with your reason."
      open
      onClose={onClose}
    >
      <form onSubmit={onSubmit} className="flex flex-col gap-2">
        <TextField name="reason" label="Why" required />
        {error && (
          <p role="alert" className="text-danger">
            {error.message}
          </p>
        )}
        <Button type="submit" look="danger">
          Discard
        </Button>
      </form>
    </Dialog>
  )
}
