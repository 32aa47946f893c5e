/** Pages of records, loaded as the user scrolls. */

import { type InfiniteData, useInfiniteQuery } from '@tanstack/react-query'
import { useCallback, useMemo, useState } from 'react'
import { type LogQuery, type Order, type RecordPage, type ResultNotice, search } from '@/lib/api'
import { type LogRecord, RecordPages } from '@/lib/record'

/** A small first page loads fast; the others have the maximum size. */
const FIRST_RECORDS = 200
const NEXT_RECORDS = 1000

export interface Records {
  records: LogRecord[]
  isLoading: boolean
  isLoadingMore: boolean
  isStale: boolean
  error: unknown
  notices: ResultNotice[]
  hasMore: boolean
  loadMore: () => void
  retry: () => void
}

type FetchPage = (
  cursor: string | undefined,
  limit: number,
  signal: AbortSignal,
) => Promise<RecordPage>

export function useSearch(query: LogQuery, order: Order, refreshKey: number): Records {
  return useRecordPages(['logs', query, order, refreshKey], (cursor, limit, signal) =>
    search(query, { order, limit, ...(cursor ? { cursor } : {}) }, signal),
  )
}

export function useRecordPages(key: unknown[], fetchPage: FetchPage): Records {
  const query = useInfiniteQuery({
    queryKey: key,
    queryFn: ({ pageParam, signal }) =>
      fetchPage(pageParam, pageParam ? NEXT_RECORDS : FIRST_RECORDS, signal),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (page: RecordPage) => page.nextCursor ?? undefined,
    placeholderData: (before: InfiniteData<RecordPage, string | undefined> | undefined) => before,
  })
  const { data, hasNextPage, isFetching, fetchNextPage, refetch } = query
  const [joined] = useState(() => new RecordPages())
  const records = useMemo(
    () => joined.join(data?.pages.map((page) => page.data) ?? []),
    [data, joined],
  )
  const loadMore = useCallback(() => {
    if (hasNextPage && !isFetching) void fetchNextPage()
  }, [hasNextPage, isFetching, fetchNextPage])
  return {
    records,
    isLoading: query.isPending,
    isLoadingMore: query.isFetchingNextPage,
    isStale: query.isPlaceholderData,
    error: query.error,
    notices: noticesOf(data?.pages ?? []),
    hasMore: hasNextPage,
    loadMore,
    retry: () => void refetch(),
  }
}

function noticesOf(pages: RecordPage[]): ResultNotice[] {
  const partial = pages.find((page) => page.partial)?.partial
  const notices = pages.flatMap((page) => page.notices ?? [])
  return partial ? [{ detail: partial.detail, change: null }, ...notices] : notices
}
