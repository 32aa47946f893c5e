import { useSyncExternalStore } from 'react'

function watch(query: string) {
  const list = window.matchMedia(query)
  return {
    subscribe: (listener: () => void) => {
      list.addEventListener('change', listener)
      return () => list.removeEventListener('change', listener)
    },
    read: () => list.matches,
  }
}

const narrow = watch('(max-width: 639px)')
const small = watch('(max-width: 767px)')
const medium = watch('(max-width: 1023px)')

/** Phone width: records take two lines, panels cover the list. */
export function useNarrow(): boolean {
  return useSyncExternalStore(narrow.subscribe, narrow.read)
}

/** Too narrow for the filter panel beside the list. */
export function useSmall(): boolean {
  return useSyncExternalStore(small.subscribe, small.read)
}

/** Too narrow for the record panel beside the list. */
export function useMedium(): boolean {
  return useSyncExternalStore(medium.subscribe, medium.read)
}
