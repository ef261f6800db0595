#include "health/checked_folders.hpp"
#include "health/checks.hpp"
#include "health/scratch.hpp"
#include "health/verdict.hpp"
#include "protocol/control_files.hpp"
#include "protocol/layout.hpp"
#include "protocol/status.hpp"

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
constexpr std::size_t max_status_files = 5;  // of a folder

constexpr char mend_permissions[] =
    "Look at the folder's owner and permissions (ls -ld), and whether its file system is mounted "
    "read-only or full (df).";

void look_at_locks(Verdict& verdict, int project)
{
    if (::flock(project, LOCK_SH | LOCK_NB) == 0)
        ::flock(project, LOCK_UN);
    else if (errno != EWOULDBLOCK)
        verdict.degraded("Folders can't be locked on this file system.",
                         "Lock files are used instead; keep the project on a local disk if "
                         "several engines share it.");
}

void look_at_type(Verdict& verdict, const HealthOptions& options)
{
    const auto found = options.probes.file_system(options.project_root);
    if (found && found->remote)
        verdict.degraded("The project lies on a network or user-space file system.",
                         "File events and locks may not reach other hosts: run engine and agents "
                         "on one host, or move the project to a local disk.");
}

// `look` is told about each worktree that can be opened, and says whether it works there.
template <class Look>
std::size_t for_each_worktree(Verdict& verdict, const HealthOptions& options, Look look)
{
    const auto trees = worktrees_of(options);
    std::size_t broken = 0;
    for (const auto& tree : trees) {
        error_code ec;
        const auto fd = open_folder(tree, ec);
        if (ec)
            verdict.degraded(
                fmt::format("The worktree {} can't be opened: {}.", shown(tree), ec.message()),
                "Create it (git worktree add), or take it from the list (git worktree prune).");
        if (ec || !look(fd.get(), tree)) ++broken;
    }
    if (broken == trees.size()) verdict.worsen();
    verdict.details()["worktrees"] = trees.size();
    return trees.size();
}

/// The status files in one place of one worktree.
class StatusFiles {
public:
    StatusFiles(Verdict& verdict, const HealthOptions& options)
        : verdict_(verdict), options_(options)
    {}

    void look(int worktree, const fs::path& tree)
    {
        struct stat st {};
        owners_ = options_.allowed_owners;
        if (::fstat(worktree, &st) == 0) owners_.push_back(st.st_uid);
        read(worktree, tree, options_.status_file_name);
        error_code ec;
        const auto other = files::open_beneath(worktree, control_files::other_place,
                                               O_RDONLY | O_DIRECTORY, files::Links::none, ec);
        if (!other) return;
        std::size_t seen = 0;
        for (const auto& name : files::list_folder(other.get(), max_worktree_names))
            if (is_status_name(name) && ++seen <= max_status_files)
                read(other.get(), tree / control_files::other_place, name);
    }

    [[nodiscard]] std::size_t found() const noexcept { return found_; }

private:
    // The original's agents put more into the name.
    [[nodiscard]] bool is_status_name(std::string_view name) const
    {
        return name == options_.status_file_name ||
               (name.starts_with(".cursor-skill-status") && name.ends_with(".json"));
    }

    void read(int folder, const fs::path& place, const std::string& name)
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
        verdict_.degraded(
            fmt::format("The status file {} is not believed: {}.", shown(place / name), problem),
            "Find out who writes it, and remove it; an engine waits on until its deadline.");
    }

    Verdict& verdict_;
    const HealthOptions& options_;
    files::Owners owners_;
    std::size_t found_ = 0;
};

// What stands in the command file's place is replaced, if it can be.
bool can_replace_command(Verdict& verdict, int worktree, const fs::path& tree)
{
    struct stat st {};
    if (::fstatat(worktree, control_files::command, &st, AT_SYMLINK_NOFOLLOW) != 0 ||
        S_ISREG(st.st_mode))
        return true;
    const auto path = shown(tree / control_files::command);
    if (S_ISDIR(st.st_mode)) {
        verdict.degraded(fmt::format("{} is a folder: no command file can be put there.", path),
                         "Remove the folder.");
        return false;
    }
    verdict.degraded(fmt::format("{} is no regular file; the next command replaces it.", path),
                     "Find out who made it, and remove it.");
    return true;
}

}  // namespace

HealthCheckResult check_file_system(const HealthOptions& options)
{
    Verdict verdict("file_system");
    error_code ec;
    const auto& root = options.project_root;
    const auto project = open_folder(root, ec);
    verdict.details()["project_root"] = shown(root);
    if (!project) {
        verdict.unhealthy(
            fmt::format("The project {} can't be opened: {}.", shown(root), ec.message()),
            "Name the project's folder with --project.");
        return std::move(verdict).finish({});
    }
    const auto records = open_nearest(project.get(), layout::records, ec);
    if (records) ec = try_to_write(records.get()).error;
    if (ec)
        verdict.unhealthy(
            fmt::format("{} can't be written to: {}.", shown(root / layout::records), ec.message()),
            mend_permissions);
    look_at_locks(verdict, project.get());
    look_at_type(verdict, options);
    return std::move(verdict).finish("The project can be written to and locked.");
}

HealthCheckResult check_status_file_access(const HealthOptions& options)
{
    Verdict verdict("status_file_access");
    StatusFiles files(verdict, options);
    const auto trees = for_each_worktree(verdict, options, [&](int fd, const fs::path& tree) {
        files.look(fd, tree);
        return true;
    });
    verdict.details()["status_files_found"] = files.found();
    return std::move(verdict).finish(fmt::format("Status files can be read in {}; {} there now.",
                                                 count_of(trees, "worktree"), files.found()));
}

HealthCheckResult check_command_file_access(const HealthOptions& options)
{
    Verdict verdict("command_file_access");
    const auto trees = for_each_worktree(verdict, options, [&](int fd, const fs::path& tree) {
        if (const auto ec = try_to_write(fd).error) {
            verdict.degraded(
                fmt::format("No command file can be written in {}: {}.", shown(tree), ec.message()),
                mend_permissions);
            return false;
        }
        return can_replace_command(verdict, fd, tree);
    });
    return std::move(verdict).finish(
        fmt::format("Command files can be written in {}.", count_of(trees, "worktree")));
}

}  // namespace autoexec::health
