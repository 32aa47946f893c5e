/*
 * A shop that sends logs and traces by the OpenTelemetry SDK for Node. NodeSDK without arguments:
 * exporters, protocol and compression are up to the standard variables.
 */
'use strict';

const { context, createTraceState, SpanKind, SpanStatusCode, trace, TraceFlags } = require('@opentelemetry/api');
const { logs, SeverityNumber } = require('@opentelemetry/api-logs');
const { NodeSDK } = require('@opentelemetry/sdk-node');
const { randomBytes } = require('node:crypto');

const { report, logOf, spansOf } = require('./account.js');

const MANY = 1200; // more than two batches of the SDK (512)
const JSON_PROTOCOL = process.env.OTEL_EXPORTER_OTLP_PROTOCOL === 'http/json';
const SERVICE = process.env.OTEL_SERVICE_NAME;
const SCOPE = { name: 'shop.orders', version: '1.4.0' };

const accounts = [];
let clock = 0;

/** A time of its own for each record: Node's clock has milliseconds only. */
function now() {
  const ms = Date.now();
  clock += 1;
  return [Math.floor(ms / 1000), (ms % 1000) * 1_000_000 + (clock % 1_000_000)];
}

function emit(body, fields = {}, given = {}) {
  const timestamp = now();
  const sent = {
    timestamp,
    observedTimestamp: timestamp,
    severityNumber: SeverityNumber.INFO,
    body,
    ...given,
  };
  logs.getLogger(SCOPE.name, SCOPE.version).emit(sent);
  const { exception, ...rest } = sent;
  if (exception) {
    rest.attributes = {
      ...rest.attributes,
      'exception.type': exception.name,
      'exception.message': exception.message,
      'exception.stacktrace': exception.stack,
    };
  }
  accounts.push(logOf(SERVICE, SCOPE, rest, trace.getSpanContext(context.active()), fields));
}

function severities() {
  for (let number = 1; number <= 24; number += 1) {
    emit(`severity ${number}`, {}, { severityNumber: number, severityText: SeverityNumber[number] });
  }
  emit(
    'only the text error',
    { level: 'ERROR', metadata: { level_source: 'severity_text' } },
    { severityNumber: undefined, severityText: 'error' }
  );
}

function bodies() {
  emit('two lines\nand \u00e4\u4e16\u{1f680}\u2028 \u202eright to left\u202c, "quotes", \\ and \t');
  emit(true, { message: 'true' });
  emit(-42, { message: '-42' });
  emit(637.704, { message: '637.704' });
  emit(new Uint8Array([0, 1, 255]), { message: 'AAH/' });
  emit(['a', 1], { message: '["a", 1]' });
  emit({ message: 'of a map', n: 7, deep: { er: [1.5, false] } }, { message: 'of a map' });
}

function attributes() {
  const sent = {
    text: 'plain',
    empty: '',
    yes: true,
    no: false,
    zero: 0,
    'beyond.js': 2 ** 53 + 2,
    half: 0.5,
    whole: 5.0,
    negative: -17,
    texts: ['a', 'b'],
    bytes: new Uint8Array([0xde, 0xad]),
    nested: { map: { of: ['lists', { and: 1 }] } },
    '\u043a\u043b\u044e\u0447 \u00e9': '\u0437\u043d\u0430\u0447\u0435\u043d\u0438\u0435',
  };
  emit('every type', {}, { attributes: sent });
  // What JSON has no word for: this SDK writes NaN and Infinity as null, 1e300 as an integer.
  const odd = { nan: NaN, infinite: -Infinity, huge: 1e300 };
  const stored = JSON_PROTOCOL
    ? { nan: null, infinite: null, huge: 1e300 }
    : { nan: 'NaN', infinite: '-Infinity', huge: 1e300 };
  emit('odd numbers', { metadata: { attributes: stored } }, { attributes: odd });
  emit(
    'half a pair: \ud83d.',
    {
      message: 'half a pair: \ufffd.',
      metadata: {
        attributes: { halves: ['\ufffd', 'whole \u{1f680}'] },
        // Protobuf has no half pairs: there the SDK has replaced them.
        otel: JSON_PROTOCOL ? { replaced_characters: 2 } : {},
      },
    },
    { attributes: { halves: ['\ude80', 'whole \u{1f680}'] } }
  );
}

