import { setTimeout as sleep } from 'node:timers/promises';
import { sendBytes, startHttpServer } from '../../../base/http-server.ts';
import { createLog } from '../../../base/log.ts';
import { encodeAnswer } from '../../../proto/answer.ts';
import { emptySettlement } from '../../../proto/settlement.ts';
import { connectTo } from '../../agent/link-fixture.ts';
import { Workspace } from '../../tools/workspace.ts';

/*
 * The ends of a link whose packets are counted: a hub that answers for whatever arrives, or an agent
 * that sends as it is told. A process each, as each is in a network namespace.
 */

const HUB_PORT = 9202;
/** As long as a destination in the same place takes. */
const ANSWER_MS = 10;

export interface EndOptions {
  /** Empty: no TLS. */
  certPem: string;
  keyPem: string;
  /** Of the hub. */
  host: string;
  bytesPerSecondMax: number;
}

/** What the agent is told: so many bodies of so many bytes, with a pause after each. */
export interface Sending {
  bodies: number;
  bytes: number;
  pauseMs: number;
}

/** Bytes so far, in both directions. */
export interface Counted {
  tcp: number;
  ip: number;
}

const [role, json] = process.argv.slice(2);
const options = JSON.parse(json!) as EndOptions;
const isTls = options.certPem !== '';
process.once('disconnect', () => process.exit(0));
await (role === 'hub' ? beHub() : beAgent());
process.send?.('ready');

async function beHub(): Promise<void> {
  await startHttpServer({
    listen: { host: options.host, port: HUB_PORT },
    tls: isTls ? options : undefined,
    routes: [
      {
        method: 'POST',
        path: '/v1/batch',
        async handle(request, response) {
          await request.toArray();
          await sleep(ANSWER_MS);
          const empty = { settlement: emptySettlement(), dictionaryOffset: 0, hubClockMs: 1 };
          sendBytes(response, 200, 'application/octet-stream', encodeAnswer(empty));
        },
      },
    ],
    log: createLog({ level: 'fatal', name: 'hub' }),
    headerTimeoutMs: 5000,
    requestTimeoutMs: 60_000,
    connectionAgeMaxMs: 600_000,
    connectionsMax: 10,
    lean: true,
  });
}

async function beAgent(): Promise<void> {
  const workspace = new Workspace('counted-agent');
  const { bytesPerSecondMax } = options;
  const url = `${isTls ? 'https' : 'http'}://${options.host}:${HUB_PORT}`;
  const client = connectTo(workspace, url, {
    config: { bytesPerSecondMax },
    ...(isTls ? { caPem: options.certPem } : {}),
  });
  process.on('message', async ({ bodies, bytes, pauseMs }: Sending) => {
    for (let body = 0; body < bodies; body++) {
      const frame = Buffer.alloc(bytes);
      const reply = await client.postBatch(frame, new AbortController().signal, 'live');
      if (reply.kind !== 'answer') console.error(reply);
      await sleep(pauseMs);
    }
    const { linkBytes } = client;
    const counted: Counted = {
      tcp: linkBytes.up + linkBytes.down,
      ip: linkBytes.ip.up + linkBytes.ip.down,
    };
    process.send?.(counted);
  });
}
