#include "git/git.hpp"

#include "git/git_environment.hpp"
#include "text/text.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/this_coro.hpp>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <iterator>
#include <span>
#include <utility>

namespace autoexec::git {
namespace {

// Enough for a list of a million files.
constexpr std::size_t max_output = 256 * 1024 * 1024;
constexpr std::size_t max_reason = 2000;
constexpr std::size_t max_processes = 32;
// Far below the system's limit. Even, because some arguments come in pairs.
constexpr std::size_t max_arguments = 500;
// A stopped git may leave a lock or a partial worktree.
constexpr std::chrono::minutes orphan_grace{1};
// Git ends at once; a filter program may not.
constexpr std::chrono::seconds stop_grace{2};

constexpr std::array<std::string_view, 13> reading = {
    "cat-file",   "config",   "diff",      "diff-tree", "for-each-ref", "ls-files", "ls-tree",
    "merge-base", "rev-list", "rev-parse", "status",    "var",          "version",
};

// The subcommand among the arguments of a call; empty if there is none.
std::string_view subcommand_of(const Words& words)
{
    for (auto word = words.begin(); word != words.end(); ++word) {
        if (!word->starts_with('-')) return *word;
        const bool has_value = *word == "-c";
        if (has_value && ++word == words.end()) break;
    }
    return {};
}

std::chrono::milliseconds limit_of(std::string_view subcommand)
{
    const bool reads = std::find(reading.begin(), reading.end(), subcommand) != reading.end();
    return reads ? reading_limit : writing_limit;
}

/// Stops one call at its time limit or when the interrupt demands it. Shared by the caller and the
/// coroutine that waits.
class CallLimit : public std::enable_shared_from_this<CallLimit> {
public:
    CallLimit(std::string call, std::chrono::milliseconds limit, std::shared_ptr<Clock> clock,
              std::shared_ptr<Interrupt> interrupt)
        : call_(std::move(call)),
          limit_(limit),
          clock_(std::move(clock)),
          interrupt_(std::move(interrupt))
    {}

    /// Starts the time limit. `call_ended` must follow.
    void watch(const asio::any_io_executor& ex, std::weak_ptr<Process> process)
    {
        alarm_ = clock_->make_timer(ex);
        asio::co_spawn(ex, stop_in_time(shared_from_this(), std::move(process)), asio::detached);
    }

    void call_ended()
    {
        has_ended_ = true;
        if (alarm_) alarm_->wake();  // null if the program could not be started
    }

    /// False, and a problem, if no further call may start.
    bool may_start()
    {
        if (clock_->now() < interrupt_->time()) return true;
        problem_ = fmt::format("'{}' was not started: the operation was cancelled", call_);
        return false;
    }

    /// Why the call was stopped or not started; empty if neither.
    [[nodiscard]] const std::string& problem() const noexcept { return problem_; }

private:
    void record_stop(bool limit_reached)
    {
        if (limit_reached) {
            problem_ = fmt::format(
                "'{}' did not end within {} and was stopped. Check for a filter program or disk "
                "that hangs, and for very large files",
                call_, text::format_duration(limit_));
            return;
        }
        problem_ = fmt::format("'{}' was stopped: the operation was cancelled", call_);
        interrupt_->end_by(clock_->now());
    }

    static asio::awaitable<void> stop_in_time(std::shared_ptr<CallLimit> self,
                                              std::weak_ptr<Process> process)
    {
        const auto began = self->clock_->now();
        const auto limit = began + self->limit_;
        const Interrupt::Registration registration(*self->interrupt_, *self->alarm_);
        while (!self->has_ended_) {
            const auto end = std::min(limit, self->interrupt_->end_of(began));
            if (self->clock_->now() < end) {
                co_await self->alarm_->wait_until(end);
                continue;
            }
            self->record_stop(end == limit);
            if (const auto running = process.lock()) running->stop();
            co_return;
        }
    }

