import { type FormEvent, useEffect, useState } from 'react'
import { Button } from '@/components/button'
import { Mark } from '@/components/icons'
import { ApiError } from '@/lib/api'
import { useSession } from '@/lib/session'

export function LoginView() {
  const { state, reason, begin } = useSession()
  useEffect(() => {
    document.title = 'Log in · opslog'
  }, [])
  useEffect(() => {
    if (state !== 'unreachable') return
    const again = () => void begin()
    const timer = setInterval(again, 5000)
    window.addEventListener('online', again)
    return () => {
      clearInterval(timer)
      window.removeEventListener('online', again)
    }
  }, [state, begin])
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
  const { begin } = useSession()
  return (
    <div role="alert" className="flex flex-col items-start gap-3">
      <p className="font-semibold">The server does not answer</p>
      <p className="text-ink-2">
        Check your connection, or whether <code>opslog up</code> is running. The page tries again
        every five seconds.
      </p>
      {reason && <p className="text-xs text-ink-3">{reason}</p>}
      <Button look="outline" onClick={() => void begin()}>
        Try now
      </Button>
    </div>
  )
}

function TokenForm({ reason }: { reason: string | null }) {
  const enter = useSession((state) => state.enter)
  const [token, setToken] = useState('')
  const [fault, setFault] = useState<string | null>(null)
  const [isBusy, setBusy] = useState(false)
  const isInsecure = window.location.protocol === 'http:' && !isLoopback()
  const onSubmit = async (event: FormEvent) => {
    event.preventDefault()
    setBusy(true)
    try {
      await enter(token.trim())
    } catch (error) {
      setFault(faultOf(error))
      setBusy(false)
    }
  }
  return (
    <form onSubmit={onSubmit} className="flex flex-col gap-3">
      {reason && <p role="status">{reason}</p>}
      <label htmlFor="token" className="text-ink-2">
        Log in with a token. On the server,{' '}
        <code className="font-mono text-xs">opslog token --role ADMIN</code> prints one.
      </label>
      <textarea
        id="token"
        required
        rows={4}
        spellCheck={false}
        autoComplete="off"
        className="w-full resize-none rounded-md border border-line-strong bg-paper p-2 font-mono text-xs break-all"
        aria-invalid={fault !== null}
        aria-describedby={fault ? 'fault' : undefined}
        value={token}
        onChange={(event) => setToken(event.target.value)}
      />
      {fault && (
        <p id="fault" role="alert" className="text-danger">
          {fault}
        </p>
      )}
      {isInsecure && (
        <p className="rounded-md bg-warning-wash p-2">
          This connection is not encrypted: others on the network can read the token. Use TLS for
          anything but a trial.
        </p>
      )}
      <Button type="submit" look="solid" disabled={isBusy || !token.trim()} className="h-9">
        {isBusy ? 'Logging in …' : 'Log in'}
      </Button>
    </form>
  )
}

function isLoopback(): boolean {
  return ['localhost', '127.0.0.1', '[::1]'].includes(window.location.hostname)
}

function faultOf(error: unknown): string {
  if (!(error instanceof ApiError) || error.isOffline)
    return 'The server does not answer. Try again in a moment.'
  if (error.status === 401)
    return 'This token is not valid: it may have expired, or be for another installation.'
  return error.message
}
