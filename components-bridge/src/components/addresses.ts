/** Where a server listens. */
export interface Address {
  host: string;
  /** Undefined if none was written. */
  port: number | undefined;
}

/** `host`, `host:port`, `[::1]:port` or a bare IPv6 address. */
export function parseAddress(value: string): Address | undefined {
  const match =
    /^\[([0-9a-f:.]+)\](?::(\d{1,5}))?$/i.exec(value) ??
    /^([0-9a-f]*:[0-9a-f:.]*:[0-9a-f.]*)$/i.exec(value) ??
    /^([^\s:,/[\]]+)(?::(\d{1,5}))?$/.exec(value);
  const host = match?.[1];
  const port = match?.[2] === undefined ? undefined : Number(match[2]);
  if (host === undefined || (port !== undefined && (port < 1 || port > 65535))) return undefined;
  return { host, port };
}

/** Addresses separated by commas; undefined if one of them is none. */
export function parseAddresses(value: string): Address[] | undefined {
  const addresses = value.split(',').map((part) => parseAddress(part.trim()));
  return addresses.every((address) => address !== undefined) ? addresses : undefined;
}
