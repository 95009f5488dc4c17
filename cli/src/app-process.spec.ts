import { AppProcess, appEnvironment } from './app-process.js';

const at = { host: '127.0.0.1', port: 4000, appId: 'shop', appPort: 3000 };

describe('appEnvironment', () => {
  it('tells the app where the runtime is, in the names the SDKs read', () => {
    expect(appEnvironment({ PATH: '/bin', APP_ID: 'other' }, at)).toEqual({
      PATH: '/bin',
      DAPR_HTTP_PORT: '4000',
      DAPR_GRPC_PORT: '4000',
      DAPR_HTTP_ENDPOINT: 'http://127.0.0.1:4000',
      DAPR_GRPC_ENDPOINT: 'http://127.0.0.1:4000',
      runtime_GRPC_HOST: '127.0.0.1',
      runtime_GRPC_PORT: '4000',
      APP_ID: 'shop',
      APP_PORT: '3000',
    });
  });

  it('leaves APP_PORT alone if the app serves none', () => {
    expect(appEnvironment({}, { ...at, appPort: 0 })).not.toHaveProperty('APP_PORT');
  });

  it.each([
    ['0.0.0.0', 'http://127.0.0.1:4000', '127.0.0.1'],
    ['::', 'http://[::1]:4000', '::1'],
    ['::1', 'http://[::1]:4000', '::1'],
  ])('gives an address that can be called when the runtime listens on %s', (host, endpoint, plain) => {
    const env = appEnvironment({}, { ...at, host });
    expect(env.DAPR_HTTP_ENDPOINT).toBe(endpoint);
    expect(env.runtime_GRPC_HOST).toBe(plain);
  });
});

describe('AppProcess', () => {
  const run = (...command: string[]): AppProcess =>
    new AppProcess(command, process.env, (message) => errors.push(message));
  let errors: string[] = [];
  beforeEach(() => {
    errors = [];
  });

  it('passes the exit code on', async () => {
    expect(await run(process.execPath, '-e', 'process.exit(7)').exitCode).toBe(7);
  });

  it('adds 128 to the number of a signal, as a shell does', async () => {
    const app = run(process.execPath, '-e', 'setInterval(() => 0, 1000)');
    app.signal('SIGTERM');
    expect(await app.exitCode).toBe(143);
  });

  it('says which program does not exist', async () => {
    expect(await run('/no/such/program').exitCode).toBe(127);
    expect(errors).toEqual(['cannot start /no/such/program: no such program']);
  });

  it('says which program cannot be run', async () => {
    expect(await run('/dev/null').exitCode).toBe(126);
    expect(errors[0]).toContain('cannot start /dev/null');
  });
});
