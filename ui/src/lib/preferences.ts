/** User preferences in local storage: theme, time zone, filter panel, recent queries. */

import { create } from 'zustand'
import { persist } from 'zustand/middleware'
import type { Zone } from './time'

export type Theme = 'system' | 'light' | 'dark'

interface Preferences {
  theme: Theme
  zone: Zone
  facets: boolean
  recent: string[]
  setTheme: (theme: Theme) => void
  setZone: (zone: Zone) => void
  setFacets: (facets: boolean) => void
  remember: (query: string) => void
}

const MAX_RECENT = 20

export const usePreferences = create<Preferences>()(
  persist(
    (set) => ({
      theme: 'system',
      zone: 'local',
      facets: true,
      recent: [],
      setTheme: (theme) => set({ theme }),
      setZone: (zone) => set({ zone }),
      setFacets: (facets) => set({ facets }),
      remember: (query) =>
        set(({ recent }) => ({
          recent: [query, ...recent.filter((item) => item !== query)].slice(0, MAX_RECENT),
        })),
    }),
    { name: 'opslog' },
  ),
)

/** The theme in effect, from the preference and the system. */
export const useActiveTheme = create<{ isDark: boolean }>()(() => ({ isDark: false }))

const DARK = '(prefers-color-scheme: dark)'

/** Apply the theme, and reapply it when the preference or the system changes. */
export function followTheme(): void {
  const system = window.matchMedia(DARK)
  const apply = () => {
    const { theme } = usePreferences.getState()
    const isDark = theme === 'dark' || (theme === 'system' && system.matches)
    document.documentElement.dataset.theme = isDark ? 'dark' : 'light'
    document.documentElement.style.colorScheme = isDark ? 'dark' : 'light'
    // After the document: charts read their colours from it.
    if (useActiveTheme.getState().isDark !== isDark) useActiveTheme.setState({ isDark })
  }
  apply()
  system.addEventListener('change', apply)
  usePreferences.subscribe(apply)
}
