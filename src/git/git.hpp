#pragma once

#include "async/fifo_semaphore.hpp"
#include "async/short_names.hpp"
#include "git/git_context.hpp"
#include "git/interrupt.hpp"
#include "process/run_program.hpp"

#include <chrono>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace autoexec::git {

using Words = std::vector<std::string>;
using process::ProgramOutput;

/// Time limits of calls, far above what git needs even on a slow disk: a call that reaches its
/// limit hangs.
constexpr std::chrono::minutes reading_limit{2};   ///< For calls that only read.
constexpr std::chrono::minutes writing_limit{10};  ///< For calls that write.

/// The only code that starts git. Runs it without prompts, editor, pager, hooks, file system
/// monitor, signatures, external diff or automatic clean-up, in English, below the supervisor, and
/// stops it at its time limit. Filters, merge and diff drivers are those of `GitContext::trusted`.
/// The number of concurrent calls is bounded, because each needs a few descriptors. Thread safety:
/// none; one strand. Must outlive its calls.
class Git {
public:
    /// Without `interrupt`, only the time limits end a call early.
    Git(std::shared_ptr<Spawner> spawner, std::shared_ptr<Clock> clock,
        std::shared_ptr<Interrupt> interrupt = {});

    template <class... Text>
    asio::awaitable<ProgramOutput> operator()(const GitContext& context, const Text&... words) const
    {
        return run(context, Words{std::string(words)...});
    }
    /// `lock`: a descriptor that stays open while git runs, even if this process dies.
    [[nodiscard]] asio::awaitable<ProgramOutput> run(const GitContext& context, Words words,
                                                     std::optional<int> lock = std::nullopt) const;

    /// Runs `words` once per portion of the arguments that fits into a command line, and
    /// concatenates the outputs; stops at the first failure. Pairs of arguments are not separated.
    [[nodiscard]] asio::awaitable<ProgramOutput> run_in_portions(GitContext context, Words words,
                                                                 Words arguments) const;

    /// Runs another program under the same bound and limits.
    [[nodiscard]] asio::awaitable<ProgramOutput> run_other(const fs::path& folder,
                                                           Words argv) const;

    /// Adds a descriptor that each later call keeps open.
    void hold(int lock) { held_.assign(1, lock); }

    /// An upper bound for the time limit of every later call.
    void limit_to(std::chrono::milliseconds limit) { max_limit_ = limit; }

    /// A copy whose calls are not cancelled, to undo what a cancelled operation began.
    [[nodiscard]] Git uninterrupted() const;
    [[nodiscard]] std::shared_ptr<const Interrupt> interrupt() const { return interrupt_; }

    /// Sets the committer and author of later calls, whatever is configured.
    void set_identity(std::string_view name, std::string_view email);

private:
    [[nodiscard]] asio::awaitable<ProgramOutput> perform(GitContext context, ProcessSpec spec,
                                                         std::string subcommand) const;
    [[nodiscard]] asio::awaitable<ProgramOutput> in_turn(ProcessSpec spec, std::string name,
                                                         std::chrono::milliseconds limit) const;

    std::shared_ptr<Spawner> spawner_;
    std::shared_ptr<Clock> clock_;
    std::shared_ptr<Interrupt> interrupt_;
    std::shared_ptr<async::FifoSemaphore> slots_;
    Words identity_;
    std::vector<int> held_;
    std::chrono::milliseconds max_limit_ = std::chrono::milliseconds::max();
};

/// `git status --porcelain=v2 -z` of a tree. Submodules are not searched.
asio::awaitable<ProgramOutput> changes_in(const Git& git, GitContext context);

/// Reads git's version; needs no repository.
Words version_command();

/// Standard output without the final newline.
std::string line_of(const ProgramOutput& output);

/// Why the call failed: one line, for messages.
std::string reason_of(const ProgramOutput& output);

/// Splits a list of parts that each end with `end`.
std::vector<std::string_view> split_at(char end, std::string_view text);
inline std::vector<std::string_view> split_nul(std::string_view text)
{
    return split_at('\0', text);
}

/// True for a full object id.
bool is_object_id(std::string_view text);

/// A name or path from outside, made safe for messages.
std::string shown(std::string_view text);

/// `a, b and 3 more`.
std::string some_of(Words items, std::size_t max_items = 10);

}  // namespace autoexec::git
