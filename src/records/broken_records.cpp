#include "records/broken_records.hpp"

#include "files/safe_files.hpp"
#include "logging/log.hpp"
#include "records/log_file.hpp"
#include "records/running.hpp"
#include "text/json.hpp"
#include "text/text.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <optional>
#include <utility>

namespace autoexec::records {
namespace {

constexpr std::size_t max_names = 100'000;

files::UniqueFd open_running(const std::filesystem::path& project_root)
{
    error_code ec;
    return Folder::of({}, project_root, "running").open(ec);
}

bool is_held(int folder, const std::string& name)
{
    error_code ec;
    const auto fd = files::open_beneath(folder, name, O_RDONLY, files::Links::none, ec);
    return fd && ::flock(fd.get(), LOCK_SH | LOCK_NB) != 0;
}

std::optional<BrokenRecord> examine(int folder, const std::string& name)
{
    const auto found = files::read_regular(folder, name, running_limit, {});
    if (found.state == FoundFile::State::absent || found.state == FoundFile::State::unreadable)
        return std::nullopt;
    if (found.state != FoundFile::State::present) {
        struct stat st {};
        const bool is_folder =
            ::fstatat(folder, name.c_str(), &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode);
        return BrokenRecord{name, found.problem, !is_folder};
    }
    const auto json = text::read_json_object(found.text);
    if (json.kind != text::JsonReading::Kind::valid)
        return BrokenRecord{name, "it is not a JSON object", true};
    const auto record = parse_running(found.text);
    if (!record) return BrokenRecord{name, "it names no attempt", false};
    if (running_name(record->attempt_id) != name)
        return BrokenRecord{name, "it is not named after its attempt", true};
    if (!std::filesystem::path(record->worktree).is_absolute())
        return BrokenRecord{name, "its worktree is not an absolute path", true};
    return std::nullopt;
}

}  // namespace

std::vector<BrokenRecord> find_broken_records(const std::filesystem::path& project_root)
{
    std::vector<BrokenRecord> broken;
    const auto folder = open_running(project_root);
    if (!folder) return broken;
    for (const auto& name : files::list_folder(folder.get(), max_names)) {
        if (!is_running_name(name) || is_held(folder.get(), name)) continue;
        if (auto record = examine(folder.get(), name)) broken.push_back(std::move(*record));
    }
    return broken;
}

void remove_broken_records(const std::filesystem::path& project_root)
{
    const auto folder = open_running(project_root);
    if (!folder) return;
    for (const auto& record : find_broken_records(project_root)) {
        if (!record.removable || files::remove_file(folder.get(), record.name)) continue;
        logging::log(logging::LogLevel::warning, "removed the running record {}: {}", record.name,
                     record.problem);
    }
}

}  // namespace autoexec::records
