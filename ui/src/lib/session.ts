/** The login session. The token is exchanged for a cookie at once and never stored by the viewer. */

import { create } from 'zustand'
import {
  ApiError,
  login,
  logout,
  onUnauthorized,
  type Permission,
  readSession,
  type Session,
} from './api'

interface SessionState {
  session: Session | null
  /** 'unknown' until the first response. */
  state: 'unknown' | 'loggedIn' | 'loggedOut' | 'unreachable'
  /** Why a new login is needed, or why the server is unreachable. */
  reason: string | null
  start: () => Promise<void>
  logIn: (token: string) => Promise<void>
  logOut: () => Promise<void>
}

export const useSession = create<SessionState>()((set) => ({
  session: null,
  state: 'unknown',
  reason: null,
  start: async () => {
    const token = takeTokenFromAddress()
    try {
      const session = token ? await login(token) : await readSession()
      set({ session, state: 'loggedIn', reason: null })
    } catch (error) {
      const status = error instanceof ApiError ? error.status : 0
      if (status === 401)
        set({
          state: 'loggedOut',
          reason: token ? 'The token in the link is no longer valid.' : null,
        })
      else set({ state: 'unreachable', reason: error instanceof Error ? error.message : null })
    }
  },
  logIn: async (token) => {
    set({ session: await login(token), state: 'loggedIn', reason: null })
  },
  logOut: async () => {
    await logout().catch(() => undefined)
    set({ session: null, state: 'loggedOut', reason: 'You are logged out.' })
  },
}))

// A link with a token may be opened in a tab that already shows the viewer.
window.addEventListener('hashchange', () => {
  if (TOKEN_LINK.test(window.location.hash)) void useSession.getState().start()
})

onUnauthorized(() => {
  const { state } = useSession.getState()
  if (state === 'loggedIn') {
    useSession.setState({ session: null, state: 'loggedOut', reason: 'Your session has ended.' })
  }
})

const TOKEN_LINK = /^#token=([^&]+)(?:&go=(.*))?$/

/** The token of `#token=…`; it is removed from the URL before anything else happens. */
function takeTokenFromAddress(): string | null {
  const found = TOKEN_LINK.exec(window.location.hash)
  if (!found) return null
  const next = found[2] ? `#${decodeURIComponent(found[2])}` : '#/search'
  window.history.replaceState(null, '', next)
  return decodeURIComponent(found[1] as string)
}

export function usePermission(permission: Permission): boolean {
  return useSession((state) => state.session?.permissions.includes(permission) ?? false)
}
