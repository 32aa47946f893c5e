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

/** A telephone's width: lines in two rows, panels over everything. */
export function useNarrow(): boolean {
  return useSyncExternalStore(narrow.subscribe, narrow.read)
}

/** No room for the values beside the lines. */
export function useSmall(): boolean {
  return useSyncExternalStore(small.subscribe, small.read)
}

/** Too narrow for a panel beside the lines. */
export function useMedium(): boolean {
  return useSyncExternalStore(medium.subscribe, medium.read)
}