    std::string call_;
    std::chrono::milliseconds limit_;
    std::shared_ptr<Clock> clock_;
    std::shared_ptr<Interrupt> interrupt_;
    std::unique_ptr<Timer> alarm_;
    bool has_ended_ = false;
    std::string problem_;
};

// Called in every case; otherwise the watch would wait until the limit.
class EndOfCall {
public:
    explicit EndOfCall(CallLimit& limit) : limit_(limit) {}
    ~EndOfCall() { limit_.call_ended(); }
    EndOfCall(const EndOfCall&) = delete;
    EndOfCall& operator=(const EndOfCall&) = delete;

private:
    CallLimit& limit_;
};

}  // namespace

Git::Git(std::shared_ptr<Spawner> spawner, std::shared_ptr<Clock> clock,
         std::shared_ptr<Interrupt> interrupt)
    : spawner_(std::move(spawner)),
      clock_(std::move(clock)),
      interrupt_(std::move(interrupt)),
      slots_(std::make_shared<async::FifoSemaphore>(max_processes))
{
    if (!interrupt_) interrupt_ = std::make_shared<Interrupt>();
}

Git Git::uninterrupted() const
{
    auto other = *this;
    other.interrupt_ = std::make_shared<Interrupt>();
    return other;
}

asio::awaitable<ProgramOutput> Git::run(const GitContext& context, Words words,
                                        std::optional<int> lock) const
{
    const std::string subcommand(subcommand_of(words));
    ProcessSpec spec;
    spec.orphan_grace = orphan_grace;
    spec.stop_grace = stop_grace;
    spec.held = held_;
    if (lock) spec.held.push_back(*lock);
    spec.argv = hardened_command();
    std::move(words.begin(), words.end(), std::back_inserter(spec.argv));
    spec.directory = context.work_tree.empty() ? context.git_dir : context.work_tree;
    spec.environment = environment_for(context);
    for (const auto& variable : identity_) set_variable(spec.environment, variable);
    return perform(context, std::move(spec), subcommand);
}

// The programs to switch off are in the configuration, which only git reads exactly.
asio::awaitable<ProgramOutput> Git::perform(GitContext context, ProcessSpec spec,
                                            std::string subcommand) const
{
    if (has_untrusted_config(context)) {
        auto query = spec;
        query.argv = hardened_command();
        for (const auto* const word : {"config", "--list", "--includes", "--show-scope", "-z"})
            query.argv.emplace_back(word);
        auto listing = co_await in_turn(std::move(query), "git config", reading_limit);
        if (!listing.ok()) co_return listing;
        switch_off_programs(listing.output, context.trusted, spec.environment);
    }
    co_return co_await in_turn(std::move(spec), "git " + subcommand,
                               std::min(limit_of(subcommand), max_limit_));
}

asio::awaitable<ProgramOutput> Git::run_in_portions(GitContext context, Words words,
                                                    Words arguments) const
{
    ProgramOutput all;
    all.exit.exit_code = 0;
    for (std::size_t at = 0; at < arguments.size(); at += max_arguments) {
        auto call = words;
        const auto portion = std::span(arguments).subspan(at);
        std::ranges::copy(portion.first(std::min(portion.size(), max_arguments)),
                          std::back_inserter(call));
        auto output = co_await run(context, std::move(call));
        if (!output.ok()) co_return output;
        all.output += output.output;
        all.cut |= output.cut;
    }
    co_return all;
}

asio::awaitable<ProgramOutput> Git::run_other(const fs::path& folder, Words argv) const
{
    ProcessSpec spec;
    auto name = argv.front();
    spec.argv = std::move(argv);
    spec.directory = folder;
    spec.environment = process::inherited_environment();
    spec.stop_grace = stop_grace;
    return in_turn(std::move(spec), std::move(name), writing_limit);
}

asio::awaitable<ProgramOutput> Git::in_turn(ProcessSpec spec, std::string name,
                                            std::chrono::milliseconds limit) const
{
    const auto ex = co_await asio::this_coro::executor;
    const auto alarm = clock_->make_timer(ex);
    async::SemaphoreGuard slot(*slots_, *alarm);
    co_await slot.admission();
    const auto call = std::make_shared<CallLimit>(std::move(name), limit, clock_, interrupt_);
    ProgramOutput output;
    if (call->may_start()) {
        const EndOfCall end(*call);
        process::OnStart watch = [&](std::weak_ptr<Process> process) {
            call->watch(ex, std::move(process));
        };
        output =
            co_await process::run_program(spawner_, std::move(spec), max_output, std::move(watch));
    }
    if (!call->problem().empty() && !output.ok()) output.exit.error = call->problem();
    co_return output;
}

asio::awaitable<ProgramOutput> changes_in(const Git& git, GitContext context)
{
    return git(context, "-c", "core.untrackedCache=false", "status", "--porcelain=v2", "-z",
               "--untracked-files=normal", "--ignore-submodules=dirty", "--no-renames");
}

Words version_command()
{
    return {"git", "--version"};
}

void Git::set_identity(std::string_view name, std::string_view email)
{
    identity_.clear();
    for (const std::string_view role : {"GIT_AUTHOR_", "GIT_COMMITTER_"}) {
        identity_.push_back(std::string(role).append("NAME=").append(name));
        identity_.push_back(std::string(role).append("EMAIL=").append(email));
    }
}

std::string line_of(const ProgramOutput& output)
{
    auto text = output.output;
    while (text.ends_with('\n')) text.pop_back();
    return text;
}

std::string reason_of(const ProgramOutput& output)
{
    if (!output.exit.error.empty()) return output.exit.error;
    auto text = text::valid_utf8(output.errors.empty() ? output.output : output.errors);
    while (!text.empty() && text.back() == '\n') text.pop_back();
    std::replace(text.begin(), text.end(), '\n', ' ');
    if (text.empty()) return "git printed no error";
    return text::printable(text::tail(text, max_reason));
}

std::vector<std::string_view> split_at(char end, std::string_view text)
{
    std::vector<std::string_view> parts;
    while (!text.empty()) {
        const auto size = std::min(text.find(end), text.size());
        parts.push_back(text.substr(0, size));
        text.remove_prefix(std::min(size + 1, text.size()));
    }
    return parts;
}

bool is_object_id(std::string_view text)
{
    return (text.size() == 40 || text.size() == 64) &&
           text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

std::string shown(std::string_view text)
{
    return text::printable(text::valid_utf8(text));
}

std::string some_of(Words items, std::size_t max_items)
{
    const auto count = items.size();
    items.resize(std::min(count, max_items));
    auto text = fmt::format("{}", fmt::join(items, ", "));
    return count > max_items ? fmt::format("{} and {} more", text, count - max_items) : text;
}

}  // namespace autoexec::git
