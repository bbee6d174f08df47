import assert from 'node:assert/strict'
import { publicUrl } from '../../shared/server/public-url.ts'

describe('an address that Loci tells others', () => {
  it('is under the name that was asked, over HTTPS when a proxy before Loci says so', () => {
    const of = (url: string, proto?: string) =>
      publicUrl(
        '/back',
        new Request(url, { headers: proto === undefined ? {} : { 'x-forwarded-proto': proto } }),
      )
    assert.equal(of('http://127.0.0.1:8283/v1/x?y=1'), 'http://127.0.0.1:8283/back')
    assert.equal(of('http://loci.example.com/v1/x', 'https'), 'https://loci.example.com/back')
    assert.equal(of('http://loci.example.com:8443/v1/x', 'HTTPS, http'), 'https://loci.example.com:8443/back')
    assert.equal(of('http://loci.example.com/v1/x', 'gopher'), 'http://loci.example.com/back')
    assert.equal(of('https://loci.example.com/v1/x', 'http'), 'https://loci.example.com/back')
  })
})
