-- For a callee that speaks gRPC: makes an HTTP call the method OnInvoke of Dapr's AppCallback, and its answer one of
-- HTTP again. The runtime's own filter has let the call pass and counts it; on stock Envoy it could give a request
-- without a body none, and an answer no status that stands in its trailers.

local VERBS = { GET = 1, HEAD = 2, POST = 3, PUT = 4, DELETE = 5, CONNECT = 6, OPTIONS = 7, TRACE = 8, PATCH = 9 }

-- Methods after which RFC 9110 allows to repeat a call (9.2.2).
local REPEATABLE = { GET = true, HEAD = true, OPTIONS = true, PUT = true, DELETE = true }

-- HTTP's status for a google.rpc.Code, as the gRPC gateway has it.
local STATUS = {
  [1] = 408, [3] = 400, [4] = 504, [5] = 404, [6] = 409, [7] = 403, [8] = 429, [9] = 400,
  [10] = 409, [11] = 400, [12] = 501, [14] = 503, [16] = 401,
}

local GRPC = { "grpc-status", "grpc-message", "grpc-status-details-bin", "grpc-encoding", "grpc-accept-encoding" }

local function is_grpc(headers)
  return (headers:get("content-type") or ""):sub(1, 16) == "application/grpc"
end

local function varint(number)
  local bytes = ""
  while number >= 128 do
    bytes = bytes .. string.char(number % 128 + 128)
    number = math.floor(number / 128)
  end
  return bytes .. string.char(number)
end

-- A field with a length, also if it is empty.
local function whole(tag, text)
  return string.char(tag) .. varint(#text) .. text
end

local function field(tag, text)
  return text == "" and "" or whole(tag, text)
end

function envoy_on_request(handle)
  local headers = handle:headers()
  local prefix, method, query = headers:get(":path"):match("^(/v1%.0/invoke/[^/]+/method/)([^?]*)%??(.*)$")
  if not prefix or is_grpc(headers) then return end
  local verb = headers:get(":method")
  local content_type = headers:get("content-type") or ""
  local body = handle:body(true)
  -- What was had before the wait is no good after it.
  headers = handle:headers()
  local size = body:length()
  local number = VERBS[verb]
  local message = field(0x0a, method)
    .. whole(0x12, field(0x12, size == 0 and "" or body:getBytes(0, size)))
    .. field(0x1a, content_type)
    .. whole(0x22, (number and string.char(0x08, number) or "") .. field(0x12, query))
  local length = #message
  local framed = string.char(
    0, math.floor(length / 16777216), math.floor(length / 65536) % 256, math.floor(length / 256) % 256, length % 256
  )
  body:setBytes(framed .. message)
  local repeatable = REPEATABLE[verb] or headers:get("idempotency-key")
  headers:replace("x-layotto-on-invoke", repeatable and "again" or "once")
  headers:replace(":method", "POST")
  headers:replace(":path", prefix .. "dapr.proto.runtime.v1.AppCallback/OnInvoke")
  headers:replace("content-type", "application/grpc")
  headers:replace("te", "trailers")
  headers:remove("content-length")
  handle:streamInfo():dynamicMetadata():set("layotto.on_invoke", "verb", verb)
end

-- The number of a field, its bytes if it has a length, and where the next one begins; nothing if it cannot be read.
local function read(text, at)
  local function number()
    local value, factor = 0, 1
    for _ = 1, 10 do
      local byte = text:byte(at)
      if not byte then return nil end
      at = at + 1
      value = value + byte % 128 * factor
      if byte < 128 then return value end
      factor = factor * 128
    end
  end
  local tag = number()
  if not tag then return nil end
  local kind = tag % 8
  local bytes
  if kind == 0 then
    if not number() then return nil end
  elseif kind == 2 then
    local length = number()
    if not length or at + length - 1 > #text then return nil end
    bytes = text:sub(at, at + length - 1)
    at = at + length
  elseif kind == 1 or kind == 5 then
    at = at + (kind == 1 and 8 or 4)
    if at > #text + 1 then return nil end
  else
    return nil
  end
  return math.floor(tag / 8), bytes, at
end

-- The last field of each number that has a length; nothing if the message cannot be read, or has more fields than any
-- such message.
local function fields(text)
  local found, at, left = {}, 1, 100
  while at <= #text do
    left = left - 1
    if left < 0 then return nil end
    local number, bytes, after = read(text, at)
    if not number then return nil end
    if bytes then found[number] = bytes end
    at = after
  end
  return found
end

-- What an answer's message says: its data, and their type; nothing if it cannot be read.
local function answer_in(framed)
  local a, b, c, d = framed:byte(2, 5)
  if framed:byte(1) ~= 0 or not d or #framed ~= 5 + ((a * 256 + b) * 256 + c) * 256 + d then return nil end
  local response = fields(framed:sub(6))
  local any = response and fields(response[1] or "")
  if not any then return nil end
  local content_type = (any[1] or "") ~= "" and "application/x-protobuf" or response[2] or ""
  if content_type:find("[%c\127]") then return nil end
  return any[2] or "", content_type
end

-- A text as JSON has it. What is not UTF-8 loses every byte that is not ASCII.
local function json(text)
  local left = text:gsub("[\194-\223][\128-\191]", "."):gsub("[\224-\239][\128-\191][\128-\191]", ".")
  left = left:gsub("[\240-\244][\128-\191][\128-\191][\128-\191]", ".")
  if left:find("[\128-\255]") then text = text:gsub("[\128-\255]", "?") end
  return '"' .. text:gsub('[%c"\\\127]', function(c) return string.format("\\u%04x", c:byte()) end) .. '"'
end

function envoy_on_response(handle)
  local headers = handle:headers()
  local told = handle:streamInfo():dynamicMetadata():get("layotto.on_invoke")
  if not told or not is_grpc(headers) then return end
  local is_head = told["verb"] == "HEAD"
  local body = handle:body(true)
  local trailers = handle:trailers()
  headers = handle:headers()
  local function said(name)
    return headers:get(name) or trailers and trailers:get(name)
  end
  local code = tonumber(said("grpc-status") or "") or 2
  local text = said("grpc-message") or ""
  text = text:gsub("%%(%x%x)", function(hex) return string.char(tonumber(hex, 16)) end)
  local size = body:length()
  local data, content_type
  if code == 0 then
    data, content_type = answer_in(size == 0 and "" or body:getBytes(0, size))
    if not data then code, text = 13, "the app's answer is no InvokeResponse of one uncompressed message" end
  end
  if code ~= 0 then
    data = '{"code":' .. string.format("%d", code) .. (text == "" and "" or ',"message":' .. json(text)) .. "}"
    content_type = "application/json"
    headers:replace(":status", tostring(STATUS[code] or 500))
  end
  for _, name in ipairs(GRPC) do
    headers:remove(name)
    if trailers then trailers:remove(name) end
  end
  body:setBytes(is_head and "" or data)
  headers:remove("content-length")
  if content_type == "" then headers:remove("content-type") else headers:replace("content-type", content_type) end
end
