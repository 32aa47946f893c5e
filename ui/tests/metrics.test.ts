import { expect, it } from 'vitest'
import { sumsOf } from '@/lib/metrics'

const TEXT = `# HELP opslog_spool_bytes Bytes of spool files on disk.
# TYPE opslog_spool_bytes gauge
opslog_spool_bytes 1.969538e+06
opslog_otlp_records_total{signal="logs",note="a } b 7"} 3.0
opslog_otlp_records_total{signal="traces"} 4.0 1700000000
opslog_odd NaN
broken line
`

it('sums the samples of a name over its labels', () => {
  const sums = sumsOf(TEXT)

  expect(Object.fromEntries(sums)).toEqual({
    opslog_spool_bytes: 1_969_538,
    opslog_otlp_records_total: 7,
  })
})
