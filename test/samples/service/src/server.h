// The network side of the service: accepts connections on loopback and hands each to one of the worker threads.
#pragma once

namespace server {

/** Listens on 127.0.0.1:`port` (0: any free one) and serves with `workers` threads. Returns only on failure. */
int serve(int port, int workers);

}  // namespace server
