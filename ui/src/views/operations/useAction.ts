import { useMutation, useQueryClient } from '@tanstack/react-query'
import { showToast } from '@/components/toast'
import { change, type Params, type Row } from '@/lib/api'
import type { Json } from '@/lib/json'

interface Action {
  method: 'POST' | 'DELETE'
  path: string
  params?: Params
  body?: Json
  /** Message on success. */
  success: string | ((response: Row) => string)
}

/** A mutation on the server; reloads the operations lists afterwards. */
export function useAction(onSuccess?: (response: Row) => void) {
  const client = useQueryClient()
  return useMutation({
    mutationFn: ({ method, path, ...more }: Action) => change(method, path, more),
    onSuccess: (response, { success }) => {
      showToast(typeof success === 'string' ? success : success(response))
      void client.invalidateQueries({ queryKey: ['operations'] })
      onSuccess?.(response)
    },
    onError: (error) => showToast(error.message),
  })
}
