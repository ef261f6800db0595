#include "records/pauses.hpp"

#include "files/safe_files.hpp"
#include "protocol/layout.hpp"
#include "records/log_file.hpp"
#include "records/summary.hpp"
#include "text/text.hpp"

#include <fmt/format.h>

#include <poll.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <cerrno>
#include <utility>

namespace autoexec::records {
namespace {

namespace fs = std::filesystem;

constexpr int max_pause_lock_tries = 200;
constexpr int pause_lock_interval_ms = 5;

fs::path pauses_path(const fs::path& project_root)
{
    return project_root / layout::paused;
}

Folder pauses_folder(const fs::path& project_root)
{
    return {project_root, fs::path(layout::paused).parent_path()};
}

std::string pauses_name()
{
    return fs::path(layout::paused).filename().string();
}

// The folder, since the file is replaced. The lock ends with the descriptor.
error_code lock_pauses(int folder)
{
    for (int tries = 0; ::flock(folder, LOCK_EX | LOCK_NB) != 0; ++tries) {
        if (errno != EWOULDBLOCK || tries == max_pause_lock_tries) return files::last_error();
        ::poll(nullptr, 0, pause_lock_interval_ms);
    }
    return {};
}

PausesReading read_pauses_in(int folder, const fs::path& path)
{
    PausesReading reading;
    const auto found = files::read_regular(folder, pauses_name(), protocol::pause_file_limit, {});
    if (found.state == FoundFile::State::absent) return reading;
    auto why = found.problem;
    if (found.state == FoundFile::State::present) {
        if (auto pauses = protocol::parse_pauses(found.text)) {
            reading.pauses = *std::move(pauses);
            return reading;
        }
        why = "it is not JSON of this kind, or of an unknown version";
    }
    reading.problem = fmt::format(
        "Which starts are paused cannot be read from {} ({}), so none is; 'autoexec resume' "
        "removes the file.",
        text::printable(path.string()), why);
    return reading;
}

std::string reason_by_name(const protocol::StartPauses::ByName& pauses, std::string_view kind,
                           std::string_view name)
{
    const auto found = pauses.find(name);
    return found == pauses.end() ? std::string()
                                 : protocol::words_of_pause(found->second, kind, name);
}

}  // namespace

PausesReading read_pauses(const fs::path& project_root)
{
    error_code ec;
    const auto folder = pauses_folder(project_root).open(ec);
    return folder ? read_pauses_in(folder.get(), pauses_path(project_root)) : PausesReading();
}

FileStamp pauses_stamp(const fs::path& project_root)
{
    struct stat st {};
    return ::lstat(pauses_path(project_root).c_str(), &st) == 0 ? files::stamp_of(st) : FileStamp{};
}

error_code change_pauses(const fs::path& project_root,
                         const std::function<void(protocol::StartPauses&)>& change)
{
    error_code ec;
    const auto folder = pauses_folder(project_root).create(ec);
    if (!folder) return ec;
    if ((ec = lock_pauses(folder.get()))) return ec;
    auto pauses = read_pauses_in(folder.get(), pauses_path(project_root)).pauses;
    change(pauses);
    if (pauses.empty()) return files::remove_file(folder.get(), pauses_name());
    return files::replace_file(folder.get(), pauses_name(), protocol::format_pauses(pauses), 0600,
                               Durability::process);
}

FollowedPauses::FollowedPauses(fs::path project_root) : project_root_(std::move(project_root)) {}

bool FollowedPauses::refresh()
{
    const auto stamp = pauses_stamp(project_root_);
    if (stamp == stamp_) return false;
    stamp_ = stamp;
    const auto before = std::exchange(reading_, read_pauses(project_root_));
    return before.pauses != reading_.pauses;
}

std::string FollowedPauses::reason_for(std::string_view agent,
                                       const std::optional<std::string>& run_id) const
{
    const auto& pauses = reading_.pauses;
    if (pauses.all) return protocol::words_of_pause(*pauses.all);
    auto reason = reason_by_name(pauses.agents, "agent", agent);
    if (!reason.empty() || !run_id) return reason;
    reason = reason_by_name(pauses.workflows, "workflow", *run_id);
    return reason.empty() ? reason_by_name(pauses.workflows, "workflow", workflow_of_run(*run_id))
                          : reason;
}

}  // namespace autoexec::records
