import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { freePort } from '../test/tools/ports.ts';
import type { Workspace } from '../test/tools/workspace.ts';

/** A link that carries more is not what these benchmarks measure. */
const RECORDED_BYTES_MAX = 512 * 2 ** 20;

/** What both ends of one TCP connection said, as it stood in the segments' payload. */
export interface RecordedConnection {
  up: Uint8Array;
  down: Uint8Array;
}

interface Recording {
  up: Buffer[];
  down: Buffer[];
}

/**
 * A TCP relay between agent and hub that counts and keeps every byte of payload, both ways. It
 * spoils nothing: what the one end sends reaches the other at once and in order.
 */
export class LinkRecorder {
  readonly port: number;
  /** Payload bytes towards the hub, over all connections. */
  bytesUp = 0;
  /** Payload bytes towards the agent. */
  bytesDown = 0;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #recordings: Recording[] = [];

  constructor(port: number, hubPort: number) {
    this.port = port;
    this.#server = createServer((agent) => this.#relay(agent, hubPort));
  }

  async listen(): Promise<void> {
    this.#server.listen(this.port, '127.0.0.1');
    await once(this.#server, 'listening');
  }

  /**
   * Every connection since the last call. Connections that go on start a new recording, so that
   * this is to be called while no request is on its way.
   */
  take(): RecordedConnection[] {
    const taken = this.#recordings.map(({ up, down }) => ({
      up: Buffer.concat(up.splice(0)),
      down: Buffer.concat(down.splice(0)),
    }));
    return taken.filter(({ up, down }) => up.length + down.length > 0);
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
    await once(this.#server, 'close');
  }

  #relay(agent: Socket, hubPort: number): void {
    const hub = connect({ port: hubPort, host: '127.0.0.1', noDelay: true });
    const recording: Recording = { up: [], down: [] };
    this.#recordings.push(recording);
    agent.on('data', (chunk: Buffer) => {
      this.bytesUp += chunk.length;
      recording.up.push(chunk);
      this.#requireRoom();
    });
    hub.on('data', (chunk: Buffer) => {
      this.bytesDown += chunk.length;
      recording.down.push(chunk);
      this.#requireRoom();
    });
    for (const [socket, other] of [
      [agent, hub],
      [hub, agent],
    ] as const) {
      this.#sockets.add(socket);
      socket.pipe(other);
      // The end of one side, by whatever means, is the end of the other.
      socket.on('error', () => other.destroy());
      socket.on('close', () => {
        other.destroy();
        this.#sockets.delete(socket);
      });
    }
  }

  #requireRoom(): void {
    if (this.bytesUp + this.bytesDown <= RECORDED_BYTES_MAX) return;
    throw new Error(`more than ${RECORDED_BYTES_MAX} bytes crossed the link`);
  }
}

/** Starts a recorder in front of a hub; `workspace` ends it. */
export async function startLinkRecorder(
  workspace: Workspace,
  hubPort: number,
): Promise<LinkRecorder> {
  const recorder = new LinkRecorder(await freePort(), hubPort);
  await recorder.listen();
  workspace.onClose(() => recorder.close());
  return recorder;
}
