import { ErrorNotice, Loading } from '@/components/states'
import type { Row } from '@/lib/api'
import { formatBytes, formatCount, plural } from '@/lib/format'
import { isObject, type Json } from '@/lib/json'
import { usePreferences } from '@/lib/preferences'
import { formatTime } from '@/lib/time'
import { Rows, RowTable, useObject } from './rows'
import { Section, StatList } from './StatList'

const STATUS = [
  ['class', 'Class'],
  ['keep', 'Retention'],
  ['floor', 'Minimum'],
  ['rule', 'Rule'],
  ['rows', 'Records'],
  ['bytes', 'Size'],
  ['diskBytes', 'On disk'],
  ['segments', 'Segments'],
  ['heldSegments', 'Held'],
  ['oldest', 'Oldest arrival'],
  ['dueAt', 'Next expiry'],
  ['overdue', 'Overdue by'],
] as const
const PLAN = [
  ['segment', 'Segment'],
  ['class', 'Class'],
  ['effect', 'Action'],
  ['dueAt', 'Due'],
  ['rule', 'Rule'],
  ['rows', 'Records'],
  ['bytes', 'Size'],
  ['heldRows', 'Held'],
] as const
const RUNS = [
  ['startedAt', 'Started'],
  ['endedAt', 'Ended'],
  ['kind', 'Type'],
  ['trigger', 'Trigger'],
  ['outcome', 'Outcome'],
  ['segments', 'Segments'],
  ['rows', 'Records'],
  ['bytes', 'Size'],
  ['note', 'Note'],
] as const
const EFFECTS: Record<string, string> = {
  drop: 'delete',
  carry: 'delete, keep held records',
  keep: 'keep: all records are held',
}

export function Retention() {
  return (
    <>
      <Status />
      <Plan />
      <Section title="History">
        <Rows
          path="/retention/runs"
          what="the history"
          caption="History"
          columns={RUNS}
          empty="No retention runs yet."
        />
      </Section>
    </>
  )
}

function Status() {
  const zone = usePreferences((state) => state.zone)
  const { data, error, isPending, refetch } = useObject('/retention/status')
  if (isPending) return <Loading what="the retention status" />
  if (error)
    return <ErrorNotice error={error} what="the retention status" onRetry={() => void refetch()} />
  const backlog = isObject(data.backlog) ? data.backlog : {}
  const problems = arrayOf(data.problems).map(String)
  const late = arrayOf(data.data).filter((row) => isObject(row) && row.overdue)
  return (
    <Section title="Policy">
      {problems.map((text) => (
        <p key={text} role="alert" className="mb-2 text-danger">
          {text}
        </p>
      ))}
      <StatList
        label="Retention"
        stats={[
          {
            name: 'Last run',
            value: data.lastRun ? formatTime(String(data.lastRun), zone, 0) : 'never',
          },
          {
            name: 'Overdue',
            value: late.length ? plural(late.length, 'class', 'classes') : 'none',
            tone: late.length ? 'danger' : 'good',
          },
          {
            name: 'Waiting for packing',
            value: plural(Number(backlog.segments ?? 0), 'segment'),
            note: `${plural(Number(backlog.rows ?? 0), 'record')}, for ${formatCount(Math.round(Number(backlog.seconds ?? 0)))} s`,
          },
        ]}
      />
      <RowTable rows={arrayOf(data.data) as Row[]} caption="Policy by class" columns={STATUS} />
    </Section>
  )
}

function Plan() {
  const { data, error, isPending, refetch } = useObject('/retention/plan')
  if (isPending) return <Loading what="the plan" />
  if (error) return <ErrorNotice error={error} what="the plan" onRetry={() => void refetch()} />
  const steps = arrayOf(data.data)
    .filter(isObject)
    .map((step) => ({ ...step, effect: EFFECTS[String(step.action)] ?? String(step.action) }))
  const due = Number(data.segments ?? 0)
  return (
    <Section title="Due next">
      <p className="mb-2 text-ink-2">
        {due
          ? `The next run removes ${plural(due, 'segment')} with ${plural(Number(data.rows), 'record')} (${formatBytes(Number(data.bytes))}).`
          : 'Nothing is due at the next run.'}
      </p>
      {steps.length > 0 && <RowTable rows={steps} caption="Due next" columns={PLAN} />}
    </Section>
  )
}

function arrayOf(value: Json | undefined): Json[] {
  return Array.isArray(value) ? value : []
}
