#include "async/short_names.hpp"
#include "autoexec/notifier.hpp"
#include "files/safe_files.hpp"
#include "git_files/git_dir.hpp"
#include "handoff/claims.hpp"
#include "logging/log.hpp"
#include "protocol/control_files.hpp"
#include "text/text.hpp"

#include <boost/asio/bind_executor.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/error.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/strand.hpp>

#include <fcntl.h>
#include <sys/inotify.h>
#include <sys/vfs.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <unordered_map>
#include <utility>
#include <vector>

namespace autoexec::inline v1 {
namespace {

namespace fs = std::filesystem;

constexpr std::uint32_t watched_events =
    IN_CREATE | IN_MOVED_TO | IN_CLOSE_WRITE | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR;
constexpr std::size_t bytes_of_a_read = 64 * 1024;
// Worktrees whose subscribers are called in one turn of the event loop.
constexpr std::size_t slice = 256;

enum class FolderKind { root, cursor, claims, other };

// File systems where another host can change files without an event here.
bool is_shared_between_hosts(const std::string& folder)
{
    static constexpr std::array<unsigned, 13> types{
        0x6969,      // NFS
        0x517B,      // SMB
        0xFF534D42,  // CIFS
        0xFE534D42,  // SMB 2
        0x65735546,  // FUSE
        0x01021997,  // 9P
        0x00C36400,  // Ceph
        0x5346414F,  // AFS
        0x73757245,  // Coda
        0x7461636F,  // OCFS2
        0x01161970,  // GFS2
        0x0BD00BD0,  // Lustre
        0x786F4256,  // VirtualBox
    };
    struct statfs info {};
    return ::statfs(folder.c_str(), &info) == 0 &&
           std::find(types.begin(), types.end(), static_cast<unsigned>(info.f_type)) != types.end();
}

std::string reason_of(int error)
{
    switch (error) {
        case EREMOTE:
            return "it is on a network file system";
        case ENOSPC:
            return "no watches are left; see fs.inotify.max_user_watches in health";
        case ESTALE:
            return "its folder, or that of its claims, was moved or removed";
        default:
            return std::strerror(error);
    }
}

class FileNotifier final : public Notifier, public std::enable_shared_from_this<FileNotifier> {
public:
    FileNotifier(const asio::any_io_executor& ex, FileNotifierOptions options)
        : options_(std::move(options)),
          strand_(ex),
          common_dir_(git_files::common_dir_of(
              options_.project_root.empty() ? fs::path(".") : options_.project_root)),
          inotify_(::inotify_init1(IN_NONBLOCK | IN_CLOEXEC))
    {
        if (!inotify_) broken_ = errno;
        if (broken_ != 0) warn_once("", broken_);
    }

    Subscription watch(const fs::path& worktree, std::function<void()> changed) override;
    Subscription watch_commands(const fs::path& worktree, std::function<void()> changed) override;
    Subscription watch_folder(const fs::path& folder, std::function<void()> changed) override;
    void notify(const fs::path& worktree) override { local_->notify(worktree); }
    void notify_report(const fs::path& worktree) override { local_->notify_report(worktree); }
    [[nodiscard]] Coverage coverage(const fs::path& worktree) const override;
    [[nodiscard]] std::string problem(const fs::path& worktree) const override;

private:
    enum class Subscriber { executor, agent, of_folder };
    /// Who must be called after an event.
    enum class Concerned { none, executors, all };
    struct Tree {
        std::size_t subscriptions = 0;
        std::size_t executors = 0;  ///< Those of them that need claims and `.cursor`, too.
        std::vector<int> folders;   ///< Watch descriptors.
        int error = 0;              ///< Why it is not covered; 0: it is.
        int claims_error = 0;       ///< The same, for executors alone.
        bool is_worktree = true;
        bool knows_cursor = false;  ///< `.cursor` is watched, or there was none.

