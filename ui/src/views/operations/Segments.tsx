import { Rows } from './rows'

const COLUMNS = [
  ['number', 'Segment'],
  ['class', 'Class'],
  ['state', 'State'],
  ['rows', 'Rows'],
  ['bytes', 'Size'],
  ['diskBytes', 'On disk'],
  ['minCreatedAt', 'Oldest record'],
  ['maxCreatedAt', 'Newest record'],
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
