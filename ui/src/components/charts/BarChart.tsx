/** Stacked bars over time with uPlot; drag to select a time range. */

import { useEffect, useMemo, useRef } from 'react'
import uPlot from 'uplot'
import { formatCompact } from '@/lib/format'
import { useActiveTheme, usePreferences } from '@/lib/preferences'
import { formatMs, type Span, type Zone } from '@/lib/time'
import { type BarPoint, stack } from './stack'

export interface BarSeries {
  name: string
  /** A colour token, such as `--fill-error`. */
  colour: string
}

interface BarChartProps {
  points: BarPoint[]
  series: BarSeries[]
  /** Bucket size in seconds. */
  intervalS: number
  /** The queried range; the axis covers all of it. */
  span: Span | null
  height: number
  label: string
  onBrush?: ((span: Span) => void) | undefined
}

export default function BarChart(props: BarChartProps) {
  const { points, series, intervalS, span, height, label } = props
  const zone = usePreferences((state) => state.zone)
  const isDark = useActiveTheme((state) => state.isDark)
  const box = useRef<HTMLDivElement>(null)
  const onBrush = useRef(props.onBrush)
  useEffect(() => {
    onBrush.current = props.onBrush
  })
  const data = useMemo(
    () =>
      stack(
        points,
        series.map((item) => item.name),
        intervalS,
      ),
    [points, series, intervalS],
  )
  // biome-ignore lint/correctness/useExhaustiveDependencies: the theme changes the values of colour tokens
  useEffect(() => {
    const element = box.current
    if (!element || !data.times.length) return
    const options = optionsOf({
      series,
      intervalS,
      span,
      height,
      zone,
      width: element.clientWidth,
      counts: data.counts,
      times: data.times,
    })
    options.hooks = { setSelect: [(plot) => onSelect(plot, onBrush.current)] }
    const plot = new uPlot(
      options,
      [data.times, ...[...data.sums].reverse()] as uPlot.AlignedData,
      element,
    )
    const observer = new ResizeObserver(() => plot.setSize({ width: element.clientWidth, height }))
    observer.observe(element)
    return () => {
      observer.disconnect()
      plot.destroy()
    }
  }, [data, series, intervalS, span, height, zone, isDark])
  return (
    <div
      ref={box}
      role="img"
      aria-label={label}
      style={{ height }}
      className="w-full overflow-hidden"
    />
  )
}

interface ChartOptions {
  series: BarSeries[]
  intervalS: number
  span: Span | null
  height: number
  width: number
  zone: Zone
  counts: number[][]
  times: number[]
}

function optionsOf(chart: ChartOptions): uPlot.Options {
  const { series, intervalS, span, height, width, zone } = chart
  const bars = uPlot.paths.bars?.({ size: [0.9, 60], align: 1, gap: 1 })
  const axis = {
    stroke: token('--ink-3'),
    grid: { stroke: token('--line'), width: 1 },
    ticks: { show: false },
  }
  return {
    width,
    height,
    padding: [6, 20, 0, 0],
    legend: { show: false },
    cursor: { y: false, points: { show: false }, drag: { x: true, y: false, setScale: false } },
    ...(zone === 'utc'
      ? { tzDate: (seconds: number) => uPlot.tzDate(new Date(seconds * 1000), 'UTC') }
      : {}),
    scales: {
      x: { time: true, range: rangeOfAxis(span, chart.times, intervalS) },
      y: { range: (_, __, max) => [0, Math.max(1, max * 1.05)] },
    },
    axes: [
      {
        ...axis,
        size: 22,
        font: FONT,
        grid: { show: false },
        gap: 3,
        values: (_, splits, __, ___, step) => splits.map((at) => axisTime(at, step, zone)),
      },
      {
        ...axis,
        size: 44,
        font: FONT,
        gap: 3,
        values: (_, splits) => splits.map((value) => formatCompact(value)),
      },
    ],
    series: [
      {},
      ...[...series].reverse().map((item) => ({
        label: item.name,
        fill: token(item.colour),
        stroke: token(item.colour),
        width: 0,
        points: { show: false },
        ...(bars ? { paths: bars } : {}),
      })),
    ],
    plugins: [tooltip(chart)],
  }
}

/** The date at midnight, otherwise hours and minutes, and seconds where ticks are close. */
function axisTime(seconds: number, step: number, zone: Zone): string {
  const text = formatMs(seconds * 1000, zone)
  if (step >= 86_400 || text.slice(11, 19) === '00:00:00') return text.slice(5, 10)
  return step >= 60 ? text.slice(11, 16) : text.slice(11, 19)
}

const FONT = '11px system-ui, sans-serif'

/** From the bars themselves: uPlot's default range for a single bar is years wide. */
function rangeOfAxis(span: Span | null, times: number[], intervalS: number): [number, number] {
  const first = times[0] ?? 0
  const end = (times.at(-1) ?? first) + Math.max(intervalS, 1)
  if (!span) return [first, end]
  return [Math.min(span.fromMs / 1000, first), Math.max(span.toMs / 1000, end)]
}

function token(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim()
}

const MIN_DRAG_PX = 4

function onSelect(plot: uPlot, onBrush: ((span: Span) => void) | undefined) {
  const { left, width } = plot.select
  if (width < MIN_DRAG_PX) return
  const from = plot.posToVal(left, 'x')
  const to = plot.posToVal(left + width, 'x')
  plot.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false)
  onBrush?.({ fromMs: from * 1000, toMs: to * 1000 })
}

/** Counts of the bar under the pointer; the legend and the facets show the totals. */
function tooltip({ series, zone, counts }: ChartOptions): uPlot.Plugin {
  const element = document.createElement('div')
  element.className =
    'pointer-events-none absolute z-10 hidden rounded-md border border-line bg-raised px-2 py-1 text-2xs whitespace-pre shadow-float'
  return {
    hooks: {
      init: (plot) => plot.over.append(element),
      setCursor: (plot) => {
        const index = plot.cursor.idx
        const seconds = index == null ? undefined : plot.data[0][index]
        element.classList.toggle('hidden', seconds === undefined)
        if (index == null || seconds === undefined) return
        const lines = series
          .map((item, at) => [item.name, counts[at]?.[index] ?? 0] as const)
          .filter(([, count]) => count > 0)
          .map(([name, count]) => `${name}  ${count}`)
        element.textContent = [formatMs(seconds * 1000, zone).slice(0, 19), ...lines].join('\n')
        const left = plot.cursor.left ?? 0
        const isRight = left > plot.over.clientWidth / 2
        element.style.left = isRight ? '' : `${left + 12}px`
        element.style.right = isRight ? `${plot.over.clientWidth - left + 12}px` : ''
        element.style.top = '2px'
      },
    },
  }
}
