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
  ['id', 'Letter'],
  ['receivedAt', 'Received'],
  ['reason', 'Why'],
  ['state', 'State'],
] as const

/** Records that the database refused, redacted, with the reason; they can be sent again. */
export function DeadLetters() {
  const mayManage = useMay('operations.manage')
  const [discarding, setDiscarding] = useState<string | null>(null)
  const deed = useDeed(() => setDiscarding(null))
  const actions = (row: Row) => {
    const id = textOf(row.id) ?? ''
    return (
      <>
        <ActionButton
          label="Replay"
          onClick={() =>
            deed.mutate({ method: 'POST', path: `/dead-letters/${id}/replay`, done: 'Sent again' })
          }
        />
        <ActionButton label="Discard" danger onClick={() => setDiscarding(id)} />
      </>
    )
  }
  const discard = (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault()
    const reason = String(new FormData(event.currentTarget).get('reason') ?? '')
    deed.mutate({
      method: 'POST',
      path: `/dead-letters/${discarding}/discard`,
      body: { reason },
      done: 'Discarded',
    })
  }
  return (
    <>
      <Rows
        path="/dead-letters"
        what="Dead letters"
        caption="Dead letters"
        columns={COLUMNS}
        empty="None: the database has taken everything."
        {...(mayManage ? { actions } : {})}
      />
      {discarding && (
        <Dialog
          title="Discard this letter?"
          description="It stays in the ledger as discarded, with your reason."
          open
          onClose={() => setDiscarding(null)}
        >
          <form onSubmit={discard} className="flex flex-col gap-2">
            <TextField name="reason" label="Why" required />
            <Button type="submit" look="danger">
              Discard
            </Button>
          </form>
        </Dialog>
      )}
    </>
  )
}
