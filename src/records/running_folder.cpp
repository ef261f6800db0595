#include "records/running_folder.hpp"

#include "protocol/layout.hpp"
#include "records/locked_file.hpp"
#include "text/text.hpp"

#include <algorithm>
#include <iterator>

namespace autoexec::records {
namespace {

constexpr char suffix_of_records[] = ".json";
// Earlier versions ignore it, and remove it when its executor is dead.
constexpr char suffix_of_retries[] = ".retry";

files::UniqueFd open_if_there(const Folder& where, error_code* problem)
{
    error_code ec;
    auto folder = where.open(ec);
    if (problem)
        *problem = ec == boost::system::errc::no_such_file_or_directory ? error_code{} : ec;
    return folder;
}

}  // namespace

Folder running_folder(const std::filesystem::path& project_root)
{
    return {project_root, layout::running};
}

files::UniqueFd open_running(const std::filesystem::path& project_root, error_code* problem)
{
    return open_if_there(running_folder(project_root), problem);
}

files::UniqueFd open_engines(const std::filesystem::path& project_root, error_code* problem)
{
    return open_if_there({project_root, layout::engines}, problem);
}

std::string retry_name(const std::string& attempt_id)
{
    return text::file_name_of(attempt_id) + suffix_of_retries;
}

bool is_retry_name(const std::string& name)
{
    return name.ends_with(suffix_of_retries) && !name.starts_with('.');
}

bool is_record_name(const std::string& name)
{
    return name.ends_with(suffix_of_records) && !name.starts_with('.');
}

bool is_executor_name(const std::string& name)
{
    constexpr const char* others[] = {layout::agents,  layout::engines,   layout::cancel_requests,
                                      layout::answers, layout::decisions, layout::paused};
    return !name.ends_with(suffix_of_records) && !name.starts_with('.') &&
           std::none_of(std::begin(others), std::end(others), [&](const char* path) {
               return std::filesystem::path(path).filename() == name;
           });
}

std::string flaw_of(const std::string& name, const std::optional<protocol::RunningRecord>& record)
{
    if (!record) return "it names no attempt";
    if (locked_name(record->attempt_id) != name) return "it is not named after its attempt";
    if (!std::filesystem::path(record->worktree).is_absolute())
        return "its worktree is not an absolute path";
    return {};
}

}  // namespace autoexec::records
