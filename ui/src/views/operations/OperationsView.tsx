/** Operations of opslog itself: ingest, health, storage, retention, keys. */

import { buttonClass } from '@/components/button'
import { Notice } from '@/components/states'
import type { Permission } from '@/lib/api'
import { useSession } from '@/lib/session'
import { DeadLetters } from './DeadLetters'
import { Health } from './Health'
import { Holds } from './Holds'
import { Ingest } from './Ingest'
import { Keys } from './Keys'
import { Ledger } from './Ledger'
import { Redaction } from './Redaction'
import { Retention } from './Retention'
import { Segments } from './Segments'

interface Section {
  name: string
  title: string
  needs: Permission[]
  view: () => React.ReactNode
}

const SECTIONS: readonly Section[] = [
  { name: 'ingest', title: 'Ingest', needs: ['operations.read'], view: Ingest },
  { name: 'health', title: 'Health', needs: ['operations.read'], view: Health },
  { name: 'ledger', title: 'Ledger', needs: ['operations.read'], view: Ledger },
  { name: 'segments', title: 'Segments', needs: ['operations.read'], view: Segments },
  {
    name: 'retention',
    title: 'Retention',
    needs: ['operations.read', 'retention.manage'],
    view: Retention,
  },
  { name: 'holds', title: 'Holds', needs: ['holds.manage', 'operations.read'], view: Holds },
  { name: 'dead-letters', title: 'Dead letters', needs: ['operations.read'], view: DeadLetters },
  { name: 'redaction', title: 'Redaction', needs: ['redaction.test'], view: Redaction },
  { name: 'keys', title: 'Ingest keys', needs: ['keys.manage'], view: Keys },
]

export default function OperationsView({ path }: { path: string[] }) {
  const permissions = useSession((state) => state.session?.permissions) ?? []
  const sections = SECTIONS.filter(({ needs }) => needs.some((need) => permissions.includes(need)))
  const current = sections.find(({ name }) => name === path[1]) ?? sections[0]
  if (!current) {
    return (
      <Notice isPage title="Permission denied">
        Your role cannot access operations. Contact your opslog administrator.
      </Notice>
    )
  }
  return (
    <div className="flex min-h-0 flex-1 flex-col md:flex-row">
      <nav
        aria-label="Operations"
        className="flex shrink-0 gap-0.5 overflow-x-auto border-b border-line p-2 md:w-44 md:flex-col md:border-r md:border-b-0"
      >
        {sections.map(({ name, title }) => (
          <a
            key={name}
            href={`#/operations/${name}`}
            aria-current={name === current.name ? 'page' : undefined}
            className={buttonClass(
              'plain',
              `justify-start ${name === current.name ? 'bg-accent-wash text-accent' : ''}`,
            )}
          >
            {title}
          </a>
        ))}
      </nav>
      <div
        className="min-h-0 min-w-0 flex-1 overflow-auto p-3 sm:p-4"
        tabIndex={0}
        role="region"
        aria-label={current.title}
      >
        <h1 className="mb-3 text-base font-semibold">{current.title}</h1>
        <current.view key={current.name} />
      </div>
    </div>
  )
}
