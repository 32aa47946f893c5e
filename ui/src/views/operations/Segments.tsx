import { Rows } from './rows'

const COLUMNS = [
  ['segment', 'Segment'],
  ['class', 'Class'],
  ['state', 'State'],
  ['rows', 'Rows'],
  ['bytes', 'Size'],
  ['oldest', 'Oldest'],
  ['newest', 'Newest'],
] as const

export function Segments() {
  return (
    <Rows
      path="/segments"
      what="Segments"
      caption="Segments"
      columns={COLUMNS}
      empty="No segments yet: nothing has been stored."
    />
  )
}
