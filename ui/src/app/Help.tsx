import { Dialog } from '@/components/dialog'
import { SHORTCUTS } from './shortcuts'

const EXAMPLES: readonly (readonly [string, string])[] = [
  ['timeout', 'word or part of a word in the message'],
  ['"card refused"', 'exact phrase'],
  ['timeout -retry', 'exclude a word'],
  ['level:ERROR OR level:CRITICAL', 'either one'],
  ['level:>=WARN', 'this level or higher'],
  ['sourceModule:checkout', 'record field'],
  ['http.route:"/orders/{id}"', 'attribute'],
  ['durationNs:>1000000000', 'longer than one second'],
  ['action:payment.*', 'prefix'],
  ['/order o-\\d+ failed/', 'regular expression'],
]

export default function Help({ onClose }: { onClose: () => void }) {
  return (
    <Dialog title="Keyboard shortcuts" open onClose={onClose} wide>
      <div className="grid gap-x-8 gap-y-4 sm:grid-cols-2">
        {SHORTCUTS.map((group) => (
          <section key={group.title}>
            <h3 className="mb-1 font-semibold">{group.title}</h3>
            <dl className="grid grid-cols-[auto_1fr] gap-x-3 gap-y-1">
              {group.shortcuts.map(({ keys, text }) => (
                <div key={keys} className="contents">
                  <dt className="flex gap-1">
                    {keys.split(/\s+/).map((key) => (
                      <kbd
                        key={key}
                        className="min-w-5 rounded border border-line-strong bg-wash px-1 text-center font-mono text-2xs"
                      >
                        {key}
                      </kbd>
                    ))}
                  </dt>
                  <dd className="text-ink-2">{text}</dd>
                </div>
              ))}
            </dl>
          </section>
        ))}
      </div>
      <h3 className="mt-5 mb-1 font-semibold">Query syntax</h3>
      <dl className="grid gap-x-4 gap-y-1 sm:grid-cols-[auto_1fr]">
        {EXAMPLES.map(([query, meaning]) => (
          <div key={query} className="contents">
            <dt>
              <a
                className="font-mono text-xs text-accent hover:underline"
                href={`#/search?q=${encodeURIComponent(query)}`}
                onClick={onClose}
              >
                {query}
              </a>
            </dt>
            <dd className="text-ink-2">{meaning}</dd>
          </div>
        ))}
      </dl>
    </Dialog>
  )
}
