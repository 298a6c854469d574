// The fleet as the map gets it (crates/ccms-core/src/snapshot.rs), read here a second time so that a change of the layout
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
  if (bytes.toString('latin1', 0, 4) !== 'CCM1') throw new Error('not a fleet snapshot');
  const n = bytes.readUInt32LE(12);
  const column = (i: number) => 16 + i * n;
  const [states, brightnesses, lengths] = [column(12), column(13), column(14)];
  let at = column(15);
  return Array.from({ length: n }, (_, i) => {
    const length = bytes.readUInt8(lengths + i);
    const state = bytes.readUInt8(states + i);
    at += length;
    return {
      no: bytes.readUInt32LE(column(0) + 4 * i),
      id: bytes.toString('latin1', at - length, at),
      indicator: (['green', 'yellow', 'red', 'gray'] as const)[state & 3] ?? 'gray',
      lamp: (['unknown', 'off', 'on'] as const)[(state >> 2) & 3] ?? 'unknown',
      brightness: bytes.readUInt8(brightnesses + i),
    };
  });
}
