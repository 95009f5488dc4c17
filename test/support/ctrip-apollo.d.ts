/** What is used of Apollo's client for Node, which brings no types. */
declare module 'ctrip-apollo' {
  import type { EventEmitter } from 'node:events';

  export interface Namespace extends EventEmitter {
    ready(): Promise<this>;
    get(key: string): string | undefined;
  }

  export interface Cluster {
    namespace(name?: string): Namespace;
    enableUpdateNotification(enable: boolean): this;
  }

  interface Options {
    host: string;
    appId: string;
    cluster?: string;
    fetchTimeout?: number;
  }

  const apollo: (options: Options) => { cluster(name?: string): Cluster };
  // eslint-disable-next-line no-restricted-exports -- it is what the package exports
  export default apollo;
}
