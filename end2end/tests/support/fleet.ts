// The fleet as the map gets it (crates/ccms-core/src/snapshot/), read here a second time so that a change of the layout
// is noticed.
import type { APIRequestContext } from '@playwright/test';

export interface Mark {
  no: number;
  id: string;
  indicator: 'green' | 'yellow' | 'red' | 'gray';
  lamp: 'unknown' | 'off' | 'on';
  brightness: number;
}

export async function fleet(request: APIRequestContext): Promise<Mark[]> {
  const answer = await request.get('/live/fleet');
  if (!answer.ok()) throw new Error(`/live/fleet says ${answer.status()}`);
  return decode(await answer.body());
}

function decode(bytes: Buffer): Mark[] {
  if (bytes.toString('latin1', 0, 4) !== 'CCM2') throw new Error('not a fleet snapshot');
  const n = bytes.readUInt32LE(12);
  const bits = new Bits(bytes.subarray(24));
  const numbers = readNumbers(bits, n);
  const looks = readLooks(bits, n);
  bits.align();
  const ids = readIds(bits, numbers);
  return numbers.map((no, i) => {
    const look = looks[i] ?? 0;
    const state = look & 0xff;
    return {
      no,
      id: ids[i] ?? '',
      indicator: (['green', 'yellow', 'red', 'gray'] as const)[state & 3] ?? 'gray',
      lamp: (['unknown', 'off', 'on'] as const)[(state >> 2) & 3] ?? 'unknown',
      brightness: look >> 8,
    };
  });
}

function readNumbers(bits: Bits, n: number): number[] {
  const [kGap, kRun] = [bits.take(5), bits.take(5)];
  const numbers: number[] = [];
  let no = 0;
  while (numbers.length < n) {
    no += bits.rice(kGap);
    for (let left = bits.rice(kRun) + 1; left > 0; left--) numbers.push(++no);
  }
  return numbers;
}

function readLooks(bits: Bits, n: number): number[] {
  const occur = Array.from({ length: bits.take(17) }, () => bits.take(16));
  const k = bits.take(5);
  const width = Math.ceil(Math.log2(Math.max(occur.length, 1)));
  const looks: number[] = [];
  while (looks.length < n) {
    const alike = bits.rice(k) + 1;
    const look = occur[bits.take(width)] ?? 0;
    for (let left = alike; left > 0; left--) looks.push(look);
  }
  return looks;
}

function readIds(bits: Bits, numbers: number[]): string[] {
  let id = '';
  let before = 0;
  let asExpected = -1;
  return numbers.map((no) => {
    const [, text = '', digits = ''] = /^(.*?)(\d*)$/.exec(id) ?? [];
    const plus = (by: number) => (BigInt(digits) + BigInt(by)).toString().padStart(digits.length, '0');
    if (digits !== '') id = text + plus(no - before);
    before = no;
    if (asExpected < 0) asExpected = bits.sized();
    if (asExpected-- === 0) id = otherId(bits, id);
    return id;
  });
}

function otherId(bits: Bits, expected: string): string {
  if (bits.take(1) === 1) {
    const [, text = '', digits = ''] = /^(.*?)(\d*)$/.exec(expected) ?? [];
    const number = BigInt(digits) + BigInt(bits.sized());
    return text + number.toString().padStart(digits.length, '0').slice(-digits.length);
  }
  const [same, more] = [bits.take(7), bits.take(7)];
  const rest = Array.from({ length: more }, () => bits.take(8));
  return expected.slice(0, same) + String.fromCharCode(...rest);
}

/** Zeros in front of a number that is far larger than others. */
const FAR = 8;

/** Lowest bit first. */
class Bits {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  take(width: number): number {
    let value = 0;
    for (let n = 0; n < width; n++, this.#at++) {
      const byte = this.#bytes[this.#at >> 3];
      if (byte === undefined) throw new Error('a fleet snapshot that ends early');
      value += ((byte >> (this.#at & 7)) & 1) * 2 ** n;
    }
    return value;
  }

  rice(k: number): number {
    let zeros = 0;
    while (zeros < FAR && this.take(1) === 0) zeros++;
    if (zeros < FAR) return zeros * 2 ** k + this.take(k);
    // Far larger than the others: how many bits are below its highest, and those.
    const below = this.take(5);
    return 2 ** below + this.take(below);
  }

  sized(): number {
    return this.take(this.take(6));
  }

  align() {
    this.#at = Math.ceil(this.#at / 8) * 8;
  }
}
