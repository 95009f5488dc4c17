-- Runs right after the runtime's own filter and does the two things that filter cannot do on stock Envoy.

-- Envoy makes a local reply to a gRPC caller headers only, with nothing for the filter to put a message into.
-- The filter marks a reply that has a message; one byte of body opens it, and the filter, which sees the reply
-- after this, replaces the byte. Replies without the mark are Envoy's own and stay untouched.
function envoy_on_response(handle)
  if handle:headers():get("x-layotto-reply") then
    handle:body(true):setBytes("-")
  end
end

-- hold mode
-- Where the mesh does not let the filter stop a request at its headers, the filter marks the request and lets
-- it on to here; asking for the body keeps the headers back until the filter has seen all of the body.
function envoy_on_request(handle)
  if handle:headers():get("x-layotto-hold") then
    handle:body()
  end
end
