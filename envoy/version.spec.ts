import { isSupportedEnvoy } from '../tools/get.mjs';
import { checkEnvoyVersion, SUPPORTED_ENVOY } from './version.js';

function output(version: string): string {
  return `\nenvoy  version: 9e5580933739775e8bce696a57a2e1bc99368f23/${version}/Clean/RELEASE/BoringSSL\n`;
}

describe('the Envoy version', () => {
  it.each(['1.36.4', '1.37.0', '1.38.2', '1.39.3', '1.40.0', '1.40.1-dev'])('%s is supported', (version) => {
    expect(checkEnvoyVersion(output(version))).toEqual({ version: version.replace('-dev', '') });
  });

  it.each(['1.35.9', '1.41.0', '2.40.0', '1.4.0'])('%s is not', (version) => {
    expect(checkEnvoyVersion(output(version))).toEqual({
      problem: `Envoy ${version} is not supported; supported: 1.36.x, 1.37.x, 1.38.x, 1.39.x, 1.40.x`,
    });
  });

  it('refuses the build without V8', () => {
    expect(checkEnvoyVersion(output('1.38.3'))).toEqual({
      problem: expect.stringContaining('built without V8') as unknown,
    });
  });

  it.each(['', 'not envoy at all', 'envoy version: 1.40.0', `${'x'.repeat(100_000)}`])(
    'says so if there is none',
    (text) =>
      expect(checkEnvoyVersion(text)).toEqual({
        problem: expect.stringMatching(/^cannot tell .{0,250}$/) as unknown,
      }),
  );

  it('is judged the same way where the binary is fetched', () => {
    for (const version of [
      ...SUPPORTED_ENVOY.map((minor) => `${minor}.2`),
      '1.35.2',
      '1.41.2',
      '1.38.3',
      '1.38.2',
    ]) {
      expect([version, isSupportedEnvoy(version)]).toEqual([
        version,
        'version' in checkEnvoyVersion(output(version)),
      ]);
    }
  });
});
