import { describe, expect, it } from 'vitest'
import {
  caretTerm,
  filterState,
  hitPattern,
  named,
  quoted,
  toggleFilter,
  tokens,
  withoutField,
} from '@/lib/language'

describe('tokens', () => {
  it('distinguish words, phrases, fields, operators and parentheses', () => {
    const found = tokens(
      '(level:ERROR OR -"card refused") /o-\\d+/ http.route:"/x y" -retry durationNs:>10',
    )

    expect(found.filter(({ type }) => type !== 'space').map(({ type }) => type)).toEqual([
      'parenthesis',
      'field',
      'operator',
      'phrase',
      'parenthesis',
      'regex',
      'field',
      'word',
      'field',
    ])
  })

  it.each(['', '"open', 'a:"open', '((', '-', ':', 'ü:ß', 'http://x/y', '"\\'])(
    'cover all of %s',
    (text) => {
      expect(
        tokens(text)
          .map((token) => token.text)
          .join(''),
      ).toBe(text)
    },
  )
})

it('URLs and times of day are words; a regular expression may ignore case', () => {
  const found = tokens('https://shop.example 12:30 /x/i action:/y/i')

  expect(found.filter(({ type }) => type !== 'space').map(({ type }) => type)).toEqual([
    'word',
    'word',
    'regex',
    'field',
  ])
})

it.each([
  ['attr.http.route', 'attr.http.route'],
  ['attr.größe', 'attr.größe'],
  ['attr.<b>', 'attr."<b>"'],
  ['attr.a b', 'attr."a b"'],
  ['a:"b"', '"a:\\"b\\""'],
  ['12', '"12"'],
])('the field %s is written %s', (name, expected) => {
  expect(named(name)).toBe(expected)
  expect(tokens(`${expected}:x`)).toMatchObject([{ type: 'field', field: name, value: 'x' }])
  expect(toggleFilter(toggleFilter('', name, 'x y', 'for'), name, 'x y', 'for')).toBe('')
})

describe('a filter', () => {
  it('is added, inverted and removed again', () => {
    const filtered = toggleFilter('timeout', 'sourceModule', 'checkout', 'for')

    expect(filtered).toBe('timeout sourceModule:checkout')
    expect(filterState(filtered, 'sourceModule', 'checkout')).toBe('for')
    expect(toggleFilter(filtered, 'sourceModule', 'checkout', 'for')).toBe('timeout')
    expect(toggleFilter(filtered, 'sourceModule', 'checkout', 'out')).toBe(
      'timeout -sourceModule:checkout',
    )
  })

  it('keeps the meaning of a top-level OR', () => {
    expect(toggleFilter('a OR b', 'level', 'ERROR', 'for')).toBe('(a OR b) level:ERROR')
  })

  it('inside parentheses is left alone', () => {
    expect(filterState('(level:ERROR OR x)', 'level', 'ERROR')).toBe('none')
  })

  it.each(['a b', 'say "hi"', 'back\\slash', '', '(x)', 'OR', 'a:b', '/path', 'ü', '{id}', '-x'])(
    'round-trips the value %s',
    (value) => {
      const text = toggleFilter('', 'action', value, 'for')

      expect(filterState(text, 'action', value)).toBe('for')
      expect(toggleFilter(text, 'action', value, 'for')).toBe('')
    },
  )

  it('quotes only what needs it', () => {
    expect(quoted('order.place')).toBe('order.place')
    expect(quoted('NOT')).toBe('"NOT"')
  })

  it('can be removed for a whole field', () => {
    expect(withoutField('a level:WARN -level:INFO b', 'level')).toBe('a b')
  })
})

describe('hits', () => {
  it('are words, phrases and message terms, but not excluded terms', () => {
    const pattern = hitPattern('time* "card refused" -retry level:ERROR message:"a.b"')

    expect('Timeout card refused retry ERROR a.b axb'.match(pattern ?? /$^/g)).toEqual([
      'Time',
      'card refused',
      'a.b',
    ])
  })

  it('are none without words', () => {
    expect(hitPattern('level:ERROR -x')).toBeNull()
  })
})

describe('the term at the caret', () => {
  it('is a name before the colon', () => {
    expect(caretTerm('a sour', 6)).toMatchObject({ from: 2, to: 6, field: null, typed: 'sour' })
  })

  it('is a value after the colon', () => {
    expect(caretTerm('-level:ER x', 9)).toMatchObject({
      from: 7,
      to: 9,
      field: 'level',
      typed: 'ER',
      negated: true,
    })
    expect(caretTerm('level:', 6)).toMatchObject({ field: 'level', typed: '' })
  })

  it('is empty between terms', () => {
    expect(caretTerm('a ', 2)).toMatchObject({ from: 2, to: 2, typed: '' })
  })
})
