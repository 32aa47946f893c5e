/** Custom 16 px icons. They are decorative: a label always gives the meaning. */

import type { ReactNode } from 'react'

function icon(paths: ReactNode) {
  return function Icon({ size = 16 }: { size?: number }) {
    return (
      <svg
        width={size}
        height={size}
        viewBox="0 0 16 16"
        fill="none"
        stroke="currentColor"
        strokeWidth="1.5"
        strokeLinecap="round"
        strokeLinejoin="round"
        aria-hidden="true"
        className="shrink-0"
      >
        {paths}
      </svg>
    )
  }
}

export const SearchIcon = icon(<path d="M7 12A5 5 0 1 0 7 2a5 5 0 0 0 0 10ZM11 11l3 3" />)
export const CloseIcon = icon(<path d="m4 4 8 8M12 4l-8 8" />)
export const ClockIcon = icon(<path d="M8 14A6 6 0 1 0 8 2a6 6 0 0 0 0 12ZM8 5v3l2 1.5" />)
export const RefreshIcon = icon(<path d="M13.5 8A5.5 5.5 0 1 1 12 4.2M12.5 1.5v3h-3" />)
export const PlusIcon = icon(<path d="M8 3.5v9M3.5 8h9" />)
export const MinusIcon = icon(<path d="M3.5 8h9" />)
export const ColumnsIcon = icon(<path d="M2.5 3h11v10h-11ZM6.2 3v10M9.8 3v10" />)
export const WrapIcon = icon(
  <path d="M2 3.5h12M2 8h9.5a2.2 2.2 0 0 1 0 4.5H9M10.5 11 9 12.5l1.5 1.5M2 12.5h3" />,
)
export const DownIcon = icon(<path d="m4 6 4 4 4-4" />)
export const RightIcon = icon(<path d="m6 4 4 4-4 4" />)
export const LeftIcon = icon(<path d="m10 4-4 4 4 4" />)
export const CopyIcon = icon(<path d="M5.5 5.5h8v8h-8ZM3.5 10.5h-1v-8h8v1" />)
export const LinkIcon = icon(
  <path d="M6.5 9.5a2.5 2.5 0 0 0 3.6 0l2.6-2.6a2.5 2.5 0 1 0-3.6-3.6L8 4.5M9.5 6.5a2.5 2.5 0 0 0-3.6 0L3.3 9.1a2.5 2.5 0 1 0 3.6 3.6L8 11.5" />,
)
export const DownloadIcon = icon(<path d="M8 2v8M4.5 7 8 10.5 11.5 7M2.5 13.5h11" />)
export const TrashIcon = icon(
  <path d="M2.5 4h11M6 4V2.5h4V4M4 4l.7 9.5h6.6L12 4M6.7 7v4M9.3 7v4" />,
)
export const PlayIcon = icon(<path d="M4.5 3v10l8-5Z" />)
export const PauseIcon = icon(<path d="M5 3v10M11 3v10" />)
export const MoreIcon = icon(<path d="M3.5 8h.01M8 8h.01M12.5 8h.01" strokeWidth="2.4" />)
export const SunIcon = icon(
  <path d="M8 10.8a2.8 2.8 0 1 0 0-5.6 2.8 2.8 0 0 0 0 5.6ZM8 1.5v1M8 13.5v1M1.5 8h1M13.5 8h1M3.4 3.4l.7.7M11.9 11.9l.7.7M3.4 12.6l.7-.7M11.9 4.1l.7-.7" />,
)
export const MoonIcon = icon(<path d="M13.5 9.5A5.8 5.8 0 0 1 6.5 2.5a5.8 5.8 0 1 0 7 7Z" />)
export const PanelIcon = icon(<path d="M2.5 3h11v10h-11ZM6.5 3v10" />)
export const ExpandIcon = icon(
  <path d="M9.5 2.5h4v4M6.5 13.5h-4v-4M13.5 2.5l-4.5 4.5M2.5 13.5 7 9" />,
)
export const UserIcon = icon(
  <path d="M8 8a2.8 2.8 0 1 0 0-5.6A2.8 2.8 0 0 0 8 8ZM2.5 14c.6-2.6 2.8-4 5.5-4s4.9 1.4 5.5 4" />,
)
export const WarningIcon = icon(<path d="M8 2 1.5 13.5h13ZM8 6.5v3M8 11.5h.01" />)
export const TraceIcon = icon(<path d="M2 3.5h7M5 8h6M9 12.5h5" strokeWidth="2" />)
export const ContextIcon = icon(<path d="M2.5 3h11M2.5 6h6M2.5 10h6M2.5 13h11M11 8h2.5" />)
export const ShieldIcon = icon(<path d="M8 1.8 13 3.5V8c0 3-2 5-5 6.2C5 13 3 11 3 8V3.5Z" />)
export const TimelineIcon = icon(<path d="M4 2v12M4 4.5h8M4 8h5M4 11.5h7" />)

export function Mark() {
  return (
    <svg width="20" height="20" viewBox="0 0 32 32" aria-hidden="true" className="shrink-0">
      <rect width="32" height="32" rx="7" fill="#0b5f57" />
      <path d="M8 9.5h16M8 16h9M8 22.5h12" stroke="#e9f6f3" strokeWidth="3" strokeLinecap="round" />
      <circle cx="22.5" cy="16" r="2.2" fill="#f2b84b" />
    </svg>
  )
}
