// Each worker polls its own connections and answers whole lines. Connections stay open until the client closes
// them, so a client sees at once whether the process lived through a patch.
#include "server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdio>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "shop.h"

namespace server {

namespace {

class Worker {
 public:
  bool start() {
    if (pipe(handover_) != 0) return false;
    std::thread([this] { run(); }).detach();
    return true;
  }

  void take(int connection) {
    if (write(handover_[1], &connection, sizeof connection) != sizeof connection) close(connection);
  }

 private:
  void run() {
    std::vector<pollfd> polled;
    for (;;) {
      polled.assign(1, pollfd{handover_[0], POLLIN, 0});
      for (const auto &entry : unfinished_) polled.push_back(pollfd{entry.first, POLLIN, 0});
      if (poll(polled.data(), polled.size(), -1) < 0) continue;
      for (std::size_t i = 1; i < polled.size(); i++) {
        if (polled[i].revents != 0) receive(polled[i].fd);
      }
      int connection;
      if (polled[0].revents != 0 && read(handover_[0], &connection, sizeof connection) == sizeof connection) {
        unfinished_[connection];
      }
    }
  }

  void receive(int connection) {
    char buffer[4096];
    ssize_t length = read(connection, buffer, sizeof buffer);
    if (length <= 0) {
      unfinished_.erase(connection);
      close(connection);
      return;
    }
    std::string &text = unfinished_[connection];
    text.append(buffer, static_cast<std::size_t>(length));
    for (std::size_t end; (end = text.find('\n')) != std::string::npos; text.erase(0, end + 1)) {
      std::string reply = shop::answer(text.substr(0, end)) + "\n";
      if (send(connection, reply.data(), reply.size(), MSG_NOSIGNAL) < 0) break;
    }
  }

  int handover_[2] = {-1, -1};
  std::map<int, std::string> unfinished_;
};

int listen_on(int port) {
  int socket_number = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  int on = 1;
  setsockopt(socket_number, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<unsigned short>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (bind(socket_number, reinterpret_cast<sockaddr *>(&address), sizeof address) != 0) return -1;
  if (listen(socket_number, 64) != 0) return -1;
  socklen_t size = sizeof address;
  getsockname(socket_number, reinterpret_cast<sockaddr *>(&address), &size);
  std::printf("listening on 127.0.0.1:%d, pid %d\n", ntohs(address.sin_port), static_cast<int>(getpid()));
  std::fflush(stdout);
  return socket_number;
}

}  // namespace

int serve(int port, int count) {
  std::vector<std::unique_ptr<Worker>> workers;
  for (int i = 0; i < count; i++) {
    workers.push_back(std::make_unique<Worker>());
    if (!workers.back()->start()) return 1;
  }
  int listener = listen_on(port);
  if (listener < 0) {
    std::perror("service");
    return 1;
  }
  for (std::size_t next = 0;; next = (next + 1) % workers.size()) {
    int connection = accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
    if (connection < 0) {
      std::perror("service: accept");
      return 1;
    }
    workers[next]->take(connection);
  }
}

}  // namespace server
