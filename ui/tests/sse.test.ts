import { describe, expect, it } from 'vitest'
import { EventParser, FinalError, follow, type ServerEvent, type StreamState } from '@/lib/sse'

describe('the parser', () => {
  it('accepts any chunks and line endings', () => {
    const text =
      ': hello\r\nid: 7\r\nevent: record\r\ndata: one\r\ndata: two\r\n\r\ndata: {"x":1}\n\nretry: 250\n\n'
    for (let size = 1; size < text.length; size += 1) {
      const parser = new EventParser()
      const events: ServerEvent[] = []
      for (let at = 0; at < text.length; at += size)
        events.push(...parser.feed(text.slice(at, at + size)))

      expect(events).toEqual([
        { id: '7', type: 'record', data: 'one\ntwo' },
        { id: '7', type: 'message', data: '{"x":1}' },
      ])
      expect(parser.retryMs).toBe(250)
    }
  })

  it('returns no incomplete event', () => {
    expect(new EventParser().feed('data: half\n')).toEqual([])
  })
})

function bodyOf(text: string): ReadableStream<Uint8Array> {
  return new ReadableStream({
    start(controller) {
      controller.enqueue(new TextEncoder().encode(text))
      controller.close()
    },
  })
}

interface Attempt {
  body?: string
  error?: Error
}

async function run(attempts: Attempt[]) {
  const lastIds: (string | null)[] = []
  const events: ServerEvent[] = []
  const states: StreamState[] = []
  const waits: number[] = []
  const ending = new AbortController()
  await follow(
    {
      connect: async (lastEventId) => {
        lastIds.push(lastEventId)
        const attempt = attempts.shift()
        if (attempt?.error) throw attempt.error
        return bodyOf(attempt?.body ?? '')
      },
      onEvents: (found) => events.push(...found),
      onState: (state) => states.push(state),
      wait: async (milliseconds) => {
        waits.push(milliseconds)
        if (!attempts.length) ending.abort()
      },
    },
    ending.signal,
  )
  return { lastIds, events, states, waits }
}

describe('a lost connection', () => {
  it('is reopened from the last event', async () => {
    const { lastIds, events } = await run([
      { body: 'id: 1\ndata: a\n\nid: 2\ndata: b\n\n' },
      { body: 'id: 3\ndata: c\n\n' },
    ])

    expect(lastIds).toEqual([null, '2'])
    expect(events.map((event) => event.data)).toEqual(['a', 'b', 'c'])
  })

  it('keeps the last event ID across failed attempts', async () => {
    const { lastIds } = await run([
      { body: 'id: 9\ndata: a\n\n' },
      { error: new Error('offline') },
      { error: new Error('offline') },
      { body: '' },
    ])

    expect(lastIds).toEqual([null, '9', '9', '9'])
  })

  it('is retried with exponential back-off up to a limit', async () => {
    const failures = Array.from({ length: 9 }, () => ({ error: new Error('offline') }))
    const { waits } = await run(failures)

    expect(waits.slice(0, 4)).toEqual([500, 1000, 2000, 4000])
    expect(Math.max(...waits)).toBe(15_000)
  })

  it('waits for the retry time of the server', async () => {
    const { waits } = await run([{ body: 'retry: 120\n\n' }])

    expect(waits).toEqual([120])
  })
})

it('a final error ends it', async () => {
  const { states, lastIds } = await run([{ error: new FinalError('forbidden') }, { body: '' }])

  expect(states).toEqual(['connecting', 'ended'])
  expect(lastIds).toHaveLength(1)
})

it('an idle connection counts as lost', async () => {
  const ending = new AbortController()
  const states: StreamState[] = []
  await follow(
    {
      connect: async () => new ReadableStream({ start: () => undefined }),
      onEvents: () => undefined,
      onState: (state) => states.push(state),
      wait: async () => ending.abort(),
      idleTimeoutMs: 20,
    },
    ending.signal,
  )

  expect(states).toEqual(['connecting', 'open', 'waiting', 'ended'])
})
