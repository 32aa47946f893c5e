/**
 * A modal Radix dialog. The backdrop is a custom element: Radix's overlay locks scrolling with an
 * injected style element, which our content security policy forbids.
 */

import { Dialog as Parts } from 'radix-ui'
import type { ReactNode } from 'react'
import { IconButton } from './button'
import { cx } from './class'
import { CloseIcon } from './icons'

export function Dialog({
  title,
  description,
  open,
  onClose,
  children,
  wide = false,
}: {
  title: string
  description?: string
  open: boolean
  onClose: () => void
  children: ReactNode
  wide?: boolean
}) {
  return (
    <Parts.Root open={open} onOpenChange={(isOpen) => !isOpen && onClose()}>
      <Parts.Portal>
        <div className="fixed inset-0 z-40 bg-paper/70 backdrop-blur-[1px]" aria-hidden="true" />
        <Parts.Content
          className={cx(
            'fixed top-[10vh] left-1/2 z-50 flex max-h-[80vh] w-[calc(100vw-24px)] -translate-x-1/2 flex-col rounded-xl border border-line bg-raised shadow-float outline-none',
            wide ? 'max-w-3xl' : 'max-w-lg',
          )}
          {...(description ? {} : { 'aria-describedby': undefined })}
        >
          <header className="flex items-start gap-3 px-4 pt-3 pb-2">
            <div className="min-w-0 flex-1">
              <Parts.Title className="text-base font-semibold">{title}</Parts.Title>
              {description && (
                <Parts.Description className="text-ink-2">{description}</Parts.Description>
              )}
            </div>
            <Parts.Close asChild>
              <IconButton label="Close">
                <CloseIcon />
              </IconButton>
            </Parts.Close>
          </header>
          <div className="overflow-y-auto px-4 pb-4">{children}</div>
        </Parts.Content>
      </Parts.Portal>
    </Parts.Root>
  )
}
