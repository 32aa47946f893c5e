import { LEVEL_LOOK, type Level } from '@/lib/levels'
import { cx } from './class'

/** Bar, letter and colour: a level is never told by its colour alone. */
export function LevelTag({ level, long = false }: { level: Level; long?: boolean }) {
  const look = LEVEL_LOOK[level]
  return (
    <span
      className={cx('inline-flex items-center gap-1.5 font-mono text-xs font-semibold', look.text)}
    >
      <span className={cx('h-3.5 w-[3px] rounded-full', look.fill)} aria-hidden="true" />
      <span aria-hidden={!long}>{long ? level : look.letter}</span>
      {!long && <span className="sr-only">{level}</span>}
    </span>
  )
}
