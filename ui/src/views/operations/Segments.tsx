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
  ['isHold', 'Held only'],
] as const

/** Where the records lie: parts of one class each that close, are sealed, and go as a whole. */
export function Segments() {
  return (
    <>
      <p className="mb-3 max-w-prose text-ink-2">
        An open segment takes records. A closed one waits to be sealed: until then, words in it are
        found more slowly. Sealed ones never change, and go as a whole when their time is over.
      </p>
      <Rows
        path="/segments"
        what="Segments"
        caption="Segments"
        columns={COLUMNS}
        empty="No segments yet: nothing has been stored."
      />
    </>
  )
}
