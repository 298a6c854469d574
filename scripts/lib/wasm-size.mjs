// What a browser downloads of ours before the page is alive: prints the size after brotli, fails above the budget.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { brotliCompressSync, constants } from 'node:zlib';

// The aim is 300 KB; this only keeps what is there from growing until the pages are split into lazy routes.
const BUDGET_KB = 480;
const folder = process.argv[2];
const brotli_quality_max = { params: { [constants.BROTLI_PARAM_QUALITY]: 11 } };

let total = 0;
const files = readdirSync(folder).filter((name) => /\.(wasm|js)$/.test(name));
for (const name of files) {
  const plain = readFileSync(join(folder, name));
  const packed = brotliCompressSync(plain, brotli_quality_max).length;
  total += packed;
  console.log(`${name}: ${kb(plain.length)}, ${kb(packed)} after brotli`);
}
console.log(`together ${kb(total)} of ${BUDGET_KB} KB`);
const complete = files.some((name) => name.endsWith('.wasm')) && files.some((name) => name.endsWith('.js'));
if (!complete) console.log(`incomplete: no .wasm and .js in ${folder}`);
process.exitCode = complete && total <= BUDGET_KB * 1024 ? 0 : 1;

function kb(bytes) {
  return `${(bytes / 1024).toFixed(1)} KB`;
}
