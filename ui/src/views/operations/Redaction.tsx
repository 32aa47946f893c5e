import { useMutation } from '@tanstack/react-query'
import { type FormEvent, useState } from 'react'
import { Button } from '@/components/button'
import { JsonTree } from '@/components/records/JsonTree'
import { tryRedaction } from '@/lib/api'
import { plural } from '@/lib/format'
import { isObject, type Json } from '@/lib/json'

/** Shows what would be hidden in a text or in attributes; nothing of it is kept. */
export function Redaction() {
  const [typed, setTyped] = useState('')
  const trial = useMutation({ mutationFn: () => tryRedaction(attributesIn(typed) ?? typed) })
  const onSubmit = (event: FormEvent) => {
    event.preventDefault()
    trial.mutate()
  }
  return (
    <>
      <form onSubmit={onSubmit} className="flex max-w-3xl flex-col gap-2">
        <label className="flex flex-col gap-1 text-ink-2">
          A message, or attributes as a JSON object. Nothing of it is stored or logged.
          <textarea
            rows={6}
            spellCheck={false}
            className="rounded-md border border-line-strong bg-sheet p-2 font-mono text-xs text-ink"
            value={typed}
            onChange={(event) => setTyped(event.target.value)}
          />
        </label>
        <Button
          type="submit"
          look="solid"
          className="self-start"
          disabled={!typed || trial.isPending}
        >
          Show what would be stored
        </Button>
      </form>
      {trial.error && (
        <p role="alert" className="mt-3 text-danger">
          {trial.error.message}
        </p>
      )}
      {trial.data && (
        <section className="mt-4 max-w-3xl" data-testid="redacted">
          <h2 className="mb-1 font-semibold">What would be stored</h2>
          <div className="rounded-lg border border-line bg-sheet p-3 font-mono text-xs">
            <JsonTree value={trial.data.result} />
          </div>
          <p className="mt-2 text-ink-2">
            {trial.data.hits.length
              ? trial.data.hits
                  .map(({ rule, count }) => `${rule}: ${plural(count, 'time')}`)
                  .join(', ')
              : 'Nothing would be hidden.'}
          </p>
        </section>
      )}
    </>
  )
}

function attributesIn(text: string): Record<string, Json> | null {
  try {
    const value = JSON.parse(text) as Json
    return isObject(value) ? value : null
  } catch {
    return null
  }
}