        [[nodiscard]] int problem() const noexcept
        {
            return error == 0 && executors > 0 ? claims_error : error;
        }
    };
    struct Folder {
        FolderKind kind = FolderKind::root;
        std::set<std::string> trees;  ///< Usually one; the folders of a repository share a git dir.
    };
    using TreeSearch = decltype(&git_files::find_tree_in);
    /// What is to be watched for a subscription.
    struct Folders {
        std::vector<std::string> claims;  ///< The first that exists; none: they are not watched.
        int error = 0;                    ///< Why nothing can be watched; 0: it can.
    };
    /// Owned by the pending read, so that nothing of it outlives the context.
    struct Reader {
        Reader(const asio::strand<asio::any_io_executor>& strand, int fd) : stream(strand, fd) {}
        asio::posix::stream_descriptor stream;
        alignas(inotify_event) std::array<char, bytes_of_a_read> buffer{};
    };

    static std::string key_of(const fs::path& tree) { return files::normal_path(tree).string(); }
    Subscription subscribe(const fs::path& path, Subscription inner, Subscriber subscriber);
    void leave(const std::string& key, Subscriber subscriber);
    Folders find_folders(const std::string& key, TreeSearch search);
    [[nodiscard]] bool watches_root(const std::string& key) const;
    int find_claims(const std::string& key, TreeSearch search,
                    std::vector<std::string>& claims) const;
    void add_folders(const std::string& key, Tree& tree, const Folders& folders);
    void renew(const std::string& key);
    int add_folder(const std::string& key, Tree& tree, const std::string& folder, FolderKind kind);
    void drop_folders(const std::string& key, Tree& tree);
    [[nodiscard]] bool has_folder(const Tree& tree, FolderKind kind) const;
    void uncover(int wd, std::uint32_t mask);
    void warn_once(const std::string& tree, int error);

    void start_reading();
    void give_up(int error);
    void read(std::shared_ptr<Reader> reader);
    void take(const char* events, std::size_t size);
    void take(const inotify_event& event, std::string_view name);
    void wake_all();
    void wake_slice();
    [[nodiscard]] Concerned concerned_by(FolderKind kind, std::uint32_t mask,
                                         std::string_view name) const;

    FileNotifierOptions options_;
    std::shared_ptr<Notifier> local_ = local_notifier();
    asio::strand<asio::any_io_executor> strand_;
    std::optional<fs::path> common_dir_;
    files::UniqueFd inotify_;

    mutable std::mutex mutex_;  // for all below
    std::map<std::string, Tree> trees_;
    std::unordered_map<int, Folder> folders_;
    std::set<int> warned_;
    bool reading_ = false;
    int broken_ = 0;  ///< The error; 0: events can be read.
    std::weak_ptr<Reader> reader_;

