import { Rows } from './rows'

const COLUMNS = [
  ['number', 'Segment'],
  ['class', 'Class'],
  ['state', 'State'],
  ['rows', 'Records'],
  ['bytes', 'Size'],
  ['diskBytes', 'On disk'],
  ['oldestArrival', 'First arrival'],
  ['newestArrival', 'Last arrival'],
  ['minCreatedAt', 'Oldest record'],
  ['maxCreatedAt', 'Newest record'],
  ['isHold', 'Held records only'],
] as const

/** Segments: units of storage with records of one class; they are closed, packed and removed as a whole. */
export function Segments() {
  return (
    <>
      <p className="mb-3 max-w-prose text-ink-2">
        Open segments receive records. Closed segments wait for packing; they need ten times the
        disk space until then. Packs are immutable files and are removed as a whole when they
        expire.
      </p>
      <Rows
        path="/segments"
        what="segments"
        caption="Segments"
        columns={COLUMNS}
        empty="No segments yet. No records have been stored."
      />
    </>
  )
}
