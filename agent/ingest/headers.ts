const MEDIA_TYPE = 'application/x-protobuf';
const NOT_ACCEPTED = 'is not accepted by this server';
/** Without one it is snappy. */
const ENCODINGS = new Set(['', 'snappy', 'zstd']);
const VERSION_1 = 'prometheus.WriteRequest';
const VERSION_2 = 'io.prometheus.write.v2.Request';

/** Version of remote write. */
export type Version = 1 | 2;

export type Media = { kind: 'message'; version: Version } | { kind: 'unsupported'; why: string };

/**
 * What message a body under these headers is, or why it cannot be read here (415).
 *
 * Compared as the receiver of Prometheus 3.5 does. The case of an encoding does not count, that of a
 * content type does, and blanks within it; of a header that comes twice the first one counts, and
 * one that is missing means remote write 1.0 and snappy. The version headers of Prometheus and VictoriaMetrics
 * are not looked at. vmagent sends zstd, which Prometheus refuses.
 */
export function mediaOf(headers: NodeJS.Dict<string[]>): Media {
  const encoding = headers['content-encoding']?.[0] ?? '';
  if (!ENCODINGS.has(encoding.toLowerCase())) {
    const what = `${encoding} encoding (compression)`;
    return unsupported(`${what} ${NOT_ACCEPTED}; only snappy and zstd are acceptable`);
  }
  const contentType = headers['content-type']?.[0] ?? '';
  return contentType === '' ? message(1) : mediaOfType(contentType);
}

function mediaOfType(contentType: string): Media {
  const [mediaType, ...parameters] = contentType.split(';');
  if (mediaType !== MEDIA_TYPE) {
    const expected = `expected ${MEDIA_TYPE} as the first (media) part`;
    return unsupported(`${expected}, got ${contentType} content-type`);
  }
  for (const parameter of parameters) {
    const [key, name, ...more] = parameter.split('=');
    if (name === undefined || more.length > 0) {
      const rule = 'as per https://www.rfc-editor.org/rfc/rfc9110#parameter';
      const wanted = 'expected parameters to be key-values';
      return unsupported(`${rule} ${wanted}, got ${parameter} in ${contentType} content-type`);
    }
    if (key === 'proto') return mediaOfMessage(name, contentType);
  }
  return message(1);
}

function mediaOfMessage(name: string, contentType: string): Media {
  switch (name) {
    case VERSION_1:
      return message(1);
    case VERSION_2:
      return message(2);
    default: {
      const what = `unknown type for remote write protobuf message ${name}`;
      const known = `supported: ${VERSION_1}, ${VERSION_2}`;
      return unsupported(`got ${contentType} content type; ${what}, ${known}`);
    }
  }
}

function message(version: Version): Media {
  return { kind: 'message', version };
}

function unsupported(why: string): Media {
  return { kind: 'unsupported', why };
}
