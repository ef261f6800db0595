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
#include <boost/intrusive/slist.hpp>

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
// Entries of a folder that are named to its subscribers at once.
constexpr std::size_t max_names_of_folder = 4096;

// Of a tree: its root or, if it is no worktree, the folder itself; and what is in a worktree.
enum class FolderKind { root, cursor, claims };
constexpr int not_watched = -1;

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

// Of very many names, none is worth more than the others.
void add_name(std::set<std::string>& names, std::string_view name)
{
    if (names.size() >= max_names_of_folder)
        names = {""};
    else
        names.emplace(name);
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
    Subscription watch_entries(const fs::path& folder,
                               std::function<void(const std::string& name)> changed) override;
    void notify(const fs::path& worktree) override { call(key_of(worktree), Concerned::all); }
    void notify_report(const fs::path& worktree) override
    {
        call(key_of(worktree), Concerned::executors);
    }
    [[nodiscard]] Coverage coverage(const fs::path& worktree) const override;
    [[nodiscard]] std::string problem(const fs::path& worktree) const override;

private:
    enum class Role { executor, agent, of_folder };
    /// Who must be called after an event.
    enum class Concerned { none, executors, all };
    struct Subscriber;
    struct Tree;
    using Trees = std::map<std::string, Tree>;
    using Entry = Trees::value_type;
    /// What a subscription owns.
    struct Subscriber : std::enable_shared_from_this<Subscriber> {
        Subscriber(std::shared_ptr<FileNotifier> n, std::function<void()> f, Role r)
            : notifier(std::move(n)), changed(std::move(f)), role(r)
        {}
        ~Subscriber() { notifier->leave(*this); }
        Subscriber(const Subscriber&) = delete;
        Subscriber& operator=(const Subscriber&) = delete;

        std::shared_ptr<FileNotifier> notifier;
        std::function<void()> changed;
        Entry* tree = nullptr;
        boost::intrusive::slist_member_hook<> of_tree;  // few have one tree
        Role role;
    };
    struct Tree {
        boost::intrusive::slist<
            Subscriber,
            boost::intrusive::member_hook<Subscriber, decltype(Subscriber::of_tree),
                                          &Subscriber::of_tree>,
            boost::intrusive::constant_time_size<false>>
            subscribers;
        std::array<int, 3> watches{not_watched, not_watched, not_watched};  ///< By `FolderKind`.
        int error = 0;            ///< Why it is not covered; 0: it is, or is not meant to be.
        int claims_error = 0;     ///< The same, for executors alone.
        bool has_events = false;  ///< It is meant to be covered.
        bool is_worktree = true;
        bool knows_cursor = false;  ///< `.cursor` is watched, or there was none.

        [[nodiscard]] int& watch(FolderKind kind) { return watches.at(std::size_t(kind)); }
        /// Of a watch that it has.
        [[nodiscard]] FolderKind kind_of(int wd) const
        {
            return FolderKind(std::find(watches.begin(), watches.end(), wd) - watches.begin());
        }
        [[nodiscard]] bool is_watched() const { return watches.front() != not_watched; }
        /// They need claims and `.cursor`, too.
        [[nodiscard]] bool has_executors() const
        {
            return std::any_of(subscribers.begin(), subscribers.end(),
                               [](const Subscriber& one) { return one.role == Role::executor; });
        }
        [[nodiscard]] int problem() const
        {
            return error == 0 && has_executors() ? claims_error : error;
        }
    };
    using CallWithName = std::function<void(const std::string& name)>;
    using EntryWatchers = std::multimap<std::string, std::shared_ptr<CallWithName>>;
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

    static std::string key_of(const fs::path& tree) { return files::normal_path(tree); }
    Subscription subscribe(const fs::path& path, std::function<void()> changed, Role role);
    void leave(Subscriber& one);
    void call(const std::string& key, Concerned concerned);
    Folders find_folders(const std::string& key, TreeSearch search);
    [[nodiscard]] bool watches_root(const std::string& key) const;
    int find_claims(const std::string& key, TreeSearch search,
                    std::vector<std::string>& claims) const;
    void add_folders(Entry& entry, const Folders& folders);
    void renew(const std::string& key);
    int add_folder(Entry& entry, const std::string& folder, FolderKind kind);
    void drop_folder(Entry& entry, FolderKind kind);
    void drop_folders(Entry& entry);
    void uncover(int wd, std::uint32_t mask);
    void warn_once(const std::string& tree, int error);

    void start_reading();
    void give_up(int error);
    void read(std::shared_ptr<Reader> reader);
    void take(const char* events, std::size_t size);
    void take(const inotify_event& event, std::string_view name);
    void wake_all();
    void wake_slice();
    void call_with_names(const std::string& key);
    [[nodiscard]] Concerned concerned_by(const Tree& tree, FolderKind kind, std::uint32_t mask,
                                         std::string_view name) const;

    FileNotifierOptions options_;
    asio::strand<asio::any_io_executor> strand_;
    std::optional<fs::path> common_dir_;
    files::UniqueFd inotify_;

    mutable std::mutex mutex_;  // for all below
    Trees trees_;
    std::size_t with_events_ = 0;  ///< Trees of which events are read, as long as there are any.
    /// By watch descriptor. Usually one tree; the folders of a repository share a git directory.
    std::unordered_multimap<int, Entry*> folders_;
    /// Of folders whose entries are named. There are few.
    EntryWatchers entry_watchers_;
    std::set<int> warned_;
    bool reading_ = false;
    int broken_ = 0;  ///< The error; 0: events can be read.
    std::weak_ptr<Reader> reader_;

    // On the strand alone: the trees whose subscribers are still to be called.
    std::map<std::string, Concerned> changed_;
    std::set<std::string> stale_;  ///< Those of them whose watches may be out of date.
    /// The entries of folders that have changed. An empty name: any may have.
    std::map<std::string, std::set<std::string>> changed_names_;
};

