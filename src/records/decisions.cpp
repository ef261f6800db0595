#include "records/decisions.hpp"

#include "files/safe_files.hpp"
#include "protocol/layout.hpp"
#include "protocol/step_answer.hpp"
#include "records/log_file.hpp"
#include "text/text.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <utility>

namespace autoexec::records {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t max_decisions = 100'000;

Folder decisions_folder(const fs::path& project_root, const std::string& run_id)
{
    return {project_root, fs::path(layout::decisions) / text::file_name_of(run_id)};
}

// Both remain if they contain anything.
void remove_empty_folders(const fs::path& project_root, const std::string& run_id)
{
    const auto path = decisions_folder(project_root, run_id).path();
    (void)::rmdir(path.c_str());
    (void)::rmdir(path.parent_path().c_str());
}

}  // namespace

error_code put_decision(const fs::path& project_root, const std::string& run_id,
                        const std::string& execution_id, const std::string& text)
{
    error_code ec;
    // Tried twice: an executor that has read another answer removes the folder.
    for (int tries = 0; tries < 2; ++tries) {
        const auto folder = decisions_folder(project_root, run_id).create(ec);
        if (!folder) return ec;
        ec = files::create_whole_file(folder.get(), text::file_name_of(execution_id), text);
        if (!ec || ec == boost::system::errc::file_exists) return ec;
    }
    return ec;
}

std::optional<FoundDecision> read_decision(const fs::path& project_root, const std::string& run_id,
                                           const std::string& execution_id)
{
    error_code ec;
    const auto folder = decisions_folder(project_root, run_id).open(ec);
    const auto name = text::file_name_of(execution_id);
    struct stat st {};
    if (!folder || ::fstatat(folder.get(), name.c_str(), &st, AT_SYMLINK_NOFOLLOW) != 0)
        return std::nullopt;
    if (S_ISREG(st.st_mode) && (st.st_mode & (S_IRWXG | S_IRWXO)) != 0)
        return FoundDecision{{}, "others can read it, so autoexec has not written it"};
    struct stat root {};
    (void)::stat(project_root.c_str(), &root);
    const auto path = decisions_folder(project_root, run_id).path() / name;
    auto found = files::read_trusted(folder.get(), name, protocol::step_answer_limit,
                                     {path.string(), root.st_uid});
    return FoundDecision{std::move(found.text), std::move(found.problem)};
}

error_code remove_decision(const fs::path& project_root, const std::string& run_id,
                           const std::string& execution_id)
{
    error_code ec;
    const auto folder = decisions_folder(project_root, run_id).open(ec);
    if (!folder) return ec;
    ec = files::remove_file(folder.get(), text::file_name_of(execution_id));
    remove_empty_folders(project_root, run_id);
    return ec;
}

void remove_decisions(const fs::path& project_root, const std::string& run_id)
{
    error_code ec;
    const auto folder = decisions_folder(project_root, run_id).open(ec);
    if (!folder) return;
    for (const auto& name : files::list_folder(folder.get(), max_decisions))
        (void)files::remove_file(folder.get(), name);
    remove_empty_folders(project_root, run_id);
}

}  // namespace autoexec::records
