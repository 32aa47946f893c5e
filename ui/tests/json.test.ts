import { describe, expect, it } from 'vitest'
import { ExactNumber, formatJson, type JsonObject, parseJson } from '@/lib/json'

describe('numbers', () => {
  it.each([
    '9007199254740993',
    '-9223372036854775808',
    '18446744073709551615',
    '0.12345678901234567890',
    '123456789.123456789',
  ])('keeps every digit of %s', (text) => {
    const value = parseJson(`{"n": ${text}}`) as JsonObject

    expect(value.n).toBeInstanceOf(ExactNumber)
    expect(String(value.n)).toBe(text)
    expect(formatJson(value)).toBe(`{"n":${text}}`)
  })

  it.each([
    ['9007199254740991', 9007199254740991],
    ['0', 0],
    ['-12.5', -12.5],
    ['1.50', 1.5],
    ['1e3', 1000],
  ])('parses %s as a number', (text, number) => {
    expect(parseJson(`[${text}, 1234567890123456789]`)).toEqual([
      number,
      new ExactNumber('1234567890123456789'),
    ])
  })
})

describe('everything else is parsed like JSON.parse', () => {
  it.each([
    '{}',
    '[]',
    'null',
    '{"a":[1,{"b":null}],"c":true,"d":false}',
    '"\\u00e9 \\"quoted\\" \\\\ end\\n"',
    '{"text":"9007199254740993"}',
    ' { "spaced" : [ ] } ',
  ])('%s', (text) => {
    const wrapped = `[${text},1234567890123456789]`

    expect((parseJson(wrapped) as unknown[])[0]).toEqual(JSON.parse(text))
  })

  it.each(['', '{', '[1,]', '{"a" 1}', '01', '"open', '[1] 2', 'nul', "{'a':1}"])(
    'rejects %s',
    (text) => {
      expect(() => parseJson(text)).toThrow(SyntaxError)
      expect(() => parseJson(`[1234567890123456789,${text}`)).toThrow(SyntaxError)
    },
  )

  it('does not let a key change the prototype', () => {
    const value = parseJson('{"__proto__": {"bad": 1}, "n": 1234567890123456789}') as JsonObject

    expect(Object.getPrototypeOf(value)).toBe(Object.prototype)
    expect((value as { bad?: unknown }).bad).toBeUndefined()
    expect(formatJson(value)).toContain('"__proto__":{"bad":1}')
  })

  it('rejects a depth that would overflow the stack', () => {
    expect(() => parseJson(`${'['.repeat(5000)}1234567890123456789`)).toThrow(SyntaxError)
  })
})

it.each([
  '{"a":"x:1234567890123456789, y","n":1234567890123456789}',
  '{"a":"[1234567890123456789]","n":[1234567890123456789]}',
  '{"a\\":1234567890123456789,\\"b":1,"n":1234567890123456789}',
  '{"a":"#abc:1","n":1234567890123456789}',
])('distinguishes numbers from digits inside strings: %s', (text) => {
  expect(formatJson(parseJson(text))).toBe(text)
})

it('indents', () => {
  expect(formatJson({ a: [1, 2], b: {}, c: [] }, 2)).toBe(
    JSON.stringify({ a: [1, 2], b: {}, c: [] }, null, 2),
  )
})
