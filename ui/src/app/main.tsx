import { QueryClient, QueryClientProvider } from '@tanstack/react-query'
import { StrictMode } from 'react'
import { createRoot } from 'react-dom/client'
import { ApiError } from '@/lib/api'
import { followTheme } from '@/lib/preferences'
import { useSession } from '@/lib/session'
import { App } from './App'
import './styles.css'

const MAX_RETRIES = 2

/** Retry requests that failed in transit or were rejected for load, but no other errors. */
function mayRetry(failures: number, error: unknown): boolean {
  return failures < MAX_RETRIES && error instanceof ApiError && [0, 429, 503].includes(error.status)
}

const client = new QueryClient({
  defaultOptions: {
    queries: {
      staleTime: Number.POSITIVE_INFINITY,
      gcTime: 120_000,
      refetchOnWindowFocus: false,
      refetchOnReconnect: (query) => query.state.status === 'error',
      retry: mayRetry,
      // Records never change; comparing pages deeply would only cost time.
      structuralSharing: false,
    },
  },
})

followTheme()
void useSession.getState().start()
const root = document.getElementById('root')
if (root) {
  createRoot(root).render(
    <StrictMode>
      <QueryClientProvider client={client}>
        <App />
      </QueryClientProvider>
    </StrictMode>,
  )
}
