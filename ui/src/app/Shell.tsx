import { lazy, type ReactNode, Suspense, useEffect, useState, useSyncExternalStore } from 'react'
import { buttonClass, IconButton } from '@/components/button'
import { cx } from '@/components/class'
import { Mark, MoonIcon, SunIcon, UserIcon } from '@/components/icons'
import { Menu, MenuChoice, MenuItem, MenuLabel, MenuLine } from '@/components/menu'
import { go } from '@/lib/address'
import type { Permission } from '@/lib/api'
import { type Theme, usePreferences, useShownTheme } from '@/lib/preferences'
import { useSession } from '@/lib/session'
import { formatLength, zoneName } from '@/lib/time'
import { useShortcuts } from './shortcuts'

const Help = lazy(() => import('./Help'))
const Palette = lazy(() => import('./Palette'))

interface Link {
  name: string
  label: string
  needs: Permission[]
}

/** Pages in the bar; one of the rights is enough. */
export const LINKS: readonly Link[] = [
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

export function Shell({ current, children }: { current: string; children: ReactNode }) {
  const [open, setOpen] = useState<'help' | 'palette' | null>(null)
  const { zone, setZone } = usePreferences()
  useShortcuts({
    '?': () => setOpen('help'),
    'Ctrl+k': () => setOpen('palette'),
    'g s': () => go('#/search'),
    'g l': () => go('#/live'),
    'g t': () => go('#/traces'),
    'g f': () => go('#/stats'),
    'g o': () => go('#/operations'),
    T: toggleTheme,
    Z: () => setZone(zone === 'utc' ? 'local' : 'utc'),
  })
  return (
    <div className="relative flex h-full flex-col overflow-hidden">
      <button
        type="button"
        className="sr-only focus:not-sr-only focus:absolute focus:z-50 focus:bg-raised focus:p-2"
        onClick={() => document.getElementById('main')?.focus()}
      >
        Skip to the content
      </button>
      <Bar current={current} onHelp={() => setOpen('help')} />
      <SessionEnd />
      <OfflineLine />
      <main id="main" tabIndex={-1} className="flex min-h-0 flex-1 flex-col outline-none">
        {children}
      </main>
      <Suspense>
        {open === 'help' && <Help onClose={() => setOpen(null)} />}
        {open === 'palette' && <Palette onClose={() => setOpen(null)} />}
      </Suspense>
    </div>
  )
}

function Bar({ current, onHelp }: { current: string; onHelp: () => void }) {
  const links = useLinks()
  const near =
    current === 'trace'
      ? 'traces'
      : current === 'record' || current === 'timeline'
        ? 'search'
        : current
  return (
    <header className="flex min-h-11 shrink-0 flex-wrap items-center gap-x-1 border-b border-line bg-sheet px-2 sm:flex-nowrap sm:px-3">
      <a
        href="#/search"
        className="mr-2 flex items-center gap-2 font-semibold tracking-tight"
        aria-label="opslog, search"
      >
        <Mark />
        <span className="sm:max-md:hidden">opslog</span>
      </a>
      <nav
        aria-label="Pages"
        className="flex min-w-0 flex-1 items-center gap-0.5 overflow-x-auto max-sm:order-last max-sm:basis-full max-sm:pb-1"
      >
        {links.map((link) => (
          <a
            key={link.name}
            href={`#/${link.name}`}
            aria-current={link.name === near ? 'page' : undefined}
            className={buttonClass(
              'plain',
              cx('sm:text-sm max-sm:px-1.5', link.name === near && 'bg-accent-wash text-accent'),
            )}
          >
            {link.label}
          </a>
        ))}
      </nav>
      <span className="flex-1 sm:hidden" />
      <ZoneButton />
      <ThemeMenu />
      <IconButton label="Keys and help" shortcut="?" onClick={onHelp} className="max-sm:hidden">
        <span aria-hidden="true" className="font-semibold">
          ?
        </span>
      </IconButton>
      <AccountMenu />
    </header>
  )
}

function ZoneButton() {
  const { zone, setZone } = usePreferences()
  return (
    <button
      type="button"
      className={buttonClass('plain', 'max-w-40 max-sm:hidden')}
      title="Times are shown in this zone (Shift Z)"
      onClick={() => setZone(zone === 'utc' ? 'local' : 'utc')}
    >
      <span className="sr-only">Time zone: </span>
      <span className="truncate">{zone === 'utc' ? 'UTC' : zoneName('local')}</span>
    </button>
  )
}

function toggleTheme(): void {
  usePreferences.getState().setTheme(useShownTheme.getState().isDark ? 'light' : 'dark')
}

const THEMES: readonly (readonly [Theme, string])[] = [
  ['system', 'As the system'],
  ['light', 'Light'],
  ['dark', 'Dark'],
]

function ThemeMenu() {
  const { theme, setTheme, zone, setZone } = usePreferences()
  const isDark = useShownTheme((state) => state.isDark)
  return (
    <Menu
      label="Appearance"
      trigger={<IconButton label="Appearance">{isDark ? <MoonIcon /> : <SunIcon />}</IconButton>}
    >
      <MenuLabel>Theme</MenuLabel>
      <MenuChoice value={theme} options={THEMES} onChange={setTheme} />
      <MenuLine />
      <MenuLabel>Times in</MenuLabel>
      <MenuChoice
        value={zone}
        options={[
          ['local', zoneName('local')],
          ['utc', 'UTC'],
        ]}
        onChange={setZone}
      />
    </Menu>
  )
}

function AccountMenu() {
  const { session, leave } = useSession()
  if (!session) return null
  return (
    <Menu
      label="Account"
      trigger={
        <IconButton label={`Account: ${session.subject}, ${session.role}`}>
          <UserIcon />
        </IconButton>
      }
    >
      <div className="px-2 py-1.5">
        <div className="font-medium">{session.subject}</div>
        <div className="text-ink-2">{session.role}</div>
        <div className="mt-1 text-xs text-ink-3">
          until {new Date(session.expiresAt).toLocaleString()}
        </div>
      </div>
      <MenuLine />
      <MenuItem onSelect={() => void leave()}>Log out</MenuItem>
    </Menu>
  )
}

const WARN_BEFORE_MS = 10 * 60_000

/** Tells ten minutes ahead that the session ends, and every half minute how long it still lasts. */
function SessionEnd() {
  const expiresAt = useSession((state) => state.session?.expiresAt)
  const [leftMs, setLeftMs] = useState(Number.POSITIVE_INFINITY)
  useEffect(() => {
    const look = () =>
      setLeftMs(expiresAt ? Date.parse(expiresAt) - Date.now() : Number.POSITIVE_INFINITY)
    look()
    const timer = setInterval(look, 30_000)
    return () => clearInterval(timer)
  }, [expiresAt])
  if (!(leftMs < WARN_BEFORE_MS)) return null
  return (
    <Line>
      {leftMs > 0
        ? `Your session ends in ${formatLength(Math.max(leftMs, 1000))}. Log in again with a fresh token to go on without a break.`
        : 'Your session has ended. Log in again with a fresh token.'}
    </Line>
  )
}

function subscribeOnline(listener: () => void) {
  window.addEventListener('online', listener)
  window.addEventListener('offline', listener)
  return () => {
    window.removeEventListener('online', listener)
    window.removeEventListener('offline', listener)
  }
}

function OfflineLine() {
  const isOnline = useSyncExternalStore(subscribeOnline, () => navigator.onLine)
  return isOnline ? null : (
    <Line>You are offline. What is loaded stays; new questions wait until you are back.</Line>
  )
}

function Line({ children }: { children: ReactNode }) {
  return (
    <p
      role="status"
      className="border-b border-line bg-warning-wash px-3 py-1 text-center text-ink"
    >
      {children}
    </p>
  )
}
