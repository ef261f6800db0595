#pragma once

#include "async/fifo_semaphore.hpp"
#include "git/interrupt.hpp"
#include "git/place.hpp"
#include "process/run_program.hpp"

#include <chrono>
#include <cstddef>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace autoexec::git {

using Words = std::vector<std::string>;
using process::ProgramOutput;

/// The one caller of git. Runs it with no prompt, editor, pager, hook, file system monitor,
/// signature, external diff or automatic clean-up, in English, below the supervisor, and stops it
/// at its limit. Filters, merge and diff drivers are those of `Place::trusted`. Many calls at once
/// take turns: each costs a few descriptors. Thread safety: none; one strand. Must outlive what it
/// runs.
class Git {
public:
    /// `interrupt`: absent: only the limits end a call early.
    Git(std::shared_ptr<Spawner> spawner, std::shared_ptr<Clock> clock,
        std::shared_ptr<Interrupt> interrupt = {});

    template <class... Text>
    asio::awaitable<ProgramOutput> operator()(const Place& place, const Text&... words) const
    {
        return run(place, Words{std::string(words)...});
    }
    /// `lock`: a descriptor that is held as long as git runs, even if we die.
    [[nodiscard]] asio::awaitable<ProgramOutput> run(const Place& place, Words words,
                                                     std::optional<int> lock = std::nullopt) const;

    /// Another program, in its turn.
    [[nodiscard]] asio::awaitable<ProgramOutput> run_other(const std::filesystem::path& folder,
                                                           Words argv) const;

    /// Another descriptor that each call holds from now on.
    void hold(int lock) { held_.assign(1, lock); }

    /// No call takes longer from now on, whatever it does.
    void limit_to(std::chrono::milliseconds limit) { max_limit_ = limit; }

    /// The same, but no cancellation ends its calls: for what undoes that which one has ended.
    [[nodiscard]] Git uninterrupted() const;
    [[nodiscard]] std::shared_ptr<const Interrupt> interrupt() const { return interrupt_; }

    /// Who commits from now on, whatever is configured.
    void set_identity(std::string_view name, std::string_view email);

private:
    struct Call;
    [[nodiscard]] asio::awaitable<ProgramOutput> perform(Place place, Call call) const;
    [[nodiscard]] asio::awaitable<ProgramOutput> in_turn(Call call) const;

    std::shared_ptr<Spawner> spawner_;
    std::shared_ptr<Clock> clock_;
    std::shared_ptr<Interrupt> interrupt_;
    std::shared_ptr<async::FifoSemaphore> slots_;
    std::vector<std::string> identity_;
    std::vector<int> held_;
    std::chrono::milliseconds max_limit_ = std::chrono::milliseconds::max();
};

/// Says which git there is. Needs no repository, so it runs in any folder.
Words version_command();

/// Standard output without the newline at its end.
std::string line_of(const ProgramOutput& output);

/// Why it did not work, for a person, on one line.
std::string reason_of(const ProgramOutput& output);

/// The parts of a list in which NUL ends each.
std::vector<std::string_view> split_nul(std::string_view text);

/// A full object id.
bool is_object_id(std::string_view text);

/// For messages: a name or path from outside.
std::string shown(std::string_view text);

}  // namespace autoexec::git
