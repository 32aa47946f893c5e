import type { ReactNode } from 'react'
import { Report } from './Report'
import { Rows } from './rows'

const STATUS = [
  ['class', 'Class'],
  ['keep', 'Kept for'],
  ['rows', 'Records'],
  ['bytes', 'Size'],
  ['oldest', 'Oldest record'],
  ['dueAt', 'Goes next'],
  ['overdue', 'Overdue'],
] as const
const PLAN = [
  ['segment', 'Segment'],
  ['class', 'Class'],
  ['action', 'What'],
  ['goesAt', 'When'],
  ['rule', 'By the rule'],
  ['rows', 'Rows'],
  ['bytes', 'Size'],
] as const
const RUNS = [
  ['startedAt', 'Started'],
  ['kind', 'What'],
  ['outcome', 'Outcome'],
  ['segments', 'Segments'],
  ['rows', 'Rows'],
  ['bytes', 'Size'],
] as const

export function Retention() {
  return (
    <div className="flex flex-col gap-5">
      <Part title="What is kept, and the oldest of it">
        <Report
          path="/retention/status"
          what="The state of retention"
          columns={STATUS}
          empty="No classes yet."
        />
      </Part>
      <Part title="What goes next">
        <Report path="/retention/plan" what="The plan" columns={PLAN} empty="Nothing is due." />
      </Part>
      <Part title="What went">
        <Rows
          path="/retention/runs"
          what="The runs"
          caption="Runs"
          columns={RUNS}
          empty="No run has dropped anything yet."
        />
      </Part>
    </div>
  )
}

function Part({ title, children }: { title: string; children: ReactNode }) {
  return (
    <section>
      <h2 className="mb-1 font-semibold">{title}</h2>
      {children}
    </section>
  )
}
