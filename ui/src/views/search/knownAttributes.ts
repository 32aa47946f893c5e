/** Names of attributes that were seen in answers; completion and columns offer them. */

import { useEffect } from 'react'
import { create } from 'zustand'
import type { LogRecord } from '@/lib/record'

export const useKnownAttributes = create<{ names: string[] }>()(() => ({ names: [] }))

const MOST_NAMES = 500
const LOOKED_AT = 200

/** Remembers the attribute names of the first records of an answer. */
export function useLearnAttributes(records: LogRecord[]): void {
  useEffect(() => {
    const { names } = useKnownAttributes.getState()
    const known = new Set(names)
    for (const record of records.slice(0, LOOKED_AT)) {
      for (const name of Object.keys(record.metadata.attributes)) known.add(name)
    }
    if (known.size !== names.length) {
      useKnownAttributes.setState({ names: [...known].sort().slice(0, MOST_NAMES) })
    }
  }, [records])
}
