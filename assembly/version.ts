/** Version of the modules; the build refuses one that is not the package's. */
export const VERSION = '0.1.0';
