/** The five levels: their order, letters and colours. */

export const LEVELS = ['DEBUG', 'INFO', 'WARN', 'ERROR', 'CRITICAL'] as const
export type Level = (typeof LEVELS)[number]

interface LevelStyle {
  letter: string
  /** Class of text in the level's colour (styles.css). */
  text: string
  /** Class of a bar or a dot in the level's colour. */
  fill: string
  /** Class of the level's cell in a row of records. */
  row: string
}

export const LEVEL_STYLE: Record<Level, LevelStyle> = {
  DEBUG: { letter: 'D', text: 'text-level-debug', fill: 'bg-fill-debug', row: 'level-debug' },
  INFO: { letter: 'I', text: 'text-level-info', fill: 'bg-fill-info', row: 'level-info' },
  WARN: { letter: 'W', text: 'text-level-warn', fill: 'bg-fill-warn', row: 'level-warn' },
  ERROR: { letter: 'E', text: 'text-level-error', fill: 'bg-fill-error', row: 'level-error' },
  CRITICAL: {
    letter: 'C',
    text: 'text-level-critical',
    fill: 'bg-fill-critical',
    row: 'level-critical',
  },
}

export function isLevel(text: string): text is Level {
  return (LEVELS as readonly string[]).includes(text)
}
