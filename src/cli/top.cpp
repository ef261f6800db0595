#include "async/short_names.hpp"
#include "autoexec/config.hpp"
#include "autoexec/watched_project.hpp"
#include "cli/session/project.hpp"
#include "cli/subcommand.hpp"
#include "cli/top/dashboard.hpp"
#include "cli/top/full_screen.hpp"
#include "cli/top/log_follower.hpp"
#include "queue/detached.hpp"
#include "records/queries.hpp"
#include "text/text.hpp"

#include <boost/asio/buffer.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/connect_pipe.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/readable_pipe.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/writable_pipe.hpp>

#include <spdlog/spdlog.h>

#include <sys/wait.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <csignal>
#include <exception>
#include <tuple>

namespace autoexec::cli {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;

// A terminal sends the rest of a sequence at once; a connection may delay it.
constexpr auto key_timeout = 100ms;
constexpr auto list_interval = 1s;  // ages are shown in seconds
constexpr auto log_interval = 250ms;
constexpr std::size_t max_listed_attempts = 20;
constexpr std::size_t max_subcommand_output = 64 * 1024;
constexpr std::array caught_signals = {SIGINT,   SIGTERM, SIGHUP, SIGQUIT,
                                       SIGWINCH, SIGTSTP, SIGCONT};

// An execution's id begins with the milliseconds of its time.
std::optional<std::chrono::system_clock::time_point> time_of_id(std::string_view id)
{
    if (id.size() != 36 || id[14] != '7') return std::nullopt;
    const auto digits = std::string(id.substr(0, 8)).append(id.substr(9, 4));
    std::int64_t count = 0;
    const auto end = digits.data() + digits.size();
    const auto read = std::from_chars(digits.data(), end, count, 16);
    if (read.ec != std::errc{} || read.ptr != end) return std::nullopt;
    return std::chrono::system_clock::time_point(std::chrono::milliseconds(count));
}

std::string text_of(const ExecutionMetric& attempt)
{
    using std::chrono::milliseconds;
    auto text = fmt::format(
        "{} {} {}", to_string(attempt.status),
        text::format_duration(std::chrono::duration_cast<milliseconds>(attempt.duration)),
        exit_text(attempt.exit_code, attempt.signal));
    if (attempt.error_message) text += ": " + *attempt.error_message;
    return text;
}

std::vector<TopAttempt> ended_attempts(const fs::path& root, const std::string& execution_id)
{
    MetricsFilter filter;
    filter.execution_id = execution_id;
    filter.limit = max_listed_attempts;
    filter.since = time_of_id(execution_id);
    std::vector<TopAttempt> attempts;
    for (const auto& attempt :
         records::read_metrics(records::Folder::of({}, root, "metrics"), filter).metrics)
        attempts.push_back({attempt.attempt_id, text_of(attempt)});
    std::reverse(attempts.begin(), attempts.end());
    return attempts;
}

std::string last_line(std::string_view text)
{
    while (text.ends_with('\n')) text.remove_suffix(1);
    return std::string(text.substr(text.rfind('\n') + 1));  // `npos` + 1 is zero
}

std::string end_of(const std::string& subcommand, const std::string& output, bool ok)
{
    auto line = last_line(output);
    if (!ok && line.empty()) return fmt::format("autoexec {} has failed.", subcommand);
    if (!ok) return line;
    if (subcommand == "rerun") return fmt::format("Queued as {}.", short_id(line));
    return subcommand == "answer" ? "The answer was sent." : "The cancellation was requested.";
}

WatchedProjectOptions watched(const fs::path& root)
{
    WatchedProjectOptions options;
    options.project_root = root;
    options.status_file_name =
        AutoExecutionConfigManager({}, root).load(false).executor.status_file_name;
    return options;
}

/// `autoexec top`. Everything runs on one thread.
class Top {
public:
    explicit Top(fs::path root)
        : root_(std::move(root)),
          dashboard_(root_.filename().string()),
          project_(ctx_, watched(root_))
    {}

    int run()
    {
        spdlog::set_level(spdlog::level::off);  // it would write over the screen
        for (const int signal : caught_signals) signals_.add(signal);
        screen_.enter();
        start(read_keys());
        start(handle_signals());
        start(follow_project());
        start(tick());
        draw();
        ctx_.run();
        FullScreen::leave();
        if (ended_by_ != 0) {
            signals_.clear();
            std::raise(ended_by_);
        }
        return exit_completed;
    }

private:
    void start(asio::awaitable<void> work)
    {
        asio::co_spawn(ctx_, std::move(work), [](std::exception_ptr failure) {
            if (failure) std::rethrow_exception(std::move(failure));
        });
    }

    void draw()
    {
        screen_.draw(dashboard_.draw(FullScreen::size(), std::chrono::system_clock::now()));
    }

    void redraw()
    {
        screen_.forget();
        draw();
    }

    asio::awaitable<void> read_keys()
    {
        std::array<char, 4096> buffer{};
        error_code ec;
        for (;;) {
            const auto count = co_await keys_.async_read_some(
                asio::buffer(buffer), asio::redirect_error(asio::use_awaitable, ec));
            if (ec) break;  // the terminal has gone
            key_timer_.cancel();
            press(decoder_.feed({buffer.data(), count}));
            if (decoder_.is_incomplete()) wait_for_rest();
        }
        ctx_.stop();
    }

