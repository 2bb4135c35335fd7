import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { HubUrls } from '../../agent/ship/hub-urls.ts';
import { SilenceError } from '../../agent/ship/peer-limit.ts';
import { NeverConnectedError } from '../../base/connector.ts';
import { memoryLog } from '../tools/memory-log.ts';

const refused = new NeverConnectedError('refused', 'ECONNREFUSED');
const connectTimeout = new NeverConnectedError('nobody', 'ETIMEDOUT');
const silence = new SilenceError('the hub did nothing');
const lost = new Error('other side closed');

let lines: Record<string, unknown>[];
let urls: HubUrls;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['performance'] });
  const memory = memoryLog();
  lines = memory.lines;
  urls = new HubUrls(['a', 'b', 'c'], memory.log);
});
afterEach(() => vi.useRealTimers());

/** Of a request that began now. */
const fresh = () => ({ beganAtMs: performance.now(), isReused: false });

describe('the next URL is tried', () => {
  test('when a hub refuses, once for all requests that fail together', () => {
    const index = urls.index;
    for (let request = 0; request < 3; request++) urls.failed(index, fresh(), refused);
    expect(urls.current).toBe('b');
  });

  test.each([connectTimeout, silence])('after ten seconds of silence, not before: %s', (error) => {
    urls.failed(0, fresh(), error);
    vi.advanceTimersByTime(9000);
    urls.failed(0, fresh(), error);
    expect(urls.current).toBe('a');
    vi.advanceTimersByTime(1000);
    urls.failed(0, fresh(), error);
    expect(urls.current).toBe('b');
    // That one has its time as well.
    urls.failed(1, fresh(), error);
    expect(urls.current).toBe('b');
  });

  test('not when the hub has answered others meanwhile', () => {
    const began = fresh();
    vi.advanceTimersByTime(60_000);
    urls.reached();
    vi.advanceTimersByTime(1);
    urls.failed(0, began, silence);
    expect(urls.current).toBe('a');
  });

  test('not when a connection that was kept is lost: a new one will tell', () => {
    urls.failed(0, { ...fresh(), isReused: true }, lost);
    expect(urls.current).toBe('a');
    urls.failed(0, fresh(), lost);
    expect(urls.current).toBe('b');
  });
});

describe('the return of the hub', () => {
  test('is said with the length of the outage, once', () => {
    urls.failed(0, fresh(), refused);
    vi.advanceTimersByTime(600_000);
    urls.failed(1, fresh(), refused);
    urls.reached();
    urls.reached();
    const said = lines.filter(({ msg }) => String(msg).includes('reached again'));
    expect(said).toMatchObject([{ msg: 'the hub is reached again after 10m', hub: 'c' }]);
  });

  test('is not said after a stumble', () => {
    urls.failed(0, fresh(), lost);
    vi.advanceTimersByTime(1000);
    urls.reached();
    expect(lines).toEqual([]);
  });
});
