#include "workflow/journal/run_retention.hpp"

#include "files/safe_files.hpp"
#include "protocol/layout.hpp"
#include "records/decisions.hpp"
#include "records/log_file.hpp"
#include "text/text.hpp"
#include "workflow/journal/journal.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <limits>
#include <set>
#include <string_view>
#include <utility>
#include <variant>

namespace autoexec::workflow {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view no_journal = "it is not the journal of a run";
constexpr std::size_t all_names = std::numeric_limits<std::size_t>::max();

std::string run_of(const fs::path& root, const records::StoredRecord& journal)
{
    error_code ec;
    const auto folder = state_folder(root).open(ec);
    return folder ? run_of_journal(folder.get(), journal.name) : std::string();
}

std::set<std::string> names_of_trees(const RunRecord& run)
{
    std::set<std::string> names;
    for (const auto& entry : run.transitions) {
        if (const auto* const it = std::get_if<protocol::StepStarted>(&entry.transition);
            it != nullptr && it->tree)
            names.insert(it->tree->name);
        if (const auto* const it = std::get_if<protocol::StepPrepared>(&entry.transition))
            names.insert(it->tree.name);
    }
    return names;
}

// Worktrees whose names were not shortened begin with the run's id, as the journal may be damaged.
bool has_worktree(const fs::path& root, const RunRecord& run)
{
    error_code ec;
    const auto folder = records::Folder{root, layout::worktrees}.open(ec);
    if (!folder) return ec != boost::system::errc::no_such_file_or_directory;
    const auto known = names_of_trees(run);
    const auto prefix = "workflow-" + run.run_id + "-";
    return !files::visit_names(folder.get(), [&](std::string_view name) {
        return !name.starts_with(prefix) && !known.contains(std::string(name));
    });
}

// Removes nothing that is not a marker, so a folder with other files stays.
void remove_all_markers(const fs::path& root, const std::string& run_id)
{
    const auto name = text::file_name_of(run_id);
    error_code ec;
    const auto markers = records::Folder{root, layout::markers}.open(ec);
    if (!markers) return;
    constexpr int flags = O_RDONLY | O_DIRECTORY;
    const auto run = files::open_beneath(markers.get(), name, flags, files::Links::none, ec);
    if (!run) return;
    for (const auto& step : files::list_folder(run.get(), all_names)) {
        const auto fd = files::open_beneath(run.get(), step, flags, files::Links::none, ec);
        if (!fd || !step.starts_with("step-")) continue;
        for (const auto* const file : {"DONE.json", "FAILED.json"})
            (void)files::remove_file(fd.get(), file);
        (void)::unlinkat(run.get(), step.c_str(), AT_REMOVEDIR);
    }
    (void)::unlinkat(markers.get(), name.c_str(), AT_REMOVEDIR);
}

std::string blocker(const fs::path& root, const std::string& run_id)
{
    if (run_id.empty()) return std::string(no_journal);
    std::string problem;
    const auto run = read_run(root, run_id, problem);
    if (!run) return problem;
    if (run->status == WorkflowStatus::running) return "its run has not ended";
    if (has_worktree(root, *run)) return "a worktree of its run exists";
    // A step of the parent run would have another child run.
    const auto parent =
        run->parent_run.empty() ? std::nullopt : read_run(root, run->parent_run, problem);
    if (parent && parent->status != WorkflowStatus::completed)
        return "its parent run has not completed";
    return {};
}

}  // namespace

std::vector<records::StoredRecord> list_journals(const fs::path& project_root,
                                                 std::size_t max_count)
{
    std::vector<records::StoredRecord> journals;
    records::list_files(
        project_root, records::RecordKind::run, max_count,
        [](const auto& record) { return record.name.ends_with(journal_suffix); }, journals);
    return journals;
}

std::string run_removal_blocker(const fs::path& project_root, const records::StoredRecord& journal)
{
    return blocker(project_root, run_of(project_root, journal));
}

records::Removal remove_run(const fs::path& project_root, const records::StoredRecord& journal)
{
    using records::Removal;
    const auto run_id = run_of(project_root, journal);
    error_code ec;
    const auto folder = state_folder(project_root).open(ec);
    if (!folder) return Removal::error(ec);
    struct stat st {};
    // Another process may be faster.
    if (::fstatat(folder.get(), journal.name.c_str(), &st, AT_SYMLINK_NOFOLLOW) != 0 &&
        errno == ENOENT)
        return {};
    if (run_id.empty()) return {std::string(no_journal), false};
    const auto held = hold_run(project_root, run_id, ec);
    if (ec == boost::system::errc::no_such_file_or_directory) return {};
    if (ec == errc::worktree_busy) return {"its run is active", false};
    if (ec) return Removal::error(ec);
    if (::fstat(held.get(), &st) != 0 || st.st_dev != journal.device || st.st_ino != journal.inode)
        return {"it was replaced meanwhile", false};
    if (auto problem = blocker(project_root, run_id); !problem.empty())
        return {std::move(problem), false};
    remove_all_markers(project_root, run_id);
    records::remove_decisions(project_root, run_id);
    ec = files::remove_file(folder.get(), journal.name);
    return ec ? Removal::error(ec) : Removal();
}

}  // namespace autoexec::workflow