Notifier::Subscription FileNotifier::watch(const fs::path& worktree, std::function<void()> changed)
{
    return subscribe(worktree, std::move(changed), Role::executor);
}

Notifier::Subscription FileNotifier::watch_commands(const fs::path& worktree,
                                                    std::function<void()> changed)
{
    return subscribe(worktree, std::move(changed), Role::agent);
}

Notifier::Subscription FileNotifier::watch_folder(const fs::path& folder,
                                                  std::function<void()> changed)
{
    return subscribe(folder, std::move(changed), Role::of_folder);
}

Notifier::Subscription FileNotifier::watch_entries(
    const fs::path& folder, std::function<void(const std::string& name)> changed)
{
    const auto watcher = std::make_shared<CallWithName>(std::move(changed));
    EntryWatchers::iterator where;
    {
        const std::lock_guard lock(mutex_);
        where = entry_watchers_.emplace(key_of(folder), watcher);
    }
    auto inner = subscribe(
        folder, [] {}, Role::of_folder);
    return {watcher.get(),
            [self = shared_from_this(), where, inner = std::move(inner)](void*) mutable {
                {
                    const std::lock_guard lock(self->mutex_);
                    self->entry_watchers_.erase(where);
                }
                inner.reset();
            }};
}

Notifier::Subscription FileNotifier::subscribe(const fs::path& path, std::function<void()> changed,
                                               Role role)
{
    const auto key = key_of(path);
    const bool is_worktree = role != Role::of_folder;
    const bool has_events = !is_worktree || options_.worktrees;
    // An executor has just locked it.
    const TreeSearch search = role == Role::executor ? &git_files::find_recent_tree_in : nullptr;
    const auto folders = inotify_ && has_events ? find_folders(key, search) : Folders{};
    auto subscriber = std::make_shared<Subscriber>(shared_from_this(), std::move(changed), role);
    const std::lock_guard lock(mutex_);
    auto& entry = *trees_.try_emplace(key).first;
    auto& tree = entry.second;
    tree.subscribers.push_front(*subscriber);
    subscriber->tree = &entry;
    if (!has_events) return subscriber;
    if (!std::exchange(tree.has_events, true)) ++with_events_;
    if (std::exchange(tree.is_worktree, is_worktree) != is_worktree)
        drop_folder(entry, FolderKind::root);
    add_folders(entry, folders);
    if (tree.error == 0 && !std::exchange(reading_, true))
        asio::post(strand_, [self = shared_from_this()] { self->start_reading(); });
    return subscriber;
}

