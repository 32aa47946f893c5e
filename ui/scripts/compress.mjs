// node scripts/compress.mjs [BUILD]: write a .br and a .gz file for every built file, so that the
// server never compresses static files.
// gzip comes from fflate, in plain JavaScript: the output of zlib depends on the processor.
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { brotliCompressSync, constants } from 'node:zlib'
import { gzipSync } from 'fflate'

const BUILD = process.argv[2] ?? new URL('../../query/static', import.meta.url).pathname
const BROTLI = {
  params: { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_LGWIN]: 22 },
}

function filesUnder(folder) {
  return readdirSync(folder)
    .sort()
    .flatMap((name) => {
      const path = join(folder, name)
      return statSync(path).isDirectory() ? filesUnder(path) : [path]
    })
}

for (const path of filesUnder(BUILD)) {
  if (/\.(br|gz)$/.test(path)) continue
  const plain = readFileSync(path)
  writeFileSync(`${path}.gz`, gzipSync(plain, { level: 9, mtime: 0 }))
  writeFileSync(`${path}.br`, brotliCompressSync(plain, BROTLI))
}
