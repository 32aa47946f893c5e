/** Who is logged in. The token itself is given to the server at once and never kept by the page. */

import { create } from 'zustand'
import {
  ApiError,
  login,
  logout,
  type Permission,
  readSession,
  type Session,
  whenUnauthorized,
} from './api'

interface SessionState {
  session: Session | null
  /** Until the first answer nobody knows. */
  state: 'unknown' | 'in' | 'out' | 'unreachable'
  /** Why the page asks for a token again. */
  reason: string | null
  begin: () => Promise<void>
  enter: (token: string) => Promise<void>
  leave: () => Promise<void>
}

export const useSession = create<SessionState>()((set) => ({
  session: null,
  state: 'unknown',
  reason: null,
  begin: async () => {
    const token = takeTokenFromAddress()
    try {
      const session = token ? await login(token) : await readSession()
      set({ session, state: 'in', reason: null })
    } catch (error) {
      const status = error instanceof ApiError ? error.status : 0
      if (status === 401)
        set({ state: 'out', reason: token ? 'The token in the link is not valid any more.' : null })
      else set({ state: 'unreachable', reason: error instanceof Error ? error.message : null })
    }
  },
  enter: async (token) => {
    set({ session: await login(token), state: 'in', reason: null })
  },
  leave: async () => {
    await logout().catch(() => undefined)
    set({ session: null, state: 'out', reason: 'You are logged out.' })
  },
}))

// A link with a token may also be opened where the page is open already.
window.addEventListener('hashchange', () => {
  if (TOKEN_LINK.test(window.location.hash)) void useSession.getState().begin()
})

whenUnauthorized(() => {
  const { state } = useSession.getState()
  if (state === 'in') {
    useSession.setState({ session: null, state: 'out', reason: 'Your session has ended.' })
  }
})

const TOKEN_LINK = /^#token=([^&]+)(?:&go=(.*))?$/

/** The token of `#token=…`; it leaves the address before anything else happens. */
function takeTokenFromAddress(): string | null {
  const found = TOKEN_LINK.exec(window.location.hash)
  if (!found) return null
  const next = found[2] ? `#${decodeURIComponent(found[2])}` : '#/search'
  window.history.replaceState(null, '', next)
  return decodeURIComponent(found[1] as string)
}

export function useMay(permission: Permission): boolean {
  return useSession((state) => state.session?.permissions.includes(permission) ?? false)
}
