/*
 * What a program sent, written as the records that the API should answer: ../python/account.py says
 * how. A BigInt is written as a number, for the times in nanoseconds.
 */
'use strict';

const LEVELS = ['DEBUG', 'DEBUG', 'INFO', 'WARN', 'ERROR', 'CRITICAL'];
const KINDS = ['INTERNAL', 'SERVER', 'CLIENT', 'PRODUCER', 'CONSUMER'];
const STATUSES = ['UNSET', 'OK', 'ERROR'];
const HAS_IS_REMOTE = 0x100;
const IS_REMOTE = 0x200;

/** Tell the test of one record. */
function report(record) {
  const text = JSON.stringify(record, (_, value) =>
    typeof value === 'bigint' ? `@@${value}@@` : value
  );
  process.stdout.write(text.replaceAll(/"@@(\d+)@@"/g, '$1') + '\n');
}

/** Nanoseconds of a [seconds, nanoseconds]. */
function ns([seconds, nanoseconds]) {
  return BigInt(seconds) * 1_000_000_000n + BigInt(nanoseconds);
}

/** A time as the API writes it. */
function rfc3339(time) {
  const nanoseconds = String(time[1]).padStart(9, '0');
  return `${new Date(time[0] * 1000).toISOString().slice(0, 19)}.${nanoseconds}Z`;
}

/** An attribute or body as JSON; JSON itself has no bytes, no NaN and no undefined. */
function plain(value) {
  if (value instanceof Uint8Array) return Buffer.from(value).toString('base64');
  if (Array.isArray(value)) return value.map(plain);
  if (value !== null && typeof value === 'object') {
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, plain(item)]));
  }
  return value === undefined ? null : value;
}

function recordOf(kind, service, attributes, scope) {
  return {
    kind,
    level: 'INFO',
    sourceModule: service,
    action: 'log',
    resourceId: null,
    resourceType: null,
    actorId: null,
    ipAddress: null,
    correlationId: null,
    traceId: null,
    spanId: null,
    parentSpanId: null,
    durationNs: null,
    metadata: {
      attributes: plain(attributes),
      resource: {},
      scope: { name: scope.name, version: scope.version ?? '' },
      body: null,
      span: null,
      exception: null,
      otel: {},
      redaction: [],
    },
  };
}

function exceptionOf(attributes) {
  const names = ['type', 'message', 'stacktrace'].filter((name) => `exception.${name}` in attributes);
  if (!names.length) return null;
  return Object.fromEntries(names.map((name) => [name, attributes[`exception.${name}`]]));
}

/** A log record; `fields` is what the rules of the mapping make of it, those of metadata inside. */
function logOf(service, scope, sent, spanContext, { metadata = {}, ...fields } = {}) {
  const record = recordOf('log', service, sent.attributes ?? {}, scope);
  const number = sent.severityNumber ?? 0;
  record.level = number ? LEVELS[Math.floor((number - 1) / 4)] : 'INFO';
  record.createdAt = rfc3339(sent.timestamp);
  const otel = { severity_number: number, observed_ns: ns(sent.observedTimestamp) };
  if (sent.severityText) otel.severity_text = sent.severityText;
  if (sent.eventName) record.action = otel.event_name = sent.eventName;
  if (spanContext) {
    Object.assign(record, { traceId: spanContext.traceId, spanId: spanContext.spanId });
    otel.flags = spanContext.traceFlags;
  }
  if (typeof sent.body === 'string') record.message = sent.body;
  else record.metadata.body = plain(sent.body);
  record.metadata.exception = exceptionOf(sent.attributes ?? {});
  Object.assign(record.metadata, metadata, { otel: { ...otel, ...metadata.otel } });
  return Object.assign(record, fields);
}

/** An ended span of the SDK, followed by the rows derived from its exceptions. */
function spansOf(service, span, { metadata = {}, ...fields } = {}) {
  const { traceId, spanId, traceFlags, traceState } = span.spanContext();
  const parent = span.parentSpanContext;
  const scope = span.instrumentationScope;
  const status = STATUSES[span.status.code];
  const duration = ns(span.endTime) - ns(span.startTime);
  const record = Object.assign(recordOf('span', service, span.attributes, scope), {
    createdAt: rfc3339(span.startTime),
    durationNs: duration,
    level: status === 'ERROR' ? 'ERROR' : 'INFO',
    action: span.name,
    message: `${span.name} ${status} ${(Number(duration) / 1e6).toFixed(1)} ms`,
    traceId,
    spanId,
    parentSpanId: parent ? parent.spanId : null,
  });
  if (status === 'ERROR') record.metadata.level_source = 'span_status';
  record.metadata.span = withoutEmpty({
    name: span.name,
    kind: KINDS[span.kind],
    status: withoutEmpty({ code: status, message: span.status.message }),
    start_ns: ns(span.startTime),
    end_ns: ns(span.endTime),
    flags: flagsOf(traceFlags, parent),
    trace_state: traceState?.serialize(),
    events: span.events.map((event) =>
      withoutEmpty({ name: event.name, time_ns: ns(event.time), attributes: plain(event.attributes) })
    ),
    links: span.links.map((link) =>
      withoutEmpty({
        trace_id: link.context.traceId,
        span_id: link.context.spanId,
        flags: flagsOf(link.context.traceFlags, link.context),
        attributes: plain(link.attributes),
      })
    ),
  });
  Object.assign(record.metadata, metadata);
  Object.assign(record, fields);
  const exceptions = span.events.filter((event) => event.name === 'exception');
  return [record, ...exceptions.map((event) => derivedOf(service, event, record, scope))];
}

function derivedOf(service, event, span, scope) {
  const record = recordOf('log', service, event.attributes, scope);
  const { actorId, ipAddress, correlationId, traceId, spanId } = span;
  Object.assign(record, { actorId, ipAddress, correlationId, traceId, spanId });
  Object.assign(record, {
    createdAt: rfc3339(event.time),
    level: 'ERROR',
    action: 'exception',
    message: `${event.attributes['exception.type']}: ${event.attributes['exception.message']}`,
  });
  Object.assign(record.metadata, {
    exception: exceptionOf(event.attributes),
    level_source: 'exception',
  });
  return record;
}

// opentelemetry-proto, SpanFlags: trace flags, then whether it is known and true that the parent
// (or the linked span) is remote.
function flagsOf(traceFlags, context) {
  return (traceFlags & 0xff) | HAS_IS_REMOTE | (context?.isRemote ? IS_REMOTE : 0);
}

function withoutEmpty(members) {
  const kept = Object.entries(members).filter(
    ([, value]) => value && (typeof value !== 'object' || Object.keys(value).length)
  );
  return Object.fromEntries(kept);
}

module.exports = { report, logOf, spansOf, plain };