function subjects() {
  emit(
    'order placed',
    {
      resourceType: 'order',
      resourceId: 'o-17',
      actorId: 'u-42',
      ipAddress: '2001:db8::7',
      correlationId: '8a6d4b0e-0000-4000-8000-000000000001',
    },
    {
      eventName: 'order.placed',
      attributes: {
        'resource.type': 'order',
        'resource.id': 'o-17',
        'user.id': 'u-42',
        'client.address': '2001:db8::7',
        'correlation.id': '8a6d4b0e-0000-4000-8000-000000000001',
      },
    }
  );
  emit('refused', { action: 'exception' }, {
    severityNumber: SeverityNumber.ERROR,
    exception: new RangeError('too many items'),
  });
}

function many() {
  for (let n = 0; n < MANY; n += 1) {
    emit(`record ${n} of ${MANY}`, {}, { attributes: { n, half: n / 2 } });
  }
}

/** A trace with a remote parent, links, events, a failure, and logs within; its spans. */
function orders() {
  const tracer = trace.getTracer(SCOPE.name, SCOPE.version);
  const caller = trace.setSpanContext(context.active(), {
    traceId: randomBytes(16).toString('hex'),
    spanId: '00f067aa0ba902b7',
    traceFlags: TraceFlags.SAMPLED,
    traceState: createTraceState('vendor=value,other=1'),
    isRemote: true,
  });
  const server = tracer.startSpan(
    'POST /orders/12345',
    {
      kind: SpanKind.SERVER,
      attributes: {
        'user.id': 'u-42',
        'client.address': '203.0.113.9',
        'correlation.id': 'c-1',
        'resource.type': 'order',
        'resource.id': 'o-17',
        items: ['a', 'b'],
        total: 12.5,
      },
      links: [
        {
          context: {
            traceId: '000000000000000000000000000000a1',
            spanId: '00000000000000b2',
            traceFlags: TraceFlags.SAMPLED,
          },
          attributes: { why: 'retried', n: 2 },
        },
      ],
    },
    caller
  );
  const spans = [server];
  context.with(trace.setSpan(caller, server), () => {
    server.addEvent('cart.checked', { items: 3, ok: true });
    server.setStatus({ code: SpanStatusCode.OK });
    emit('inside the span', { actorId: 'u-42' }, { attributes: { 'user.id': 'u-42' } });
    for (const kind of [SpanKind.CLIENT, SpanKind.PRODUCER, SpanKind.CONSUMER, SpanKind.INTERNAL]) {
      const span = tracer.startSpan(`${SpanKind[kind].toLowerCase()} call`, { kind });
      span.end();
      spans.push(span);
    }
    tracer.startActiveSpan('charge card', (span) => {
      span.recordException(new TypeError('card terminal away'));
      span.setStatus({ code: SpanStatusCode.ERROR, message: 'not charged' });
      emit('card not charged', {}, { severityNumber: SeverityNumber.ERROR, severityText: 'ERROR' });
      span.end();
      spans.push(span);
    });
  });
  server.end();
  const root = tracer.startSpan('root of its own', { root: true });
  root.end();
  return [...spans, root];
}

async function main() {
  const sdk = new NodeSDK();
  sdk.start();
  severities();
  bodies();
  attributes();
  subjects();
  many();
  const spans = orders();
  await sdk.shutdown();
  for (const span of spans) {
    const ofServer = {
      action: 'POST /orders/{id}',
      actorId: 'u-42',
      ipAddress: '203.0.113.9',
      correlationId: 'c-1',
      resourceType: 'order',
      resourceId: 'o-17',
    };
    accounts.push(...spansOf(SERVICE, span, span.kind === SpanKind.SERVER ? ofServer : {}));
  }
  for (const record of accounts) {
    // Logs and spans share the resource; some of it is known only when the detectors are done.
    record.metadata.resource = spans[0].resource.attributes;
    report(record);
  }
}

main();
