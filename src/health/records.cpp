#include "health/checked_folders.hpp"
#include "health/checks.hpp"
#include "health/scratch.hpp"
#include "health/verdict.hpp"
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

// A writer holds a log for the time of one write.
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

/// The folders of one project's records.
class Records {
public:
    Records(Verdict& verdict, fs::path root) : verdict_(verdict), root_(std::move(root)) {}

    void look()
    {
        error_code ec;
        const auto project = open_folder(root_, ec);
        if (!project) return complain(root_, ec.message());
        for (const auto* name : folders) look_at(project.get(), name);
    }

private:
    void complain(const fs::path& path, const std::string& why)
    {
        verdict_.unhealthy(fmt::format("Records can't be written to {}: {}.", shown(path), why),
                           "Look at its owner and permissions (ls -ld) and at the space on its "
                           "file system (df); what is no plain folder or file must go.");
    }

    void look_at(int project, const std::string& name)
    {
        const auto below = fs::path(layout::records) / name;
        error_code ec;
        const auto nearest = open_nearest(project, below, ec);
        if (nearest) ec = try_to_write(nearest.get()).error;
        if (ec) return complain(root_ / below, ec.message());
        const auto folder =
            files::open_beneath(project, below, O_RDONLY | O_DIRECTORY, files::Links::none, ec);
        if (!folder) return;  // will be made
        if (name == "audit") look_at_log(folder.get(), below, audit_log);
        if (name == "metrics") look_at_log(folder.get(), below, newest_metrics(folder.get()));
    }

    void look_at_log(int folder, const fs::path& below, const std::string& name)
    {
        struct stat st {};
        if (name.empty() || ::fstatat(folder, name.c_str(), &st, AT_SYMLINK_NOFOLLOW) != 0) return;
        const auto path = root_ / below / name;
        if (!S_ISREG(st.st_mode)) return complain(path, "it is no regular file");
        struct stat around {};
        if (::fstat(folder, &around) == 0 && !files::is_trusted_owner(st.st_uid, around.st_uid))
            return complain(path, fmt::format("it belongs to user {}, and records of other users "
                                              "are not appended to",
                                              st.st_uid));
        error_code ec;
        const auto fd =
            files::open_beneath(folder, name, O_RDWR | O_APPEND, files::Links::none, ec);
        if (!fd) return complain(path, ec.message());
        if (stays_locked(fd.get()))
            verdict_.degraded(
                fmt::format("Another process holds the log {}; records wait.", shown(path)),
                fmt::format("Find out which (fuser -v {}), and let it go on or end it.",
                            shown(path)));
    }

    Verdict& verdict_;
    fs::path root_;
};

}  // namespace

HealthCheckResult check_records(const HealthOptions& options)
{
    Verdict verdict("records");
    Records(verdict, options.project_root).look();
    return std::move(verdict).finish("Records can be written.");
}

}  // namespace autoexec::health
