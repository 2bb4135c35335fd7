import { type LookupAddress, lookup } from 'node:dns';
import { connect as connectTcp, isIP, type LookupFunction, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import type { buildConnector } from 'undici';
import { AddressOrder } from './address-order.ts';

export interface ConnectorOptions {
  /** Certificates to trust instead of the system's, PEM. */
  caPem?: string | undefined;
  /** How long each address may take to accept a connection, in ms; asked at every attempt. */
  attemptLimitMs(): number;
  /** Instead of the system's resolver. */
  resolve?: typeof lookup;
}

/** Hears of the TCP connection below TLS as soon as it is tried. */
export type OnSocket = (socket: Socket) => void;

/** As undici asks for a connection. */
export type Connector = (
  target: buildConnector.Options,
  callback: buildConnector.Callback,
  onSocket?: OnSocket,
) => void;

/** Resolvers have limits of their own, of several seconds for each server they ask. */
const LOOKUP_LIMIT_MS = 15_000;
/** A TLS handshake takes two round trips and some computing; a TCP handshake takes one. */
const TLS_ATTEMPTS = 3;
const KEEP_ALIVE_MS = 60_000;

/** No connection was made, TLS included: not a byte of a request has been sent. */
export class NeverConnectedError extends Error {
  /** As the system names the cause; ETIMEDOUT when the limit of this program was reached. */
  readonly code: string;

  constructor(message: string, code: string) {
    super(message);
    this.code = code;
  }
}

/**
 * Makes connections for undici, to one origin, HTTP/1.1 only.
 *
 * Node gives each address of a name but the last 250 ms, which no handshake on a slow link keeps,
 * so here every address gets `attemptLimitMs`. undici holds TLS sessions weakly, and so loses
 * them to the garbage collector; here the last one is kept for resumption.
 */
export function createConnector(options: ConnectorOptions): Connector {
  const memory = { addresses: new AddressOrder(), session: undefined };
  return (target, callback, onSocket) => {
    const attempt = new Attempt(target, options, memory, (error, socket) => {
      // undici's type wants exactly one of the two.
      if (error !== undefined) callback(error, null);
      else callback(null, socket!);
    });
    onSocket?.(attempt.tcp);
  };
}

/** What one connection leaves for the next. */
interface Memory {
  addresses: AddressOrder;
  session: Buffer | undefined;
}

/** One connection in the making. */
class Attempt {
  readonly tcp: Socket;
  readonly #target: buildConnector.Options;
  readonly #options: ConnectorOptions;
  readonly #memory: Memory;
  readonly #done: (error: Error | undefined, socket?: Socket) => void;
  readonly #attemptMs: number;
  #isSettled = false;
  #timer: NodeJS.Timeout | undefined;
  /** The address that is being tried. */
  #address: string | undefined;

  constructor(
    target: buildConnector.Options,
    options: ConnectorOptions,
    memory: Memory,
    done: (error: Error | undefined, socket?: Socket) => void,
  ) {
    this.#target = target;
    this.#options = options;
    this.#memory = memory;
    this.#done = done;
    this.#attemptMs = options.attemptLimitMs();
    this.tcp = this.#open();
    this.#limit(isIP(target.hostname) === 0 ? LOOKUP_LIMIT_MS : this.#attemptMs);
  }

  get #isTls(): boolean {
    return this.#target.protocol === 'https:';
  }

  get #port(): number {
    return Number(this.#target.port || (this.#isTls ? 443 : 80));
  }

  #open(): Socket {
    const { addresses } = this.#memory;
    const tcp = connectTcp({
      host: this.#target.hostname,
      port: this.#port,
      noDelay: true,
      keepAlive: true,
      keepAliveInitialDelay: KEEP_ALIVE_MS,
      autoSelectFamily: true,
      autoSelectFamilyAttemptTimeout: this.#attemptMs,
      lookup: sortedLookup(this.#options.resolve ?? lookup, addresses, (count) =>
        this.#limit(this.#attemptMs * count),
      ),
    });
    tcp.on('connectionAttempt', (address) => {
      this.#address = address;
    });
    tcp.on('connectionAttemptFailed', (address) => addresses.failed(address));
    tcp.on('connectionAttemptTimeout', (address) => addresses.failed(address));
    tcp.on('error', (error: NodeJS.ErrnoException) => this.#fail(messagesOf(error), error));
    tcp.on('close', () => this.#fail('the other end closed it'));
    tcp.once('connect', () => this.#connected());
    return tcp;
  }

  #connected(): void {
    const { tcp } = this;
    if (tcp.remoteAddress !== undefined) this.#memory.addresses.worked(tcp.remoteAddress);
    this.#address = undefined;
    if (this.#isTls) this.#secure();
    else this.#settle(undefined, tcp);
  }

  #secure(): void {
    this.#limit(this.#attemptMs * TLS_ATTEMPTS);
    const { tcp } = this;
    const { hostname } = this.#target;
    const { caPem } = this.#options;
    const { session } = this.#memory;
    const tls = connectTls({
      socket: tcp,
      host: hostname,
      ...(isIP(hostname) === 0 ? { servername: hostname } : {}),
      ...(caPem === undefined ? {} : { ca: caPem }),
      ...(session === undefined ? {} : { session }),
      ALPNProtocols: ['http/1.1'],
    });
    tls.on('session', (fresh) => {
      this.#memory.session = fresh;
    });
    tls.once('secureConnect', () => this.#settle(undefined, tls));
    tls.on('error', (error: NodeJS.ErrnoException) => this.#fail(messagesOf(error), error));
  }

  /** Counts from now on. */
  #limit(ms: number): void {
    clearTimeout(this.#timer);
    if (this.#isSettled) return;
    this.#timer = setTimeout(() => {
      if (this.#address !== undefined) this.#memory.addresses.failed(this.#address);
      this.#fail(`nothing stood within ${ms} ms`, { code: 'ETIMEDOUT' });
    }, ms);
  }

  #fail(message: string, { code = 'ECONNRESET' }: { code?: string | undefined } = {}): void {
    if (this.#isSettled) return;
    const place = `${this.#target.hostname}:${this.#port}`;
    this.#settle(new NeverConnectedError(`no connection to ${place}: ${message}`, code));
    this.tcp.destroy();
  }

  #settle(error: Error | undefined, socket?: Socket): void {
    if (this.#isSettled) return;
    this.#isSettled = true;
    clearTimeout(this.#timer);
    this.#done(error, socket);
  }
}

/** A resolver with addresses that failed lately at the end; tells how many there are. */
function sortedLookup(
  resolve: typeof lookup,
  addresses: AddressOrder,
  found: (count: number) => void,
): LookupFunction {
  return (name, options, callback) => {
    resolve(name, { ...options, all: true }, (error, list: LookupAddress[]) => {
      if (error !== null) return callback(error, '');
      found(list.length);
      const sorted = addresses.sorted(list);
      if (options.all === true) callback(null, sorted);
      else callback(null, sorted[0]!.address, sorted[0]!.family);
    });
  };
}

/** Node joins the errors of several addresses in one without a message. */
function messagesOf(error: Error): string {
  if (!(error instanceof AggregateError)) return error.message;
  return error.errors.map((one) => (one instanceof Error ? one.message : String(one))).join('; ');
}
