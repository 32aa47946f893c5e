import { useMutation, useQueryClient } from '@tanstack/react-query'
import { say } from '@/components/say'
import { change, type Query, type Row } from '@/lib/api'
import type { Json } from '@/lib/json'

export interface Deed {
  method: 'POST' | 'DELETE'
  path: string
  query?: Query
  body?: Json
  /** What is said when it is done. */
  done: string | ((answer: Row) => string)
}

/** Something that changes the server; the lists are read again afterwards. */
export function useDeed(onDone?: (answer: Row) => void) {
  const client = useQueryClient()
  return useMutation({
    mutationFn: ({ method, path, ...more }: Deed) => change(method, path, more),
    onSuccess: (answer, { done }) => {
      say(typeof done === 'string' ? done : done(answer))
      void client.invalidateQueries({ queryKey: ['operations'] })
      onDone?.(answer)
    },
    onError: (error) => say(error.message),
  })
}
