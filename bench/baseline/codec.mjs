// The stateful adaptive range codec as first written; ?enc makes it an encoder, ?dec a decoder.
export const ENC = import.meta.url.includes('?enc');
// ---------- binary range coder (LZMA style carry), 16-bit probs ----------
let buf = new Uint8Array(1 << 20),
  bp = 0,
  range = 0xffffffff,
  low = 0,
  cache = 0,
  cacheSize = 1,
  code = 0,
  bend = 0;
function startEnc() {
  bp = 0;
  range = 0xffffffff;
  low = 0;
  cache = 0;
  cacheSize = 0;
  first = true;
}
let first = true;
function shiftLow() {
  if (low < 0xff000000 || low > 0xffffffff) {
    const carry = low > 0xffffffff ? 1 : 0;
    if (!first) {
      buf[bp++] = cache + carry;
    }
    first = false;
    while (cacheSize > 0) {
      buf[bp++] = (0xff + carry) & 255;
      cacheSize--;
    }
    cache = (low >>> 24) & 255;
    if (low > 0xffffffff) cache = Math.floor(low / 16777216) & 255;
  } else cacheSize++;
  low = ((low & 0x00ffffff) << 8) >>> 0;
  if (bp + 1024 > buf.length) {
    const n = new Uint8Array(buf.length * 2);
    n.set(buf);
    buf = n;
  }
}
function endEnc() {
  for (let i = 0; i < 5; i++) shiftLow();
  return bp;
}
function startDec(b, o, e) {
  buf = b;
  bp = o;
  bend = e;
  range = 0xffffffff;
  code = 0;
  for (let i = 0; i < 4; i++) {
    code = ((code << 8) | (bp < bend ? buf[bp] : 0)) >>> 0;
    bp++;
  }
}
function bit(P, i, b) {
  const p = P[i];
  const r = range;
  const bound = (Math.imul(r >>> 16, p) + (Math.imul(r & 0xffff, p) >>> 16)) >>> 0;
  if (ENC) {
    if (b) {
      range = bound;
    } else {
      low += bound;
      range = (r - bound) >>> 0;
    }
  } else {
    if (code >>> 0 < bound) {
      range = bound;
      b = 1;
    } else {
      code = (code - bound) >>> 0;
      range = (r - bound) >>> 0;
      b = 0;
    }
  }
  if (b) P[i] = p + ((65504 - p) >> 5);
  else P[i] = p - ((p - 32) >> 5);
  while (range < 0x1000000) {
    range = (range << 8) >>> 0;
    if (ENC) shiftLow();
    else {
      code = ((code << 8) | (bp < bend ? buf[bp] : 0)) >>> 0;
      bp++;
    }
  }
  return b;
}
function bits(n, v) {
  // n<=16 direct bits
  range = range >>> n;
  if (ENC) low += range * v;
  else {
    v = Math.floor((code >>> 0) / range);
    if (v >= 1 << n) v = (1 << n) - 1;
    code = (code - range * v) >>> 0;
  }
  while (range < 0x1000000) {
    range = (range << 8) >>> 0;
    if (ENC) shiftLow();
    else {
      code = ((code << 8) | (bp < bend ? buf[bp] : 0)) >>> 0;
      bp++;
    }
  }
  return v;
}
function newP(n) {
  return new Uint16Array(n).fill(32768);
}
function bl(x) {
  return x < 2147483648 ? 32 - Math.clz32(x) : 64 - Math.clz32(Math.floor(x / 4294967296));
}
function wideBits(n, v) {
  // up to 63 bits as double (exact <2^53)
  let r = 0;
  while (n > 16) {
    n -= 16;
    const q = POW2[n];
    const t = ENC ? Math.floor(v / q) : 0;
    const g = bits(16, t);
    if (ENC) v -= t * q;
    r += g * q;
  }
  if (n > 0) r += bits(n, v);
  return r;
}
// adaptive gamma for nonneg ints; P size>=64 per ctx
function gam(P, o, v) {
  let n = ENC ? bl(v) : 0;
  let node = 1;
  for (let k = 5; k >= 0; k--) {
    const b = bit(P, o + node, ENC ? (n >> k) & 1 : 0);
    node = node * 2 + b;
  }
  n = node - 64;
  if (n <= 1) return n;
  const m = POW2[n - 1];
  return m + wideBits(n - 1, ENC ? v - m : 0);
}
function sgam(P, o, v) {
  const z = ENC ? (v < 0 ? -2 * v - 1 : 2 * v) : 0;
  const r = gam(P, o, z);
  return r % 2 === 1 ? -(r + 1) / 2 : r / 2;
}
// ---------- state ----------
const POW2 = new Float64Array(80);
for (let i = 0; i < 80; i++) POW2[i] = 2 ** i;
const P10 = [1, 10, 100, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9];
const ACCE = [1e2, 1e3, 1e6, 1e9];
const NOMODE = 63,
  RAW = 62,
  STALE = 61,
  ACC0 = 12,
  SH0 = 16;