void FileNotifier::leave(Subscriber& one)
{
    const std::lock_guard lock(mutex_);
    if (one.tree == nullptr) return;
    auto& tree = one.tree->second;
    tree.subscribers.erase(tree.subscribers.iterator_to(one));
    if (!tree.subscribers.empty()) return;
    drop_folders(*one.tree);
    if (tree.has_events) --with_events_;
    trees_.erase(trees_.find(one.tree->first));
    if (with_events_ > 0) return;
    // A pending read would keep the context running.
    if (reader_.lock())
        asio::post(strand_, [weak = reader_] {
            if (const auto reader = weak.lock()) reader->stream.cancel();
        });
}

// Outside the lock: who is called may subscribe or unsubscribe.
void FileNotifier::call(const std::string& key, Concerned concerned)
{
    std::vector<std::shared_ptr<Subscriber>> called;
    {
        const std::lock_guard lock(mutex_);
        const auto tree = trees_.find(key);
        if (tree == trees_.end()) return;
        for (auto& one : tree->second.subscribers)
            if (concerned == Concerned::all || one.role != Role::agent)
                called.push_back(one.weak_from_this().lock());
    }
    for (const auto& one : called)
        if (one) one->changed();
}

Coverage FileNotifier::coverage(const fs::path& worktree) const
{
    const std::lock_guard lock(mutex_);
    const auto found = trees_.find(key_of(worktree));
    const bool is_covered =
        found != trees_.end() && found->second.is_watched() && found->second.problem() == 0;
    return is_covered ? Coverage::all : Coverage::own_process;
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
    return tree != trees_.end() && tree->second.error == 0 && tree->second.is_watched();
}

// The claims again for each executor: outside git, they are removed after each command.
void FileNotifier::add_folders(Entry& entry, const Folders& folders)
{
    const auto& key = entry.first;
    auto& tree = entry.second;
    tree.error = broken_ != 0 ? broken_ : folders.error;
    if (tree.error != 0) return;
    if (!tree.is_watched()) {
        tree.knows_cursor = false;
        tree.error = add_folder(entry, key, FolderKind::root);
    }
    if (tree.error != 0 || !tree.has_executors()) return;
    // Most worktrees have none; a later one is seen in the root.
    if (!std::exchange(tree.knows_cursor, true))
        (void)add_folder(entry, key + '/' + control_files::cursor_folder, FolderKind::cursor);
    if (!folders.claims.empty()) tree.claims_error = 0;
    for (const auto& claims : folders.claims) {
        tree.claims_error = add_folder(entry, claims, FolderKind::claims);
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
        if (tree == trees_.end() || !tree->second.is_watched()) return;
        with_claims = tree->second.has_executors();
    }
    const auto folders = find_folders(key, with_claims ? &git_files::find_tree_in : nullptr);
    const std::lock_guard lock(mutex_);
    const auto tree = trees_.find(key);
    if (tree == trees_.end() || tree->second.problem() != 0) return;
    drop_folders(*tree);
    add_folders(*tree, folders);
}

// Returns the error; 0 if the folder is watched.
int FileNotifier::add_folder(Entry& entry, const std::string& folder, FolderKind kind)
{
    auto events = watched_events;
    if (kind != FolderKind::root)
        events |= IN_DONT_FOLLOW;
    else if (!entry.second.is_worktree)
        events |= IN_DELETE | IN_MOVED_FROM;
    if (entry_watchers_.contains(entry.first)) events |= IN_MODIFY;
    const int wd = ::inotify_add_watch(inotify_.get(), folder.c_str(), events);
    if (wd < 0) {
        const int error = errno;
        if (error != ENOENT && error != ENOTDIR && error != EACCES) warn_once(entry.first, error);
        return error;
    }
    auto& watched = entry.second.watch(kind);
    if (watched == wd) return 0;
    drop_folder(entry, kind);  // was removed, which is still to be read
    folders_.emplace(wd, &entry);
    watched = wd;
    return 0;
}

void FileNotifier::drop_folder(Entry& entry, FolderKind kind)
{
    const int wd = std::exchange(entry.second.watch(kind), not_watched);
    if (wd == not_watched) return;
    const auto [first, last] = folders_.equal_range(wd);
    folders_.erase(
        std::find_if(first, last, [&](const auto& folder) { return folder.second == &entry; }));
    if (!folders_.contains(wd)) (void)::inotify_rm_watch(inotify_.get(), wd);
}

void FileNotifier::drop_folders(Entry& entry)
{
    entry.second.knows_cursor = false;
    for (const auto kind : {FolderKind::root, FolderKind::cursor, FolderKind::claims})
        drop_folder(entry, kind);
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
        for (auto& [key, tree] : trees_)
            if (tree.is_watched()) tree.error = error;
    }
    const bool idle = changed_.empty();
    wake_all();
    if (idle) wake_slice();
}

