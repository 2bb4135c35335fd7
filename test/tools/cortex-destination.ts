import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type CortexBody, decodeCortexBody } from './cortex/body.ts';
import type { CortexLimits } from './cortex/limits.ts';
import { type CortexAnswer, CortexRules } from './cortex/rules.ts';

export interface CortexRequest {
  tenant: string;
  body: CortexBody;
  status: number;
  message: string;
}

/** What to do with one push instead: lose the answer, or give another one. */
export interface CortexFault {
  /** Whether the rules take the body all the same. */
  isTaken: boolean;
  /** Answered so; undefined: the connection is cut. */
  status?: number;
}

export interface CortexDestinationOptions {
  /** Of all tenants; Cortex' own where they are not named. */
  limits?: Partial<CortexLimits>;
  /** The clock of Cortex, in ms since the Unix epoch. */
  now?: () => number;
}

/** A destination over HTTP that answers as Cortex 1.21 does; the rules are in `rules`. */
export interface CortexDestination {
  readonly url: string;
  readonly rules: CortexRules;
  /** In the order of arrival. */
  readonly requests: readonly CortexRequest[];
  /** The next pushes meet with these faults, one each. */
  failNext(...faults: CortexFault[]): void;
  close(): Promise<void>;
}

export async function startCortexDestination(
  options: CortexDestinationOptions = {},
): Promise<CortexDestination> {
  const rules = new CortexRules(options.limits, options.now);
  const requests: CortexRequest[] = [];
  const faults: CortexFault[] = [];
  const server = createServer(async (request, response) => {
    const bytes = await readAll(request);
    if (bytes === undefined) return;
    const tenant = String(request.headers['x-scope-orgid'] ?? '');
    const fault = faults.shift();
    const isVersion2 = (request.headers['content-type'] ?? '').includes('write.v2.Request');
    let body: CortexBody;
    try {
      body = decodeCortexBody(bytes, isVersion2 ? 2 : 1);
    } catch (error) {
      response.writeHead(400).end(`unexpected EOF: ${error}`);
      return;
    }
    const isTaken = fault?.isTaken ?? true;
    const answer = isTaken ? rules.push(tenant, body) : FAILED;
    const status = fault === undefined ? answer.status : (fault.status ?? 0);
    requests.push({ tenant, body, status, message: answer.message });
    if (status === 0) request.socket.destroy();
    else send(response, { ...answer, status }, isVersion2);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}/api/v1/push`,
    rules,
    requests,
    failNext: (...more) => void faults.push(...more),
    close: async () => {
      server.closeAllConnections();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}

const FAILED: CortexAnswer = {
  status: 500,
  message: 'at least 1 live replicas required, could only find 0',
  written: { samples: 0, histograms: 0, exemplars: 0 },
};

function send(response: ServerResponse, answer: CortexAnswer, isVersion2: boolean): void {
  const { samples, histograms, exemplars } = answer.written;
  const headers = {
    'X-Prometheus-Remote-Write-Samples-Written': samples,
    'X-Prometheus-Remote-Write-Histograms-Written': histograms,
    'X-Prometheus-Remote-Write-Exemplars-Written': exemplars,
  };
  response.writeHead(answer.status, isVersion2 ? headers : {});
  response.end(answer.message === '' ? '' : `${answer.message}\n`);
}

/** Undefined where the sender went away in the middle. */
async function readAll(request: IncomingMessage): Promise<Buffer | undefined> {
  const chunks: Buffer[] = [];
  try {
    for await (const chunk of request) chunks.push(chunk as Buffer);
  } catch {
    return undefined;
  }
  return Buffer.concat(chunks);
}
