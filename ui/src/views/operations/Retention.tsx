import { ErrorNotice, Loading } from '@/components/states'
import type { Row } from '@/lib/api'
import { formatBytes, formatCount, plural } from '@/lib/format'
import { isObject, type Json } from '@/lib/json'
import { usePreferences } from '@/lib/preferences'
import { formatTime } from '@/lib/time'
import { FigureList, Part } from './FigureList'
import { Rows, RowTable, useObject } from './rows'

const STATUS = [
  ['class', 'Class'],
  ['keep', 'Kept for'],
  ['floor', 'At least'],
  ['rule', 'By the rule'],
  ['rows', 'Records'],
  ['bytes', 'Size'],
  ['diskBytes', 'On disk'],
  ['segments', 'Segments'],
  ['heldSegments', 'Held'],
  ['oldest', 'Oldest arrival'],
  ['dueAt', 'Next to go'],
  ['overdue', 'Overdue by'],
] as const
const PLAN = [
  ['segment', 'Segment'],
  ['class', 'Class'],
  ['does', 'What'],
  ['goesAt', 'When'],
  ['rule', 'By the rule'],
  ['rows', 'Records'],
  ['bytes', 'Size'],
  ['heldRows', 'Held'],
] as const
const RUNS = [
  ['startedAt', 'Started'],
  ['endedAt', 'Ended'],
  ['kind', 'What'],
  ['askedBy', 'Asked by'],
  ['outcome', 'Outcome'],
  ['segments', 'Segments'],
  ['rows', 'Records'],
  ['bytes', 'Size'],
  ['note', 'Note'],
] as const
const DOES: Record<string, string> = {
  drop: 'goes',
  carry: 'goes, held records stay',
  keep: 'stays: all of it is held',
}

export function Retention() {
  return (
    <>
      <Status />
      <Plan />
      <Part title="What went">
        <Rows
          path="/retention/runs"
          what="The runs"
          caption="Runs"
          columns={RUNS}
          empty="No run has dropped anything yet."
        />
      </Part>
    </>
  )
}

function Status() {
  const zone = usePreferences((state) => state.zone)
  const { data, error, isPending, refetch } = useObject('/retention/status')
  if (isPending) return <Loading what="the state of retention" />
  if (error)
    return (
      <ErrorNotice error={error} what="The state of retention" onRetry={() => void refetch()} />
    )
  const backlog = isObject(data.backlog) ? data.backlog : {}
  const problems = rowsIn(data.problems).map(String)
  const late = rowsIn(data.data).filter((row) => isObject(row) && row.overdue)
  return (
    <Part title="What is kept">
      {problems.map((words) => (
        <p key={words} role="alert" className="mb-2 text-danger">
          {words}
        </p>
      ))}
      <FigureList
        label="Retention"
        figures={[
          {
            name: 'Last run',
            value: data.lastRun ? formatTime(String(data.lastRun), zone, 0) : 'none yet',
          },
          {
            name: 'Overdue',
            value: late.length ? plural(late.length, 'class', 'classes') : 'nothing',
            tone: late.length ? 'danger' : 'good',
          },
          {
            name: 'Waiting to be sealed',
            value: plural(Number(backlog.segments ?? 0), 'segment'),
            note: `${plural(Number(backlog.rows ?? 0), 'record')}, for ${formatCount(Math.round(Number(backlog.seconds ?? 0)))} s`,
          },
        ]}
      />
      <RowTable
        rows={rowsIn(data.data) as Row[]}
        caption="What is kept, by class"
        columns={STATUS}
      />
    </Part>
  )
}

function Plan() {
  const { data, error, isPending, refetch } = useObject('/retention/plan')
  if (isPending) return <Loading what="the plan" />
  if (error) return <ErrorNotice error={error} what="The plan" onRetry={() => void refetch()} />
  const steps = rowsIn(data.data)
    .filter(isObject)
    .map((step) => ({ ...step, does: DOES[String(step.action)] ?? String(step.action) }))
  const due = Number(data.segments ?? 0)
  return (
    <Part title="What goes next">
      <p className="mb-2 text-ink-2">
        {due
          ? `The next run takes ${plural(due, 'segment')} with ${plural(Number(data.rows), 'record')} (${formatBytes(Number(data.bytes))}).`
          : 'Nothing is due at the next run.'}
      </p>
      {steps.length > 0 && <RowTable rows={steps} caption="Plan" columns={PLAN} />}
    </Part>
  )
}

function rowsIn(value: Json | undefined): Json[] {
  return Array.isArray(value) ? value : []
}
