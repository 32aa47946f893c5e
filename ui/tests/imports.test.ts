import { expect, it } from 'vitest'

const SOURCES = import.meta.glob<string>('../src/**/*.{ts,tsx}', {
  query: '?raw',
  import: 'default',
  eager: true,
})
/** Static and lazy imports and re-exports; type-only imports count too. */
const IMPORT = /(?:\bfrom|\bimport)\s*\(?\s*'((?:\.|@\/)[^']+)'/g

function resolved(importer: string, target: string): string {
  const base = target.startsWith('@/')
    ? `../src/${target.slice(2)}`
    : new URL(target, `file:///tests/${importer}`).pathname.replace('/', '../')
  const path = [`${base}.ts`, `${base}.tsx`].find((file) => file in SOURCES)
  if (!path) throw new Error(`${importer} imports ${target}, which is not in src`)
  return path
}

function importsOf([path, source]: [string, string]): [string, string[]] {
  const targets = [...source.matchAll(IMPORT)].map((found) => found[1] ?? '')
  const modules = targets.filter((target) => !target.endsWith('.css'))
  return [path, modules.map((target) => resolved(path, target))]
}

/** The modules of one import cycle, or an empty list. */
function cycleIn(graph: ReadonlyMap<string, string[]>): string[] {
  const done = new Set<string>()
  const visit = (module: string, path: string[]): string[] => {
    const start = path.indexOf(module)
    if (start >= 0) return [...path.slice(start), module]
    if (done.has(module)) return []
    for (const target of graph.get(module) ?? []) {
      const cycle = visit(target, [...path, module])
      if (cycle.length) return cycle
    }
    done.add(module)
    return []
  }
  for (const module of graph.keys()) {
    const cycle = visit(module, [])
    if (cycle.length) return cycle
  }
  return []
}

it('the sources have no import cycle', () => {
  const graph = new Map(Object.entries(SOURCES).map(importsOf))

  expect([...graph.values()].flat().length).toBeGreaterThan(graph.size)
  expect(cycleIn(graph)).toEqual([])
})

it('a cycle is found', () => {
  const graph = new Map([
    ['a', ['b']],
    ['b', ['c', 'd']],
    ['c', []],
    ['d', ['b']],
  ])

  expect(cycleIn(graph)).toEqual(['b', 'd', 'b'])
  expect(cycleIn(new Map([['a', ['b']]]))).toEqual([])
})
