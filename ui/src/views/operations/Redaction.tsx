import { useMutation } from '@tanstack/react-query'
import { type FormEvent, useState } from 'react'
import { Button } from '@/components/button'
import { JsonTree } from '@/components/records/JsonTree'
import { previewRedaction } from '@/lib/api'
import { formatCount } from '@/lib/format'
import { isObject, type Json } from '@/lib/json'

/** Redaction preview of a text or attributes; nothing is stored. */
export function Redaction() {
  const [typed, setTyped] = useState('')
  const preview = useMutation({ mutationFn: () => previewRedaction(attributesIn(typed) ?? typed) })
  const onSubmit = (event: FormEvent) => {
    event.preventDefault()
    preview.mutate()
  }
  return (
    <>
      <form onSubmit={onSubmit} className="flex max-w-3xl flex-col gap-2">
        <label className="flex flex-col gap-1 text-ink-2">
          A message, or attributes as a JSON object. Nothing you enter is stored or logged.
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
          variant="solid"
          className="self-start"
          disabled={!typed || preview.isPending}
        >
          Preview
        </Button>
      </form>
      {preview.error && (
        <p role="alert" className="mt-3 text-danger">
          {preview.error.message}
        </p>
      )}
      {preview.data && (
        <section className="mt-4 max-w-3xl" data-testid="redacted">
          <h2 className="mb-1 font-semibold">Result</h2>
          <div className="rounded-lg border border-line bg-sheet p-3 font-mono text-xs">
            <JsonTree value={preview.data.result} />
          </div>
          <p className="mt-2 text-ink-2">
            {preview.data.hits.length
              ? preview.data.hits
                  .map(({ rule, count }) => `${rule} ×${formatCount(count)}`)
                  .join(', ')
              : 'Nothing to redact.'}
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
