// A process whose output is read line by line, so that a test waits for what it says and not for time to pass.
import { spawn, type ChildProcess } from 'node:child_process';
import { createWriteStream, mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { createInterface } from 'node:readline';

export class Process {
  private lines: string[] = [];
  private ears = new Set<() => void>();
  private child: ChildProcess;
  private over: Promise<void>;
  private ended: string | undefined;

  constructor(command: string, args: string[], options: { env: NodeJS.ProcessEnv; cwd: string; log: string }) {
    this.child = spawn(command, args, { env: options.env, cwd: options.cwd, stdio: ['ignore', 'pipe', 'pipe'] });
    mkdirSync(dirname(options.log), { recursive: true });
    const log = createWriteStream(options.log, { flags: 'a' });
    for (const stream of [this.child.stdout, this.child.stderr]) {
      if (!stream) continue;
      createInterface({ input: stream }).on('line', (line) => {
        log.write(`${line}\n`);
        this.lines.push(line);
        this.tell();
      });
    }
    this.over = new Promise((resolve) => {
      const end = (how: string) => {
        this.ended = how;
        log.end();
        this.tell();
        resolve();
      };
      this.child.on('error', (error) => end(String(error)));
      this.child.on('close', (code, signal) => end(`ended with ${signal ?? code}`));
    });
  }

  /** The first line, past or to come, that matches. */
  line(pattern: RegExp, timeoutMs: number): Promise<RegExpMatchArray> {
    return new Promise((resolve, reject) => {
      const done = (then: () => void) => {
        clearTimeout(timer);
        this.ears.delete(look);
        then();
      };
      const fail = (why: string) =>
        done(() => reject(new Error(`${why} while waiting for ${pattern}:\n${this.lines.slice(-20).join('\n')}`)));
      const look = () => {
        for (const line of this.lines) {
          const match = line.match(pattern);
          if (match) return done(() => resolve(match));
        }
        if (this.ended) fail(this.ended);
      };
      const timer = setTimeout(() => fail(`${timeoutMs} ms passed`), timeoutMs);
      this.ears.add(look);
      look();
    });
  }

  /** Sends a signal and waits for the end. */
  async end(signal: NodeJS.Signals): Promise<void> {
    if (!this.ended) this.child.kill(signal);
    await this.over;
  }

  private tell() {
    for (const ear of [...this.ears]) ear();
  }
}
