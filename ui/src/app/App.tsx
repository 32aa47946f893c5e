import { Component, type ComponentType, lazy, type ReactNode, Suspense, useEffect } from 'react'
import { Said } from '@/components/say'
import { ErrorNotice, Loading, Notice } from '@/components/states'
import { usePlace } from '@/lib/address'
import { useSession } from '@/lib/session'
import { LoginView } from '@/views/login/LoginView'
import { SearchView } from '@/views/search/SearchView'
import { Shell } from './Shell'

type View = ComponentType<{ path: string[] }>

interface Page {
  title: string
  view: View
}

/** First step of the address → page. Only search comes with the first load. */
const PAGES: Record<string, Page> = {
  search: { title: 'Search', view: SearchView },
  record: { title: 'Record', view: lazy(() => import('@/views/record/RecordView')) },
  trace: { title: 'Trace', view: lazy(() => import('@/views/trace/TraceView')) },
  traces: { title: 'Traces', view: lazy(() => import('@/views/traces/TracesView')) },
  live: { title: 'Live tail', view: lazy(() => import('@/views/live/LiveView')) },
  timeline: { title: 'Timeline', view: lazy(() => import('@/views/timeline/TimelineView')) },
  stats: { title: 'Statistics', view: lazy(() => import('@/views/stats/StatsView')) },
  operations: {
    title: 'Operations',
    view: lazy(() => import('@/views/operations/OperationsView')),
  },
}

export function App() {
  const state = useSession((session) => session.state)
  return (
    <>
      {state === 'unknown' && <Loading what="opslog" />}
      {(state === 'out' || state === 'unreachable') && <LoginView />}
      {state === 'in' && <Inside />}
      <Said />
    </>
  )
}

function Inside() {
  const { path } = usePlace()
  const name = path[0] ?? 'search'
  const page = Object.hasOwn(PAGES, name) ? PAGES[name] : undefined
  useEffect(() => {
    document.title = page ? `${page.title} · opslog` : 'opslog'
  }, [page])
  return (
    <Shell current={name}>
      <Boundary key={name}>
        <Suspense fallback={<Loading what={page?.title ?? 'page'} />}>
          {page ? <page.view path={path} /> : <NoSuchPage />}
        </Suspense>
      </Boundary>
    </Shell>
  )
}

function NoSuchPage() {
  return (
    <Notice
      isPage
      title="There is no such page"
      action={
        <a className="text-accent underline" href="#/search">
          Go to search
        </a>
      }
    >
      The address may be from another version of opslog.
    </Notice>
  )
}

/** Shows what went wrong in a page, instead of an empty window. */
class Boundary extends Component<{ children: ReactNode }, { error: unknown }> {
  override state: { error: unknown } = { error: null }

  static getDerivedStateFromError(error: unknown) {
    return { error }
  }

  override render() {
    if (this.state.error === null) return this.props.children
    return (
      <ErrorNotice
        isPage
        error={this.state.error}
        what="This page"
        onRetry={() => window.location.reload()}
      />
    )
  }
}
