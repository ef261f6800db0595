#include "queue/engine_lock.hpp"

#include "protocol/layout.hpp"
#include "records/log_file.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <string>

namespace autoexec::queue {
namespace {

using files::UniqueFd;
namespace fs = std::filesystem;

constexpr char lock_file[] = "engine.lock";
constexpr char drain_file[] = "drain";
constexpr char stop_file[] = "stop";
constexpr int max_lock_tries = 20;
constexpr int lock_pause_ms = 5;

records::Folder lock_folder(const fs::path& root)
{
    return {root, layout::queue};
}

// A FIFO, or a file with another name elsewhere, is not written.
bool is_plain_file(int fd)
{
    struct stat st {};
    return ::fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_nlink == 1;
}

bool lock_among_readers(int fd)
{
    for (int tries = 0; ::flock(fd, LOCK_EX | LOCK_NB) != 0; ++tries) {
        if (errno != EWOULDBLOCK || tries == max_lock_tries) return false;
        ::poll(nullptr, 0, lock_pause_ms);
    }
    return true;
}

bool is_held(int fd)
{
    if (::flock(fd, LOCK_SH | LOCK_NB) != 0) return errno == EWOULDBLOCK;
    ::flock(fd, LOCK_UN);
    return false;
}

error_code put_request(const fs::path& root, const char* name)
{
    error_code ec;
    const auto folder = lock_folder(root).create(ec);
    if (!folder) return ec;
    ec = files::create_file(folder.get(), name, {}, 0600);
    return ec == boost::system::errc::file_exists ? error_code() : ec;
}

bool has_request(const fs::path& root, const char* name)
{
    error_code ec;
    const auto folder = lock_folder(root).open(ec);
    return folder && ::faccessat(folder.get(), name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

// The next number of a version; -1 at its end.
int next_number(std::string_view& version)
{
    int number = -1;
    const auto [end, error] =
        std::from_chars(version.data(), version.data() + version.size(), number);
    version.remove_prefix(static_cast<std::size_t>(end - version.data()));
    if (!version.empty()) version.remove_prefix(1);
    return error == std::errc() ? number : -1;
}

}  // namespace

std::optional<EngineLock> EngineLock::acquire(const fs::path& project_root,
                                              const protocol::QueueEngineFile& content,
                                              error_code& ec)
{
    const auto folder = lock_folder(project_root).create(ec);
    if (!folder) return std::nullopt;
    UniqueFd file(::openat(folder.get(), lock_file,
                           O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600));
    if (!file) ec = files::last_error();
    if (file && !is_plain_file(file.get())) ec = errc::unsafe_path;
    if (ec || !lock_among_readers(file.get())) return std::nullopt;
    EngineLock lock(std::move(file));
    if (::ftruncate(lock.file_.get(), 0) != 0)
        ec = files::last_error();
    else
        ec = files::write_all(lock.file_.get(), protocol::format_queue_engine(content));
    if (ec) return std::nullopt;
    return lock;
}

EngineLock::~EngineLock()
{
    if (file_) ::flock(file_.get(), LOCK_UN);
}

EngineProbe look_at_engine(const fs::path& project_root)
{
    EngineProbe probe;
    error_code ec;
    const auto folder = lock_folder(project_root).open(ec);
    const auto file =
        folder ? files::open_beneath(folder.get(), lock_file, O_RDONLY, files::Links::none, ec)
               : UniqueFd();
    if (!file) return probe;
    probe.alive = is_held(file.get());
    std::string text;
    if (!files::read_all(file.get(), text, protocol::queue_engine_limit))
        probe.engine = protocol::parse_queue_engine(text);
    return probe;
}

EngineProbe probe_engine(const fs::path& project_root)
{
    auto probe = look_at_engine(project_root);
    for (int tries = 1; tries < max_lock_tries && probe.alive && !probe.engine; ++tries) {
        ::poll(nullptr, 0, lock_pause_ms);
        probe = look_at_engine(project_root);
    }
    return probe;
}

error_code request_drain(const fs::path& project_root)
{
    return put_request(project_root, drain_file);
}

// First, so that an engine that sees the other one sees this one, too.
error_code request_stop(const fs::path& project_root)
{
    const auto ec = put_request(project_root, stop_file);
    return ec ? ec : request_drain(project_root);
}

bool is_draining(const fs::path& project_root)
{
    return has_request(project_root, drain_file) || is_stopping(project_root);
}

bool is_stopping(const fs::path& project_root)
{
    return has_request(project_root, stop_file);
}

void end_drain(const fs::path& project_root)
{
    error_code ec;
    const auto folder = lock_folder(project_root).open(ec);
    if (!folder) return;
    (void)files::remove_file(folder.get(), stop_file);
    (void)files::remove_file(folder.get(), drain_file);
}

bool is_older_version(std::string_view version, std::string_view other)
{
    while (!version.empty() || !other.empty()) {
        const int mine = next_number(version);
        const int its = next_number(other);
        if (mine != its) return mine < its;
    }
    return false;
}

}  // namespace autoexec::queue
