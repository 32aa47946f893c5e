/* A program that logs through winston, with the transport of OpenTelemetry. */
'use strict';

const { trace } = require('@opentelemetry/api');
const { OpenTelemetryTransportV3 } = require('@opentelemetry/winston-transport');
const { version } = require('@opentelemetry/winston-transport/package.json');
const { NodeSDK } = require('@opentelemetry/sdk-node');
const winston = require('winston');

const { report, logOf, spansOf } = require('./account.js');

const SERVICE = process.env.OTEL_SERVICE_NAME;
const SCOPE = { name: '@opentelemetry/winston-transport', version };
// What the transport makes of winston's own levels.
const NUMBERS = { error: 17, warn: 13, info: 9, http: 7, verbose: 6, debug: 5, silly: 1 };

const accounts = [];

/** The transport leaves the time to the SDK, which takes the millisecond. */
function account(level, message, attributes, spanContext, fields = {}) {
  const sent = {
    timestamp: [0, 0],
    observedTimestamp: [0, 0],
    severityNumber: NUMBERS[level],
    severityText: level,
    body: message,
    attributes,
  };
  const record = logOf(SERVICE, SCOPE, sent, spanContext, fields);
  const since = BigInt(Date.now()) * 1_000_000n;
  const between = { $between: [since, since + 5_000_000_000n] };
  record.createdAt = between;
  record.metadata.otel.observed_ns = between;
  accounts.push(record);
}

async function main() {
  const sdk = new NodeSDK();
  sdk.start();
  const logger = winston.createLogger({
    level: 'silly',
    transports: [new OpenTelemetryTransportV3()],
  });

  for (const level of Object.keys(NUMBERS)) {
    account(level, `level ${level}`, { n: 1, half: 0.5, ok: true, nested: { deep: ['a', 1] } });
    logger.log(level, `level ${level}`, { n: 1, half: 0.5, ok: true, nested: { deep: ['a', 1] } });
  }
  const error = new RangeError('too many items');
  account(
    'error',
    'refused',
    {
      'user.id': 'u-42',
      'exception.type': 'RangeError',
      'exception.message': 'too many items',
      'exception.stacktrace': error.stack,
    },
    undefined,
    { actorId: 'u-42', action: 'exception' }
  );
  logger.error('refused', { 'user.id': 'u-42', err: error });
  const span = trace.getTracer('shop').startSpan('order');
  span.end();

  await new Promise((resolve) => {
    logger.on('finish', resolve);
    logger.end();
  });
  await sdk.shutdown();
  for (const record of [...accounts, ...spansOf(SERVICE, span)]) {
    record.metadata.resource = span.resource.attributes;
    report(record);
  }
}

main();
