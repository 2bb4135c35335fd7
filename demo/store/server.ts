import { once } from 'node:events';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Clock } from '../../base/clock.ts';
import { readBody } from '../../base/http-body.ts';
import { type Handler, sendBytes } from '../../base/http-server.ts';
