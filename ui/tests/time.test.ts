import { describe, expect, it } from 'vitest'
import {
  describeRange,
  fixedRange,
  formatDuration,
  formatLength,
  formatOffset,
  formatTime,
  fromTyped,
  moved,
  nanoseconds,
  parseMoment,
  spanOf,
  widened,
} from '@/lib/time'

const NOW = Date.parse('2026-11-23T09:00:00Z')

describe('typed times', () => {
  it.each([
    ['now', NOW],
    ['-15m', NOW - 900_000],
    ['-1d', NOW - 86_400_000],
    ['2026-11-23T08:00:00Z', NOW - 3_600_000],
  ])('%s', (text, moment) => {
    expect(parseMoment(text, NOW)).toBe(moment)
  })

  it.each(['yesterday', '-1y', '1h', '2026-13-01T00:00:00Z'])('%s is invalid', (text) => {
    expect(parseMoment(text, NOW)).toBeNull()
  })

  it.each([
    ['-1h', '-1h'],
    [' now ', 'now'],
    ['2026-11-23', '2026-11-23T00:00:00.000Z'],
    ['2026-11-23 09:30', '2026-11-23T09:30:00.000Z'],
    ['2026-11-23 09:30:15.5', '2026-11-23T09:30:15.500Z'],
    ['2026-11-23T09:30:00+01:00', '2026-11-23T08:30:00.000Z'],
  ])('accepts %s', (typed, sent) => {
    expect(fromTyped(typed, 'utc')).toBe(sent)
  })

  it.each(['', 'noon', '23.11.2026', '2026-11-23 9:30'])('rejects %s', (typed) => {
    expect(fromTyped(typed, 'utc')).toBeNull()
  })
})

describe('ranges', () => {
  it('that end before they start are invalid', () => {
    expect(spanOf({ start: 'now', end: '-1h' }, NOW)).toBeNull()
  })

  it('become absolute for a link', () => {
    expect(fixedRange({ start: '-1h', end: 'now' }, NOW)).toEqual({
      start: '2026-11-23T08:00:00.000Z',
      end: '2026-11-23T09:00:00.000Z',
    })
  })

  it('move by half their length and widen to twice their length', () => {
    const range = { start: '2026-11-20T08:00:00.000Z', end: '2026-11-20T10:00:00.000Z' }

    expect(moved(range, -1)).toEqual({
      start: '2026-11-20T07:00:00.000Z',
      end: '2026-11-20T09:00:00.000Z',
    })
    const wide = spanOf(widened(range), NOW)
    expect((wide?.toMs ?? 0) - (wide?.fromMs ?? 0)).toBe(4 * 3_600_000)
  })

  it('have labels', () => {
    expect(describeRange({ start: '-1h', end: 'now' }, 'utc')).toBe('Last hour')
    expect(describeRange({ start: '-2h', end: '2026-11-23T09:00:00Z' }, 'utc')).toBe(
      '-2h to 2026-11-23 09:00:00',
    )
  })
})

describe('displayed times', () => {
  it('keep the nanoseconds', () => {
    expect(formatTime('2026-11-23T09:00:00.123456789Z', 'utc', 9)).toBe(
      '2026-11-23 09:00:00.123456789',
    )
    expect(formatTime('2026-11-23T09:00:00.1Z', 'utc', 0)).toBe('2026-11-23 09:00:00')
    expect(formatTime('not a time', 'utc')).toBe('not a time')
  })

  it('are exact as numbers', () => {
    expect(
      nanoseconds('2026-11-23T09:00:00.000000001Z') - nanoseconds('2026-11-23T09:00:00Z'),
    ).toBe(1n)
    expect(formatOffset('2026-11-23T09:00:00.000000001Z', '2026-11-23T09:00:00Z')).toBe('−1 ns')
  })

  it.each([
    [830, '830 ns'],
    [4200, '4.2 µs'],
    [17_000_000, '17 ms'],
    [999_600_000, '1000 ms'],
    [1_250_000_000, '1.25 s'],
    [125_000_000_000, '2 min 5 s'],
  ])('%i ns as %s', (ns, text) => {
    expect(formatDuration(ns)).toBe(text)
  })

  it('are durations in two parts at most', () => {
    expect(formatLength(400)).toBe('400 ms')
    expect(formatLength(93_784_000)).toBe('1 d 2 h')
    expect(formatLength(3_600_000)).toBe('1 h')
  })
})
