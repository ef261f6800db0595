#include "workflow/journal/journal.hpp"

#include "protocol/layout.hpp"
#include "text/text.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <thread>
#include <utility>

namespace autoexec::workflow {
namespace {

namespace fs = std::filesystem;
using files::last_error;
using files::UniqueFd;

constexpr int max_names = 1000;
constexpr int max_lock_tries = 250;
constexpr std::chrono::milliseconds lock_interval{1};

std::string run_id_of(std::string_view workflow_id, std::chrono::system_clock::time_point t)
{
    using namespace std::chrono;
    const auto second = floor<seconds>(t);
    auto stamp = text::iso_local(second);
    std::erase_if(stamp, [](char c) { return c == '-' || c == ':'; });
    std::replace(stamp.begin(), stamp.end(), 'T', '-');
    return fmt::format("{}-{}-{:06}", workflow_id, stamp, floor<microseconds>(t - second).count());
}

error_code link_to_name(int folder, const std::string& file, std::string_view run_id)
{
    const auto name = journal_name(run_id);
    const bool linked = ::linkat(folder, file.c_str(), folder, name.c_str(), 0) == 0;
    return linked ? error_code{} : last_error();
}

/// Links `file` to the name of the first free run id, and returns that id.
std::string link_to_free_name(int folder, const std::string& file, std::string_view workflow_id,
                              std::chrono::system_clock::time_point now, error_code& ec)
{
    for (int tries = 0; tries < max_names; ++tries) {
        auto run_id = run_id_of(workflow_id, now + std::chrono::microseconds(tries));
        ec = link_to_name(folder, file, run_id);
        if (!ec) return run_id;
        if (ec.value() != EEXIST) break;
    }
    return {};
}

// The folders may be new, up to the project's root.
error_code sync_folders(int folder, records::Disk& disk)
{
    for (const auto* const path : {".", "..", "../.."}) {
        const UniqueFd fd(::openat(folder, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
        if (!fd || disk.sync(fd.get()) != 0) return last_error();
    }
    return {};
}

error_code try_lock(int fd)
{
    if (::flock(fd, LOCK_EX | LOCK_NB) == 0) return {};
    if (errno != EWOULDBLOCK) return last_error();
    if (is_locked(fd)) return errc::worktree_busy;
    // A reader has it, or had it a moment ago.
    return {EAGAIN, boost::system::system_category()};
}

error_code lock(int fd)
{
    for (int tries = 0; tries < max_lock_tries; ++tries) {
        const auto ec = try_lock(fd);
        if (ec != boost::system::errc::resource_unavailable_try_again) return ec;
        std::this_thread::sleep_for(lock_interval);
    }
    return errc::worktree_busy;
}

// Belongs to the open file description, like `flock`, and is independent of it: that lock says that
// an executor lives, this one that some program works for it.
bool lock_region(int fd, short kind)
{
    struct flock region {};
    region.l_type = kind;
    region.l_whence = SEEK_SET;
    return ::fcntl(fd, F_OFD_SETLK, &region) == 0;
}

records::Folder requests_folder(const fs::path& project_root)
{
    auto folder = state_folder(project_root);
    folder.below /= "cancel";
    return folder;
}

}  // namespace

records::Folder state_folder(const fs::path& project_root)
{
    return {project_root.empty() ? "." : project_root, layout::journals};
}

std::string journal_name(std::string_view run_id)
{
    return text::file_name_of(run_id).append(journal_suffix);
}

// Shared, so that two readers do not take each other for the executor.
bool is_locked(int fd)
{
    if (::flock(fd, LOCK_SH | LOCK_NB) != 0) return errno == EWOULDBLOCK;
    ::flock(fd, LOCK_UN);
    return false;
}

Journal::Journal(fs::path path, UniqueFd file, UniqueFd shared, std::string run_id,
                 Durability durability, records::Disk& disk)
    : path_(std::move(path)),
      file_(std::move(file)),
      shared_(std::move(shared)),
      run_id_(std::move(run_id)),
      durability_(durability),
      disk_(&disk)
{}

template <class Link>
std::optional<Journal> Journal::create_by(const fs::path& project_root, Link link,
                                          Durability durability, error_code& ec,
                                          records::Disk& disk)
{
    const auto folder = state_folder(project_root).create(ec);
    if (ec) return std::nullopt;
    // Locked before it has its name: no reader sees it without its lock.
    const auto temporary = ".tmp." + text::new_uuid();
    constexpr int flags = O_WRONLY | O_APPEND | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
    UniqueFd file(::openat(folder.get(), temporary.c_str(), flags, 0600));
    UniqueFd shared(::openat(folder.get(), temporary.c_str(), O_RDWR | O_NOFOLLOW | O_CLOEXEC));
    std::string run_id;
    if (!file || !shared || ::flock(file.get(), LOCK_EX | LOCK_NB) != 0 ||
        !lock_region(shared.get(), F_RDLCK))
        ec = last_error();
    else
        run_id = link(folder.get(), temporary, ec);
    (void)files::remove_file(folder.get(), temporary);
    if (!ec && durability == Durability::power && (ec = sync_folders(folder.get(), disk)))
        (void)files::remove_file(folder.get(), journal_name(run_id));
    if (ec) return std::nullopt;
    auto path = state_folder(project_root).path() / journal_name(run_id);
    return Journal(std::move(path), std::move(file), std::move(shared), std::move(run_id),
                   durability, disk);
}

std::optional<Journal> Journal::create(const fs::path& project_root, std::string_view workflow_id,
                                       std::chrono::system_clock::time_point now,
                                       Durability durability, error_code& ec, records::Disk& disk)
{
    const auto link = [&](int folder, const std::string& file, error_code& problem) {
        return link_to_free_name(folder, file, workflow_id, now, problem);
    };
    return create_by(project_root, link, durability, ec, disk);
}

std::optional<Journal> Journal::create_named(const fs::path& project_root, std::string_view run_id,
                                             Durability durability, error_code& ec,
                                             records::Disk& disk)
{
    const auto link = [run_id](int folder, const std::string& file, error_code& problem) {
        problem = link_to_name(folder, file, run_id);
        return std::string(run_id);
    };
    return create_by(project_root, link, durability, ec, disk);
}

std::string free_run_id(const fs::path& project_root, std::string_view workflow_id,
                        std::chrono::system_clock::time_point now,
                        const std::set<std::string>& taken)
{
    error_code ignored;
    const auto folder = state_folder(project_root).open(ignored);
    const auto exists = [&](const std::string& run_id) {
        struct stat st {};
        return folder &&
               ::fstatat(folder.get(), journal_name(run_id).c_str(), &st, AT_SYMLINK_NOFOLLOW) == 0;
    };
    for (;; now += std::chrono::microseconds(1)) {
        auto run_id = run_id_of(workflow_id, now);
        if (!taken.contains(run_id) && !exists(run_id)) return run_id;
    }
}

std::optional<Journal> Journal::take_over(const fs::path& project_root, std::string_view run_id,
                                          Durability durability, error_code& ec,
                                          records::Disk& disk)
{
    const auto folder = state_folder(project_root).open(ec);
    if (ec) return std::nullopt;
    const auto name = journal_name(run_id);
    auto file = files::open_beneath(folder.get(), name, O_RDWR | O_APPEND, files::Links::none, ec);
    if (!ec) ec = try_lock(file.get());
    if (ec) return std::nullopt;
    auto shared = files::open_beneath(folder.get(), name, O_RDWR, files::Links::none, ec);
    if (!ec && !lock_region(shared.get(), F_RDLCK)) ec = last_error();
    if (ec) return std::nullopt;
    const auto found = files::read_regular(folder.get(), name, journal_limit, {});
    if (found.state != FoundFile::State::present) {
        ec = found.state == FoundFile::State::too_large ? errc::file_too_large : errc::unsafe_path;
        if (found.reason) ec = found.reason;
        return std::nullopt;
    }

    Journal journal(state_folder(project_root).path() / name, std::move(file), std::move(shared),
                    std::string(run_id), durability, disk);
    journal.size_ = found.text.rfind('\n') + 1;  // without any: npos + 1 is 0
    journal.record_ = parse_journal(found.text);
    journal.record_.run_id = run_id;
    const auto& transitions = journal.record_.transitions;
    if (!transitions.empty()) journal.seq_ = transitions.back().seq;
    const bool torn = journal.size_ < found.text.size();
    if (torn && disk.truncate(journal.file_.get(), static_cast<off_t>(journal.size_)) != 0) {
        ec = last_error();
        return std::nullopt;
    }
    return journal;
}

bool Journal::is_settled() const noexcept
{
    // Exclusive for a moment: that succeeds only if no other process holds it.
    const bool alone = lock_region(shared_.get(), F_WRLCK);
    if (alone) (void)lock_region(shared_.get(), F_RDLCK);
    return alone;
}

void Journal::discard(const fs::path& project_root)
{
    error_code ec;
    const auto folder = state_folder(project_root).open(ec);
    if (folder) (void)files::remove_file(folder.get(), journal_name(run_id_));
}

error_code Journal::append(const protocol::Transition& transition,
                           std::chrono::system_clock::time_point now)
{
    if (broken_) return broken_;
    const auto line = protocol::format_journal_entry(seq_ + 1, now, transition);
    if (line.empty()) return errc::invalid_options;
    const auto ec = write(line + '\n');
    if (!ec) ++seq_;
    return ec;
}

error_code Journal::write(std::string_view line)
{
    if (line.size() > journal_limit - size_) return errc::file_too_large;
    if (!is_intact()) return broken_ = errc::journal_lost;
    ssize_t written = 0;
    do written = disk_->write(file_.get(), line);
    while (written < 0 && errno == EINTR);

    error_code ec;
    if (written < 0) {
        ec = last_error();
    } else if (static_cast<std::size_t>(written) < line.size()) {
        ec = error_code(ENOSPC, boost::system::system_category());
    } else if (durability_ == Durability::power && disk_->sync(file_.get()) != 0) {
        // The kernel reports a lost page once: a second sync would "succeed".
        ec = broken_ = last_error();
    }
    if (ec && disk_->truncate(file_.get(), static_cast<off_t>(size_)) != 0) broken_ = ec;
    if (ec) return ec;
    size_ += line.size();
    // Check again: no later append would notice that the last line of a run is lost.
    if (!is_intact()) broken_ = errc::journal_lost;
    return broken_;
}

// The name still leads to the locked file, and that contains everything that was written.
bool Journal::is_intact() const
{
    struct stat named {};
    struct stat held {};
    return ::lstat(path_.c_str(), &named) == 0 && ::fstat(file_.get(), &held) == 0 &&
           named.st_dev == held.st_dev && named.st_ino == held.st_ino &&
           static_cast<std::uint64_t>(held.st_size) >= size_;
}

UniqueFd hold_run(const fs::path& project_root, std::string_view run_id, error_code& ec)
{
    const auto folder = state_folder(project_root).open(ec);
    if (ec) return {};
    auto file =
        files::open_beneath(folder.get(), journal_name(run_id), O_RDWR, files::Links::none, ec);
    if (!ec) ec = lock(file.get());
    if (!ec && !lock_region(file.get(), F_WRLCK)) ec = errc::worktree_busy;
    return ec ? UniqueFd() : std::move(file);
}

error_code ask_to_cancel_run(const fs::path& project_root, std::string_view run_id)
{
    error_code ec;
    // Twice: an executor that has served the last request removes the folder.
    for (int tries = 0; tries < 2; ++tries) {
        const auto folder = requests_folder(project_root).create(ec);
        if (ec) return ec;
        constexpr int flags = O_WRONLY | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC;
        const UniqueFd fd(::openat(folder.get(), text::file_name_of(run_id).c_str(), flags, 0600));
        if (fd) return {};
        ec = last_error();
    }
    return ec;
}

bool take_run_cancel(const fs::path& project_root, std::string_view run_id)
{
    error_code ec;
    const auto place = requests_folder(project_root);
    const auto folder = place.open(ec);
    if (!folder || ::unlinkat(folder.get(), text::file_name_of(run_id).c_str(), 0) != 0)
        return false;
    (void)::rmdir(place.path().c_str());
    return true;
}

}  // namespace autoexec::workflow
