import { describe, expect, it } from 'vitest'
import { cut, highlighted, unescaped, visible } from '@/lib/text'

describe('special characters become marks', () => {
  it.each([
    ['\u001b[31m', 'ESC'],
    ['\u202egnp.exe', 'RLO'],
    ['\u0000', 'NUL'],
    ['\u200b', 'ZWSP'],
    ['\u2066x\u2069', 'LRI'],
    ['\u009b', 'U+009B'],
    ['\ud800', 'U+D800'],
    ['\n', '↵'],
  ])('%j', (text, mark) => {
    expect(visible(text)[0]?.mark).toBe(mark)
  })

  it('but line breaks and tabs are kept in multi-line text', () => {
    expect(visible('a\n\tb', true)).toEqual([{ text: 'a\n\tb' }])
  })

  it('and letters of any script are kept', () => {
    expect(visible('Grüße مرحبا 你好 🎉')).toEqual([{ text: 'Grüße مرحبا 你好 🎉' }])
  })

  it('and nothing is lost', () => {
    const text = 'a\u202eb\u0007\nc'

    expect(
      visible(text)
        .map((piece) => piece.text)
        .join(''),
    ).toBe(text)
  })
})

it('hits are marked, markup is plain text', () => {
  expect(highlighted(visible('a <b> a'), /a/gi)).toEqual([
    { text: 'a', hit: true },
    { text: ' <b> ' },
    { text: 'a', hit: true },
  ])
})

it('a cut never halves a character', () => {
  expect(cut('ab🎉', 3)).toBe('ab')
  expect(cut('ab', 3)).toBe('ab')
})

it('escaped line breaks are unescaped', () => {
  expect(unescaped('a\\r\\nb\\tc')).toBe('a\nb\tc')
})
