// How long does a request take that is answered by the event loop in which commands are in flight?
//
// The server is that of the example; its client is another process, which sends a request each
// 2 ms over one connection.
//
// usage: http serve COUNT ENDS_A_SECOND WINDOW_MS

#include "autoexec/executor.hpp"

#include "async/short_names.hpp"
#include "example/http_server.hpp"
#include "light_agent.hpp"
#include "measure.hpp"

#include <boost/asio/buffer.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <ctime>
#include <functional>
#include <span>

using namespace autoexec;
using namespace autoexec::bench;
using std::chrono::milliseconds;
using steady = std::chrono::steady_clock;

namespace {

constexpr milliseconds between_requests{2};

void sleep_until(steady::time_point t)
{
    const auto left = std::max<steady::duration>(t - steady::now(), {});
    const timespec time{0, static_cast<long>(std::chrono::nanoseconds(left).count())};
    ::nanosleep(&time, nullptr);
}

int connect_to(unsigned short port)
{
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const int on = 1;
    ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    check(::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0,
          "connecting");
    return fd;
}

// The client: sends requests until the time is over, and writes to `out` how many microseconds each
// of them took.
void send_requests(unsigned short port, milliseconds window, int out)
{
    constexpr std::string_view request = "GET /commands/1 HTTP/1.1\r\nHost: localhost\r\n\r\n";
    const int fd = connect_to(port);
    std::vector<double> delays;
    const auto end = steady::now() + window;
    for (auto next = steady::now(); next < end;
         next = std::max(next + between_requests, steady::now())) {
        sleep_until(next);
        const auto start = steady::now();
        char response[4096];
        check(::write(fd, request.data(), request.size()) > 0 &&
                  ::read(fd, response, sizeof response) > 0,
              "asking the server");
        delays.push_back(std::chrono::duration<double, std::micro>(steady::now() - start).count());
    }
    const auto bytes = std::as_bytes(std::span(delays));
    check(::write(out, bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size()),
          "writing the delays");
}

/// Commands that an agent has claimed.
class InFlight {
public:
    InFlight(asio::io_context& ctx, const Scratch& scratch, std::size_t count)
        : notifier_(make_notifier(ctx, scratch.path())),
          agent_(std::make_shared<LightAgent>(ctx.get_executor(), notifier_, scratch.path())),
          executor_(ctx, options(scratch))
    {
        const auto trees = scratch.make_trees(count);
        agent_->delay = [this](std::function<void()> report) {
            reports_.push_back(std::move(report));
        };
        agent_->look_after(trees);
        for (const auto& tree : trees) {
            CommandRequest request("/review --file src/api.py", tree);
            asio::co_spawn(ctx, executor_.execute_command(std::move(request)), asio::detached);
        }
        while (reports_.size() < count) ctx.run_one();
        ctx.poll();
        ctx.restart();  // it stops where nothing is in flight
    }

    asio::awaitable<void> end_some(double a_second)
    {
        asio::steady_timer timer(co_await asio::this_coro::executor, steady::now());
        for (const auto& report : reports_) {
            timer.expires_at(timer.expiry() + std::chrono::duration_cast<steady::duration>(
                                                  std::chrono::duration<double>(1 / a_second)));
            co_await timer.async_wait(asio::use_awaitable);
            report();
        }
    }

private:
    ExecutorOptions options(const Scratch& scratch) const
    {
        ExecutorOptions options;
        options.project_root = scratch.path();
        options.start_timeout = milliseconds{0};
        options.notifier = notifier_;
        return options;
    }

    std::shared_ptr<Notifier> notifier_;
    std::shared_ptr<LightAgent> agent_;
    std::vector<std::function<void()>> reports_;
    BackgroundAgentAutoExecutor executor_;
};

asio::awaitable<void> read_delays(asio::io_context& ctx, int in, std::vector<double>& delays)
{
    asio::posix::stream_descriptor stream(ctx, in);
    double delay = 0;
    error_code ec;
    while (!ec) {
        const auto buffer = asio::buffer(&delay, sizeof delay);
        co_await asio::async_read(stream, buffer, asio::redirect_error(asio::use_awaitable, ec));
        if (!ec) delays.push_back(delay);
    }
    ctx.stop();
}

Figures serve(std::size_t count, double ends_a_second, milliseconds window)
{
    const Scratch scratch;
    asio::io_context ctx(1);
    InFlight in_flight(ctx, scratch, count);
    HttpServer server(ctx, 0, [](const HttpServer::Request& request) {
        return HttpServer::respond(request, boost::beast::http::status::ok, R"({"id": 1})");
    });
    int ends[2];
    check(::pipe(ends) == 0, "pipe");
    const auto client = ::fork();
    if (client == 0) {
        send_requests(server.port(), window, ends[1]);
        std::_Exit(0);
    }
    ::close(ends[1]);
    std::vector<double> delays;
    asio::co_spawn(ctx, read_delays(ctx, ends[0], delays), asio::detached);
    asio::co_spawn(ctx, in_flight.end_some(ends_a_second), asio::detached);
    ctx.run();
    int status = 0;
    check(::waitpid(client, &status, 0) == client && status == 0, "the client");
    return {{"count", static_cast<double>(count)},
            {"requests", static_cast<double>(delays.size())},
            {"p50", quantile(delays, 0.5)},
            {"p99", quantile(delays, 0.99)}};
}

}  // namespace

int main(int argc, char** argv)
{
    const Arguments arguments(argc, argv);
    check(arguments.way() == "serve", arguments.way());
    const auto count = within_descriptors(arguments.number(0, 1000), descriptors_in_flight);
    const auto ends_a_second = static_cast<double>(arguments.number(1, 100));
    print_figures(serve(count, ends_a_second, milliseconds(arguments.number(2, 2000))));
    std::fflush(stdout);
    std::_Exit(0);  // without waiting for what still runs
}
