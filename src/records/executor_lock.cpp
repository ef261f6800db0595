#include "records/executor_lock.hpp"

#include "files/file_lock.hpp"
#include "handoff/claims.hpp"
#include "protocol/layout.hpp"
#include "records/locked_file.hpp"
#include "records/log_file.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

namespace autoexec::records {
namespace {

using files::UniqueFd;
namespace fs = std::filesystem;

constexpr char lock_suffix[] = ".lock";
constexpr std::size_t max_locks = 100'000;

Folder engines_folder(const fs::path& project_root)
{
    return {project_root, layout::engines};
}

// Containers share it, whatever their names.
std::string boot_id()
{
    const UniqueFd file(::open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC));
    std::string text;
    if (!file || files::read_all(file.get(), text, 64)) return {};
    return text.substr(0, text.find('\n'));
}

// A free lock proves nothing if its executor's kernel was, and still may be, another one.
bool is_of_other_host(const protocol::ExecutorLockFile& lock)
{
    if (lock.host.empty() || lock.host == handoff::host_name()) return false;
    return lock.boot_id.empty() || lock.boot_id != boot_id();
}

protocol::ExecutorLockFile read_lock(int file)
{
    std::string text;
    if (::lseek(file, 0, SEEK_SET) != 0 ||
        files::read_all(file, text, protocol::executor_lock_limit))
        return {};
    return protocol::parse_executor_lock(text);
}

}  // namespace

std::optional<protocol::ExecutorLockFile> read_executor_lock(const UniqueFd& engines,
                                                             const std::string& id)
{
    if (!engines) return std::nullopt;
    error_code ec;
    const auto file =
        files::open_beneath(engines.get(), id + lock_suffix, O_RDONLY, files::Links::none, ec);
    return file ? std::optional(read_lock(file.get())) : std::nullopt;
}

std::vector<std::string> list_executor_locks(const UniqueFd& engines)
{
    std::vector<std::string> ids;
    if (!engines) return ids;
    for (auto& name : files::list_folder(engines.get(), max_locks)) {
        if (!name.ends_with(lock_suffix) || name.starts_with('.')) continue;
        name.resize(name.size() - (sizeof lock_suffix - 1));
        ids.push_back(std::move(name));
    }
    return ids;
}

ExecutorProbe probe_executor(const UniqueFd& engines, const std::string& id)
{
    if (!engines) return {};
    error_code ec;
    const auto file =
        files::open_beneath(engines.get(), id + lock_suffix, O_RDONLY, files::Links::none, ec);
    // Without a free descriptor nothing is known.
    if (!file)
        return {files::is_resource_shortage(ec) ? ExecutorState::alive : ExecutorState::dead};
    // Checked before the host: a lock that is visible here is held, whatever the content says.
    if (::flock(file.get(), LOCK_SH | LOCK_NB) != 0) return {ExecutorState::alive};
    auto lock = read_lock(file.get());
    ::flock(file.get(), LOCK_UN);
    if (!is_of_other_host(lock)) return {};
    return {ExecutorState::unknown, std::move(lock.host)};
}

std::optional<ExecutorLock> ExecutorLock::create(const fs::path& project_root,
                                                 const std::string& id, error_code& ec)
{
    protocol::ExecutorLockFile content{handoff::host_name(), boot_id(), ::getpid()};
    auto name = id + lock_suffix;
    // Tried twice: an executor that ends removes the empty folder.
    for (int tries = 0; tries < 2; ++tries) {
        auto folder = engines_folder(project_root).create(ec);
        if (!folder) break;
        auto file =
            create_locked(folder.get(), name, id, protocol::format_executor_lock(content), ec);
        if (!ec) return ExecutorLock(std::move(folder), std::move(file), std::move(name));
        if (ec != boost::system::errc::no_such_file_or_directory) break;
    }
    return std::nullopt;
}

std::optional<ExecutorLock> ExecutorLock::take_over(const fs::path& project_root,
                                                    const std::string& id)
{
    error_code ec;
    auto folder = engines_folder(project_root).create(ec);
    if (!folder) return std::nullopt;
    auto name = id + lock_suffix;
    // Created if it was removed: records without a lock are of a dead executor, too.
    UniqueFd file(::openat(folder.get(), name.c_str(),
                           O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600));
    // Removed: another process was faster.
    if (!file || files::lock_unless_removed(file.get())) return std::nullopt;
    ExecutorLock lock(std::move(folder), std::move(file), std::move(name));
    if (is_of_other_host(read_lock(lock.file_.get()))) return std::nullopt;
    return lock;
}

ExecutorLock::~ExecutorLock()
{
    if (file_) ::flock(file_.get(), LOCK_UN);
}

void ExecutorLock::remove() const
{
    (void)files::remove_file(folder_.get(), name_);
    const UniqueFd running(::openat(folder_.get(), "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    const auto folder_name = fs::path(layout::engines).filename();
    if (running) (void)::unlinkat(running.get(), folder_name.c_str(), AT_REMOVEDIR);
}

void sweep_executor_locks(const fs::path& project_root, int running)
{
    error_code ec;
    const auto folder = engines_folder(project_root).open(ec);
    if (!folder) return;
    sweep_temporaries(folder.get());
    for (const auto& id : list_executor_locks(folder)) {
        if (::faccessat(running, id.c_str(), F_OK, AT_SYMLINK_NOFOLLOW) == 0) continue;
        if (const auto lock = ExecutorLock::take_over(project_root, id)) lock->remove();
    }
    // Empty, and not removed with the last lock if that was removed by hand.
    (void)::unlinkat(running, fs::path(layout::engines).filename().c_str(), AT_REMOVEDIR);
}

}  // namespace autoexec::records
