/** Non-modal Radix menus: modal ones inject style elements, which our content security policy forbids. */

import { DropdownMenu } from 'radix-ui'
import type { ReactNode } from 'react'
import { cx } from './class'

const CONTENT =
  'z-50 min-w-44 max-h-(--radix-dropdown-menu-content-available-height) overflow-y-auto rounded-lg border border-line bg-raised p-1 text-sm shadow-float'
const ITEM =
  'flex w-full items-center gap-2 rounded-md px-2 py-1 outline-none select-none data-highlighted:bg-wash data-disabled:opacity-50'

export function Menu({
  trigger,
  label,
  children,
  align = 'end',
}: {
  trigger: ReactNode
  label: string
  children: ReactNode
  align?: 'start' | 'end'
}) {
  return (
    <DropdownMenu.Root modal={false}>
      <DropdownMenu.Trigger asChild>{trigger}</DropdownMenu.Trigger>
      <DropdownMenu.Portal container={document.getElementById('main')}>
        <DropdownMenu.Content align={align} sideOffset={4} className={CONTENT} aria-label={label}>
          {children}
        </DropdownMenu.Content>
      </DropdownMenu.Portal>
    </DropdownMenu.Root>
  )
}

export function MenuItem({
  children,
  onSelect,
  danger = false,
  disabled = false,
}: {
  children: ReactNode
  onSelect: () => void
  danger?: boolean
  disabled?: boolean
}) {
  return (
    <DropdownMenu.Item
      className={cx(ITEM, danger && 'text-danger')}
      onSelect={onSelect}
      disabled={disabled}
    >
      {children}
    </DropdownMenu.Item>
  )
}

export function MenuCheck({
  children,
  checked,
  onChange,
}: {
  children: ReactNode
  checked: boolean
  onChange: (checked: boolean) => void
}) {
  return (
    <DropdownMenu.CheckboxItem
      className={ITEM}
      checked={checked}
      onCheckedChange={onChange}
      onSelect={(event) => event.preventDefault()}
    >
      <span aria-hidden="true" className="w-4 text-accent">
        {checked ? '✓' : ''}
      </span>
      {children}
    </DropdownMenu.CheckboxItem>
  )
}

export function MenuRadio<T extends string>({
  value,
  options,
  onChange,
}: {
  value: T
  options: readonly (readonly [T, string])[]
  onChange: (value: T) => void
}) {
  return (
    <DropdownMenu.RadioGroup value={value} onValueChange={(next) => onChange(next as T)}>
      {options.map(([option, label]) => (
        <DropdownMenu.RadioItem
          key={option}
          value={option}
          className={ITEM}
          onSelect={(event) => event.preventDefault()}
        >
          <span aria-hidden="true" className="w-4 text-accent">
            {option === value ? '•' : ''}
          </span>
          {label}
        </DropdownMenu.RadioItem>
      ))}
    </DropdownMenu.RadioGroup>
  )
}

export function MenuLabel({ children }: { children: ReactNode }) {
  return (
    <DropdownMenu.Label className="px-2 pt-1.5 pb-0.5 text-2xs text-ink-3">
      {children}
    </DropdownMenu.Label>
  )
}

export function MenuSeparator() {
  return <DropdownMenu.Separator className="mx-1 my-1 h-px bg-line" />
}
