import { expect, test } from 'vitest';
import { brokenPromise, parseTrace } from './system-calls.ts';

const promised = { marker: 'up', file: '/d/wal', request: 'POST /w', answer: 'HTTP/1.1 204' };

/** Two threads whose calls overlap, as strace shows them. */
const trace = [
  '7 read(9<socket:[1]>,  <unfinished ...>',
  '7 <... read resumed>"POST /w HTTP/1.1\\r\\n"..., 65536) = 120',
  '8 pwrite64(5</d/wal>, "\\0\\0up\\0"..., 16384, 32 <unfinished ...>',
  '7 write(6<anon_inode:[eventfd]>, "\\1\\0\\0\\0\\0\\0\\0\\0", 8) = 8',
  '8 <... pwrite64 resumed>)           = 16384',
  '8 fdatasync(5</d/wal> <unfinished ...>',
  '7 write(6<anon_inode:[eventfd]>, "\\1\\0\\0\\0\\0\\0\\0\\0", 8) = 8',
  '8 <... fdatasync resumed>)          = 0',
  '7 write(9<socket:[1]>, "HTTP/1.1 204 No Content\\r\\n"..., 90) = 90',
  '7 +++ killed by SIGKILL +++',
];

test('calls that were interrupted by those of other threads are read whole', () => {
  expect(parseTrace(trace.join('\n')).filter(({ file }) => file === '/d/wal')).toEqual([
    {
      name: 'pwrite64',
      file: '/d/wal',
      args: ', "\\0\\0up\\0"..., 16384, 32',
      beganAt: 2,
      endedAt: 4,
      result: '16384',
    },
    { name: 'fdatasync', file: '/d/wal', args: '', beganAt: 5, endedAt: 7, result: '0' },
  ]);
});

const without = (...lines: number[]) => trace.filter((_, at) => !lines.includes(at));

test.each([
  ['nothing', trace, undefined],
  ['the sync', without(5, 7), 'it was answered before /d/wal was synced with up'],
  ['the write', without(2, 4), 'up was not written to /d/wal'],
  ['the request', without(0, 1), 'nothing arrived before up was written'],
  ['the answer', without(8), 'nobody answered the request with up'],
  [
    'its place behind the sync',
    [...trace.slice(0, 7), trace[8]!, trace[7]!],
    'it was answered before /d/wal was synced with up',
  ],
  [
    'its place behind the write',
    [...trace.slice(0, 2), trace[8]!, ...trace.slice(2, 8)],
    'it was answered before up was written',
  ],
])('an answer that lacks %s', (_name, lines, broken) => {
  expect(brokenPromise(parseTrace(lines.join('\n')), promised)).toBe(broken);
});
