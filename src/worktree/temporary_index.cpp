#include "worktree/temporary_index.hpp"

#include "platform/safe_files.hpp"
#include "protocol/text.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <system_error>

namespace autoexec::worktree {
namespace {

namespace fs = std::filesystem;
using platform::UniqueFd;

bool copy_bytes(int from, int to)
{
    constexpr std::size_t portion = 1 << 30;
    ssize_t copied = 0;
    do copied = ::copy_file_range(from, nullptr, to, nullptr, portion, 0);
    while (copied > 0 || (copied < 0 && errno == EINTR));
    if (copied == 0) return true;
    // Not within this file system.
    std::array<char, 64 * 1024> buffer;
    for (;;) {
        const auto size = ::read(from, buffer.data(), buffer.size());
        if (size == 0) return true;
        if (size < 0 && errno == EINTR) continue;
        if (size < 0) return false;
        if (platform::write_all(to, {buffer.data(), static_cast<std::size_t>(size)})) return false;
    }
}

}  // namespace

TemporaryIndex::TemporaryIndex(const Entry& entry)
    : file_(entry.records() / ("index-" + protocol::new_uuid()))
{
    (void)platform::make_folders(entry.records(), problem_);
}

TemporaryIndex::~TemporaryIndex()
{
    if (file_.empty()) return;
    ::unlink(file_.c_str());
    ::unlink((file_.string() + ".lock").c_str());
}

bool TemporaryIndex::copy_from(const fs::path& index) const
{
    const UniqueFd from(::open(index.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
    struct stat info {};
    if (!from || ::fstat(from.get(), &info) != 0 || !S_ISREG(info.st_mode)) return false;
    const UniqueFd to(::open(file_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
    if (!to || !copy_bytes(from.get(), to.get())) return false;
    const std::array<timespec, 2> times{info.st_atim, info.st_mtim};
    return ::futimens(to.get(), times.data()) == 0;
}

bool TemporaryIndex::install(const Entry& entry)
{
    if (::rename(file_.c_str(), (entry.git_dir / "index").c_str()) != 0) return false;
    file_.clear();
    return true;
}

IndexLock::IndexLock(const Entry& entry) : file_(entry.git_dir / "index.lock")
{
    const UniqueFd fd(::open(file_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644));
    held_ = static_cast<bool>(fd);
}

IndexLock::~IndexLock()
{
    if (held_) ::unlink(file_.c_str());
}

}  // namespace autoexec::worktree
