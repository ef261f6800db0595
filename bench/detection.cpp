// How long after an agent's report does the caller have the result, when the agent is another
// process?
//
// Paced load, and an agent that takes a random time for each command. The limit is a bare pair of
// processes that watch their folders with inotify: one renames a file, the other sees it.
//
// usage: detection bare|autoexec COUNT

#include "autoexec/executor.hpp"

#include "async/short_names.hpp"
#include "files/safe_files.hpp"
#include "light_agent.hpp"
#include "measure.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include <fcntl.h>
#include <poll.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <queue>
#include <random>
#include <thread>

using namespace autoexec;
using namespace autoexec::bench;
using std::chrono::milliseconds;
using steady = std::chrono::steady_clock;
using Trees = std::vector<std::filesystem::path>;

namespace {

constexpr milliseconds pace{5};  // between two commands
constexpr int min_ms = 20;       // what the agent takes
constexpr int max_ms = 120;

/// The folders of one process, by inotify.
class Watches {
public:
    explicit Watches(const Trees& trees)
    {
        for (const auto& tree : trees)
            check(::inotify_add_watch(fd_.get(), tree.c_str(), IN_MOVED_TO) ==
                      static_cast<int>(&tree - trees.data()) + 1,
                  "inotify_add_watch");
    }

    /// Calls `seen(index of the folder)` for each rename to `name`; waits until `until`.
    template <class Seen>
    void wait(steady::time_point until, const std::string& name, Seen&& seen)
    {
        const auto left = std::chrono::ceil<milliseconds>(until - steady::now()).count();
        pollfd p{fd_.get(), POLLIN, 0};
        if (::poll(&p, 1, static_cast<int>(std::max<long>(0, left))) <= 0) return;
        alignas(inotify_event) char buffer[65536];
        const auto size = ::read(fd_.get(), buffer, sizeof buffer);
        for (long at = 0; at < size;) {
            const auto* event = reinterpret_cast<const inotify_event*>(buffer + at);
            check((event->mask & IN_Q_OVERFLOW) == 0, "the queue of inotify overflowed");
            if (event->len > 0 && name == event->name)
                seen(static_cast<std::size_t>(event->wd) - 1);
            at += static_cast<long>(sizeof(inotify_event) + event->len);
        }
    }

private:
    files::UniqueFd fd_{::inotify_init1(IN_CLOEXEC)};
};

void rename_into_place(const std::filesystem::path& tree, const char* name)
{
    const auto temporary = tree / ".cursor-skill-tmp.bare";
    std::ofstream(temporary) << std::string(400, 's');
    check(::rename(temporary.c_str(), (tree / name).c_str()) == 0, "rename");
}

/// The agent's process: by the protocol, or (`bare`) a file for a file. `reported` is shared
/// memory.
void run_agent(const Trees& trees, bool bare, steady::time_point* reported)
{
    struct Due {
        steady::time_point at;
        std::size_t index;
        bool operator<(const Due& other) const { return at > other.at; }
    };
    Watches watches(trees);
    std::vector<ClaimedCommand> claimed(trees.size());
    std::priority_queue<Due> due;
    std::mt19937 random(1);
    for (;;) {
        const auto until = due.empty() ? steady::now() + std::chrono::hours(1) : due.top().at;
        watches.wait(until, control_files::command, [&](std::size_t i) {
            if (!bare && !claimed[i].claim(trees[i], {})) return;
            const milliseconds takes(std::uniform_int_distribution(min_ms, max_ms)(random));
            due.push({steady::now() + takes, i});
        });
        for (; !due.empty() && due.top().at <= steady::now(); due.pop()) {
            const auto i = due.top().index;
            if (bare)
                rename_into_place(trees[i], control_files::status);
            else
                claimed[i].write_result();
            reported[i] = steady::now();
            if (!bare) claimed[i].release();
        }
    }
}

void bare_executor(const Trees& trees, steady::time_point* returned)
{
    Watches watches(trees);
    std::size_t published = 0, seen = 0;
    for (auto next = steady::now(); seen < trees.size();) {
        if (published < trees.size() && steady::now() >= next) {
            rename_into_place(trees[published++], control_files::command);
            next += pace;
        }
        const auto until =
            published < trees.size() ? next : steady::now() + std::chrono::seconds(10);
        watches.wait(until, control_files::status, [&](std::size_t i) {
            returned[i] = steady::now();
            ++seen;
        });
    }
}

asio::awaitable<void> run_one(BackgroundAgentAutoExecutor& executor, std::filesystem::path tree,
                              steady::time_point& returned)
{
    CommandRequest request("/review", std::move(tree));
    const auto result = co_await executor.execute_command(std::move(request));
    returned = steady::now();
    check(result.status == ExecutionStatus::completed, result.error ? result.error->message : "");
}

void rethrow(std::exception_ptr failure)
{
    if (failure) std::rethrow_exception(failure);
}

asio::awaitable<void> run_paced(BackgroundAgentAutoExecutor& executor, const Trees& trees,
                                steady::time_point* returned)
{
    const auto ex = co_await asio::this_coro::executor;
    asio::steady_timer timer(ex, steady::now());
    for (std::size_t i = 0; i < trees.size(); ++i) {
        asio::co_spawn(ex, run_one(executor, trees[i], returned[i]), rethrow);
        timer.expires_at(timer.expiry() + pace);
        co_await timer.async_wait(asio::use_awaitable);
    }
}

void by_executor(const std::filesystem::path& project, const Trees& trees,
                 steady::time_point* returned)
{
    asio::io_context ctx(1);
    ExecutorOptions options;
    options.project_root = project;
    options.notifier = make_notifier(ctx, project);
    BackgroundAgentAutoExecutor executor(ctx.get_executor(), options);
    asio::co_spawn(ctx, run_paced(executor, trees, returned), rethrow);
    ctx.run();
}

}  // namespace

int main(int argc, char** argv)
{
    const Arguments arguments(argc, argv);
    const auto count = within_descriptors(arguments.number(0, 400), 4);
    const bool bare = arguments.way() == "bare";
    const Scratch scratch;
    const auto trees = scratch.make_trees(count);
    const auto bytes = 2 * count * sizeof(steady::time_point);
    auto* times = static_cast<steady::time_point*>(
        ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
    check(times != MAP_FAILED, "mmap");
    const auto agent = ::fork();
    if (agent == 0) {
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);
        run_agent(trees, bare, times);
    }
    std::this_thread::sleep_for(milliseconds(200));  // it watches
    if (bare)
        bare_executor(trees, times + count);
    else
        by_executor(scratch.path(), trees, times + count);
    ::kill(agent, SIGKILL);
    ::waitpid(agent, nullptr, 0);
    std::vector<double> micros;
    for (std::size_t i = 0; i < count; ++i)
        micros.push_back(
            std::chrono::duration<double, std::micro>(times[count + i] - times[i]).count());
    print_figures({{"count", static_cast<double>(count)},
                   {"p50", quantile(micros, 0.5)},
                   {"p99", quantile(micros, 0.99)}});
}
