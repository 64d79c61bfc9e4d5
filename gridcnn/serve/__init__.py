"""The web server: models answer over HTTP. Needs the extra `serve`.

::

    bytes of many clients
      -> protocol     cuts off what is too slow, too long, or no request
      -> app          routes, token, origins; reads bodies within limits
      -> lanes        requests that wait are taken together; full means 503
      -> served       intake: bodies become items; one batch through adapter and network
      -> app          JSON to each client

The event loop does HTTP alone. All that depends on the length of a body (parsing, decoding,
arithmetic) is done by the threads of the lanes.
"""