export const S = { n: 0, cap: 0 };
let F8, U8, U16, I16, U32, group, pos, part, stamp, pc;
function growS(n) {
  let cap = Math.max(1024, S.cap);
  while (cap < n) cap *= 2;
  if (cap !== S.cap) {
    const o = U8;
    const raw = new ArrayBuffer(cap * 64 + 64);
    U8 = new Uint8Array(raw, 0, cap * 64);
    if (o) U8.set(o);
    F8 = new Float64Array(raw, 0, cap * 8);
    U16 = new Uint16Array(raw, 0, cap * 32);
    I16 = new Int16Array(raw, 0, cap * 32);
    U32 = new Uint32Array(raw, 0, cap * 16);
    const g = (x, T) => {
      const y = new T(cap);
      if (x) y.set(x);
      return y;
    };
    group = g(group, Int32Array);
    pos = g(pos, Int32Array);
    part = g(part, Int32Array);
    stamp = g(stamp, Uint32Array);
    pc = g(pc, Uint8Array);
    S.cap = cap;
  }
}
growS(1024);
// groups
export const G = []; // {mem:Int32[] , ts, iv, succ}
const PZ = newP(16 * 4 * 8 * 4),
  PE = newP(64 * 2),
  PMODE = newP(64),
  PNB = newP(8),
  PR0 = newP(512 * 4),
  PTREE = newP(512 * 64),
  PSG = newP(64 * 16),
  PMAN = newP(64 * 8 * 2),
  PCOR = newP(64 * 8),
  PG = newP(64 * 8),
  PGS = newP(4),
  PPA = newP(16);
const TB = new Int32Array(4096),
  TS = new Uint32Array(4096);
let blk = 1;
const fb = new Float64Array(2),
  fq = new BigInt64Array(fb.buffer);
function tz(v) {
  // trailing zero bits of |int| <2^53
  let n = 0;
  if (v === 0) return 0;
  v = Math.abs(v);
  while (v % 65536 === 0) {
    v /= 65536;
    n += 16;
  }
  const l = v % 65536;
  return n + 31 - Math.clz32(l & -l);
}
function fitted(v, m) {
  // returns M or NaN
  if (m < 10) {
    const x = Math.round(v * P10[m]);
    return x / P10[m] === v && x < 2e15 && x > -2e15 ? x : NaN;
  }
  if (m >= SH0 && m < SH0 + 40) {
    const x = v / POW2[m - SH0];
    return Number.isInteger(x) && x < 2e15 && x > -2e15 && x * POW2[m - SH0] === v ? x : NaN;
  }
  return NaN;
}
function isNegZero(v) {
  return v === 0 && 1 / v < 0;
}
function pickMode(v, p) {
  if (Number.isInteger(v) && v < 2e15 && v > -2e15) {
    const t = tz(v);
    return t >= 3 ? SH0 + Math.min(t, 39) : 0;
  }
  for (let e = 1; e < 10; e++) if (!Number.isNaN(fitted(v, e))) return e;
  for (let a = 0; a < 4; a++) {
    if (accFit(v, p, a)) return ACC0 + a;
  }
  return RAW;
}
let accK = 0,
  accC = 0;
