// node scripts/same.mjs BUILT COMMITTED: fail and list the files when the two builds differ.
// Brotli output may depend on the Node version, so .br files are compared by content.
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { join, relative } from 'node:path'
import { brotliDecompressSync } from 'node:zlib'

const [built, committed] = process.argv.slice(2)

function filesUnder(folder, top = folder) {
  return readdirSync(folder).flatMap((name) => {
    const path = join(folder, name)
    return statSync(path).isDirectory() ? filesUnder(path, top) : [relative(top, path)]
  })
}

function isSame(name) {
  const [left, right] = [built, committed].map((folder) => join(folder, name))
  if (!existsSync(left) || !existsSync(right)) return false
  const content = (path) =>
    name.endsWith('.br') ? brotliDecompressSync(readFileSync(path)) : readFileSync(path)
  return content(left).equals(content(right))
}

const names = [...new Set([built, committed].flatMap((folder) => filesUnder(folder)))].sort()
const differing = names.filter((name) => !isSame(name))
if (names.length === 0 || differing.length > 0) {
  console.error('query/static is not the build of ui/. Differing files:')
  for (const name of differing) console.error(`  ${name}`)
  console.error('Rebuild and commit: (cd ui && npm ci && npm run build) && git add query/static')
  process.exit(1)
}
