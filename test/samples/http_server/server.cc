// A server with a thread for each connection: answers every request over HTTP with what `greeting` says.
//   program    prints its port
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <netinet/in.h>
#include <string>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>

std::string greeting(long count);

static std::atomic<long> requests;

static void serve(int connection) {
  std::string pending;
  char chunk[4096];
  for (;;) {
    const ssize_t length = read(connection, chunk, sizeof chunk);
    if (length < 0 && errno == EINTR) _exit(2);
    if (length <= 0) break;
    pending.append(chunk, static_cast<size_t>(length));
    for (size_t end = pending.find("\r\n\r\n"); end != std::string::npos; end = pending.find("\r\n\r\n")) {
      pending.erase(0, end + 4);
      const std::string body = greeting(++requests);
      const std::string answer =
          "HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
      if (write(connection, answer.data(), answer.size()) != static_cast<ssize_t>(answer.size())) _exit(1);
    }
  }
  close(connection);
}

int main() {
  const int listening = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  socklen_t length = sizeof address;
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (bind(listening, reinterpret_cast<sockaddr *>(&address), length) != 0 || listen(listening, 64) != 0) return 1;
  getsockname(listening, reinterpret_cast<sockaddr *>(&address), &length);
  std::printf("%d\n", ntohs(address.sin_port));
  std::fflush(stdout);
  for (;;) {
    const int connection = accept(listening, nullptr, nullptr);
    if (connection < 0) return 2;
    std::thread(serve, connection).detach();
  }
}