    // On the strand alone: the trees whose subscribers are still to be called.
    std::map<std::string, Concerned> changed_;
    std::set<std::string> stale_;  ///< Those of them whose watches may be out of date.
};

Notifier::Subscription FileNotifier::watch(const fs::path& worktree, std::function<void()> changed)
{
    auto inner = local_->watch(worktree, std::move(changed));
    return options_.worktrees ? subscribe(worktree, std::move(inner), Subscriber::executor) : inner;
}

Notifier::Subscription FileNotifier::watch_commands(const fs::path& worktree,
                                                    std::function<void()> changed)
{
    auto inner = local_->watch_commands(worktree, std::move(changed));
    return options_.worktrees ? subscribe(worktree, std::move(inner), Subscriber::agent) : inner;
}

Notifier::Subscription FileNotifier::watch_folder(const fs::path& folder,
                                                  std::function<void()> changed)
{
    return subscribe(folder, local_->watch(folder, std::move(changed)), Subscriber::of_folder);
}

Notifier::Subscription FileNotifier::subscribe(const fs::path& path, Subscription inner,
                                               Subscriber subscriber)
{
    const auto key = key_of(path);
    const bool is_executor = subscriber == Subscriber::executor;
    // An executor has just locked it.
    const TreeSearch search = is_executor ? &git_files::find_recent_tree_in : nullptr;
    const auto folders = inotify_ ? find_folders(key, search) : Folders{};
    const std::lock_guard lock(mutex_);
    auto& tree = trees_[key];
    ++tree.subscriptions;
    if (is_executor) ++tree.executors;
    tree.is_worktree = subscriber != Subscriber::of_folder;
    add_folders(key, tree, folders);
    if (tree.error == 0 && !std::exchange(reading_, true))
        asio::post(strand_, [self = shared_from_this()] { self->start_reading(); });
    auto* const handle = inner.get();
    return {handle,
            [self = shared_from_this(), inner = std::move(inner), key, subscriber](void*) mutable {
                inner.reset();
                self->leave(key, subscriber);
            }};
}

void FileNotifier::leave(const std::string& key, Subscriber subscriber)
{
    const std::lock_guard lock(mutex_);
    const auto found = trees_.find(key);
    if (found == trees_.end()) return;
    if (subscriber == Subscriber::executor) --found->second.executors;
    if (--found->second.subscriptions > 0) return;
    drop_folders(key, found->second);
    trees_.erase(found);
    if (!trees_.empty()) return;
    // A pending read would keep the context running.
    if (reader_.lock())
        asio::post(strand_, [weak = reader_] {
            if (const auto reader = weak.lock()) reader->stream.cancel();
        });
}

Coverage FileNotifier::coverage(const fs::path& worktree) const
{
    const std::lock_guard lock(mutex_);
    const auto found = trees_.find(key_of(worktree));
    return found != trees_.end() && found->second.problem() == 0 ? Coverage::all
                                                                 : Coverage::own_process;
}

std::string FileNotifier::problem(const fs::path& worktree) const
{
    const std::lock_guard lock(mutex_);
    const auto found = trees_.find(key_of(worktree));
    return found != trees_.end() && found->second.problem() != 0
               ? reason_of(found->second.problem())
               : std::string();
}

// Without the lock, since a network file system may keep it waiting.
// `search`: null if the claims are not watched.
FileNotifier::Folders FileNotifier::find_folders(const std::string& key, TreeSearch search)
{
    Folders folders;
    if (!watches_root(key) && is_shared_between_hosts(key)) {
        folders.error = EREMOTE;
        const std::lock_guard lock(mutex_);
        warn_once(key, EREMOTE);
    } else if (search != nullptr && options_.claims) {
        folders.error = find_claims(key, search, folders.claims);
    }
    return folders;
}

int FileNotifier::find_claims(const std::string& key, TreeSearch search,
                              std::vector<std::string>& claims) const
{
    error_code shortage;
    const auto git = search(common_dir_, key, shortage);
    if (git) claims.push_back(handoff::claims_path(git->git_dir));
    claims.push_back(key + '/' + control_files::claims_folder);
    return shortage.value();
}

// Then it is on this host, and an event follows when it no longer leads there.
bool FileNotifier::watches_root(const std::string& key) const
{
    const std::lock_guard lock(mutex_);
    const auto tree = trees_.find(key);
    return tree != trees_.end() && tree->second.error == 0 && !tree->second.folders.empty();
}

// The claims again for each executor: outside git, they are removed after each command.
void FileNotifier::add_folders(const std::string& key, Tree& tree, const Folders& folders)
{
    tree.error = broken_ != 0 ? broken_ : folders.error;
    if (tree.error != 0) return;
    const auto kind = tree.is_worktree ? FolderKind::root : FolderKind::other;
    if (!has_folder(tree, kind)) {
        tree.knows_cursor = false;
        tree.error = add_folder(key, tree, key, kind);
    }
    if (tree.error != 0 || tree.executors == 0) return;
    // Most worktrees have none; a later one is seen in the root.
    if (!std::exchange(tree.knows_cursor, true))
        (void)add_folder(key, tree, key + '/' + control_files::cursor_folder, FolderKind::cursor);
    if (!folders.claims.empty()) tree.claims_error = 0;
    for (const auto& claims : folders.claims) {
        tree.claims_error = add_folder(key, tree, claims, FolderKind::claims);
        if (tree.claims_error != ENOENT && tree.claims_error != EACCES) break;
    }
}

// After a change that concerns the watches themselves, or may have.
void FileNotifier::renew(const std::string& key)
{
    bool with_claims = true;
    {
        const std::lock_guard lock(mutex_);
        const auto tree = trees_.find(key);
        if (tree == trees_.end()) return;
        with_claims = tree->second.executors > 0;
    }
    const auto folders = find_folders(key, with_claims ? &git_files::find_tree_in : nullptr);
    const std::lock_guard lock(mutex_);
    const auto tree = trees_.find(key);
    if (tree == trees_.end() || tree->second.problem() != 0) return;
    drop_folders(key, tree->second);
    add_folders(key, tree->second, folders);
}

// Returns the error; 0 if the folder is watched.
int FileNotifier::add_folder(const std::string& key, Tree& tree, const std::string& folder,
                             FolderKind kind)
{
    auto events = watched_events;
    if (kind == FolderKind::other) events |= IN_DELETE;
    const bool is_inside = kind == FolderKind::cursor || kind == FolderKind::claims;
    if (is_inside) events |= IN_DONT_FOLLOW;
    const int wd = ::inotify_add_watch(inotify_.get(), folder.c_str(), events);
    if (wd < 0) {
        const int error = errno;
        if (error != ENOENT && error != ENOTDIR && error != EACCES) warn_once(key, error);
        return error;
    }
    auto& watched = folders_[wd];
    watched.kind = kind;
    if (watched.trees.insert(key).second) tree.folders.push_back(wd);
    return 0;
}

void FileNotifier::drop_folders(const std::string& key, Tree& tree)
{
    tree.knows_cursor = false;
    for (const int wd : std::exchange(tree.folders, {})) {
        const auto found = folders_.find(wd);
        if (found == folders_.end()) continue;
        found->second.trees.erase(key);
        if (!found->second.trees.empty()) continue;
        folders_.erase(found);
        (void)::inotify_rm_watch(inotify_.get(), wd);
    }
}

void FileNotifier::warn_once(const std::string& tree, int error)
{
    if (!warned_.insert(error).second) return;
    logging::log(logging::LogLevel::warning, "no file events{}{}: {}; polling instead",
                 tree.empty() ? "" : " of ", text::printable(tree), reason_of(error));
}

void FileNotifier::start_reading()
{
    const int fd = ::fcntl(inotify_.get(), F_DUPFD_CLOEXEC, 0);
    if (fd < 0) {
        give_up(errno);
        return;
    }
    auto reader = std::make_shared<Reader>(strand_, fd);
    {
        const std::lock_guard lock(mutex_);
        reader_ = reader;
    }
    read(std::move(reader));
}

// From now on, subscribers poll. They are called once more, so that they begin.
void FileNotifier::give_up(int error)
{
    {
        const std::lock_guard lock(mutex_);
        warn_once("", error);
        broken_ = error;
        for (auto& [key, tree] : trees_) tree.error = error;
    }
    const bool idle = changed_.empty();
    wake_all();
    if (idle) wake_slice();
}

void FileNotifier::read(std::shared_ptr<Reader> reader)
{
    {
        const std::lock_guard lock(mutex_);
        if (trees_.empty() || broken_ != 0) {
            reading_ = false;
            return;
        }
    }
    auto& r = *reader;
    r.stream.async_read_some(
        asio::buffer(r.buffer),
        asio::bind_executor(strand_, [self = shared_from_this(), reader = std::move(reader)](
                                         error_code ec, std::size_t size) mutable {
            if (!ec) self->take(reader->buffer.data(), size);
            if (ec && ec != asio::error::operation_aborted) self->give_up(ec.value());
            self->read(std::move(reader));
        }));
}

void FileNotifier::take(const char* events, std::size_t size)
{
    const bool idle = changed_.empty();
    for (std::size_t at = 0; at + sizeof(inotify_event) <= size;) {
        inotify_event event{};
        std::memcpy(&event, events + at, sizeof event);
        const auto* const name = events + at + sizeof event;
        take(event, {name, ::strnlen(name, event.len)});
        at += sizeof event + event.len;
    }
    if (idle) wake_slice();
}

void FileNotifier::take(const inotify_event& event, std::string_view name)
{
    if ((event.mask & IN_Q_OVERFLOW) != 0) {
        wake_all();
        return;
    }
    const std::lock_guard lock(mutex_);
    const auto found = folders_.find(event.wd);
    if (found == folders_.end()) return;
    const auto kind = found->second.kind;
    const bool gone = (event.mask & (IN_IGNORED | IN_DELETE_SELF | IN_MOVE_SELF | IN_UNMOUNT)) != 0;
    const bool of_agents = gone && (kind == FolderKind::root || kind == FolderKind::other);
    const auto concerned = of_agents ? Concerned::all
                           : gone    ? Concerned::executors
                                     : concerned_by(kind, event.mask, name);
    if (concerned == Concerned::none) return;
    for (const auto& key : found->second.trees) changed_[key] = std::max(changed_[key], concerned);
    if (gone) {
        uncover(event.wd, event.mask);
    } else if (kind == FolderKind::root && name == control_files::cursor_folder) {
        stale_.insert(found->second.trees.begin(), found->second.trees.end());
    }
}

FileNotifier::Concerned FileNotifier::concerned_by(FolderKind kind, std::uint32_t mask,
                                                   std::string_view name) const
{
    const bool begins = (mask & IN_CREATE) != 0;
    // A claim is made under another name, under which it is closed, too.
    if (kind == FolderKind::claims)
        return begins && name.starts_with(".tmp.") ? Concerned::none : Concerned::executors;
    if (kind == FolderKind::cursor) return Concerned::executors;
    if (kind == FolderKind::other || (mask & IN_ISDIR) != 0) return Concerned::all;
    if (begins) return Concerned::none;  // it has no content yet
    if (name == control_files::command || name == control_files::cancel) return Concerned::all;
    return name == options_.status_file_name || name == control_files::cursor_folder
               ? Concerned::executors
               : Concerned::none;
}

void FileNotifier::uncover(int wd, std::uint32_t mask)
{
    const auto found = folders_.find(wd);
    const auto kind = found->second.kind;
    for (const auto& key : found->second.trees) {
        const auto tree = trees_.find(key);
        if (tree == trees_.end()) continue;
        std::erase(tree->second.folders, wd);
        // A new one in its place is seen in the root, or was watched by a later subscription.
        if (kind != FolderKind::cursor && !has_folder(tree->second, kind))
            (kind == FolderKind::claims ? tree->second.claims_error : tree->second.error) = ESTALE;
    }
    folders_.erase(found);
    // After the other events, the kernel removes it.
    if ((mask & IN_MOVE_SELF) != 0) (void)::inotify_rm_watch(inotify_.get(), wd);
}

bool FileNotifier::has_folder(const Tree& tree, FolderKind kind) const
{
    return std::any_of(tree.folders.begin(), tree.folders.end(), [&](int wd) {
        const auto found = folders_.find(wd);
        return found != folders_.end() && found->second.kind == kind;
    });
}

void FileNotifier::wake_all()
{
    const std::lock_guard lock(mutex_);
    for (const auto& [key, tree] : trees_) {
        changed_[key] = Concerned::all;
        stale_.insert(key);
    }
}

void FileNotifier::wake_slice()
{
    for (std::size_t n = 0; n < slice && !changed_.empty(); ++n) {
        const auto item = changed_.extract(changed_.begin());
        const auto& key = item.key();
        if (stale_.erase(key) > 0) renew(key);
        if (item.mapped() == Concerned::all)
            local_->notify(key);
        else
            local_->notify_report(key);
    }
    if (!changed_.empty()) asio::post(strand_, [self = shared_from_this()] { self->wake_slice(); });
}

}  // namespace

std::shared_ptr<Notifier> file_notifier(const asio::any_io_executor& ex,
                                        FileNotifierOptions options)
{
    return std::make_shared<FileNotifier>(ex, std::move(options));
}

}  // namespace autoexec::inline v1
