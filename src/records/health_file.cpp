#include "records/health_file.hpp"

#include "files/safe_files.hpp"
#include "protocol/layout.hpp"
#include "records/log_file.hpp"
#include "text/text.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

namespace autoexec::records {
namespace {

constexpr char health_file[] = "agents.json";

Folder health_folder(const std::filesystem::path& project_root)
{
    return {project_root, layout::agent_health};
}

std::filesystem::path health_path(const std::filesystem::path& project_root)
{
    return project_root / layout::agent_health / health_file;
}

// Released explicitly: a process that was forked meanwhile has the descriptor, too.
class FileLock {
public:
    FileLock(int fd, int operation) : fd_(::flock(fd, operation | LOCK_NB) == 0 ? fd : -1) {}
    ~FileLock()
    {
        if (fd_ >= 0) ::flock(fd_, LOCK_UN);
    }
    FileLock(const FileLock&) = delete;
    FileLock& operator=(const FileLock&) = delete;

    [[nodiscard]] bool held() const noexcept { return fd_ >= 0; }

private:
    int fd_;
};

// A FIFO, another user's file, or a file with another name elsewhere is not written.
files::UniqueFd open_health(int folder, error_code& ec)
{
    files::UniqueFd file(::openat(folder, health_file,
                                  O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600));
    struct stat st {};
    struct stat around {};
    if (!file || ::fstat(file.get(), &st) != 0 || ::fstat(folder, &around) != 0) {
        ec = files::last_error();
        return {};
    }
    const bool usable = S_ISREG(st.st_mode) && st.st_nlink <= 1 &&
                        files::is_trusted_owner(st.st_uid, around.st_uid);
    if (!usable) ec = errc::unsafe_path;
    return usable ? std::move(file) : files::UniqueFd();
}

// One write, which is as long as what it replaces: a process that is killed before it truncates the
// file leaves only spaces.
error_code rewrite(int fd, std::string text, std::size_t old_size)
{
    const auto size = text.size();
    text.resize(std::max(size, old_size), ' ');
    const auto written = ::pwrite(fd, text.data(), text.size(), 0);
    if (written < 0) return files::last_error();
    if (static_cast<std::size_t>(written) < size) return {ENOSPC, boost::system::system_category()};
    return ::ftruncate(fd, static_cast<off_t>(size)) == 0 ? error_code{} : files::last_error();
}

// False, and why, if the file is there and does not count.
bool parse_health(int folder, protocol::WallTime now, protocol::AgentHealthMap& agents,
                  std::string& why)
{
    const auto found = files::read_regular(folder, health_file, protocol::agent_health_limit, {});
    const bool is_new = found.state == FoundFile::State::present && found.text.empty();
    if (found.state == FoundFile::State::absent || is_new) return true;
    why = found.problem;
    if (found.state != FoundFile::State::present) return false;
    why = "it is not JSON of this kind";
    auto parsed = protocol::parse_agent_health(found.text, now);
    if (!parsed) return false;
    agents = *std::move(parsed);
    return true;
}

}  // namespace

AgentHealthReading read_agent_health(const std::filesystem::path& project_root,
                                     protocol::WallTime now)
{
    AgentHealthReading reading;
    error_code ec;
    const auto folder = health_folder(project_root).open(ec);
    if (ec == boost::system::errc::no_such_file_or_directory) return reading;
    auto why = ec.message();
    if (folder && parse_health(folder.get(), now, reading.agents, why)) return reading;
    // It may be incomplete because another process writes it.
    const auto file =
        folder ? files::open_beneath(folder.get(), health_file, O_RDONLY, files::Links::none, ec)
               : files::UniqueFd();
    const FileLock lock(file.get(), LOCK_SH);
    reading.busy = file && !lock.held();
    if (reading.busy || (lock.held() && parse_health(folder.get(), now, reading.agents, why)))
        return reading;
    reading.problem =
        fmt::format("The state of the agents in {} cannot be used ({}), so all count as working.",
                    text::printable(health_path(project_root).string()), why);
    return reading;
}

FileStamp agent_health_stamp(const std::filesystem::path& project_root)
{
    struct stat st {};
    return ::lstat(health_path(project_root).c_str(), &st) == 0 ? files::stamp_of(st) : FileStamp{};
}

error_code change_agent_health(const std::filesystem::path& project_root, protocol::WallTime now,
                               const std::function<void(protocol::AgentHealthMap&)>& change)
{
    error_code ec;
    const auto folder = health_folder(project_root).create(ec);
    if (!folder) return ec;
    const auto file = open_health(folder.get(), ec);
    if (!file) return ec;
    const FileLock lock(file.get(), LOCK_EX);
    if (!lock.held()) return make_error_code(boost::system::errc::resource_unavailable_try_again);
    std::string text;
    if ((ec = files::read_all(file.get(), text, protocol::agent_health_limit))) return ec;
    auto agents = protocol::parse_agent_health(text, now).value_or(protocol::AgentHealthMap{});
    const auto before = agents;
    change(agents);
    if (agents == before && !text.empty()) return {};
    struct stat st {};
    if (::fstat(file.get(), &st) != 0) return files::last_error();
    return rewrite(
        file.get(), protocol::format_agent_health(agents),
        std::min<std::size_t>(static_cast<std::size_t>(st.st_size), protocol::agent_health_limit));
}

}  // namespace autoexec::records
