import type { ComponentProps } from 'react'
import { cx } from './class'

type Variant = 'plain' | 'outline' | 'solid' | 'danger'

const VARIANTS: Record<Variant, string> = {
  plain:
    'text-ink-2 hover:bg-wash hover:text-ink aria-pressed:bg-accent-wash aria-pressed:text-accent',
  outline: 'border border-line-strong bg-sheet text-ink hover:bg-wash',
  solid: 'bg-accent text-accent-ink hover:opacity-90',
  danger: 'border border-danger text-danger hover:bg-danger-wash',
}

const SHAPE =
  'inline-flex h-7 shrink-0 items-center justify-center gap-1.5 rounded-md px-2 text-xs font-medium whitespace-nowrap select-none transition-colors disabled:opacity-50'

export function buttonClass(variant: Variant = 'plain', more?: string): string {
  return cx(SHAPE, VARIANTS[variant], more)
}

export function Button({
  variant = 'plain',
  className,
  ...rest
}: ComponentProps<'button'> & { variant?: Variant }) {
  return <button type="button" className={buttonClass(variant, className)} {...rest} />
}

/** An icon-only button; `label` is its accessible name and tooltip. */
export function IconButton({
  label,
  shortcut,
  variant = 'plain',
  className,
  ...rest
}: ComponentProps<'button'> & { label: string; shortcut?: string; variant?: Variant }) {
  return (
    <button
      type="button"
      aria-label={label}
      title={shortcut ? `${label} (${shortcut})` : label}
      className={buttonClass(variant, cx('w-7 px-0', className))}
      {...rest}
    />
  )
}
