import { Component, type ComponentType, lazy, type ReactNode, Suspense, useEffect } from 'react'
import { ErrorNotice, Loading, Notice } from '@/components/states'
import { Toast } from '@/components/toast'
import { useRoute } from '@/lib/address'
import { useSession } from '@/lib/session'
import { LoginView } from '@/views/login/LoginView'
import { SearchView } from '@/views/search/SearchView'
import { Shell } from './Shell'

type View = ComponentType<{ path: string[] }>

interface Page {
  title: string
  view: View
}

/** First path segment → page. All pages but search are loaded on demand. */
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
      {(state === 'loggedOut' || state === 'unreachable') && <LoginView />}
      {state === 'loggedIn' && <Pages />}
      <Toast />
    </>
  )
}

function Pages() {
  const { path } = useRoute()
  const name = path[0] ?? 'search'
  const page = Object.hasOwn(PAGES, name) ? PAGES[name] : undefined
  useEffect(() => {
    document.title = page ? `${page.title} · opslog` : 'opslog'
  }, [page])
  return (
    <Shell current={name}>
      <ErrorBoundary key={name}>
        <Suspense fallback={<Loading what={page?.title ?? 'page'} />}>
          {page ? <page.view path={path} /> : <NotFound />}
        </Suspense>
      </ErrorBoundary>
    </Shell>
  )
}

function NotFound() {
  return (
    <Notice
      isPage
      title="Page not found"
      action={
        <a className="text-accent underline" href="#/search">
          Go to search
        </a>
      }
    >
      The link may be from another version of opslog.
    </Notice>
  )
}

/** Shows an error message when a page fails to render. */
class ErrorBoundary extends Component<{ children: ReactNode }, { error: unknown }> {
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
        what="this page"
        onRetry={() => window.location.reload()}
      />
    )
  }
}
