import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'

const WHEEL = `
import base64, hashlib, sys, zipfile
folder, name, version, code, requires = sys.argv[1:6]
info = '%s-%s.dist-info' % (name, version)
needs = ''.join('Requires-Dist: %s\\n' % each for each in requires.split(',') if each)
files = {
    name + '.py': code,
    info + '/METADATA': 'Metadata-Version: 2.1\\nName: %s\\nVersion: %s\\n%s' % (name, version, needs),
    info + '/WHEEL': 'Wheel-Version: 1.0\\nGenerator: test\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n',
}
record = ''.join('%s,sha256=%s,%d\\n' % (
    path, base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b'=').decode(), len(text.encode())
) for path, text in files.items())
files[info + '/RECORD'] = record + info + '/RECORD,,\\n'
with zipfile.ZipFile('%s/%s-%s-py3-none-any.whl' % (folder, name, version), 'w') as wheel:
    for path, text in files.items(): wheel.writestr(path, text)
`

/** Writes a wheel of one module into a folder. */
export function writeWheel(
  python: string,
  folder: string,
  {
    name,
    version,
    code,
    requires = [],
  }: { name: string; version: string; code: string; requires?: string[] },
): void {
  execFileSync(python, ['-I', '-c', WHEEL, folder, name, version, code, requires.join(',')])
}

const PACK = `
import sys, tarfile
with tarfile.open(sys.argv[1], 'w:gz') as file: file.add(sys.argv[2], sys.argv[3])
`

/** Writes a source distribution, whose `setup.py` would leave a mark when it is run. */
export function writeSourceDistribution(python: string, folder: string, name: string, mark: string): void {
  const setup = join(folder, 'setup.py')
  writeFileSync(
    setup,
    `open(${JSON.stringify(mark)}, 'w')\nfrom setuptools import setup\nsetup(name='${name}', version='1.0')\n`,
  )
  const target = join(folder, `${name}-1.0.tar.gz`)
  execFileSync(python, ['-I', '-c', PACK, target, setup, `${name}-1.0/setup.py`])
}
