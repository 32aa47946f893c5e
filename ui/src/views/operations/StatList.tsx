import { cx } from '@/components/class'

export interface Stat {
  name: string
  value: string
  /** Additional explanation. */
  note?: string | undefined
  tone?: 'calm' | 'good' | 'warning' | 'danger' | undefined
}

const TONES = {
  calm: '',
  good: 'text-accent',
  warning: 'text-level-warn',
  danger: 'text-danger',
}

/** Numbers side by side; colour marks those that need attention, never as the only sign. */
export function StatList({ stats, label }: { stats: Stat[]; label: string }) {
  return (
    <dl
      aria-label={label}
      className="mb-4 grid grid-cols-2 gap-px overflow-hidden rounded-lg border border-line bg-line sm:grid-cols-3 lg:grid-cols-[repeat(auto-fit,minmax(8rem,1fr))]"
    >
      {stats.map(({ name, value, note, tone = 'calm' }) => (
        <div key={name} className="bg-sheet px-3 py-2">
          <dt className="text-xs text-ink-2">{name}</dt>
          <dd className={cx('text-base font-semibold', TONES[tone])}>
            {value}
            {note && <span className="block text-2xs font-normal text-ink-3">{note}</span>}
          </dd>
        </div>
      ))}
    </dl>
  )
}

export function Section({ title, children }: { title: string; children: React.ReactNode }) {
  return (
    <section aria-label={title} className="mb-6">
      <h2 className="mb-1.5 font-semibold">{title}</h2>
      {children}
    </section>
  )
}
