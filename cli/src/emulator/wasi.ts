/** The part of WASI preview 1 that Envoy offers to a module. */

interface WasiHost {
  memory: () => WebAssembly.Memory;
  nowNs: () => bigint;
  random: (bytes: Uint8Array) => void;
  print: (message: string) => void;
}

const OK = 0;
const BAD_FD = 8;

/** The functions of `wasi_snapshot_preview1`; an exit of the module throws. */
export function wasi(host: WasiHost): Record<string, (...args: never[]) => number> {
  const view = (): DataView => new DataView(host.memory().buffer);
  const zeroWords = (...at: number[]): number => {
    for (const ptr of at) view().setUint32(ptr, 0, true);
    return OK;
  };
  return {
    fd_write: (fd: number, vectors: number, count: number, writtenAt: number) => {
      if (fd !== 1 && fd !== 2) return BAD_FD;
      let text = '';
      let written = 0;
      for (let index = 0; index < count; index++) {
        const ptr = view().getUint32(vectors + index * 8, true);
        const size = view().getUint32(vectors + index * 8 + 4, true);
        text += Buffer.from(host.memory().buffer, ptr, size).toString('utf8');
        written += size;
      }
      host.print(text);
      view().setUint32(writtenAt, written, true);
      return OK;
    },
    environ_get: () => OK,
    environ_sizes_get: zeroWords,
    args_get: () => OK,
    args_sizes_get: zeroWords,
    random_get: (ptr: number, size: number) => {
      host.random(new Uint8Array(host.memory().buffer, ptr >>> 0, size >>> 0));
      return OK;
    },
    clock_time_get: (_clock: number, _precision: bigint, at: number) => {
      view().setBigUint64(at >>> 0, host.nowNs(), true);
      return OK;
    },
    proc_exit: (code: number) => {
      throw new Error(`the module exited with ${code}`);
    },
  };
}
