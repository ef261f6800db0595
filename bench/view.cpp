// What does it cost to follow a project in which very much happens, and how soon are changes seen?
// Another process writes the files of executions: every tenth change ends one and starts another
// one, the others are reports of progress.
//
// usage: view COUNT CHANGES_A_SECOND WINDOW_MS

#include "autoexec/watched_project.hpp"

#include "async/short_names.hpp"
#include "measure.hpp"
#include "protocol/layout.hpp"
#include "protocol/record_lines.hpp"
#include "protocol/status.hpp"
#include "records/running.hpp"

#include <boost/asio/io_context.hpp>

#include <sys/prctl.h>

#include <csignal>
#include <functional>
#include <optional>
#include <thread>

using namespace autoexec;
using namespace autoexec::bench;
using std::chrono::milliseconds;
using steady = std::chrono::steady_clock;

namespace {

constexpr char status_name[] = ".cursor-skill-status.json";
constexpr std::size_t changes_of_an_end = 10;  // one in so many
constexpr milliseconds warm_up{3000};          // until all worktrees are watched
constexpr milliseconds grace{10'000};          // for the last changes

// The clock is the same in all processes.
std::int64_t now_ns()
{
    return steady::now().time_since_epoch().count();
}

/// What executors and agents write.
class Writer {
public:
    Writer(std::filesystem::path root, std::vector<std::filesystem::path> trees)
        : root_(std::move(root)), trees_(std::move(trees)), executor_(root_)
    {
        std::filesystem::create_directories(root_ / layout::metrics);
        for (std::size_t i = 0; i < trees_.size(); ++i) attempts_.push_back(start(i));
        for (std::size_t i = 0; i < trees_.size(); ++i) report(i);
    }

    void change(std::size_t number)
    {
        const auto at = number % trees_.size();
        if (number % changes_of_an_end != 0) return report(at);
        end(at);
        attempts_[at] = start(at);
    }

private:
    std::string start(std::size_t at)
    {
        protocol::RunningRecord record;
        record.attempt_id = fmt::format("attempt-{}-of-this-benchmark", ++started_);
        record.execution_id = fmt::format("execution-{}-of-this-benchmark", started_);
        record.attempt = 1;
        record.command = std::to_string(now_ns());
        record.worktree = trees_[at];
        record.started_at = std::chrono::system_clock::now();
        check(!executor_.put(record), "writing a record");
        return record.attempt_id;
    }

    void end(std::size_t at)
    {
        ExecutionMetric metric;
        metric.execution_id = "ended-" + attempts_[at];
        metric.attempt_id = attempts_[at];
        metric.command = "make";
        metric.completed_at = std::chrono::system_clock::now();
        std::ofstream(root_ / layout::metrics / "attempts_2026-01-20.jsonl", std::ios::app)
            << protocol::format_attempt(metric) << '\n';
        executor_.remove(attempts_[at]);
    }

    void report(std::size_t at)
    {
        AgentStatus status;
        status.attempt_id = attempts_[at];
        status.status = ReportedStatus::running;
        status.progress.emplace().message = std::to_string(now_ns());
        const auto temporary = trees_[at] / ".cursor-skill-tmp.1";
        std::ofstream(temporary) << protocol::format_status(status);
        std::filesystem::rename(temporary, trees_[at] / status_name);
    }

    std::filesystem::path root_;
    std::vector<std::filesystem::path> trees_;
    records::RunningRecords executor_;
    std::size_t started_ = 0;
    std::vector<std::string> attempts_;
};

struct Pipe {
    Pipe() { check(::pipe(ends) == 0, "pipe"); }
    void wait() const
    {
        char byte = 0;
        check(::read(ends[0], &byte, 1) == 1, "the other process has ended");
    }
    void signal() const { check(::write(ends[1], "x", 1) == 1, "write"); }
    int ends[2];
};

/// The process that changes the files.
class WriterProcess {
public:
    WriterProcess(const Scratch& scratch, std::size_t count, double changes_a_second,
                  milliseconds window)
        : trees_(scratch.make_trees(count)), pid_(::fork())
    {
        if (pid_ == 0) run(scratch.path(), changes_a_second, window);
        ready_.wait();
    }
    ~WriterProcess()
    {
        ::kill(pid_, SIGKILL);
        ::waitpid(pid_, nullptr, 0);
    }
    WriterProcess(const WriterProcess&) = delete;
    WriterProcess& operator=(const WriterProcess&) = delete;

    void begin() const { begin_.signal(); }

private:
    [[noreturn]] void run(const std::filesystem::path& root, double changes_a_second,
                          milliseconds window)
    {
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);
        Writer writer(root, trees_);
        ready_.signal();
        begin_.wait();
        const auto start = steady::now();
        const auto count = static_cast<std::size_t>(seconds(window).count() * changes_a_second);
        for (std::size_t i = 0; i < count; ++i) {
            std::this_thread::sleep_until(start +
                                          std::chrono::duration_cast<steady::duration>(
                                              seconds(static_cast<double>(i) / changes_a_second)));
            writer.change(i);
        }
        for (;;) ::pause();  // its lock shows that it lives
    }

    std::vector<std::filesystem::path> trees_;
    Pipe ready_;
    Pipe begin_;
    pid_t pid_;
};

/// Notes how long after they were written changes are seen.
class Follower {
public:
    explicit Follower(WatchedProject& project) : project_(project) { wait(); }

