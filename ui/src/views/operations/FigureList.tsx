import { cx } from '@/components/class'

export interface FigureShown {
  name: string
  value: string
  /** Words that put the figure into place. */
  note?: string | undefined
  tone?: 'calm' | 'good' | 'warning' | 'danger' | undefined
}

const TONES = {
  calm: '',
  good: 'text-accent',
  warning: 'text-level-warn',
  danger: 'text-danger',
}

/** Figures side by side; a colour only where something needs to be done, and never alone. */
export function FigureList({ figures, label }: { figures: FigureShown[]; label: string }) {
  return (
    <dl
      aria-label={label}
      className="mb-4 grid grid-cols-2 gap-px overflow-hidden rounded-lg border border-line bg-line sm:grid-cols-3 lg:grid-cols-[repeat(auto-fit,minmax(8rem,1fr))]"
    >
      {figures.map(({ name, value, note, tone = 'calm' }) => (
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

export function Part({ title, children }: { title: string; children: React.ReactNode }) {
  return (
    <section aria-label={title} className="mb-6">
      <h2 className="mb-1.5 font-semibold">{title}</h2>
      {children}
    </section>
  )
}
