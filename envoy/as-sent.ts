/**
 * Settings of a connection manager by which requests reach their filter, and answers their caller, exactly as they were
 * sent: paths carry state keys, and nothing is added that nobody asked for.
 */
export const AS_SENT = {
  normalize_path: false,
  merge_slashes: false,
  path_with_escaped_slashes_action: 'KEEP_UNCHANGED',
  generate_request_id: false,
  preserve_external_request_id: true,
  server_header_transformation: 'PASS_THROUGH',
  skip_xff_append: true,
} as const;
