// node scripts/same.mjs MADE COMMITTED: fails, with names and advice, when the two builds differ.
// Brotli's bytes may change with the version of Node, so .br files are compared by what is in them.
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { join, relative } from 'node:path'
import { brotliDecompressSync } from 'node:zlib'

const [made, committed] = process.argv.slice(2)

function filesUnder(folder, top = folder) {
  return readdirSync(folder).flatMap((name) => {
    const path = join(folder, name)
    return statSync(path).isDirectory() ? filesUnder(path, top) : [relative(top, path)]
  })
}

function isSame(name) {
  const [left, right] = [made, committed].map((folder) => join(folder, name))
  if (!existsSync(left) || !existsSync(right)) return false
  const content = (path) =>
    name.endsWith('.br') ? brotliDecompressSync(readFileSync(path)) : readFileSync(path)
  return content(left).equals(content(right))
}

const names = [...new Set([made, committed].flatMap((folder) => filesUnder(folder)))].sort()
const differing = names.filter((name) => !isSame(name))
if (names.length === 0 || differing.length > 0) {
  console.error('query/static is not what ui/ makes. Differing files:')
  for (const name of differing) console.error(`  ${name}`)
  console.error('Build and commit it: (cd ui && npm ci && npm run build) && git add query/static')
  process.exit(1)
}