    void measure() { is_measuring_ = true; }
    [[nodiscard]] std::size_t executions() const { return executions_; }
    [[nodiscard]] const std::vector<double>& delays() const { return delays_; }

private:
    void wait()
    {
        project_.async_wait_change(seen_, [this](error_code ec, const ProjectChanges& changes) {
            if (ec) return;
            seen_ = changes.position;
            executions_ += changes.changed.executions.size();
            if (is_measuring_)
                for (const auto& entry : changes.changed.executions)
                    note_delay(entry.progress ? entry.progress->message : entry.command);
            wait();
        });
    }

    void note_delay(const std::string& written)
    {
        delays_.push_back(static_cast<double>(now_ns() - std::stoll(written)) * 1e-6);
    }

    WatchedProject& project_;
    ViewPosition seen_;
    std::size_t executions_ = 0;
    bool is_measuring_ = false;
    std::vector<double> delays_;
};

Figures follow(std::size_t count, double changes_a_second, milliseconds window)
{
    const Scratch scratch;
    const WriterProcess writer(scratch, count, changes_a_second, window);
    asio::io_context ctx(1);
    WatchedProjectOptions options;
    options.project_root = scratch.path();
    WatchedProject project(ctx, options);
    Follower follower(project);
    const auto first = cost_of([&] {
        while (follower.executions() == 0) ctx.run_one();
    });
    check(follower.executions() == count, "the first look found all executions");
    ctx.run_for(warm_up);
    follower.measure();
    writer.begin();
    const auto cost = cost_of([&] { ctx.run_for(window); });
    const auto wanted = static_cast<std::size_t>(seconds(window).count() * changes_a_second);
    const auto last = steady::now() + grace;
    while (follower.delays().size() < wanted && steady::now() < last) ctx.run_for(milliseconds(50));
    check(follower.delays().size() >= wanted, "all changes were seen");
    return {{"count", static_cast<double>(count)},
            {"first_cpu", first.cpu},
            {"cpu", cost.cpu / cost.wall},
            {"p50", quantile(follower.delays(), 0.5)},
            {"p95", quantile(follower.delays(), 0.95)},
            {"peak_bytes", peak_bytes()}};
}

}  // namespace

int main(int argc, char** argv)
{
    const Arguments arguments(argc, argv);
    raise_descriptor_limit();
    print_figures(follow(std::stoul(arguments.way()), static_cast<double>(arguments.number(0, 100)),
                         milliseconds(arguments.number(1, 2000))));
}
