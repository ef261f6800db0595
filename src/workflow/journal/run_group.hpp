#pragma once

#include "autoexec/error.hpp"
#include "files/safe_files.hpp"

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

namespace autoexec::workflow {

/// A concurrency group of a project: at most one run has it at a time. A run holds byte 0 of the
/// group's file in `workflow-state/groups/` locked while it has the group, and one of the bytes
/// behind it while it waits, in the order of arrival. So the kernel frees what a killed process
/// had.
///
/// Thread safety: none. No function waits.
class RunGroup {
public:
    RunGroup(std::filesystem::path project_root, std::string_view group, std::string run_id);
    RunGroup(const RunGroup&) = delete;
    RunGroup& operator=(const RunGroup&) = delete;
    /// Frees the group, or the place among those that wait.
    ~RunGroup();

    /// True if this run has the group from now on. False without an error: another one has it, or
    /// waits longer for it.
    [[nodiscard]] bool acquire(error_code& ec);

    /// The run that has it; empty: not known.
    [[nodiscard]] std::string holder() const;

    /// Once this run has it: the run that had it before, and was killed. Empty: there is none.
    [[nodiscard]] const std::string& killed_holder() const noexcept { return killed_holder_; }

    /// Where files are closed when a group gets free: that is a file event.
    [[nodiscard]] static std::filesystem::path folder_of(const std::filesystem::path& project_root);

private:
    [[nodiscard]] bool open(error_code& ec);
    [[nodiscard]] bool take_place(error_code& ec);
    [[nodiscard]] bool comes_first() const;
    void write_holder() const;
    void close();

    std::filesystem::path project_root_;
    std::string name_;
    std::string run_id_;
    std::string killed_holder_;
    files::UniqueFd file_;
    std::int64_t place_ = 0;  ///< Among those that wait; zero: none.
    bool is_holder_ = false;
};

}  // namespace autoexec::workflow
