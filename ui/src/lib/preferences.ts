/** What a person likes, kept in the browser: theme, time zone, size of the rows. */

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
  remember: (question: string) => void
}

const MOST_RECENT = 20

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
      remember: (question) =>
        set(({ recent }) => ({
          recent: [question, ...recent.filter((item) => item !== question)].slice(0, MOST_RECENT),
        })),
    }),
    { name: 'opslog' },
  ),
)

/** What is on the page just now; follows the person and the system. */
export const useShownTheme = create<{ isDark: boolean }>()(() => ({ isDark: false }))

const DARK = '(prefers-color-scheme: dark)'

/** Puts the theme on the page, and again whenever the person or the system changes it. */
export function followTheme(): void {
  const system = window.matchMedia(DARK)
  const apply = () => {
    const { theme } = usePreferences.getState()
    const isDark = theme === 'dark' || (theme === 'system' && system.matches)
    document.documentElement.dataset.theme = isDark ? 'dark' : 'light'
    document.documentElement.style.colorScheme = isDark ? 'dark' : 'light'
    // After the page itself: what draws on a canvas reads the colours from there.
    if (useShownTheme.getState().isDark !== isDark) useShownTheme.setState({ isDark })
  }
  apply()
  system.addEventListener('change', apply)
  usePreferences.subscribe(apply)
}
