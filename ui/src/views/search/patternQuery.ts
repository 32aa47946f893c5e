const MIN_CHARACTERS = 3
const MAX_PHRASES = 4

/** A query for the records of a pattern: its fixed parts as phrases. */
export function patternQuery(pattern: string): string {
  return pattern
    .split(/<[^<>]*>/)
    .map((part) => part.trim())
    .filter((part) => part.length >= MIN_CHARACTERS)
    .sort((left, right) => right.length - left.length)
    .slice(0, MAX_PHRASES)
    .map((part) => `"${part.replace(/[\\"]/g, '\\$&')}"`)
    .join(' ')
}