    void wait_for_rest()
    {
        key_timer_.expires_after(key_timeout);
        key_timer_.async_wait([this](error_code ec) {
            if (!ec) press(decoder_.finish());
        });
    }

    void press(const std::vector<KeyPress>& keys)
    {
        for (const auto& key : keys) {
            auto request = dashboard_.press(key);
            if (request.quits) ctx_.stop();
            if (request.redraws) screen_.forget();
            if (!request.subcommand.empty()) start(run_subcommand(std::move(request.subcommand)));
            refresh_details();
        }
        draw();
    }

    // In a session of its own: it is done even if this process ends meanwhile, and the engine of
    // the queue that it may start lives on.
    asio::awaitable<void> run_subcommand(std::vector<std::string> words)
    {
        const auto subcommand = words.front();
        words.insert(words.end(), {"--project", root_.string()});
        asio::readable_pipe from(ctx_);
        asio::writable_pipe to(ctx_);
        asio::connect_pipe(from, to);
        pid_t pid = -1;
        auto ec = queue::spawn_detached(root_, to.native_handle(), words, pid);
        to.close();
        std::string output;
        if (ec) {
            dashboard_.show_message("Cannot start a process: " + ec.message());
        } else {
            co_await asio::async_read(from, asio::dynamic_buffer(output, max_subcommand_output),
                                      asio::redirect_error(asio::use_awaitable, ec));
            int status = 0;
            ::waitpid(pid, &status, 0);  // it has closed its output
            const bool ok = WIFEXITED(status) && WEXITSTATUS(status) == 0;
            dashboard_.show_message(end_of(subcommand, output, ok));
        }
        draw();
    }

    asio::awaitable<void> handle_signals()
    {
        for (;;) {
            const int signal = co_await signals_.async_wait(asio::use_awaitable);
            if (signal == SIGWINCH)
                redraw();
            else if (signal == SIGTSTP)
                suspend();
            else if (signal == SIGCONT)
                resume();
            else
                end_by(signal);
        }
    }

    // By the default action, which does nothing where no shell could continue this process.
    void suspend()
    {
        FullScreen::leave();
        signals_.remove(SIGTSTP);
        std::raise(SIGTSTP);
        signals_.add(SIGTSTP);
        resume();
    }

    void resume()
    {
        screen_.enter();
        draw();
    }

    void end_by(int signal)
    {
        if (signal != SIGINT) ended_by_ = signal;
        ctx_.stop();
    }

    asio::awaitable<void> follow_project()
    {
        const ViewPosition none;
        ViewPosition seen;
        for (;;) {
            co_await project_.async_wait_change(seen, asio::use_awaitable);
            const auto all = co_await project_.async_wait_change(none, asio::use_awaitable);
            seen = all.position;
            dashboard_.show(all.changed);
            refresh_details();
            draw();
        }
    }

    asio::awaitable<void> tick()
    {
        asio::steady_timer timer(ctx_);
        for (;;) {
            timer.expires_after(dashboard_.opened() != nullptr ? log_interval : list_interval);
            co_await timer.async_wait(asio::use_awaitable);
            refresh_details();
            draw();
        }
    }

    void refresh_details()
    {
        const auto* const row = dashboard_.opened();
        if (row == nullptr || row->kind != TopRow::Kind::execution) {
            detailed_ = {};
            log_.reset();
            followed_.clear();
            return;
        }
        const auto detailed = std::tuple(row->id, row->attempt_id, row->ended_at);
        if (detailed_ != detailed) dashboard_.show_attempts(ended_attempts(root_, row->id));
        detailed_ = detailed;
        const auto attempt = dashboard_.shown_attempt();
        if (followed_ != attempt) {
            followed_ = attempt;
            log_.emplace(root_, attempt);
            dashboard_.log().clear();
        }
        if (attempt.empty()) return;
        (void)log_->refresh(dashboard_.log());
    }

    asio::io_context ctx_{1};
    fs::path root_;
    FullScreen screen_;
    asio::posix::stream_descriptor keys_{ctx_, FullScreen::open_keys()};
    asio::signal_set signals_{ctx_};
    asio::steady_timer key_timer_{ctx_};
    KeyDecoder decoder_;
    Dashboard dashboard_;
    WatchedProject project_;
    std::tuple<std::string, std::string, TopRow::Time> detailed_;  ///< What attempts are shown of.
    std::string followed_;  ///< The attempt whose output is shown.
    std::optional<LogFollower> log_;
    int ended_by_ = 0;  ///< A signal; zero: none.
};

int top(const CommonOptions& options)
{
    return Top(project_root(options)).run();
}

constexpr char top_examples[] = R"(
Keys: Enter shows details, c cancels, a answers, r runs again, / searches, q quits, ? lists all.
)";

void define_top(CLI::App& app, CommonOptions& o)
{
    app.footer(top_examples);
    add_project(app, o);
}

}  // namespace

extern const Subcommand top_subcommand =
    subcommand("top", "Show and control what happens, on the whole terminal", define_top, top);

}  // namespace autoexec::cli
