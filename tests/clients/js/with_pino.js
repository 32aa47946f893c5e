/* A program that logs through pino, whose transport has an SDK of its own in a worker thread. */
'use strict';

const { randomBytes } = require('node:crypto');
const pino = require('pino');

const { report, logOf } = require('./account.js');

const SERVICE = process.env.OTEL_SERVICE_NAME;
const SCOPE = { name: 'shop', version: '1.4.0' };
const NUMBERS = { trace: 1, debug: 5, info: 9, warn: 13, error: 17, fatal: 21 };
const SPAN = {
  traceId: randomBytes(16).toString('hex'),
  spanId: randomBytes(8).toString('hex'),
  traceFlags: 1,
};

let ms = Date.now();

function account(level, message, attributes, spanContext, fields) {
  const sent = {
    timestamp: [Math.floor(ms / 1000), (ms % 1000) * 1_000_000],
    observedTimestamp: [0, 0],
    severityNumber: NUMBERS[level],
    severityText: level,
    body: message,
    attributes,
  };
  const record = logOf(SERVICE, SCOPE, sent, spanContext, fields);
  const since = BigInt(Date.now()) * 1_000_000n;
  // The worker observes the record when it gets it.
  record.metadata.otel.observed_ns = { $between: [since, since + 20_000_000_000n] };
  record.metadata.resource = {
    'service.name': SERVICE,
    ...Object.fromEntries(
      process.env.OTEL_RESOURCE_ATTRIBUTES.split(',').map((pair) => pair.split('='))
    ),
  };
  report(record);
}

const transport = pino.transport({
  target: 'pino-opentelemetry-transport',
  options: { loggerName: SCOPE.name, serviceVersion: SCOPE.version },
});
const logger = pino({ level: 'trace', timestamp: () => `,"time":${ms}` }, transport);

for (const level of Object.keys(NUMBERS)) {
  ms += 1;
  account(level, `level ${level}`, { n: 1, half: 0.5, ok: true, nested: { deep: ['a', 1] } });
  logger[level]({ n: 1, half: 0.5, ok: true, nested: { deep: ['a', 1] } }, `level ${level}`);
}
ms += 1;
account('info', 'inside a span', { 'user.id': 'u-42' }, SPAN, { actorId: 'u-42' });
logger.info(
  { 'user.id': 'u-42', trace_id: SPAN.traceId, span_id: SPAN.spanId, trace_flags: SPAN.traceFlags },
  'inside a span'
);
transport.end();
