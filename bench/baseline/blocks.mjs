// Cuts samples [s, e) of a data set into blocks and assigns groups to new series.
export class Grouper {
  constructor(ds) {
    this.ds = ds;
    this.tg = new Map();
    this.grp = [];
    this.pos = [];
    this.ng = 0;
    this.cnt = [];
    this.cur = [];
    this.cts = [];
  }
  // returns {blocks,newSeries:[{sid,grp}],newGroups}
  window(s, e) {
    const { ds } = this;
    const nw = [];
    let newGroups = 0;
    const { cur, cts } = this;
    const blocks = [];
    const sid = ds.sid,
      ts = ds.ts;
    const used = [];
    for (let i = s; i < e; i++) {
      const x = sid[i];
      let g = this.grp[x];
      if (g === undefined) {
        const key = `${ds.keys[x]}|${ts[i]}`;
        g = this.tg.get(key);
        if (g === undefined) {
          g = this.ng++;
          this.cnt[g] = 0;
          this.tg.set(key, g);
          newGroups++;
        }
        this.grp[x] = g;
        this.pos[x] = this.cnt[g]++;
        nw.push(x, g);
      }
      let b = cur[g];
      if (b === undefined || b === null || cts[g] !== ts[i]) {
        b = { g, ts: ts[i], idx: [], mono: true, lp: -1 };
        cur[g] = b;
        cts[g] = ts[i];
        blocks.push(b);
        used.push(g);
      }
      const p = this.pos[x];
      if (p <= b.lp) b.mono = false;
      b.lp = p;
      b.idx.push(i);
    }
    for (const g of used) cur[g] = null;
    const pos = this.pos;
    for (let q = 0; q < blocks.length; q++) {
      const b = blocks[q];
      if (b.mono) continue;
      b.idx.sort((a, c) => pos[sid[a]] - pos[sid[c]] || a - c);
      const keep = [],
        dup = [];
      let lp = -1;
      for (const i of b.idx) {
        if (pos[sid[i]] === lp) dup.push(i);
        else {
          keep.push(i);
          lp = pos[sid[i]];
        }
      }
      if (dup.length) {
        b.idx = keep;
        blocks.push({ g: b.g, ts: b.ts, idx: dup, mono: false, lp: 0 });
      }
    }
    return { blocks, nw, newGroups };
  }
}
