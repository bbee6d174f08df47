import assert from 'node:assert/strict'
import { instantOf, zonedTime } from '../../shared/schema/time.ts'

describe('times with a zone', () => {
  it('are written with the offset of the zone at that moment', () => {
    for (const [instant, zone, text] of [
      ['2026-01-31T20:00:00.999Z', 'Asia/Tokyo', '2026-02-01T05:00:00+09:00'],
      ['2026-07-01T12:00:00Z', 'Europe/Berlin', '2026-07-01T14:00:00+02:00'],
      ['2026-01-01T12:00:00Z', 'Europe/Berlin', '2026-01-01T13:00:00+01:00'],
      ['2026-01-01T00:10:00Z', 'America/St_Johns', '2025-12-31T20:40:00-03:30'],
      ['2026-01-01T00:00:00Z', 'UTC', '2026-01-01T00:00:00+00:00'],
      ['2026-01-01T00:00:00Z', 'Mars/Olympus', '2026-01-01T00:00:00+00:00'],
    ] as const) {
      assert.equal(zonedTime(new Date(instant), zone), text)
      assert.equal(Date.parse(text), Math.floor(Date.parse(instant) / 1000) * 1000)
    }
  })

  it('are read in the zone unless they name one, and a day as the end counts whole', () => {
    for (const [text, zone, instant] of [
      ['2026-01-31', 'UTC', '2026-01-31T00:00:00.000Z'],
      ['2026-01-31', 'Asia/Tokyo', '2026-01-30T15:00:00.000Z'],
      ['2026-01-31T10:00', 'Asia/Tokyo', '2026-01-31T01:00:00.000Z'],
      ['2026-01-31 10:00:30', 'America/New_York', '2026-01-31T15:00:30.000Z'],
      ['2026-01-31T10:00:00Z', 'Asia/Tokyo', '2026-01-31T10:00:00.000Z'],
      ['2026-01-31T10:00:00+02:00', 'Asia/Tokyo', '2026-01-31T08:00:00.000Z'],
      // The clocks go forward at 2 in the night of 29 March.
      ['2026-03-29', 'Europe/Berlin', '2026-03-28T23:00:00.000Z'],
      ['2026-03-29T12:00', 'Europe/Berlin', '2026-03-29T10:00:00.000Z'],
      ['2026-03-29T01:30', 'Europe/Berlin', '2026-03-29T00:30:00.000Z'],
    ] as const)
      assert.equal(instantOf(text, zone), instant, `${text} ${zone}`)
    assert.equal(instantOf('2026-03-29', 'Europe/Berlin', { end: true }), '2026-03-29T22:00:00.000Z')
    assert.equal(instantOf('2026-01-31T10:00', 'UTC', { end: true }), '2026-01-31T10:00:00.000Z')
  })

  it('stay within the years of four digits', () => {
    const last = '9999-12-31T23:59:59.999Z'
    assert.equal(instantOf('9999-12-31', 'UTC', { end: true }), last)
    assert.equal(instantOf('9999-12-31T23:00:00-05:00', 'UTC'), last)
    assert.equal(instantOf('0000-01-01', 'Asia/Tokyo'), '0000-01-01T00:00:00.000Z')
  })

  it('are refused when they are none', () => {
    for (const text of [
      '',
      'tomorrow',
      '31.01.2026',
      '2026-13-01',
      '2026-01-31T99:00',
      '10:00',
      '1',
      '99999-01-01',
      '+099999-01-01',
    ])
      assert.equal(instantOf(text, 'UTC'), null, text)
  })
})
