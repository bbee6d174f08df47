import assert from 'node:assert/strict'
import { type S3Config, s3Settings } from '../../shared/store/uploads/s3-settings.ts'

const NOTHING: S3Config = {
  endpoint: null,
  bucket: null,
  region: null,
  prefix: null,
  path_style: null,
  access_key_id: null,
  secret_access_key: null,
  session_token: null,
}
const KEYS = { AWS_ACCESS_KEY_ID: 'AKIA', AWS_SECRET_ACCESS_KEY: 'very secret' }
const set = (config: Partial<S3Config>, env: Record<string, string> = KEYS) =>
  s3Settings({ ...NOTHING, ...config }, env)

describe('the settings of object storage', () => {
  it('are none without a bucket', () => assert.equal(set({ endpoint: 'https://s3.example.com' }), null))

  it('are Amazon’s of the region where only a bucket is named', () => {
    const found = set({ bucket: 'uploads' }, { ...KEYS, AWS_REGION: 'eu-west-1', AWS_SESSION_TOKEN: 't' })
    assert.deepEqual(
      [found?.endpoint.href, found?.region, found?.path_style, found?.prefix, found?.session_token],
      ['https://s3.eu-west-1.amazonaws.com/', 'eu-west-1', false, '', 't'],
    )
  })

  it('come from the environment where config.json leaves them out', () => {
    const env = {
      ...KEYS,
      LOCI_S3_BUCKET: 'from-env',
      LOCI_S3_ENDPOINT: 'http://minio:9000',
      LOCI_S3_REGION: 'here',
      LOCI_S3_PREFIX: '/a/b/',
      LOCI_S3_PATH_STYLE: '0',
      LOCI_S3_SECRET_ACCESS_KEY: 'own secret',
    }
    const found = set({}, env)
    assert.deepEqual(
      [found?.bucket, found?.endpoint.host, found?.region, found?.prefix, found?.path_style],
      ['from-env', 'minio:9000', 'here', 'a/b/', false],
    )
    assert.deepEqual([found?.access_key_id, found?.secret_access_key], ['AKIA', 'own secret'])
    assert.equal(set({ bucket: 'from-file', path_style: true }, env)?.bucket, 'from-file')
  })

  it('that cannot be used are refused with what to do, and no secret', () => {
    const wrong: [Partial<S3Config>, Record<string, string>, RegExp][] = [
      [{ bucket: 'uploads' }, {}, /has no credentials: set storage\.s3\.access_key_id/],
      [{ bucket: 'a/b' }, KEYS, /'a\/b' is no name of a bucket/],
      [{ bucket: 'uploads', prefix: 'a/../b' }, KEYS, /the prefix 'a\/\.\.\/b'/],
      [{ bucket: 'uploads', prefix: 'über' }, KEYS, /the prefix/],
      [{ bucket: 'uploads', endpoint: 's3.example.com' }, KEYS, /write it like https/],
      [
        { bucket: 'uploads', endpoint: 'https://me:very%20secret@s3.example.com' },
        KEYS,
        /credentials do not belong/,
      ],
      [{ bucket: 'uploads' }, { ...KEYS, LOCI_S3_PATH_STYLE: 'perhaps' }, /neither 1 nor 0/],
    ]
    for (const [config, env, why] of wrong)
      assert.throws(
        () => set(config, env),
        (error: Error & { code?: string }) => {
          assert.equal(error.code, 'config_invalid')
          assert.match(error.message, why)
          assert.doesNotMatch(error.message, /very/)
          return true
        },
      )
  })
})
