const FEWEST = 3
const MOST_PHRASES = 4

/** The fixed parts of a pattern as phrases: they find its lines, and few others. */
export function wordsOf(pattern: string): string {
  return pattern
    .split(/<[^<>]*>/)
    .map((part) => part.trim())
    .filter((part) => part.length >= FEWEST)
    .sort((left, right) => right.length - left.length)
    .slice(0, MOST_PHRASES)
    .map((part) => `"${part.replace(/[\\"]/g, '\\$&')}"`)
    .join(' ')
}
