/** Files made in the browser from what is loaded. */

import { formatJson, type Json } from './json'
import type { LogRecord } from './record'

type Form = 'txt' | 'json'

export function saveLines(records: LogRecord[], form: Form): void {
  const text = form === 'json' ? jsonOf(records) : records.map(lineOf).join('')
  const type = form === 'json' ? 'application/json' : 'text/plain'
  const link = document.createElement('a')
  link.href = URL.createObjectURL(new Blob([text], { type: `${type};charset=utf-8` }))
  link.download = `opslog-${new Date().toISOString().slice(0, 19).replaceAll(':', '')}Z.${form}`
  link.click()
  URL.revokeObjectURL(link.href)
}

export function recordJson(record: LogRecord, indent = 2): string {
  return formatJson(record as unknown as Json, indent)
}

function jsonOf(records: LogRecord[]): string {
  return `[${records.map((record) => recordJson(record, 0)).join(',\n')}]\n`
}

/** One record, one line: line breaks of the message must not look like further records. */
function lineOf({ createdAt, level, sourceModule, message }: LogRecord): string {
  return `${createdAt} ${level} ${sourceModule} ${message.replace(/[\r\n\u2028\u2029]+/g, '\\n')}\n`
}
