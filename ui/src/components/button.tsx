import type { ComponentProps } from 'react'
import { cx } from './class'

type Look = 'plain' | 'outline' | 'solid' | 'danger'

const LOOKS: Record<Look, string> = {
  plain:
    'text-ink-2 hover:bg-wash hover:text-ink aria-pressed:bg-accent-wash aria-pressed:text-accent',
  outline: 'border border-line-strong bg-sheet text-ink hover:bg-wash',
  solid: 'bg-accent text-accent-ink hover:opacity-90',
  danger: 'border border-danger text-danger hover:bg-danger-wash',
}

const SHAPE =
  'inline-flex h-7 shrink-0 items-center justify-center gap-1.5 rounded-md px-2 text-xs font-medium whitespace-nowrap select-none transition-colors disabled:opacity-50'

export function buttonClass(look: Look = 'plain', more?: string): string {
  return cx(SHAPE, LOOKS[look], more)
}

export function Button({
  look = 'plain',
  className,
  ...rest
}: ComponentProps<'button'> & { look?: Look }) {
  return <button type="button" className={buttonClass(look, className)} {...rest} />
}

/** A button that shows an icon only; `label` is its name for everybody else. */
export function IconButton({
  label,
  shortcut,
  look = 'plain',
  className,
  ...rest
}: ComponentProps<'button'> & { label: string; shortcut?: string; look?: Look }) {
  return (
    <button
      type="button"
      aria-label={label}
      title={shortcut ? `${label} (${shortcut})` : label}
      className={buttonClass(look, cx('w-7 px-0', className))}
      {...rest}
    />
  )
}