void FileNotifier::read(std::shared_ptr<Reader> reader)
{
    {
        const std::lock_guard lock(mutex_);
        if (with_events_ == 0 || broken_ != 0) {
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
    const bool gone = (event.mask & (IN_IGNORED | IN_DELETE_SELF | IN_MOVE_SELF | IN_UNMOUNT)) != 0;
    const std::lock_guard lock(mutex_);
    const auto [first, last] = folders_.equal_range(event.wd);
    for (auto it = first; it != last; ++it) {
        const auto& [key, tree] = *it->second;
        const auto kind = tree.kind_of(event.wd);
        const bool is_root = kind == FolderKind::root;
        const auto concerned = !gone     ? concerned_by(tree, kind, event.mask, name)
                               : is_root ? Concerned::all
                                         : Concerned::executors;
        if (concerned == Concerned::none) continue;
        auto& before = changed_[key];
        before = std::max(before, concerned);
        if (entry_watchers_.contains(key))
            add_name(changed_names_[key], gone ? std::string_view() : name);
        if (is_root && !gone && name == control_files::cursor_folder) stale_.insert(key);
    }
    if (gone) uncover(event.wd, event.mask);
}

FileNotifier::Concerned FileNotifier::concerned_by(const Tree& tree, FolderKind kind,
                                                   std::uint32_t mask, std::string_view name) const
{
    const bool begins = (mask & IN_CREATE) != 0;
    // A claim is made under another name, under which it is closed, too.
    if (kind == FolderKind::claims)
        return begins && name.starts_with(".tmp.") ? Concerned::none : Concerned::executors;
    if (kind == FolderKind::cursor) return Concerned::executors;
    if (!tree.is_worktree || (mask & IN_ISDIR) != 0) return Concerned::all;
    if (begins) return Concerned::none;  // it has no content yet
    if (name == control_files::command || name == control_files::cancel) return Concerned::all;
    return name == options_.status_file_name || name == control_files::cursor_folder
               ? Concerned::executors
               : Concerned::none;
}

void FileNotifier::uncover(int wd, std::uint32_t mask)
{
    const auto [first, last] = folders_.equal_range(wd);
    for (auto it = first; it != last; ++it) {
        auto& tree = it->second->second;
        const auto kind = tree.kind_of(wd);
        tree.watch(kind) = not_watched;
        // A new `.cursor` is seen in the root.
        if (kind == FolderKind::root) tree.error = ESTALE;
        if (kind == FolderKind::claims) tree.claims_error = ESTALE;
    }
    folders_.erase(first, last);
    // After the other events, the kernel removes it.
    if ((mask & IN_MOVE_SELF) != 0) (void)::inotify_rm_watch(inotify_.get(), wd);
}

void FileNotifier::wake_all()
{
    const std::lock_guard lock(mutex_);
    for (const auto& [key, tree] : trees_) {
        changed_[key] = Concerned::all;
        stale_.insert(key);
        if (entry_watchers_.contains(key)) changed_names_[key] = {""};
    }
}

void FileNotifier::wake_slice()
{
    for (std::size_t n = 0; n < slice && !changed_.empty(); ++n) {
        const auto item = changed_.extract(changed_.begin());
        const auto& key = item.key();
        if (stale_.erase(key) > 0) renew(key);
        call(key, item.mapped());
        call_with_names(key);
    }
    if (!changed_.empty()) asio::post(strand_, [self = shared_from_this()] { self->wake_slice(); });
}

void FileNotifier::call_with_names(const std::string& key)
{
    const auto names = changed_names_.extract(key);
    if (names.empty()) return;
    std::vector<std::shared_ptr<CallWithName>> called;
    {
        const std::lock_guard lock(mutex_);
        const auto [first, last] = entry_watchers_.equal_range(key);
        for (auto it = first; it != last; ++it) called.push_back(it->second);
    }
    for (const auto& name : names.mapped())
        for (const auto& watcher : called) (*watcher)(name);
}

}  // namespace

std::shared_ptr<Notifier> file_notifier(const asio::any_io_executor& ex,
                                        FileNotifierOptions options)
{
    return std::make_shared<FileNotifier>(ex, std::move(options));
}

}  // namespace autoexec::inline v1
