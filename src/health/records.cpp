#include "health/checked_folders.hpp"
#include "health/checks.hpp"
#include "protocol/layout.hpp"

#include <fmt/format.h>

#include <fcntl.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

namespace autoexec::health {
namespace {

namespace fs = std::filesystem;

constexpr std::array<const char*, 4> folders = {"metrics", "audit", "running", "output"};
constexpr char audit_log[] = "execution_audit.log";
constexpr std::size_t max_record_names = 100'000;

// A writer locks a log only while it writes.
constexpr int lock_tries = 20;
constexpr int lock_pause_ms = 10;

bool stays_locked(int fd)
{
    for (int tries = 0; tries < lock_tries; ++tries) {
        if (::flock(fd, LOCK_SH | LOCK_NB) == 0) {
            ::flock(fd, LOCK_UN);
            return false;
        }
        if (errno != EWOULDBLOCK) return false;
        ::poll(nullptr, 0, lock_pause_ms);
    }
    return true;
}

std::string newest_metrics(int folder)
{
    auto names = files::list_folder(folder, max_record_names);
    std::erase_if(names, [](const std::string& name) {
        return !name.starts_with("executions_") || !name.ends_with(".jsonl");
    });
    const auto newest = std::max_element(names.begin(), names.end());
    return newest == names.end() ? std::string() : *newest;
}

/// Checks the folders of one project's records.
class Records {
public:
    Records(FindingList& findings, fs::path root) : findings_(findings), root_(std::move(root)) {}

    void visit()
    {
        error_code ec;
        const auto project = open_folder(root_, ec);
        if (!project) return complain(root_, ec.message());
        for (const auto* name : folders) check_folder(project.get(), name);
    }

private:
    void complain(const fs::path& path, const std::string& reason)
    {
        findings_.unhealthy(
            fmt::format("Records cannot be written to {}: {}.", shown(path), reason),
            "Check its owner and permissions (ls -ld) and the free space (df); "
            "replace links and special files with a plain folder or file.");
    }

    void check_folder(int project, const std::string& name)
    {
        const auto below = fs::path(layout::records) / name;
        error_code ec;
        const auto nearest = open_nearest(project, below, ec);
        if (nearest) ec = try_to_write(nearest.get()).error;
        if (ec) return complain(root_ / below, ec.message());
        const auto folder =
            files::open_beneath(project, below, O_RDONLY | O_DIRECTORY, files::Links::none, ec);
        if (!folder) return;  // will be created
        if (name == "audit") check_log(folder.get(), below, audit_log);
        if (name == "metrics") check_log(folder.get(), below, newest_metrics(folder.get()));
    }

    void check_log(int folder, const fs::path& below, const std::string& name)
    {
        struct stat st {};
        if (name.empty() || ::fstatat(folder, name.c_str(), &st, AT_SYMLINK_NOFOLLOW) != 0) return;
        const auto path = root_ / below / name;
        if (!S_ISREG(st.st_mode)) return complain(path, "it is not a regular file");
        struct stat around {};
        if (::fstat(folder, &around) == 0 && !files::is_trusted_owner(st.st_uid, around.st_uid))
            return complain(
                path,
                fmt::format(
                    "it belongs to user {}, and records are appended only to this user's files",
                    st.st_uid));
        error_code ec;
        const auto fd =
            files::open_beneath(folder, name, O_RDWR | O_APPEND, files::Links::none, ec);
        if (!fd) return complain(path, ec.message());
        if (stays_locked(fd.get()))
            findings_.degraded(
                fmt::format("Another process has locked the log {}; records are delayed.",
                            shown(path)),
                fmt::format("Find the process (fuser -v {}) and resume or end it.", shown(path)));
    }

    FindingList& findings_;
    fs::path root_;
};

}  // namespace

std::string check_records(FindingList& findings, const HealthOptions& options)
{
    Records(findings, options.project_root).visit();
    return "Records can be written.";
}

}  // namespace autoexec::health