function accFit(v, p, a) {
  const k = Math.round((v - p) * ACCE[a]);
  if (!(k < 2e15 && k > -2e15)) return false;
  fb[0] = v;
  fb[1] = p + k / ACCE[a];
  if (fb[0] < 0 !== fb[1] < 0) return false;
  const c = Number(fq[0] - fq[1]);
  if (c > 32 || c < -32) return false;
  accK = k;
  accC = c;
  return true;
}
function baseM(p, m) {
  const x =
    m < 10 ? Math.round(p * P10[m]) : m >= SH0 && m < SH0 + 40 ? Math.round(p / POW2[m - SH0]) : 0;
  return x < 2e15 && x > -2e15 ? x + 0 : 0;
}
// block-level neighbour ctx
let nChg = 0,
  nChg2 = 0,
  nD = 0,
  nMode = 0;
function q16(p) {
  // quantize 16-bit prob into 0..15 (logit-ish)
  return p < 328
    ? 0
    : p < 800
      ? 1
      : p < 1600
        ? 2
        : p < 3277
          ? 3
          : p < 6500
            ? 4
            : p < 13107
              ? 5
              : p < 22000
                ? 6
                : p < 32768
                  ? 7
                  : p < 43000
                    ? 8
                    : p < 52000
                      ? 9
                      : p < 58000
                        ? 10
                        : p < 61500
                          ? 11
                          : p < 63500
                            ? 12
                            : p < 64500
                              ? 13
                              : p < 65100
                                ? 14
                                : 15;
}
function codeVal(s, hi, lo, v) {
  // enc: v given; dec: returns through F8[s*8]
  const p = F8[s * 8];
  let ch = 0;
  const cur = U8[s * 64 + 58];
  if (ENC) {
    ch = U32[s * 16] === lo && U32[s * 16 + 1] === hi && cur !== NOMODE ? 0 : 1;
  }
  const z = U16[s * 32 + 28],
    h = U8[s * 64 + 59];
  ch = bit(
    PZ,
    (((((q16(z) << 2) | (h & 3)) << 3) |
      (nChg << 2) |
      (nChg2 << 1) |
      (U8[s * 64 + 60] > 0 ? 1 : 0)) <<
      2) |
      (nChg && nD === F8[s * 8 + 2] ? 1 : 0) |
      (cur === STALE || cur === NOMODE ? 2 : 0),
    ch,
  );
  U16[s * 32 + 28] = ch ? z + ((65535 - z) >> 4) : z - (z >> 4);
  U8[s * 64 + 59] = ((h << 1) | ch) & 255;
  if (!ch) {
    nChg2 = nChg;
    nChg = 0;
    return;
  }
  // mode
  let m = cur,
    k = 0,
    cor = 0,
    esc = 0;
  if (ENC) {
    esc = 1;
    if (hi === 0x7ff00000 && lo === 2) {
      m = STALE;
    } else if (Number.isNaN(v) || v === Infinity || v === -Infinity || isNegZero(v)) {
      m = RAW;
    } else {
      if (cur < 10 || (cur >= SH0 && cur < SH0 + 40)) {
        k = fitted(v, cur);
        if (!Number.isNaN(k)) esc = 0;
      } else if (cur >= ACC0 && cur < SH0) {
        if (accFit(v, p, cur - ACC0)) {
          esc = 0;
          k = accK;
          cor = accC;
        }
      }
      if (esc) {
        m = pickMode(v, p);
      }
    }
  }
  esc = bit(PE, (cur << 1) | (h === 0 ? 1 : 0), esc);
  if (esc) {
    let node = 1;
    for (let i = 5; i >= 0; i--) {
      const b = bit(PMODE, node, ENC ? (m >> i) & 1 : 0);
      node = node * 2 + b;
    }
    m = node - 64;
    U8[s * 64 + 58] = m;
    if (m === STALE) {
      U32[s * 16] = 2;
      U32[s * 16 + 1] = 0x7ff00000;
      U8[s * 64 + 61] = 0;
      nChg2 = nChg;
      nChg = 0;
      return;
    }
    if (m === RAW) {
      const a = bits(16, ENC ? hi >>> 16 : 0),
        b = bits(16, ENC ? hi & 65535 : 0),
        c = bits(16, ENC ? lo >>> 16 : 0),
        d = bits(16, ENC ? lo & 65535 : 0);
      U32[s * 16] = (c * 65536 + d) >>> 0;
      U32[s * 16 + 1] = (a * 65536 + b) >>> 0;
      nChg2 = nChg;
      nChg = 0;
      F8[s * 8 + 2] = 0;
      return;
    }
    F8[s * 8 + 3] = baseM(p, m);
    F8[s * 8 + 2] = 0;
    F8[s * 8 + 4] = 0;
    F8[s * 8 + 5] = F8[s * 8 + 3];
    const c4 = s * 32 + 24;
    I16[c4] = 256;
    I16[c4 + 1] = 288;
    I16[c4 + 2] = 320;
    I16[c4 + 3] = 288;
    if (ENC) {
      if (m < 10 || m >= SH0) k = fitted(v, m);
      else {
        accFit(v, p, m - ACC0);
        k = accK;
        cor = accC;
      }
    }
  }
  const acc = m >= ACC0 && m < SH0;
  const m0 = acc ? 0 : F8[s * 8 + 3];
  let d = ENC ? k - m0 : 0,
    done = 0;
  const c4 = s * 32 + 24;
  if (nChg && nMode === m) {
    const f = U8[s * 64 + 60];
    const eq = bit(PNB, f > 3 ? 3 : f | (nChg2 << 2), ENC && d === nD ? 1 : 0);
    if (eq) {
      d = nD;
      done = 1;
      if (f < 7) U8[s * 64 + 60] = f + 1;
    } else U8[s * 64 + 60] = f >> 1;
  }
  if (!done) {
    const q = part[s];
    if (q >= 0 && stamp[q] === blk && U8[q * 64 + 58] === m) {
      const f = pc[s];
      const eq = bit(PPA, f, ENC && d === F8[q * 8 + 2] ? 1 : 0);
      if (eq) {
        d = F8[q * 8 + 2];
        done = 2;
        if (f < 15) pc[s] = f + 1;
      } else pc[s] = f >> 2;
    }
  }
  const dl = F8[s * 8 + 2],
    md = Math.round(F8[s * 8 + 4]),
    lv = acc ? 0 : Math.round(F8[s * 8 + 5]) - m0;
  let j = 0,
    cb = I16[c4];
  if (I16[c4 + 1] < cb) {
    j = 1;
    cb = I16[c4 + 1];
  }
  if (I16[c4 + 2] < cb) {
    j = 2;
    cb = I16[c4 + 2];
  }
  if (!acc && I16[c4 + 3] < cb) {
    j = 3;
    cb = I16[c4 + 3];
  }
  if (!done) {
    const pr = j === 0 ? 0 : j === 1 ? md : j === 2 ? dl : lv;
    let r = ENC ? d - pr : 0;
    const bk = Math.min(127, cb >> 4) * 4 + (j === 0 ? 0 : j === 3 ? 2 : 1);
    if (j !== 0 && bit(PR0, bk * 4 + j, ENC && r === 0 ? 1 : 0)) {
      r = 0;
    } else {
      const neg = bit(
        PSG,
        ((j * 3 + U8[s * 64 + 62]) * 2 + esc) * 16 + Math.min(15, cb >> 5),
        ENC && r < 0 ? 1 : 0,
      );
      U8[s * 64 + 62] = neg ? 2 : 1;
      let a = ENC ? (neg ? -r : r) : 0;
      let n = ENC ? bl(a) : 0;
      let node = 1;
      const o = bk * 64;
      for (let i = 5; i >= 0; i--) {
        const b = bit(PTREE, o + node, ENC ? (n >> i) & 1 : 0);
        node = node * 2 + b;
      }
      n = node - 64;
      if (n > 1) {
        let t = n - 1;
        const top = POW2[t];
        let rem = ENC ? a - top : 0;
        let x = top;
        // two modelled mantissa bits
        const o2 = n * 16;
        t--;
        let q = POW2[t];
        const b = bit(PMAN, o2 + 1 + (cb >> 4 >= 2 * n ? 8 : 0), ENC && rem >= q ? 1 : 0);
        if (b) {
          x += q;
          if (ENC) rem -= q;
        }
        if (t > 0) {
          t--;
          q = POW2[t];
          const b2 = bit(PMAN, o2 + 2 + b + (cb >> 4 >= 2 * n ? 8 : 0), ENC && rem >= q ? 1 : 0);
          if (b2) {
            x += q;
            if (ENC) rem -= q;
          }
        }
        if (t > 0) x += wideBits(t, rem);
        a = x;
      } else a = n;
      r = neg ? -a : a;
    }
    d = pr + r;
  }
  // costs
  {
    let a = bl(Math.abs(d));
    I16[c4] += ((a << 5) - I16[c4]) >> 3;
    a = bl(Math.abs(d - md));
    I16[c4 + 1] += ((a << 5) + 8 - I16[c4 + 1]) >> 3;
    a = bl(Math.abs(d - dl));
    I16[c4 + 2] += ((a << 5) + 4 - I16[c4 + 2]) >> 3;
    if (!acc) {
      a = bl(Math.abs(d - lv));
      I16[c4 + 3] += ((a << 5) + 8 - I16[c4 + 3]) >> 3;
    }
  }
  const nm = m0 + d;
  if (acc) {
    const f = U8[s * 64 + 63];
    cor = sgam(PCOR, f * 64, cor);
    U8[s * 64 + 63] = Math.min(7, bl(Math.abs(cor)));
    fb[0] = p + d / ACCE[m - ACC0];
    if (cor !== 0) fq[0] += BigInt(cor);
    F8[s * 8] = fb[0];
  } else {
    F8[s * 8 + 3] = nm;
    F8[s * 8] = m < 10 ? nm / P10[m] : nm * POW2[m - SH0];
    F8[s * 8 + 5] += (nm - F8[s * 8 + 5]) * 0.125;
  }
  stamp[s] = blk;
  if (done !== 1 && (d > 15 || d < -15)) {
    const h = (Math.imul(d | 0, 0x9e3779b1) >>> 20) & 4095;
    const c = TB[h];
    if (
      done === 0 &&
      pc[s] === 0 &&
      TS[h] === blk &&
      c !== s &&
      F8[c * 8 + 2] === d &&
      U8[c * 64 + 58] === m
    )
      part[s] = c;
    if (TS[h] !== blk) {
      TB[h] = s;
      TS[h] = blk;
    }
  }
  F8[s * 8 + 4] += (d - F8[s * 8 + 4]) * (F8[s * 8 + 4] === 0 ? 0.5 : 0.125);
  F8[s * 8 + 2] = d;
  nChg2 = nChg;
  nChg = 1;
  nD = d;
  nMode = m;
}
// ---------- batch ----------
export function addSeries(groupId) {
  // called in same order on both sides
  const s = S.n++;
  growS(S.n);
  U8[s * 64 + 58] = NOMODE;
  U16[s * 32 + 28] = 8000;
  group[s] = groupId;
  pos[s] = G[groupId].mem.length;
  G[groupId].mem.push(s);
  F8[s * 8 + 1] = -1;
  part[s] = -1;
  return s;
}
export function addGroup() {
  G.push({ mem: [], ts: 0, iv: 0, succ: -1, run: 0 });
  return G.length - 1;
}
let lastG = -1;
// blocks: array of {g,ts,idx:[sample indexes sorted by pos]}
export function encodeBatch(blocks, sidA, valU, valF) {
  startEnc();
  lastG = -1;
  gam(PG, 0, blocks.length);
  for (const B of blocks) {
    hdr(B.g, B.ts);
    const g = G[B.g];
    const n = g.mem.length;
    // membership runs vs prediction
    const idx = B.idx;
    const runs = [];
    let q = 0,
      rs = -1;
    const t = B.ts;
    const mem = g.mem;
    for (let i = 0; i < n; i++) {
      const s = mem[i];
      const pres = q < idx.length && sidA[idx[q]] === s ? 1 : 0;
      if (pres) q++;
      const pred = U8[s * 64 + 61] && F8[s * 8 + 1] < t ? 1 : 0;
      if (pres !== pred) {
        if (rs < 0) rs = i;
      } else if (rs >= 0) {
        runs.push(rs, i);
        rs = -1;
      }
    }
    if (rs >= 0) runs.push(rs, n);
    gam(PG, 64, runs.length / 2);
    let pe = 0;
    for (let i = 0; i < runs.length; i += 2) {
      gam(PG, 128, runs[i] - pe);
      gam(PG, 192, runs[i + 1] - runs[i] - 1);
      pe = runs[i + 1];
    }
    nChg = nChg2 = 0;
    blk++;
    for (let i = 0; i < idx.length; i++) {
      const x = idx[i],
        s = sidA[x];
      F8[s * 8 + 1] = t;
      U8[s * 64 + 61] = 1;
      codeVal(s, valU[2 * x + 1], valU[2 * x], valF[x]);
    }
  }
  return Buffer.from(buf.subarray(0, endEnc()));
}
function hdr(g, ts) {
  // group id via successor prediction, ts dod
  const ps = lastG >= 0 ? G[lastG].succ : 0;
  const ok = bit(PGS, 0, ENC && g === ps ? 1 : 0);
  if (ok) g = ps;
  else {
    g = gam(PG, 256, g);
    if (lastG >= 0) G[lastG].succ = g;
  }
  const o = G[g];
  const pt = o.ts === 0 ? T0 : o.ts + o.iv;
  const dd = sgam(PG, 320, ENC ? ts - pt : 0);
  ts = pt + dd;
  if (o.ts && ts !== o.ts) o.iv = ts - o.ts;
  o.ts = ts;
  T0 = ts;
  lastG = g;
  return ts;
}
let T0 = 1.7e12;
/** A new stream in the same module, so that the compiled code stays warm. */
export function reset() {
  S.n = 0;
  G.length = 0;
  lastG = -1;
  T0 = 1.7e12;
  blk = 1;
  U8.fill(0);
  TS.fill(0);
  stamp.fill(0);
  pc.fill(0);
  for (const P of [PZ, PE, PMODE, PNB, PR0, PTREE, PSG, PMAN, PCOR, PG, PGS, PPA]) P.fill(32768);
}
export function decodeBatch(b, emit) {
  startDec(b, 0, b.length);
  lastG = -1;
  const nb = gam(PG, 0, 0);
  for (let k = 0; k < nb; k++) {
    const t = hdr(0, 0);
    const g = G[lastG];
    const mem = g.mem,
      n = mem.length;
    const nr = gam(PG, 64, 0);
    let pe = 0;
    const runs = [];
    for (let i = 0; i < nr; i++) {
      const a = pe + gam(PG, 128, 0),
        e = a + gam(PG, 192, 0) + 1;
      runs.push(a, e);
      pe = e;
    }
    nChg = nChg2 = 0;
    blk++;
    let ri = 0;
    // two passes are needed because live/lastTs are updated while coding; membership computed per series before its update
    for (let i = 0; i < n; i++) {
      const s = mem[i];
      while (ri < runs.length && i >= runs[ri + 1]) ri += 2;
      const inv = ri < runs.length && i >= runs[ri] ? 1 : 0;
      const pres = (U8[s * 64 + 61] && F8[s * 8 + 1] < t ? 1 : 0) ^ inv;
      if (!pres) continue;
      F8[s * 8 + 1] = t;
      U8[s * 64 + 61] = 1;
      codeVal(s, 0, 0, 0);
      emit(s, t, U32[s * 16 + 1], U32[s * 16]);
    }
  }
}
