// The shop: commands `greet NAME`, `order NAME COUNT`, `total` and `stats`. Its state lives where real programs
// keep it: file-scope and function-local statics, an anonymous namespace, a thread_local.
#include "shop.h"

#include <atomic>
#include <map>
#include <mutex>
#include <sstream>
#include <stdexcept>

namespace shop {

namespace {

struct Customer {
  long visits = 0;
  long items = 0;
};

std::mutex lock;
std::map<std::string, Customer> customers;
double income = 0;
thread_local long answered_by_this_thread = 0;

Customer &customer(const std::string &name) {
  if (name.empty()) throw std::invalid_argument("a name is needed");
  return customers[name];
}

}  // namespace

static std::atomic<long> requests{0};

double price_of(long count) {
  const double each = 2.5;
  return each * static_cast<double>(count);
}

std::string greeting(const std::string &name) {
  std::lock_guard<std::mutex> guard(lock);
  Customer &who = customer(name);
  who.visits++;
  return "Hello " + name + ", visit " + std::to_string(who.visits);
}

std::string order(const std::string &name, long count) {
  static long orders = 0;
  if (count <= 0) throw std::invalid_argument("a count is needed");
  std::lock_guard<std::mutex> guard(lock);
  Customer &who = customer(name);
  who.items += count;
  orders++;
  double price = price_of(count);
  income += price;
  std::ostringstream text;
  text << "order " << orders << ": " << count << " for " << price << ", " << name << " has " << who.items;
  return text.str();
}

static std::string total() {
  std::lock_guard<std::mutex> guard(lock);
  std::ostringstream text;
  text << "income " << income << " from " << customers.size() << " customers";
  return text.str();
}

static std::string statistics() {
  std::ostringstream text;
  text << "requests " << requests << ", by this thread " << answered_by_this_thread;
  return text.str();
}

long requests_answered() { return requests; }

std::string answer(const std::string &request) {
  requests++;
  answered_by_this_thread++;
  std::istringstream words(request);
  std::string command, name;
  words >> command >> name;
  try {
    if (command == "greet") return greeting(name);
    if (command == "order") {
      long count = 0;
      words >> count;
      return order(name, count);
    }
    if (command == "total") return total();
    if (command == "stats") return statistics();
    return "unknown command";
  } catch (const std::invalid_argument &problem) {
    return std::string("error: ") + problem.what();
  }
}

}  // namespace shop
