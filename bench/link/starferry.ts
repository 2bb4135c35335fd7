import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { nodeProgram, starferryMain, writeToken } from '../../test/e2e/starferry.ts';
import { debianProgram } from '../../test/tools/debian.ts';
import type { RunningProcess } from '../../test/tools/processes.ts';
import type { Workspace } from '../../test/tools/workspace.ts';
import { FAR_ADDRESS } from './namespaces.ts';
import {
  checkoutVersion,
  type Place,
  RECEIVER_PORT,
  SENDER_PORT,
  type Sender,
  startAt,
} from './place.ts';

/** Where agents connect, at the far end; behind it may be what stands before the hub. */
const HUB_PORT = 9202;
const HUB_ADMIN_PORT = 9203;
const HUB_PORT_BEHIND = 9204;
const AGENT_ID = 'bench';

export interface StarferryOptions {
  tls?: boolean;
  order?: 'oldest_first' | 'live_first';
  /** What stands before the hub: a counter of sends, or an nginx that takes bodies up to 16 kB. */
  before?: 'counter' | 'nginx';
  /** How the agent knows the hub; by default by its address. */
  hubName?: string;
}

/** Agent at the near end, hub at the far one, with all defaults but for what the options say. */
export async function startStarferry(place: Place, options: StarferryOptions): Promise<Sender> {
  const { workspace } = place;
  const tokenFile = writeToken(workspace, AGENT_ID);
  const certificate = options.tls === true ? makeCertificate(workspace) : undefined;
  const processes: RunningProcess[] = [];
  const isBehind = options.before !== undefined;
  const listen = isBehind ? `127.0.0.1:${HUB_PORT_BEHIND}` : `${FAR_ADDRESS}:${HUB_PORT}`;
  const admin = isBehind ? listen : `127.0.0.1:${HUB_ADMIN_PORT}`;
  const isLiveFirst = options.order === 'live_first';
  const hub = await startEnd(place, 'hub', {
    readyUrl: `http://${admin}/-/ready`,
    settings: {
      listen,
      ...(isBehind ? {} : { admin_listen: admin, allow_plaintext: certificate === undefined }),
      ...(certificate === undefined
        ? {}
        : { tls: { cert_file: certificate.certFile, key_file: certificate.keyFile } }),
      agents: [{ id: AGENT_ID, token_file: tokenFile, tenants: ['bench'] }],
      destination: {
        kind: 'cortex',
        url: `http://127.0.0.1:${RECEIVER_PORT}/api/v1/push`,
        ...(isLiveFirst ? { out_of_order_time_window: '1d' } : {}),
      },
    },
  });
  processes.push(hub);
  if (options.before === 'counter') {
    await place.far.call('countSends', { port: HUB_PORT, hubPort: HUB_PORT_BEHIND });
  }
  if (options.before === 'nginx') processes.push(await startNginx(place));
  const host = options.hubName ?? FAR_ADDRESS;
  const scheme = certificate === undefined ? 'http' : 'https';
  const url = `http://127.0.0.1:${SENDER_PORT}`;
  const agent = await startEnd(place, 'agent', {
    readyUrl: `${url}/-/ready`,
    settings: {
      agent_id: AGENT_ID,
      listen: `127.0.0.1:${SENDER_PORT}`,
      hub: {
        urls: [`${scheme}://${host}:${HUB_PORT}`],
        token_file: tokenFile,
        ...(certificate === undefined
          ? { allow_plaintext: true }
          : { ca_file: certificate.certFile }),
      },
      ...(options.order === undefined ? {} : { order: options.order }),
      // Copies of a series have the same name, more of them than any real metric has.
      limits: { max_series_per_metric: 0 },
    },
  });
  processes.push(agent);
  return { pushUrl: `${url}/api/v1/push`, version: checkoutVersion(), processes };
}

function startEnd(
  place: Place,
  command: 'agent' | 'hub',
  { readyUrl, settings }: { readyUrl: string; settings: object },
): Promise<RunningProcess> {
  const folder = place.workspace.subfolder(command);
  const configFile = join(folder, `${command}.yml`);
  writeFileSync(configFile, stringify({ data_dir: join(folder, 'data'), ...settings }));
  return startAt(place, command === 'agent' ? 'near' : 'far', {
    name: command,
    readyUrl,
    command: [nodeProgram, starferryMain, command, `--config.file=${configFile}`],
  });
}

/** One certificate that vouches for itself: chains of public authorities are some 2 kB longer. */
function makeCertificate(workspace: Workspace): { certFile: string; keyFile: string } {
  const folder = workspace.subfolder('tls');
  const [certFile, keyFile] = [join(folder, 'hub.crt'), join(folder, 'hub.key')];
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-noenc'];
  const files = ['-keyout', keyFile, '-out', certFile];
  const names = ['-subj', '/CN=hub', '-addext', `subjectAltName=IP:${FAR_ADDRESS}`];
  try {
    execFileSync('openssl', ['req', '-x509', ...key, ...files, ...names, '-days', '2'], {
      stdio: 'pipe',
    });
  } catch (error) {
    throw new Error(`TLS needs openssl (Debian: apt-get install openssl): ${error}`);
  }
  return { certFile, keyFile };
}

/** A real nginx as many have it before their hub, with a small limit for bodies. */
async function startNginx(place: Place): Promise<RunningProcess> {
  const program = await debianProgram('nginx');
  const folder = place.workspace.subfolder('nginx');
  const paths = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'];
  writeFileSync(
    join(folder, 'nginx.conf'),
    `daemon off; master_process off; pid ${folder}/nginx.pid; error_log stderr warn;
events {}
http {
  access_log off;
  ${paths.map((path) => `${path}_temp_path ${folder}/${path};`).join(' ')}
  server {
    listen ${FAR_ADDRESS}:${HUB_PORT};
    listen 127.0.0.1:${HUB_ADMIN_PORT};
    client_max_body_size 16k;
    location / {
      proxy_pass http://127.0.0.1:${HUB_PORT_BEHIND};
      proxy_http_version 1.1;
    }
  }
}
`,
  );
  return startAt(place, 'far', {
    name: 'nginx',
    readyUrl: `http://127.0.0.1:${HUB_ADMIN_PORT}/-/ready`,
    command: [program, '-e', 'stderr', '-p', folder, '-c', join(folder, 'nginx.conf')],
  });
}
