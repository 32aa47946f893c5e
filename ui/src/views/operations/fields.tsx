/** Form fields of the operations dialogs. */

import type { ComponentProps } from 'react'
import { cx } from '@/components/class'

export function TextField({
  label,
  mono = false,
  ...rest
}: ComponentProps<'input'> & { label: string; mono?: boolean }) {
  return (
    <label className="flex flex-col gap-0.5 text-xs text-ink-2">
      {label}
      <input
        className={cx(
          'h-8 rounded-md border border-line-strong bg-sheet px-2 text-sm text-ink',
          mono && 'font-mono',
        )}
        autoComplete="off"
        {...rest}
      />
    </label>
  )
}

export function FormError({ error }: { error: Error | null }) {
  if (!error) return null
  return (
    <p role="alert" className="text-danger">
      {error.message}
    </p>
  )
}
