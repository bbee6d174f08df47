/** deploy/kubernetes as the tests look at it. */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { parse } from 'yaml'
import { DEPLOY } from './compose.ts'

interface Probe {
  httpGet: { path: string; port: string }
  periodSeconds: number
  failureThreshold: number
}

interface KeyRef {
  key: string
  /** The pod starts without it. */
  optional?: boolean
}

export type Labels = Record<string, string>

/** Which pods are meant. */
export interface Selector {
  matchLabels: Labels
}

interface PodContainer {
  ports: { name: string; containerPort: number }[]
  args: string[]
  env: {
    name: string
    valueFrom: { secretKeyRef?: KeyRef; configMapKeyRef?: KeyRef }
  }[]
  startupProbe: Probe
  readinessProbe: Probe
  livenessProbe: Probe
  lifecycle: { preStop: { exec: { command: string[] } } }
  securityContext: object
  volumeMounts: { name: string; mountPath: string; subPath?: string; readOnly?: boolean }[]
}

interface Deployment {
  metadata: { name: string }
  spec: {
    replicas: number
    progressDeadlineSeconds: number
    strategy: { rollingUpdate: { maxUnavailable: number } }
    selector: Selector
    template: {
      metadata: { labels: Labels }
      spec: {
        topologySpreadConstraints: { topologyKey: string; labelSelector: Selector }[]
        automountServiceAccountToken: boolean
        terminationGracePeriodSeconds: number
        securityContext: object
        containers: PodContainer[]
      }
    }
  }
}

/** What stands in a file of deploy/kubernetes, also with the examples in it that are commented out. */
export async function readManifest(name: string, { examples = false } = {}): Promise<unknown> {
  const text = await readFile(join(DEPLOY, 'kubernetes', name), 'utf8')
  // What begins with a dash, more spaces or NAME: is no prose.
  return parse(examples ? text.replaceAll(/^( *)# (?=- \w| {2}|[A-Z0-9_]+: )/gm, '$1') : text)
}

export async function readManifests(): Promise<{
  deployment: Deployment
  configMap: { data: Record<string, string> }
}> {
  return {
    deployment: (await readManifest('deployment.yaml')) as Deployment,
    configMap: (await readManifest('config.yaml')) as { data: Record<string, string> },
  }
}
