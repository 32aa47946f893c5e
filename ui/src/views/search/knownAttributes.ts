/** Attribute names seen in results, offered by completion and the column menu. */

import { useEffect } from 'react'
import { create } from 'zustand'
import type { LogRecord } from '@/lib/record'

export const useKnownAttributes = create<{ names: string[] }>()(() => ({ names: [] }))

const MAX_NAMES = 500
const SAMPLED_RECORDS = 200

/** Remember the attribute names of the first records of a result. */
export function useLearnAttributes(records: LogRecord[]): void {
  useEffect(() => {
    const { names } = useKnownAttributes.getState()
    const known = new Set(names)
    for (const record of records.slice(0, SAMPLED_RECORDS)) {
      for (const name of Object.keys(record.metadata.attributes)) known.add(name)
    }
    if (known.size !== names.length) {
      useKnownAttributes.setState({ names: [...known].sort().slice(0, MAX_NAMES) })
    }
  }, [records])
}
