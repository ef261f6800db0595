#include "handoff/claims.hpp"

#include "files/safe_files.hpp"
#include "git_files/git_dir.hpp"
#include "protocol/control_files.hpp"
#include "text/text.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <pthread.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <ctime>
#include <mutex>

namespace autoexec::handoff {
namespace {

using files::UniqueFd;

constexpr char suffix[] = ".json";
constexpr char claims_name[] = "claims";
constexpr std::size_t max_claims = 1000;

// Younger temporary files may belong to an agent that is about to link them.
constexpr std::time_t temporary_age = 60;

std::string claim_name(const std::string& attempt_id)
{
    return text::file_name_of(attempt_id) + suffix;
}

std::string attempt_of(const std::string& claim_name)
{
    return claim_name.substr(0, claim_name.size() - (sizeof suffix - 1));
}

enum class Lock {
    free,
    held,
    unknown,  ///< The file system cannot lock it, as some cannot lock folders.
};

// Probes with a shared lock, so that concurrent probes do not take each other for a holder.
Lock probe_lock(int fd)
{
    if (::flock(fd, LOCK_SH | LOCK_NB) != 0)
        return errno == EWOULDBLOCK ? Lock::held : Lock::unknown;
    ::flock(fd, LOCK_UN);
    return Lock::free;
}

bool is_locked(int fd)
{
    return probe_lock(fd) == Lock::held;
}

// The shared lock lasts until the descriptor is closed. It is in the way of no agent: a claim is
// locked exclusively before it has its name.
Lock probe_claim(int fd)
{
    if (::flock(fd, LOCK_SH | LOCK_NB) == 0) return Lock::free;
    return errno == EWOULDBLOCK ? Lock::held : Lock::unknown;
}

UniqueFd open_claim(int folder, const std::string& name)
{
    error_code ignored;
    auto fd = files::open_beneath(folder, name, O_RDONLY, files::Links::none, ignored);
    if (fd && !S_ISREG(stat_of(fd.get()).st_mode)) return {};
    return fd;
}

protocol::ClaimFile read_claim(int fd)
{
    std::string text(protocol::claim_limit, '\0');
    const auto n = ::pread(fd, text.data(), text.size(), 0);
    text.resize(static_cast<std::size_t>(std::max<ssize_t>(n, 0)));
    return protocol::parse_claim(text);
}

bool has_locked_file(int folder)
{
    const auto file = open_claim(folder, folder_lock_file);
    return file && is_locked(file.get());
}

bool is_regular(int folder, const std::string& name)
{
    struct stat st {};
    return ::fstatat(folder, name.c_str(), &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode);
}

bool is_remote(const protocol::ClaimFile& claim)
{
    return !claim.host.empty() && claim.host != host_name();
}

bool is_old(int fd)
{
    struct stat st {};
    return ::fstat(fd, &st) == 0 && st.st_mtime + temporary_age < std::time(nullptr);
}

// Without another descriptor of the folder, which `list_folder` would open.
std::vector<std::string> names_in(int folder)
{
    std::vector<std::string> found;
    if (::lseek(folder, 0, SEEK_SET) != 0) return found;
    files::visit_names(folder, [&](std::string_view name) {
        found.emplace_back(name);
        return found.size() < max_claims;
    });
    return found;
}

std::atomic<pid_t> known_pid = 0;

}  // namespace

struct stat stat_of(int fd) noexcept
{
    struct stat st {};
    (void)::fstat(fd, &st);
    return st;
}

bool is_lock_free(int fd)
{
    return probe_lock(fd) == Lock::free;
}

std::string host_name()
{
    using std::chrono::steady_clock;
    static std::mutex mutex;
    static steady_clock::time_point asked{};
    static std::string known;
    const auto now = steady_clock::now();
    const std::lock_guard lock(mutex);
    if (!known.empty() && now - asked < std::chrono::seconds{1}) return known;
    char name[256] = {};
    known = ::gethostname(name, sizeof name - 1) == 0 ? name : "unknown";
    asked = now;
    return known;
}

pid_t process_id()
{
    static const bool sees_forks = ::pthread_atfork(nullptr, nullptr, [] { known_pid = 0; }) == 0;
    if (!sees_forks) return ::getpid();
    if (known_pid == 0) known_pid = ::getpid();
    return known_pid;
}

UniqueFd open_claims_folder(int worktree_fd, const std::filesystem::path& worktree, error_code& ec)
{
    return open_claims_folder(worktree_fd, git_files::git_dir_of(worktree), ec);
}

UniqueFd open_claims_folder(int worktree_fd, const std::optional<std::filesystem::path>& git_dir,
                            error_code& ec)
{
    if (git_dir) {
        auto folder = files::open_folder_without_links(claims_path(*git_dir), ec);
        if (!folder && !files::is_resource_shortage(ec))
            folder = open_own_claims(make_own_folder(*git_dir), ec);
        // Other executors and agents look for claims only there.
        if (folder || files::is_resource_shortage(ec)) return folder;
    }
    return files::make_folders(worktree_fd, control_files::claims_folder, ec);
}

UniqueFd open_in(const OwnFolder& own, const char* name, error_code& ec, bool* is_new)
{
    if (is_new != nullptr) *is_new = false;
    if (!own.is_new) return files::make_folders(own.folder.get(), name, ec);
    return files::make_folder(own.folder.get(), name, ec, is_new);
}

UniqueFd open_own_claims(const OwnFolder& own, error_code& ec, bool* is_new)
{
    ec = own.error;
    return own.folder ? open_in(own, claims_name, ec, is_new) : UniqueFd();
}

std::filesystem::path claims_path(const std::filesystem::path& git_dir)
{
    return git_dir / own_folder / claims_name;
}

OwnFolder make_own_folder(const std::filesystem::path& git_dir)
{
    OwnFolder own;
    own.path = git_dir / own_folder;
    own.folder = files::open_folder_without_links(own.path, own.error);
    if (own.folder || files::is_resource_shortage(own.error)) return own;
    if (::mkdir(own.path.c_str(), 0700) == 0) {
        own.is_new = true;
        own.folder = files::open_folder_without_links(own.path, own.error);
        if (own.folder) return own;
    }
    own.error = {};
    const auto base = files::open_folder(git_dir);
    if (base)
        own.folder = files::make_folders(base.get(), own_folder, own.error);
    else
        own.error = files::last_error();
    return own;
}

UniqueFd find_claims_folder(int worktree_fd, const std::optional<std::filesystem::path>& git_dir)
{
    error_code ec;
    if (git_dir) {
        auto folder = files::open_folder_without_links(claims_path(*git_dir), ec);
        if (folder) return folder;
    }
    return files::open_beneath(worktree_fd, control_files::claims_folder, O_RDONLY | O_DIRECTORY,
                               files::Links::none, ec);
}

error_code lock_folder(int folder, int lock_file_folder, UniqueFd& file)
{
    if (::flock(folder, LOCK_EX | LOCK_NB) == 0) return {};
    if (errno == EWOULDBLOCK) return errc::worktree_busy;
    file = UniqueFd(::openat(lock_file_folder, folder_lock_file,
                             O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600));
    if (file && ::flock(file.get(), LOCK_EX | LOCK_NB) == 0) return {};
    return errno == EWOULDBLOCK ? make_error_code(errc::worktree_busy) : files::last_error();
}

void unlock_folder(int folder, const UniqueFd& file) noexcept
{
    // Unlocked explicitly: a descriptor inherited by a child would keep the lock after close.
    ::flock(file ? file.get() : folder, LOCK_UN);
}

bool is_folder_locked(int folder, int lock_file_folder)
{
    const auto lock = probe_lock(folder);
    return lock == Lock::unknown ? has_locked_file(lock_file_folder) : lock == Lock::held;
}

bool executor_holds_lock(int worktree_fd, const std::filesystem::path& worktree)
{
    if (const auto lock = probe_lock(worktree_fd); lock != Lock::unknown) return lock == Lock::held;
    return executor_holds_lock(worktree_fd, git_files::git_dir_of(worktree));
}

bool executor_holds_lock(int worktree_fd, const std::optional<std::filesystem::path>& git_dir)
{
    if (const auto lock = probe_lock(worktree_fd); lock != Lock::unknown) return lock == Lock::held;
    error_code ec;
    const auto claims = open_claims_folder(worktree_fd, git_dir, ec);
    return claims && has_locked_file(claims.get());
}

// Keeps the file, without a look at it. Otherwise returns the state.
std::optional<ClaimState> ClaimReader::open(const ClaimPlace& place, const std::string& attempt_id)
{
    const auto path = place.claims + '/' + claim_name(attempt_id);
    error_code ec;
    auto fd = files::open_beneath(place.base, path, O_RDONLY, files::Links::none, ec);
    if (fd) {
        seen_ = std::make_unique<Seen>(Seen{attempt_id, {}, std::move(fd)});
        return std::nullopt;
    }
    // A claim that cannot be opened (for lack of descriptors, say) must not count as missing.
    const bool is_there =
        ec != boost::system::errc::no_such_file_or_directory && is_regular(place.base, path);
    return is_there ? ClaimState::live : ClaimState::none;
}

ClaimState ClaimReader::state(const ClaimPlace& place, const std::string& attempt_id)
{
    const bool is_first = !seen_ || seen_->attempt_id != attempt_id;
    if (is_first)
        if (const auto state = open(place, attempt_id)) return *state;
    const bool is_link = !seen_->fd;
    const auto reopened = is_link ? reopen(place) : UniqueFd();
    const int fd = is_link ? reopened.get() : seen_->fd.get();
    const auto lock = fd < 0 ? Lock::unknown : probe_claim(fd);
    // After the lock: an agent that drops its claim removes the file, then unlocks it.
    struct stat st {};
    if (is_first || lock == Lock::free) st = stat_of(fd);
    if (is_first) {
        if (!S_ISREG(st.st_mode)) {
            seen_.reset();
            return ClaimState::none;
        }
        seen_->id = folder_id(st);
        seen_->remote = is_remote(read_claim(fd));
    }
    if (lock == Lock::held && !is_link) keep_as_link(place);
    // Checked before the host: a lock that is visible here is held, whatever the content says.
    if (lock == Lock::held) return ClaimState::live;
    if (seen_->remote) return ClaimState::remote;
    if (lock == Lock::unknown) return ClaimState::live;
    const nlink_t own_links = is_link ? 1 : 0;
    if (st.st_nlink > own_links) return ClaimState::free;
    forget(place);  // dropped by an agent that did not run the command
    return ClaimState::none;
}

// Where its own link was removed, too, the path may still lead to it.
UniqueFd ClaimReader::reopen(const ClaimPlace& place) const
{
    error_code ignored;
    for (const auto& path : {place.link, place.claims + '/' + claim_name(seen_->attempt_id)}) {
        auto fd = files::open_beneath(place.base, path, O_RDONLY, files::Links::none, ignored);
        if (fd && folder_id(stat_of(fd.get())) == seen_->id) return fd;
    }
    return {};
}

void ClaimReader::keep_as_link(const ClaimPlace& place)
{
    if (place.link.empty()) return;
    const auto& link = place.link;
    const auto claim = place.claims + '/' + claim_name(seen_->attempt_id);
    const auto make = [&] {
        return ::linkat(place.base, claim.c_str(), place.base, link.c_str(), 0) == 0;
    };
    // A link to the claim of an earlier attempt may be left.
    if (!make() && (errno != EEXIST || ::unlinkat(place.base, link.c_str(), 0) != 0 || !make()))
        return;
    struct stat st {};
    const bool same = ::fstatat(place.base, link.c_str(), &st, AT_SYMLINK_NOFOLLOW) == 0 &&
                      folder_id(st) == seen_->id;
    if (same) seen_->fd = UniqueFd();
}

void ClaimReader::forget(const ClaimPlace& place)
{
    if (seen_ && !seen_->fd) (void)::unlinkat(place.base, place.link.c_str(), 0);
    seen_.reset();
}

// Folders of one repository share its git directory.
bool ClaimReader::is_elsewhere(const protocol::ClaimFile& claim) const
{
    struct stat st {};
    return ::stat(claim.worktree.c_str(), &st) == 0 && folder_id(st) != worktree_;
}

std::optional<std::string> ClaimReader::find_live(int claims_folder, bool remove_others) const
{
    std::optional<std::string> living;
    const auto remove = [&](const std::string& name) {
        if (remove_others) (void)files::remove_file(claims_folder, name);
    };
    for (const auto& name : names_in(claims_folder)) {
        if (name == folder_lock_file) continue;
        const auto fd = open_claim(claims_folder, name);
        if (!fd) continue;
        if (!name.ends_with(suffix)) {
            // The age is checked first: probing the lock of a new file could block its agent.
            if (is_old(fd.get()) && !is_locked(fd.get())) remove(name);
            continue;
        }
        const auto claim = read_claim(fd.get());
        if (is_elsewhere(claim)) continue;
        if (is_locked(fd.get()))
            living = attempt_of(name);
        else if (!is_remote(claim) || is_old(fd.get()))
            remove(name);
    }
    return living;
}

error_code ClaimReader::remove(const ClaimPlace& place, const std::string& attempt_id)
{
    forget(place);
    const auto name = claim_name(attempt_id);
    if (!place.link.empty()) return files::remove_file(place.base, place.claims + '/' + name);
    error_code ec;
    // Opened without following links: a program can write where the claims are.
    const auto folder = files::open_beneath(place.base, place.claims, O_RDONLY | O_DIRECTORY,
                                            files::Links::none, ec);
    if (!folder) return ec.value() == ENOENT ? error_code() : ec;
    return files::remove_file(folder.get(), name);
}

std::optional<Claim> Claim::create(int claims_fd, const std::string& attempt_id,
                                   const std::string& content, error_code& ec)
{
    ec = {};
    const auto temporary = ".tmp." + text::new_uuid();
    UniqueFd fd(::openat(claims_fd, temporary.c_str(),
                         O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
    if (!fd) {
        ec = files::last_error();
        return std::nullopt;
    }
    const auto name = claim_name(attempt_id);
    bool linked = false;
    if (::flock(fd.get(), LOCK_EX | LOCK_NB) != 0)
        ec = files::last_error();
    else if (const auto failure = files::write_all(fd.get(), content))
        ec = failure;
    else if (::linkat(claims_fd, temporary.c_str(), claims_fd, name.c_str(), 0) == 0)
        linked = true;
    else if (errno != EEXIST)
        ec = files::last_error();
    ::unlinkat(claims_fd, temporary.c_str(), 0);
    if (!linked) return std::nullopt;
    return Claim(std::move(fd));
}

void Claim::drop(int claims_fd, const std::string& attempt_id)
{
    (void)files::remove_file(claims_fd, claim_name(attempt_id));
    release();
}

void Claim::release() noexcept
{
    // Explicitly: other processes may still have copies of the descriptor.
    ::flock(fd_.get(), LOCK_UN);
    fd_ = UniqueFd();
}

}  // namespace autoexec::handoff
