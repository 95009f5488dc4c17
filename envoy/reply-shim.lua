-- Runs right after the runtime's own filter and does the two things that filter cannot do on stock Envoy.

-- Envoy makes a local reply to a gRPC caller headers only, with nothing for the filter to put a message into.
-- Asking for the body opens the reply; the filter, which sees it after this, fills it. Only a reply that says OK in
-- its headers has a message to come: Envoy's own replies to gRPC callers are errors. What came from an upstream has
-- the header that Envoy's router puts on it, and is left alone: waiting for its body could take forever.
--
-- An app's HTTP answer to a call that the filter has sent on becomes a message, too: the route says so, and that the
-- answer is no gRPC. It is held until it is whole, and gets a body if it has none, which a header says.
function envoy_on_response(handle)
  local headers = handle:headers()
  local status = headers:get("grpc-status")
  if status == "0" and not headers:get("x-envoy-upstream-service-time") then
    handle:body(true)
  elseif not status and (headers:get("content-type") or ""):sub(1, 16) ~= "application/grpc"
    and handle:metadata():get("wrap") then
    headers:remove("x-layotto-empty")
    local body = handle:body(true)
    if body:length() == 0 then
      body:setBytes("-")
      headers:add("x-layotto-empty", "1")
    end
  end
end

-- hold mode
-- Where the mesh does not let the filter stop a request at its headers, the filter marks the request and lets
-- it on to here; asking for the body keeps the headers back until the filter has seen all of the body. What comes
-- out of the filter then goes to another app, and is what is to change in its head, a line with a name and one with a
-- value that is empty for a header to remove; an empty line; and the body.
function envoy_on_request(handle)
  if handle:headers():get("x-layotto-hold") then
    local body = handle:body()
    local text = body:getBytes(0, body:length())
    local headers = handle:headers()
    local at = 1
    while true do
      local name_end = text:find("\n", at, true)
      if name_end == at then break end
      local value_end = text:find("\n", name_end + 1, true)
      local name, value = text:sub(at, name_end - 1), text:sub(name_end + 1, value_end - 1)
      if value == "" then headers:remove(name) else headers:replace(name, value) end
      at = value_end + 1
    end
    body:setBytes(text:sub(at + 1))
  end
end
