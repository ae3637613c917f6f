// Exceptions and coroutines.
import type { Construct } from '../construct';

const withoutCoroutines: Construct['notIn'] = ({ compiler, version = '-14' }) =>
  compiler === 'clang' && version === '-14' ? 'clang 14 has no <coroutine> with this library' : undefined;

export const exceptions: readonly Construct[] = [
  {
    id: 'throw-value',
    language: 'cc',
    text: `__attribute__((noinline)) static long f(long n) { if (n > 1) throw n * 3; return n; }
long step(long n) { try { return f(n); } catch (long v) { return v + 100; } }`,
    edit: ['n * 3', 'n * 4', 'n * 5'],
  },
  {
    id: 'throw-type-changed',
    language: 'cc',
    text: `__attribute__((noinline)) static long f(long n) { if (n > 1) throw n * 3; return n; }
long step(long n) { try { return f(n); } catch (long v) { return v + 100; } catch (int v) { return v + 200; } catch (...) { return 300; } }`,
    edit: ['throw n * 3', 'throw int(n * 3)', 'throw "text"'],
  },
  {
    id: 'catch-changed',
    language: 'cc',
    text: `#include <stdexcept>
__attribute__((noinline)) static long f(long n) { if (n == 1) throw std::runtime_error("r"); if (n == 2) throw std::logic_error("l"); return n; }
long step(long n) { try { return f(n); } catch (const std::runtime_error &) { return 100; } catch (const std::exception &) { return 200; } }`,
    edit: ['const std::runtime_error &', 'const std::logic_error &', 'const std::bad_exception &'],
  },
  {
    id: 'try-added',
    language: 'cc',
    text: `__attribute__((noinline)) static long f(long n) { if (n > 100) throw 5; return n; }
long step(long n) { return f(n); }`,
    edit: [
      '{ return f(n); }',
      '{ try { return f(n + 100); } catch (int v) { return v; } }',
      '{ try { return f(n + 99); } catch (int v) { return v + 1; } }',
    ],
  },
  {
    id: 'own-exception-type',
    language: 'cc',
    text: `#include <exception>
struct Error : std::exception { long v; Error(long n) : v(n) {} const char *what() const noexcept override { return "error"; } };
__attribute__((noinline)) static long f(long n) { if (n > 1) throw Error(n); return n; }
long step(long n) { try { return f(n); } catch (const std::exception &e) { return e.what()[0]; } }`,
    edit: ['"error"', '"failure"', '"x"'],
  },
  {
    id: 'new-exception-type',
    language: 'cc',
    text: `#include <exception>
__attribute__((noinline)) static long f(long n) { return n; }
long step(long n) { return f(n); }`,
    edit: [
      `__attribute__((noinline)) static long f(long n) { return n; }
long step(long n) { return f(n); }`,
      `struct Error : std::exception { long v; Error(long n) : v(n) {} };
__attribute__((noinline)) static long f(long n) { if (n > 1) throw Error(n * 7); return n; }
long step(long n) { try { return f(n); } catch (const Error &e) { return e.v; } }`,
      `struct Error : std::exception { long v; Error(long n) : v(n) {} };
__attribute__((noinline)) static long f(long n) { if (n > 1) throw Error(n * 8); return n; }
long step(long n) { try { return f(n); } catch (const std::exception &e) { return 77; } }`,
    ],
  },
  {
    id: 'destructors-while-unwinding',
    language: 'cc',
    text: `static long ended;
struct G { long v; ~G() { ended += v * 2; } };
__attribute__((noinline)) static void f(long n) { G g{n}; if (n > 1) throw 1; }
long step(long n) { ended = 0; try { G g{10}; f(n); } catch (...) { ended += 1000; } return ended; }`,
    edit: ['G g{10}; f(n);', 'G g{20}; f(n); G h{30};', 'f(n); G h{30};'],
  },
  {
    id: 'rethrow',
    language: 'cc',
    text: `__attribute__((noinline)) static long f(long n) { try { throw n; } catch (long &v) { v += 3; throw; } }
long step(long n) { try { return f(n); } catch (long v) { return v; } }`,
    edit: ['v += 3', 'v += 4', 'v *= 5'],
  },
  {
    id: 'function-try-block',
    language: 'cc',
    text: `struct A { long v; A(long n) : v(n) { if (n > 1) throw n; } };
struct B { A a; B(long n) try : a(n) {} catch (long v) { throw v * 3; } };
long step(long n) { try { B b(n); return b.a.v; } catch (long v) { return v; } }`,
    edit: ['v * 3', 'v * 4', 'v * 5'],
  },
  {
    id: 'noexcept-function',
    language: 'cc',
    text: `__attribute__((noinline)) static long f(long n) noexcept { return n * 3; }
long step(long n) { return f(n); }`,
    edit: ['n * 3', 'n * 4', 'n * 5'],
  },
  {
    id: 'library-exception',
    language: 'cc',
    text: `#include <string>
long step(long n) { try { return std::stol(n & 1 ? "12" : "zz"); } catch (const std::exception &) { return -5; } }`,
    edit: ['"zz"', '"34"', '"99999999999999999999999"'],
  },
  {
    id: 'coroutine-generator',
    language: 'cc',
    text: `#include <coroutine>
struct Gen { struct promise_type { long v = 0; Gen get_return_object() { return {std::coroutine_handle<promise_type>::from_promise(*this)}; } std::suspend_always initial_suspend() { return {}; } std::suspend_always final_suspend() noexcept { return {}; } std::suspend_always yield_value(long x) { v = x; return {}; } void return_void() {} void unhandled_exception() {} }; std::coroutine_handle<promise_type> h; };
static Gen numbers(long n) { for (long i = 0; i < 3; i++) co_yield i * 3 + n; }
long step(long n) { Gen g = numbers(n); long s = 0; for (g.h.resume(); !g.h.done(); g.h.resume()) s = s * 10 + g.h.promise().v; g.h.destroy(); return s; }`,
    edit: ['i * 3 + n', 'i * 4 + n', 'i * 5 - n'],
    flags: ['-std=c++20'],
    notIn: withoutCoroutines,
  },
  {
    // What is edited is called by the compiler's own wrapper alone.
    id: 'coroutine-await-suspend',
    language: 'cc',
    text: `#include <coroutine>
struct Task { struct promise_type { long v = 0; Task get_return_object() { return {std::coroutine_handle<promise_type>::from_promise(*this)}; } std::suspend_always initial_suspend() { return {}; } std::suspend_always final_suspend() noexcept { return {}; } void return_void() {} void unhandled_exception() {} }; std::coroutine_handle<promise_type> h; };
struct Note { long n; bool await_ready() { return false; } void await_suspend(std::coroutine_handle<Task::promise_type> h) { h.promise().v = n * 7; } long await_resume() { return n; } };
static Task noted(long n) { long k = co_await Note{n}; co_await Note{k + 1}; }
long step(long n) { Task t = noted(n); t.h.resume(); long s = t.h.promise().v; t.h.resume(); s = s * 100 + t.h.promise().v; t.h.destroy(); return s; }`,
    edit: ['n * 7', 'n * 8', 'n - 3'],
    flags: ['-std=c++20'],
    notIn: withoutCoroutines,
  },
  {
    // The wrapper itself becomes another.
    id: 'coroutine-await-suspend-result',
    language: 'cc',
    text: `#include <coroutine>
struct Task { struct promise_type { long v = 0; Task get_return_object() { return {std::coroutine_handle<promise_type>::from_promise(*this)}; } std::suspend_always initial_suspend() { return {}; } std::suspend_always final_suspend() noexcept { return {}; } void return_void() {} void unhandled_exception() {} }; std::coroutine_handle<promise_type> h; };
struct Note { long n; bool await_ready() { return false; } void await_suspend(std::coroutine_handle<Task::promise_type> h) { h.promise().v += n; } void await_resume() {} };
static Task noted(long n) { co_await Note{n}; co_await Note{n * 10}; co_await Note{n * 100}; }
long step(long n) { Task t = noted(n); t.h.resume(); long s = t.h.promise().v; t.h.destroy(); return s; }`,
    edit: [
      'void await_suspend(std::coroutine_handle<Task::promise_type> h) { h.promise().v += n; }',
      'bool await_suspend(std::coroutine_handle<Task::promise_type> h) { h.promise().v += n; return n > 15; }',
      'bool await_suspend(std::coroutine_handle<Task::promise_type> h) { h.promise().v += n + 1; return n > 150; }',
    ],
    flags: ['-std=c++20'],
    notIn: withoutCoroutines,
  },
  {
    id: 'coroutine-unedited',
    language: 'cc',
    text: `#include <coroutine>
struct Gen { struct promise_type { long v = 0; Gen get_return_object() { return {std::coroutine_handle<promise_type>::from_promise(*this)}; } std::suspend_always initial_suspend() { return {}; } std::suspend_always final_suspend() noexcept { return {}; } std::suspend_always yield_value(long x) { v = x; return {}; } void return_void() {} void unhandled_exception() {} }; std::coroutine_handle<promise_type> h; };
static Gen numbers(long n) { for (long i = 0; i < 3; i++) co_yield i * 3 + n; }
static long weigh(long n) { return n * 7; }
long step(long n) { Gen g = numbers(n); long s = 0; for (g.h.resume(); !g.h.done(); g.h.resume()) s = s * 10 + weigh(g.h.promise().v); g.h.destroy(); return s; }`,
    edit: ['n * 7', 'n * 8', 'n - 3'],
    flags: ['-std=c++20'],
    notIn: withoutCoroutines,
  },
  {
    id: 'coroutine-noop',
    language: 'cc',
    text: `#ifndef __clang__
#define __builtin_coro_noop() nullptr
#define __builtin_coro_resume(frame) static_cast<void>(frame)
#endif
static void *nothing() { return __builtin_coro_noop(); }
static long resumed(long n) { __builtin_coro_resume(nothing()); return n + 7; }
long step(long n) { return resumed(n) * 3; }`,
    edit: ['n + 7', 'n + 80', 'n - 3'],
    notIn: ({ id }) => (id === 'clang-O2-ubsan' ? 'what clang 14 builds of it crashes' : undefined),
    flags: ['-std=c++20'],
  },
];
