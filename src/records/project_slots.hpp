#pragma once

#include "async/fifo_semaphore.hpp"
#include "autoexec/clock.hpp"
#include "autoexec/error.hpp"
#include "files/safe_files.hpp"

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

/// Limits of a project that hold over all its processes.
namespace autoexec::records {

/// One limit: a file in `slots/`. Slot n is its byte n, which the process that uses it holds
/// locked. A process that allows itself 4 uses the first 4, so that together all use no more than
/// the one that allows itself most.
///
/// Commands of a program that an attempt has started share one more slot, that of the attempt,
/// which waits for them: otherwise they could wait for it, and it for them.
///
/// A process that waits shows the priority of its first command by locked bytes. What is free is
/// left to those with a higher one, for a limited time.
///
/// What cannot be locked counts as free: then the limit holds for each process alone.
///
/// Thread safety: none. No function waits.
class ProjectSlots final : public async::SlotSource {
public:
    /// `agent`: whose commands are limited; empty: all commands. `parent_attempt`: the attempt that
    /// has started this process; empty: none.
    ProjectSlots(std::filesystem::path project_root, const std::string& agent,
                 const std::string& parent_attempt, std::shared_ptr<Clock> clock);

    /// How many slots this process may use. Zero: it has no limit, and uses none.
    void set_count(std::size_t count) noexcept { count_ = count; }

    bool acquire(int priority) override;
    void release() override;
    [[nodiscard]] bool others_wait(int priority) override;

    /// Shows to other processes with which priority this one waits for a slot that it would use,
    /// so that they change the folder when they release one; nullopt: it does not wait.
    void show_waiting(std::optional<int> priority);

    /// Why the limit does not hold for the project, once; empty: it does.
    [[nodiscard]] std::string take_problem() { return std::exchange(problem_, {}); }

    /// A sentence for each limit that does not hold for the project, as its files are now. Changes
    /// nothing.
    [[nodiscard]] static std::vector<std::string> find_problems(
        const std::filesystem::path& project_root);

    /// Changes when a process may have released a slot for which another one waits.
    [[nodiscard]] static std::filesystem::path folder_of(const std::filesystem::path& project_root);

private:
    [[nodiscard]] bool open();
    [[nodiscard]] bool lock(std::int64_t slot);
    [[nodiscard]] bool is_reserved(int priority);
    [[nodiscard]] bool has_free_slot() const;
    void fail(error_code ec);
    void touch() const;

    std::filesystem::path project_root_;
    std::string name_;
    std::shared_ptr<Clock> clock_;
    std::int64_t slot_of_parent_ = -1;  ///< -1: there is none.
    std::size_t count_ = 0;
    files::UniqueFd file_;
    std::set<std::int64_t> held_;
    std::size_t unlocked_ = 0;              ///< Granted without a lock.
    std::optional<int> shown_;              ///< With which priority this process waits.
    bool gave_way_ = false;                 ///< What was released last is for others.
    std::optional<time_point> free_since_;  ///< A slot that others do not take.
    bool has_failed_ = false;
    std::string problem_;
};

}  // namespace autoexec::records
