import type { IncomingHttpHeaders } from 'node:http';

const MEDIA_TYPE = 'application/x-protobuf';
const NOT_ACCEPTED = 'is not accepted by this server';
const VERSION_1 = 'prometheus.WriteRequest';
const VERSION_2 = 'io.prometheus.write.v2.Request';

/**
 * Why a body under these headers cannot be read here (415), or undefined.
 *
 * Compared exactly as Prometheus' receiver does: case counts, blanks are not trimmed, a missing
 * header means remote write 1.0 and snappy. X-Prometheus-Remote-Write-Version is not looked at.
 */
export function unsupportedMedia(headers: IncomingHttpHeaders): string | undefined {
  const encoding = headers['content-encoding'];
  if (encoding !== undefined && encoding !== '' && encoding !== 'snappy') {
    const what = `${encoding} encoding (compression)`;
    return `${what} ${NOT_ACCEPTED}; only snappy is acceptable`;
  }
  const contentType = headers['content-type'];
  return contentType === undefined || contentType === ''
    ? undefined
    : unsupportedContentType(contentType);
}

function unsupportedContentType(contentType: string): string | undefined {
  const [mediaType, ...parameters] = contentType.split(';');
  if (mediaType !== MEDIA_TYPE) {
    return `expected ${MEDIA_TYPE} as the first (media) part, got ${contentType} content-type`;
  }
  for (const parameter of parameters) {
    const [key, message, ...more] = parameter.split('=');
    if (message === undefined || more.length > 0) {
      const rule = 'as per https://www.rfc-editor.org/rfc/rfc9110#parameter';
      const wanted = 'expected parameters to be key-values';
      return `${rule} ${wanted}, got ${parameter} in ${contentType} content-type`;
    }
    if (key === 'proto') return unsupportedMessage(message, contentType);
  }
  return undefined;
}

function unsupportedMessage(message: string, contentType: string): string | undefined {
  switch (message) {
    case VERSION_1:
      return undefined;
    case VERSION_2:
      return `${message} protobuf message ${NOT_ACCEPTED}; only accepts ${VERSION_1}`;
    default: {
      const what = `unknown type for remote write protobuf message ${message}`;
      return `got ${contentType} content type; ${what}, supported: ${VERSION_1}`;
    }
  }
}
