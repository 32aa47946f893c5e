import { LEVEL_STYLE, type Level } from '@/lib/levels'
import { cx } from './class'

/** Bar, letter and colour: colour is never the only sign of a level. */
export function LevelTag({ level, long = false }: { level: Level; long?: boolean }) {
  const style = LEVEL_STYLE[level]
  return (
    <span
      className={cx('inline-flex items-center gap-1.5 font-mono text-xs font-semibold', style.text)}
    >
      <span className={cx('h-3.5 w-[3px] rounded-full', style.fill)} aria-hidden="true" />
      <span aria-hidden={!long}>{long ? level : style.letter}</span>
      {!long && <span className="sr-only">{level}</span>}
    </span>
  )
}
