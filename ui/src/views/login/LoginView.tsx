import { type FormEvent, useEffect, useState } from 'react'
import { Button } from '@/components/button'
import { Mark } from '@/components/icons'
import { ApiError } from '@/lib/api'
import { useSession } from '@/lib/session'

export function LoginView() {
  const { state, reason, start } = useSession()
  useEffect(() => {
    document.title = 'Log in · opslog'
  }, [])
  useEffect(() => {
    if (state !== 'unreachable') return
    const retry = () => void start()
    const timer = setInterval(retry, 5000)
    window.addEventListener('online', retry)
    return () => {
      clearInterval(timer)
      window.removeEventListener('online', retry)
    }
  }, [state, start])
  return (
    <main className="grid h-full place-items-center overflow-y-auto p-4">
      <div className="w-full max-w-md rounded-xl border border-line bg-sheet p-6">
        <h1 className="mb-4 flex items-center gap-2 text-base font-semibold">
          <Mark /> opslog
        </h1>
        {state === 'unreachable' ? <Unreachable reason={reason} /> : <TokenForm reason={reason} />}
      </div>
    </main>
  )
}

function Unreachable({ reason }: { reason: string | null }) {
  const { start } = useSession()
  return (
    <div role="alert" className="flex flex-col items-start gap-3">
      <p className="font-semibold">Cannot reach the server</p>
      <p className="text-ink-2">
        Check your connection and whether <code>opslog up</code> is running. The viewer retries
        every five seconds.
      </p>
      {reason && <p className="text-xs text-ink-3">{reason}</p>}
      <Button variant="outline" onClick={() => void start()}>
        Retry now
      </Button>
    </div>
  )
}

function TokenForm({ reason }: { reason: string | null }) {
  const logIn = useSession((state) => state.logIn)
  const [token, setToken] = useState('')
  const [error, setFault] = useState<string | null>(null)
  const [isBusy, setBusy] = useState(false)
  const isInsecure = window.location.protocol === 'http:' && !isLoopback()
  const onSubmit = async (event: FormEvent) => {
    event.preventDefault()
    setBusy(true)
    try {
      await logIn(token.trim())
    } catch (error) {
      setFault(errorOf(error))
      setBusy(false)
    }
  }
  return (
    <form onSubmit={onSubmit} className="flex flex-col gap-3">
      {reason && <p role="status">{reason}</p>}
      <label htmlFor="token" className="text-ink-2">
        Log in with a token. Create one on the server with{' '}
        <code className="font-mono text-xs whitespace-nowrap">opslog token --role ADMIN</code>.
      </label>
      <textarea
        id="token"
        required
        rows={4}
        spellCheck={false}
        autoComplete="off"
        className="w-full resize-none rounded-md border border-line-strong bg-paper p-2 font-mono text-xs break-all"
        aria-invalid={error !== null}
        aria-describedby={error ? 'error' : undefined}
        value={token}
        onChange={(event) => setToken(event.target.value)}
      />
      {error && (
        <p id="error" role="alert" className="text-danger">
          {error}
        </p>
      )}
      {isInsecure && (
        <p className="rounded-md bg-warning-wash p-2">
          This connection is not encrypted: others on the network can read the token. Use TLS in
          production.
        </p>
      )}
      <Button type="submit" variant="solid" disabled={isBusy || !token.trim()} className="h-9">
        {isBusy ? 'Logging in …' : 'Log in'}
      </Button>
    </form>
  )
}

function isLoopback(): boolean {
  return ['localhost', '127.0.0.1', '[::1]'].includes(window.location.hostname)
}

function errorOf(error: unknown): string {
  if (!(error instanceof ApiError) || error.isOffline)
    return 'Cannot reach the server. Try again in a moment.'
  if (error.status === 401)
    return 'This token is not valid. It may have expired or belong to another instance.'
  return error.message
}
