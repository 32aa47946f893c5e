import { lazy, type ReactNode, Suspense, useEffect, useState, useSyncExternalStore } from 'react'
import { buttonClass, IconButton } from '@/components/button'
import { cx } from '@/components/class'
import { Mark, MoonIcon, SunIcon, UserIcon } from '@/components/icons'
import { Menu, MenuItem, MenuLabel, MenuRadio, MenuSeparator } from '@/components/menu'
import { go } from '@/lib/address'
import { type Theme, useActiveTheme, usePreferences } from '@/lib/preferences'
import { useSession } from '@/lib/session'
import { formatLength, zoneName } from '@/lib/time'
import { useLinks } from './links'
import { useShortcuts } from './shortcuts'

const Help = lazy(() => import('./Help'))
const Palette = lazy(() => import('./Palette'))

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
        Skip to main content
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
  const section =
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
            aria-current={link.name === section ? 'page' : undefined}
            className={buttonClass(
              'plain',
              cx('sm:text-sm max-sm:px-1.5', link.name === section && 'bg-accent-wash text-accent'),
            )}
          >
            {link.label}
          </a>
        ))}
      </nav>
      <span className="flex-1 sm:hidden" />
      <ZoneButton />
      <ThemeMenu />
      <IconButton
        label="Keyboard shortcuts"
        shortcut="?"
        onClick={onHelp}
        className="max-sm:hidden"
      >
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
      title="Time zone (Shift Z)"
      onClick={() => setZone(zone === 'utc' ? 'local' : 'utc')}
    >
      <span className="sr-only">Time zone: </span>
      <span className="truncate">{zone === 'utc' ? 'UTC' : zoneName('local')}</span>
    </button>
  )
}

function toggleTheme(): void {
  usePreferences.getState().setTheme(useActiveTheme.getState().isDark ? 'light' : 'dark')
}

const THEMES: readonly (readonly [Theme, string])[] = [
  ['system', 'System'],
  ['light', 'Light'],
  ['dark', 'Dark'],
]

function ThemeMenu() {
  const { theme, setTheme, zone, setZone } = usePreferences()
  const isDark = useActiveTheme((state) => state.isDark)
  return (
    <Menu
      label="Appearance"
      trigger={<IconButton label="Appearance">{isDark ? <MoonIcon /> : <SunIcon />}</IconButton>}
    >
      <MenuLabel>Theme</MenuLabel>
      <MenuRadio value={theme} options={THEMES} onChange={setTheme} />
      <MenuSeparator />
      <MenuLabel>Time zone</MenuLabel>
      <MenuRadio
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
  const { session, logOut } = useSession()
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
          Session expires {new Date(session.expiresAt).toLocaleString()}
        </div>
      </div>
      <MenuSeparator />
      <MenuItem onSelect={() => void logOut()}>Log out</MenuItem>
    </Menu>
  )
}

const WARN_BEFORE_MS = 10 * 60_000

/** Warns from ten minutes before the session ends, updated every 30 seconds. */
function SessionEnd() {
  const expiresAt = useSession((state) => state.session?.expiresAt)
  const [leftMs, setLeftMs] = useState(Number.POSITIVE_INFINITY)
  useEffect(() => {
    const update = () =>
      setLeftMs(expiresAt ? Date.parse(expiresAt) - Date.now() : Number.POSITIVE_INFINITY)
    update()
    const timer = setInterval(update, 30_000)
    return () => clearInterval(timer)
  }, [expiresAt])
  if (!(leftMs < WARN_BEFORE_MS)) return null
  return (
    <Banner>
      {leftMs > 0
        ? `Your session ends in ${formatLength(Math.max(leftMs, 1000))}. Log in with a new token to avoid an interruption.`
        : 'Your session has expired. Log in with a new token.'}
    </Banner>
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
    <Banner>
      You are offline. Loaded records stay available; new requests wait for the connection.
    </Banner>
  )
}

function Banner({ children }: { children: ReactNode }) {
  return (
    <p
      role="status"
      className="border-b border-line bg-warning-wash px-3 py-1 text-center text-ink"
    >
      {children}
    </p>
  )
}
