// A controller that the test itself plays, request by request, with the messages of the device document.
import { type APIRequestContext, expect } from '@playwright/test';
import type { City } from './city.ts';

export interface Command {
  command_id: string;
  command_type: string;
  action?: 'on' | 'off';
  brightness_level?: number;
}

export class Device {
  readonly id: string;
  lightId = '';
  private token = '';
  private readonly request: APIRequestContext;
  private readonly city: City;

  constructor(request: APIRequestContext, city: City, imei: string) {
    this.request = request;
    this.city = city;
    this.id = `IMEI:${imei}`;
  }

  /** Answers status and body; keeps the credentials when there are any. */
  async configure(name: string): Promise<{ status: number; code?: string }> {
    const answer = await this.post('configure', {
      device_id: this.id,
      device_type: 'STREET_LIGHT_V1',
      name,
      city: 'Helsinki',
      latitude: 60.1699,
      longitude: 24.9384,
      address: `${name}, Helsinki`,
      status: 'inactive',
      battery_backup_hours: 8,
      gsm_imei: this.id.slice('IMEI:'.length),
      gsm_signal_strength: 85,
      communication_type: 'GSM',
      firmware_version: '1.0.0',
      timestamp: this.now(),
    });
    if (answer.body.device_token) this.token = answer.body.device_token;
    if (answer.body.light_id) this.lightId = answer.body.light_id;
    return { status: answer.status, code: answer.body.code };
  }

  async reports(status: { power_state: 'on' | 'off'; brightness: number; error_flags?: string[] }): Promise<void> {
    const answer = await this.post('status', {
      device_id: this.id,
      light_id: this.lightId,
      timestamp: this.now(),
      status: { temperature_celsius: 21.5, battery_percentage: 95, gsm_signal_strength: 82, uptime_seconds: 60, ...status },
      energy: { voltage: 230.5, current: 0.45, power_watts: 103.7, frequency: 50, cumulative_kwh: 1245.6 },
    });
    expect(answer.status).toBe(200);
  }

  async polls(): Promise<Command[]> {
    const answer = await this.request.get(this.path('commands'), { headers: this.headers() });
    expect(answer.status()).toBe(200);
    return (await answer.json()).commands;
  }

  async acknowledges(command: Command): Promise<void> {
    const answer = await this.post('command-ack', {
      command_id: command.command_id,
      device_id: this.id,
      status: 'executed',
      execution_timestamp: this.now(),
      result: { new_state: command.action, actual_brightness: command.brightness_level },
    });
    expect(answer.status).toBe(200);
    expect(answer.body.ignored).not.toBe(true);
  }

  private now(): string {
    return new Date(Date.now() + this.city.offsetSeconds * 1000).toISOString().replace(/\.\d+Z$/, 'Z');
  }

  private path(verb: string): string {
    return `${this.city.url}/api/device/${this.id}/${verb}`;
  }

  private headers(): Record<string, string> {
    return this.token ? { authorization: `Bearer ${this.token}` } : {};
  }

  private async post(verb: string, data: object) {
    const answer = await this.request.post(this.path(verb), { headers: this.headers(), data });
    return { status: answer.status(), body: await answer.json() };
  }
}
