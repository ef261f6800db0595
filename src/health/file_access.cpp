#include "health/checked_folders.hpp"
#include "health/checks.hpp"
#include "protocol/control_files.hpp"
#include "protocol/layout.hpp"
#include "protocol/status.hpp"
#include "text/text.hpp"

#include <fmt/format.h>
#include <boost/json/array.hpp>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

namespace autoexec::health {
namespace {

namespace fs = std::filesystem;
using files::UniqueFd;

constexpr std::size_t max_worktree_names = 2000;
constexpr std::size_t max_status_files = 5;  // size of a folder's listing

constexpr char permissions_remedy[] =
    "Check the folder's owner and permissions (ls -ld), and whether its file system is read-only "
    "or full (df).";

void check_locks(FindingList& findings, int project)
{
    if (::flock(project, LOCK_SH | LOCK_NB) == 0)
        ::flock(project, LOCK_UN);
    else if (errno != EWOULDBLOCK)
        findings.degraded("This file system does not support locks on folders.",
                          "Lock files are used instead. Keep the project on a local disk if "
                          "several executors share it.");
}

void check_file_system_type(FindingList& findings, const HealthOptions& options)
{
    const auto found = options.probes.file_system(options.project_root);
    if (found && found->remote)
        findings.degraded("The project is on a network or user-space file system.",
                          "File events and locks may not reach other hosts: run executors and "
                          "agents on one host, or move the project to a local disk.");
}

// Calls `visit` for each worktree that can be opened; it returns false if the check failed there.
// Returns the number of failures.
template <class Visit>
std::size_t for_each_worktree(FindingList& findings, const HealthOptions& options, Visit visit)
{
    const auto trees = worktrees_of(options);
    std::size_t broken = 0;
    for (const auto& tree : trees) {
        error_code ec;
        const auto fd = open_folder(tree, ec);
        if (ec)
            findings.degraded(
                fmt::format("The worktree {} cannot be opened: {}.", shown(tree), ec.message()),
                "Create it (git worktree add), or remove it from the list (git worktree prune).");
        if (ec || !visit(fd.get(), tree)) ++broken;
    }
    if (broken == trees.size()) findings.worsen();
    findings.details()["worktrees"] = trees.size();
    return trees.size();
}

/// Checks the status files of worktrees.
class StatusFiles {
public:
    StatusFiles(FindingList& findings, const HealthOptions& options)
        : findings_(findings), options_(options)
    {}

    void visit(int worktree, const fs::path& tree)
    {
        struct stat st {};
        owners_ = options_.allowed_owners;
        if (::fstat(worktree, &st) == 0) owners_.push_back(st.st_uid);
        read(worktree, tree, options_.status_file_name);
        error_code ec;
        const auto other = files::open_beneath(worktree, control_files::cursor_folder,
                                               O_RDONLY | O_DIRECTORY, files::Links::none, ec);
        if (!other) return;
        std::size_t seen = 0;
        for (const auto& name : files::list_folder(other.get(), max_worktree_names))
            if (is_status_name(name) && ++seen <= max_status_files)
                read(other.get(), tree / control_files::cursor_folder, name);
    }

    [[nodiscard]] std::size_t found() const noexcept { return found_; }

private:
    // Agents of the original protocol use longer names.
    [[nodiscard]] bool is_status_name(std::string_view name) const
    {
        return name == options_.status_file_name ||
               (name.starts_with(".cursor-skill-status") && name.ends_with(".json"));
    }

    void read(int folder, const fs::path& path, const std::string& name)
    {
        const auto file =
            files::read_regular(folder, name, protocol::default_status_limit, owners_);
        if (file.state == FoundFile::State::absent) return;
        ++found_;
        auto problem = file.problem;
        if (file.state == FoundFile::State::present) {
            const auto reading = protocol::parse_status(file.text);
            if (reading.kind != protocol::StatusReading::Kind::malformed) return;
            problem = reading.problem;
        }
        findings_.degraded(
            fmt::format("The status file {} is not accepted: {}.", shown(path / name), problem),
            "Find out what writes it, and remove it; otherwise an executor waits until its "
            "deadline.");
    }

    FindingList& findings_;
    const HealthOptions& options_;
    files::Owners owners_;
    std::size_t found_ = 0;
};

// Checks that the path of the command file is free or can be replaced.
bool can_replace_command(FindingList& findings, int worktree, const fs::path& tree)
{
    struct stat st {};
    if (::fstatat(worktree, control_files::command, &st, AT_SYMLINK_NOFOLLOW) != 0 ||
        S_ISREG(st.st_mode))
        return true;
    const auto path = shown(tree / control_files::command);
    if (S_ISDIR(st.st_mode)) {
        findings.degraded(fmt::format("{} is a folder, so no command file can be written.", path),
                          "Remove the folder.");
        return false;
    }
    findings.degraded(fmt::format("{} is not a regular file; the next command replaces it.", path),
                      "Find out what created it, and remove it.");
    return true;
}

}  // namespace

std::string check_file_system(FindingList& findings, const HealthOptions& options)
{
    error_code ec;
    const auto& root = options.project_root;
    const auto project = open_folder(root, ec);
    findings.details()["project_root"] = shown(root);
    if (!project) {
        findings.unhealthy(
            fmt::format("The project {} cannot be opened: {}.", shown(root), ec.message()),
            "Specify the project's folder with --project.");
        return {};
    }
    const auto records = open_nearest(project.get(), layout::records, ec);
    if (records) ec = try_to_write(records.get()).error;
    if (ec)
        findings.unhealthy(
            fmt::format("{} is not writable: {}.", shown(root / layout::records), ec.message()),
            permissions_remedy);
    check_locks(findings, project.get());
    check_file_system_type(findings, options);
    return "The project is writable and can be locked.";
}

std::string check_status_file_access(FindingList& findings, const HealthOptions& options)
{
    StatusFiles files(findings, options);
    const auto trees = for_each_worktree(findings, options, [&](int fd, const fs::path& tree) {
        files.visit(fd, tree);
        return true;
    });
    findings.details()["status_files_found"] = files.found();
    return fmt::format("Status files can be read in {}; {} found.",
                       text::counted(trees, "worktree"), files.found());
}

std::string check_command_file_access(FindingList& findings, const HealthOptions& options)
{
    const auto trees = for_each_worktree(findings, options, [&](int fd, const fs::path& tree) {
        if (const auto ec = try_to_write(fd).error) {
            findings.degraded(fmt::format("Command files cannot be written in {}: {}.", shown(tree),
                                          ec.message()),
                              permissions_remedy);
            return false;
        }
        return can_replace_command(findings, fd, tree);
    });
    return fmt::format("Command files can be written in {}.", text::counted(trees, "worktree"));
}

}  // namespace autoexec::health
