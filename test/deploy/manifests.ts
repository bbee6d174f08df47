/** deploy/kubernetes as the tests look at it. */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parse } from 'yaml'
import { DEPLOY } from './compose.ts'

interface Probe {
  httpGet: { path: string; port: string }
}

interface PodContainer {
  args: string[]
  env: {
    name: string
    valueFrom: { secretKeyRef?: { key: string }; configMapKeyRef?: { key: string } }
  }[]
  startupProbe: Probe
  readinessProbe: Probe
  livenessProbe: Probe
  lifecycle: { preStop: { exec: { command: string[] } } }
  securityContext: object
  volumeMounts: { name: string; mountPath: string; subPath?: string; readOnly?: boolean }[]
}

interface Deployment {
  spec: {
    replicas: number
    strategy: { rollingUpdate: { maxUnavailable: number } }
    template: {
      spec: {
        automountServiceAccountToken: boolean
        terminationGracePeriodSeconds: number
        securityContext: object
        containers: PodContainer[]
      }
    }
  }
}

export async function readManifests(): Promise<{
  deployment: Deployment
  configMap: { data: Record<string, string> }
}> {
  const read = async (name: string) =>
    parse(await readFile(join(DEPLOY, 'kubernetes', name), 'utf8')) as unknown
  return {
    deployment: (await read('deployment.yaml')) as Deployment,
    configMap: (await read('config.yaml')) as { data: Record<string, string> },
  }
}
