/** Downloads of the loaded records, generated in the browser. */

import { formatJson, type Json } from './json'
import type { LogRecord } from './record'

type Format = 'txt' | 'json'

export function saveRecords(records: LogRecord[], format: Format): void {
  const text = format === 'json' ? jsonOf(records) : records.map(lineOf).join('')
  const type = format === 'json' ? 'application/json' : 'text/plain'
  const link = document.createElement('a')
  link.href = URL.createObjectURL(new Blob([text], { type: `${type};charset=utf-8` }))
  link.download = `opslog-${new Date().toISOString().slice(0, 19).replaceAll(':', '')}Z.${format}`
  link.click()
  URL.revokeObjectURL(link.href)
}

export function recordJson(record: LogRecord, indent = 2): string {
  return formatJson(record as unknown as Json, indent)
}

function jsonOf(records: LogRecord[]): string {
  return `[${records.map((record) => recordJson(record, 0)).join(',\n')}]\n`
}

/** One line per record: escape line breaks in messages, so that they cannot forge records. */
function lineOf({ createdAt, level, sourceModule, message }: LogRecord): string {
  return `${createdAt} ${level} ${sourceModule} ${message.replace(/[\r\n\u2028\u2029]+/g, '\\n')}\n`
}
