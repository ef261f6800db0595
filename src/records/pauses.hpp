#pragma once

#include "autoexec/error.hpp"
#include "autoexec/file.hpp"
#include "protocol/pause_file.hpp"

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

/// The starts that people have paused: `running/paused`, which all executors of the project read
/// before each start. No function waits, except `change_pauses`.
namespace autoexec::records {

struct PausesReading {
    protocol::StartPauses pauses;
    std::string problem;  ///< Why the file does not count: then nothing is paused. Empty: it does.
};

PausesReading read_pauses(const std::filesystem::path& project_root);

/// The version of the file, at the cost of one system call; the empty stamp if there is none.
FileStamp pauses_stamp(const std::filesystem::path& project_root);

/// Reads the file, changes its content, and writes it, or removes it if nothing is paused. A file
/// that does not count is replaced. Waits at most a second for another process that changes it.
error_code change_pauses(const std::filesystem::path& project_root,
                         const std::function<void(protocol::StartPauses&)>& change);

/// The file, read again when it has changed. Thread safety: none.
class FollowedPauses {
public:
    explicit FollowedPauses(std::filesystem::path project_root);

    /// Returns true if the pauses have changed. One system call if the file has not.
    bool refresh();

    /// Why the start of a command is paused, as of the last `refresh`; empty: it is not. `run_id`:
    /// of the workflow's run, if it belongs to one.
    [[nodiscard]] std::string reason_for(std::string_view agent,
                                         const std::optional<std::string>& run_id) const;

    [[nodiscard]] const PausesReading& reading() const noexcept { return reading_; }

private:
    std::filesystem::path project_root_;
    FileStamp stamp_;
    PausesReading reading_;
};

}  // namespace autoexec::records
