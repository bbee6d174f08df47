import { describeStoreOn } from './store-on.ts'

describeStoreOn('without pgvector', () => undefined)
