#include "queue/detached.hpp"

#include "files/safe_files.hpp"
#include "protocol/layout.hpp"
#include "records/log_file.hpp"

#include <fcntl.h>
#include <spawn.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <ctime>

namespace autoexec::queue {
namespace {

using files::UniqueFd;
namespace fs = std::filesystem;

constexpr char this_program[] = "/proc/self/exe";
constexpr char log_suffix[] = ".log";
constexpr std::size_t max_log_names = 100'000;
constexpr std::size_t kept_logs = 20;
constexpr std::time_t min_log_age = 24 * 3600;

records::Folder logs_folder(const fs::path& project_root)
{
    return {project_root, layout::engine_logs};
}

/// What happens in the child between fork and exec.
class DetachedSetup {
public:
    DetachedSetup(const fs::path& folder, int output)
    {
        ::posix_spawn_file_actions_init(&actions_);
        ::posix_spawn_file_actions_addchdir_np(&actions_, folder.c_str());
        ::posix_spawn_file_actions_addopen(&actions_, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
        ::posix_spawn_file_actions_adddup2(&actions_, output, STDOUT_FILENO);
        ::posix_spawn_file_actions_adddup2(&actions_, output, STDERR_FILENO);
        ::posix_spawn_file_actions_addclosefrom_np(&actions_, STDERR_FILENO + 1);
        sigset_t all;
        sigset_t none;
        ::sigfillset(&all);
        ::sigemptyset(&none);
        ::posix_spawnattr_init(&attributes_);
        ::posix_spawnattr_setsigdefault(&attributes_, &all);
        ::posix_spawnattr_setsigmask(&attributes_, &none);
        ::posix_spawnattr_setflags(
            &attributes_, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
    }
    ~DetachedSetup()
    {
        ::posix_spawnattr_destroy(&attributes_);
        ::posix_spawn_file_actions_destroy(&actions_);
    }
    DetachedSetup(const DetachedSetup&) = delete;
    DetachedSetup& operator=(const DetachedSetup&) = delete;

    error_code spawn(const std::vector<std::string>& arguments, pid_t& pid) const
    {
        std::string name = "autoexec";
        std::vector<char*> argv{name.data()};
        for (const auto& word : arguments) argv.push_back(const_cast<char*>(word.c_str()));
        argv.push_back(nullptr);
        const int error =
            ::posix_spawn(&pid, this_program, &actions_, &attributes_, argv.data(), ::environ);
        return {error, boost::system::system_category()};
    }

private:
    posix_spawn_file_actions_t actions_{};
    posix_spawnattr_t attributes_{};
};

}  // namespace

DetachedProcess start_detached(const fs::path& project_root, const fs::path& working_folder,
                               const std::string& name, const std::vector<std::string>& arguments,
                               error_code& ec)
{
    DetachedProcess process;
    const auto file = name + log_suffix;
    const auto folder = logs_folder(project_root).create(ec);
    if (!folder) return process;
    UniqueFd log(::openat(folder.get(), file.c_str(),
                          O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0600));
    if (!log) ec = files::last_error();
    if (ec) return process;
    process.log = logs_folder(project_root).path() / file;
    ec = spawn_detached(working_folder, log.get(), arguments, process.pid);
    return process;
}

error_code spawn_detached(const fs::path& working_folder, int output,
                          const std::vector<std::string>& arguments, pid_t& pid)
{
    return DetachedSetup(working_folder, output).spawn(arguments, pid);
}

std::string log_of_this_process(const fs::path& project_root)
{
    std::error_code ec;
    auto path = fs::read_symlink("/proc/self/fd/1", ec);
    return path.parent_path() == logs_folder(project_root).path() ? path.string() : std::string();
}

void sweep_engine_logs(const fs::path& project_root)
{
    error_code ec;
    const auto folder = logs_folder(project_root).open(ec);
    if (!folder) return;
    std::vector<std::pair<std::time_t, std::string>> logs;
    for (auto& name : files::list_folder(folder.get(), max_log_names)) {
        struct stat st {};
        if (name.ends_with(log_suffix) &&
            ::fstatat(folder.get(), name.c_str(), &st, AT_SYMLINK_NOFOLLOW) == 0)
            logs.emplace_back(st.st_mtime, std::move(name));
    }
    std::sort(logs.rbegin(), logs.rend());
    for (std::size_t i = kept_logs; i < logs.size(); ++i)
        if (logs[i].first + min_log_age < std::time(nullptr))
            (void)files::remove_file(folder.get(), logs[i].second);
}

}  // namespace autoexec::queue
