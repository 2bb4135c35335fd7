import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { stringify } from 'yaml';
import { debianProgram } from '../../test/tools/debian.ts';
import { programVersion } from '../../test/tools/debian-suite.ts';
import { FAR_ADDRESS } from './namespaces.ts';
import { type Place, RECEIVER_PORT, SENDER_PORT, type Sender, startAt } from './place.ts';
import { startStarferry } from './starferry.ts';

const WRITE_PATH = '/api/v1/write';

export interface Contender {
  name: string;
  /** For people. */
  title: string;
  start(place: Place): Promise<Sender>;
}

export const CONTENDERS: readonly Contender[] = [
  { name: 'starferry', title: 'Starferry', start: (place) => startStarferry(place, {}) },
  {
    name: 'starferry-tls',
    title: 'Starferry, TLS',
    start: (place) => startStarferry(place, { tls: true }),
  },
  {
    name: 'starferry-live',
    title: 'Starferry, live_first',
    start: (place) => startStarferry(place, { order: 'live_first' }),
  },
  {
    name: 'vmagent',
    title: 'vmagent, snappy',
    start: (place) => startVmagent(place, ['-remoteWrite.forcePromProto=true']),
  },
  {
    name: 'vmagent-zstd',
    title: 'vmagent, zstd',
    start: (place) => startVmagent(place, ['-remoteWrite.forceVMProto=true']),
  },
  {
    name: 'prometheus',
    title: 'Prometheus, remote write 1.0',
    start: (place) => startPrometheus(place, {}),
  },
  {
    name: 'prometheus-2',
    title: 'Prometheus, remote write 2.0',
    start: (place) =>
      startPrometheus(place, { protobuf_message: 'io.prometheus.write.v2.Request' }),
  },
];

/** @throws Error naming one that is not there */
export function contenderNamed(name: string): Contender {
  const contender = CONTENDERS.find((one) => one.name === name);
  if (contender === undefined) {
    throw new Error(`contender ${name}: there are ${CONTENDERS.map((one) => one.name).join(', ')}`);
  }
  return contender;
}

/** With all its defaults, several queues included. */
async function startVmagent(place: Place, flags: string[]): Promise<Sender> {
  const program = await debianProgram('vmagent', 'forky');
  const url = `http://127.0.0.1:${SENDER_PORT}`;
  const process = await startAt(place, 'near', {
    name: 'vmagent',
    readyUrl: `${url}/health`,
    command: [
      program,
      `-httpListenAddr=127.0.0.1:${SENDER_PORT}`,
      '-remoteWrite.tmpDataPath=data',
      `-remoteWrite.url=http://${FAR_ADDRESS}:${RECEIVER_PORT}${WRITE_PATH}`,
      ...flags,
    ],
  });
  return { pushUrl: url + WRITE_PATH, version: vmagentVersion(program), processes: [process] };
}

/** As Debian's package has it: vmagent itself does not say. */
function vmagentVersion(program: string): string {
  const changelog = join(program, '../../share/doc/victoria-metrics/changelog.Debian.gz');
  try {
    const text = gunzipSync(readFileSync(changelog)).toString();
    return /\((\d[^)]*)\)/.exec(text)?.[1] ?? 'unknown';
  } catch {
    return 'unknown';
  }
}

/** With all its defaults. It takes the load as remote write itself, so that all get the same. */
async function startPrometheus(place: Place, settings: object): Promise<Sender> {
  const program = await debianProgram('prometheus', 'forky');
  const url = `http://127.0.0.1:${SENDER_PORT}`;
  const target = `http://${FAR_ADDRESS}:${RECEIVER_PORT}${WRITE_PATH}`;
  const configuration = { remote_write: [{ url: target, ...settings }] };
  const folder = place.workspace.subfolder('prometheus');
  writeFileSync(join(folder, 'prometheus.yml'), stringify(configuration));
  const process = await startAt(place, 'near', {
    name: 'prometheus',
    readyUrl: `${url}/-/ready`,
    command: [
      program,
      '--config.file=prometheus.yml',
      '--storage.tsdb.path=data',
      `--web.listen-address=127.0.0.1:${SENDER_PORT}`,
      '--web.enable-remote-write-receiver',
    ],
  });
  const version = (await programVersion(program)) ?? 'unknown';
  return { pushUrl: url + WRITE_PATH, version, processes: [process] };
}
