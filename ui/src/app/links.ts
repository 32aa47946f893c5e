/** The pages of the navigation bar and the command palette. */

import type { Permission } from '@/lib/api'
import { useSession } from '@/lib/session'

interface Link {
  name: string
  label: string
  needs: Permission[]
}

/** Pages in the navigation bar; any one of the permissions is enough. */
const LINKS: readonly Link[] = [
  { name: 'search', label: 'Search', needs: ['logs.read', 'audit.read'] },
  { name: 'live', label: 'Live', needs: ['logs.read'] },
  { name: 'traces', label: 'Traces', needs: ['logs.read'] },
  { name: 'stats', label: 'Statistics', needs: ['logs.read'] },
  { name: 'operations', label: 'Operations', needs: ['operations.read', 'keys.manage'] },
]

export function useLinks(): Link[] {
  const permissions = useSession((state) => state.session?.permissions) ?? []
  return LINKS.filter((link) => link.needs.some((need) => permissions.includes(need)))
}
