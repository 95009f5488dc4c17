import { GrpcStateDoor, HttpStateDoor, LAYOTTO } from '../support/doors.js';
import { Runtime } from '../support/runtime.js';

/** A bootstrap as somebody would write it who left the second filter out. */
function withoutReplyFilter(): Promise<Runtime> {
  return Runtime.start({
    bootstrap: (rendered) => {
      const text = JSON.stringify(rendered, (_key, value: unknown) =>
        Array.isArray(value)
          ? value.filter((item: { name?: string }) => item?.name !== 'layotto.reply')
          : value,
      );
      expect(text).not.toContain('"name":"layotto.reply"');
      return JSON.parse(text) as typeof rendered;
    },
  });
}

test('without the reply filter gRPC callers are told what is missing, and HTTP works', async () => {
  const runtime = await withoutReplyFilter();
  try {
    const http = new HttpStateDoor(runtime.target);
    expect(await http.save('statestore', [{ key: 'k', value: '1' }])).toMatchObject({ code: 0 });
    expect(await http.get('statestore', 'k')).toMatchObject({ value: '1' });
    const grpc = new GrpcStateDoor('Layotto gRPC', await runtime.connect(), LAYOTTO);
    expect(await grpc.get('statestore', 'k')).toMatchObject({
      code: 13,
      message: expect.stringContaining('layotto.reply') as string,
    });
  } finally {
    await runtime.stop();
  }
});
