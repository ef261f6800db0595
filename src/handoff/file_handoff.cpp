#include "handoff/file_handoff.hpp"

#include "git_files/exclude.hpp"
#include "git_files/git_dir.hpp"
#include "handoff/answers.hpp"
#include "handoff/claims.hpp"
#include "handoff/offers.hpp"
#include "handoff/shared_git_dir.hpp"
#include "handoff/taken_names.hpp"
#include "protocol/command_file.hpp"
#include "protocol/status.hpp"
#include "text/text.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <map>
#include <mutex>
#include <optional>
#include <string_view>

namespace autoexec::handoff {
namespace {

using files::Links;
using files::UniqueFd;
namespace fs = std::filesystem;

// Entries read of an artifact that is a folder: enough to detect content, but no walk through a
// whole dependency tree.
constexpr int max_entries = 2000;
constexpr int max_depth = 12;
constexpr int no_folder = -1;

bool is_control(char c)
{
    return (c >= 0 && c < ' ') || c == 127;
}

void newest_file(int folder, int depth, int& budget, ArtifactState& newest)
{
    for (const auto& name : files::list_folder(folder, static_cast<std::size_t>(budget))) {
        if (--budget <= 0) return;
        struct stat st {};
        if (::fstatat(folder, name.c_str(), &st, AT_SYMLINK_NOFOLLOW) != 0) continue;
        if (S_ISREG(st.st_mode)) {
            const auto stamp = files::stamp_of(st);
            if (!newest.present || stamp.modified_ns > newest.stamp.modified_ns)
                newest.stamp = stamp;
            newest.present = true;
        } else if (S_ISDIR(st.st_mode) && depth < max_depth) {
            error_code ec;
            const auto inner =
                files::open_beneath(folder, name, O_RDONLY | O_DIRECTORY, Links::none, ec);
            if (inner) newest_file(inner.get(), depth + 1, budget, newest);
        }
    }
}

std::vector<FoundFile> find_statuses(int worktree, const FileHandoffOptions& options,
                                     const files::Owners& owners)
{
    std::vector<FoundFile> found;
    const auto& name = options.status_file_name;
    for (const auto& path : {name, std::string(control_files::cursor_folder) + '/' + name}) {
        auto file = files::read_regular(worktree, path, options.max_status_bytes, owners);
        if (file.state != FoundFile::State::absent) found.push_back(std::move(file));
    }
    return found;
}

// The first one that is valid.
StatusCheck parse_statuses(const std::vector<FoundFile>& found)
{
    StatusCheck check;
    for (const auto& file : found) {
        check.status_file_exists = true;
        check.problem = file.problem;
        if (file.state != FoundFile::State::present) continue;
        auto reading = protocol::parse_status(file.text);
        check.problem = reading.problem;
        if (reading.kind != protocol::StatusReading::Kind::valid) continue;
        check.status = std::move(reading.status);
        break;
    }
    return check;
}

/// Keeps the control files out of git. Reads `info/exclude` again only if it has changed.
class Excludes {
public:
    void ensure(const fs::path& common_dir, std::string_view status_file_name)
    {
        const auto file = common_dir / "info/exclude";
        const std::lock_guard lock(mutex_);
        auto& complete = complete_[common_dir.string()];
        if (complete.inode != 0 && stamp_of(file) == complete) return;
        const bool done =
            git_files::exclude(common_dir, git_files::control_patterns(status_file_name));
        complete = done ? stamp_of(file) : FileStamp{};
    }

private:
    static FileStamp stamp_of(const fs::path& file)
    {
        struct stat st {};
        return ::stat(file.c_str(), &st) == 0 ? files::stamp_of(st) : FileStamp{};
    }

    std::mutex mutex_;
    std::map<std::string, FileStamp> complete_;  ///< The files that have all patterns.
};

/// Whose files count in the worktrees of each owner.
class KnownOwners {
public:
    /// `allowed`: always the same.
    const files::Owners& of(unsigned worktree_owner, const files::Owners& allowed)
    {
        const std::lock_guard lock(mutex_);
        const auto [found, is_new] = owners_.try_emplace(worktree_owner, allowed);
        if (is_new) found->second.push_back(worktree_owner);
        return found->second;
    }

private:
    std::mutex mutex_;
    std::map<unsigned, files::Owners> owners_;
};

/// State shared by the mailboxes of one handoff, which may outlive it.
struct Context {
    explicit Context(FileHandoffOptions o)
        : options(std::move(o)), common_dir(git_files::common_dir_of(options.project_root))
    {}

    FileHandoffOptions options;
    std::optional<fs::path> common_dir;  ///< Common directory of the project's repository.
    mutable Excludes excludes;
    mutable SharedGitDirs git_dirs;
    mutable KnownOwners owners;
};

/// As large as the interface that it implements, with what is common to several of its functions.
class FileMailbox final : public Mailbox {
public:
    FileMailbox(std::shared_ptr<const Context> context, fs::path path, UniqueFd worktree)
        : context_(std::move(context)),
          path_(path.string()),
          worktree_(std::move(worktree)),
          claims_(FolderId{})
    {
        const auto st = stat_of(worktree_.get());
        claims_ = ClaimReader(folder_id(st));
        owners_ = &context_->owners.of(st.st_uid, options().allowed_owners);
    }

    ~FileMailbox() override { unlock(); }

    error_code try_lock() override
    {
        error_code shortage;
        const auto tree = git_files::find_tree_in(context_->common_dir, path_, shortage);
        if (shortage) return shortage;
        if (const auto ec = find_git_place(tree)) return ec;
        std::optional<OwnFolder> own;
        if (git_) own = make_own_folder(tree->git_dir);
        // Created before the lock: an agent that sees the lock must also see that offers are
        // required.
        if (const auto ec = begin_offers(own)) return ec;
        const auto ec = lock(own);
        if (!ec) return {};
        unlock();
        holder_.reset();
        if (git_) git_->offers.close();
        return ec;
    }

    [[nodiscard]] std::optional<GitTree> git_tree() const override
    {
        if (!git_) return std::nullopt;
        return git_->other_tree ? *git_->other_tree : GitTree{*git_dir(), common_dir(), path_};
    }

    std::optional<std::string> live_claim() override
    {
        if (locked_) {
            // Removed first: while this executor holds the worktree, an agent would run a left-over
            // command.
            const bool had_command =
                !at_lock_ || at_lock_->names.may_contain(control_files::command);
            if (had_command) (void)withdraw({});
            if (!had_command && at_lock_->claims_are_new) return std::nullopt;
            return reopen_claims() ? claims_.find_live(claims_folder_.get(), true) : std::nullopt;
        }
        error_code shortage;
        const auto tree = git_files::find_tree_in(context_->common_dir, path_, shortage);
        auto folder =
            find_claims_folder(worktree_.get(), tree ? std::optional(tree->git_dir) : std::nullopt);
        return folder ? ClaimReader(identity()).find_live(folder.get(), false) : std::nullopt;
    }

    error_code prepare() override
    {
        published_here_ = true;
        if (git_) context_->excludes.ensure(common_dir(), options().status_file_name);
        const auto names = at_lock_ ? std::move(at_lock_->names) : list_names();
        at_lock_.reset();
        remove_status(names);
        for (const auto* name : {control_files::cancel, control_files::command})
            if (const auto ec = clear(names, name)) return ec;
        remove_all_temporaries(names);
        // For the look that follows at once, before the command is published.
        nothing_left_ = !names.may_contain(options().status_file_name) &&
                        !names.may_contain(control_files::cursor_folder);
        return withdraw_offers({});
    }

    error_code publish(const PublishedFiles& files, Durability durability) override
    {
        nothing_left_ = false;
        at_lock_.reset();
        const std::array<std::pair<const char*, const std::string*>, 2> first = {{
            {control_files::metadata, &files.metadata},
            {control_files::simple, &files.simple},
        }};
        // Only the command file makes the attempt visible: these need no temporary file.
        for (const auto& [name, text] : first)
            if (durability == Durability::power ||
                files::create_file(worktree_.get(), name, *text, options().file_mode))
                if (const auto ec = put(name, *text, durability)) return ec;
        published_here_ = true;
        digest_ = text::sha256(files.command);
        if (const auto ec = offer(files.attempt_id, durability)) return ec;
        if (const auto ec = put(control_files::command, files.command, durability)) return ec;
        stamp_ = stamp_of_command();
        return {};
    }

    std::vector<FoundFile> look() override
    {
        if (std::exchange(nothing_left_, false)) return {};
        rest();
        return statuses();
    }

    ClaimState claim(const std::string& attempt_id) override
    {
        if (!has_claims_) return ClaimState::none;
        // An agent of this process tells: a program may remove the claim.
        if (const auto held = holder_ ? holder_->holds_claim(attempt_id) : std::nullopt)
            return *held ? ClaimState::live : ClaimState::free;
        return claims_.state(claim_place(), attempt_id);
    }

    bool offer_again(const std::string& attempt_id) override
    {
        const auto file = read_command();
        if (file.state != FoundFile::State::present) return false;
        const auto digest = text::sha256(file.text);
        std::string problem;
        const auto command = protocol::parse_command(file.text, problem);
        if (!command || command->attempt_id != attempt_id) return false;
        // An executor of version 1.1 publishes no offers.
        const auto offered = offered_digest(attempt_id);
        if (offered && *offered != text::hex(digest)) return false;
        digest_ = digest;
        return !offer(attempt_id, Durability::none);
    }

    bool command_replaced() override
    {
        const auto stamp = stamp_of_command();
        if (!digest_ || !stamp || stamp == stamp_) return false;
        const auto file = read_command();
        if (file.state == FoundFile::State::unreadable || file.state == FoundFile::State::absent)
            return false;
        if (file.state != FoundFile::State::present || text::sha256(file.text) != *digest_)
            return true;
        stamp_ = stamp;
        return false;
    }

    error_code withdraw(const std::string& attempt_id) override
    {
        const bool of_other_executor = !published_here_ && !attempt_id.empty();
        if (of_other_executor && attempt_in(read_command()) != attempt_id) return {};
        // Renamed first: an agent that has it open reads the name again after claiming.
        const auto away = control_files::temporary_prefix + text::new_uuid();
        if (::renameat(worktree_.get(), control_files::command, worktree_.get(), away.c_str()) != 0)
            return errno == ENOENT ? error_code{} : files::last_error();
        // Kept until `clean`: it shows who owns files without an attempt id.
        if (of_other_executor)
            withdrawn_ = std::make_unique<const std::string>(away);
        else
            remove_temporary(worktree_.get(), away);
        return {};
    }

    error_code request_stop(const std::string& text) override
    {
        return put(control_files::cancel, text, Durability::none);
    }

    error_code answer(const std::string& attempt_id, const std::string& text) override
    {
        if (holder_ && holder_->answer(attempt_id, text)) return {};
        return put_answer_file(git_dir(), attempt_id, text, options().file_mode);
    }

    error_code clean(const std::string& attempt_id, bool keep_cancel) override
    {
        remove_answer_file(git_dir(), attempt_id);
        if (!published_here_ && !is_here(attempt_id))
            return has_claims_ && !keep_cancel ? claims_.remove(claim_place(), attempt_id)
                                               : error_code{};
        error_code first;
        const auto record = [&first](error_code ec) {
            if (!first) first = ec;
        };
        const auto names = list_names();
        for (const auto* name :
             {control_files::command, control_files::simple, control_files::metadata})
            record(clear(names, name));
        remove_status(names);
        record(withdraw_offers(attempt_id));
        // After files without an attempt id, so that a recovery can still identify those if this
        // process is killed.
        if (withdrawn_) remove_temporary(worktree_.get(), *withdrawn_);
        if (keep_cancel) return first;
        remove_all_temporaries(names);
        record(clear(names, control_files::cancel));
        if (has_claims_) record(claims_.remove(claim_place(), attempt_id));
        return first;
    }

    bool lost() override
    {
        struct stat st {};
        return ::stat(path_.c_str(), &st) != 0 || folder_id(st) != identity();
    }

    ArtifactState artifact(const std::string& path) override
    {
        ArtifactState state;
        error_code ec;
        const auto fd = files::open_beneath(worktree_.get(), path, O_PATH, Links::inside, ec);
        if (!fd) return state;
        const auto st = stat_of(fd.get());
        if (S_ISREG(st.st_mode)) {
            state.present = true;
            state.stamp = files::stamp_of(st);
        } else if (S_ISDIR(st.st_mode)) {
            const UniqueFd folder(::openat(fd.get(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
            int budget = max_entries;
            if (folder) newest_file(folder.get(), 0, budget, state);
        }
        return state;
    }

private:
    [[nodiscard]] std::optional<fs::path> git_dir() const
    {
        if (!git_) return std::nullopt;
        const auto& [base, below] = git_->place;
        return below == "." ? base->path() : base->path() / below;
    }
    [[nodiscard]] fs::path common_dir() const
    {
        return git_->other_tree ? git_->other_tree->common_dir : git_->place.base->path();
    }

    error_code begin_offers(const std::optional<OwnFolder>& own)
    {
        if (options().offers)
            holder_ = std::make_unique<Offers::Holder>(options().offers, identity());
        if (!own) return {};
        const auto ec = git_->offers.lock(*own, identity());
        // Like the claims, which are then in the worktree.
        if (ec == boost::system::errc::permission_denied ||
            ec == boost::system::errc::read_only_file_system ||
            ec == boost::system::errc::operation_not_permitted)
            return {};
        if (ec) holder_.reset();
        return ec;
    }

    // The claims are opened under the lock: its last holder may have removed their folder.
    error_code lock(const std::optional<OwnFolder>& own)
    {
        bool claims_are_new = false;
        auto ec = lock_folder(worktree_.get(), no_folder, lock_file_);
        if (ec && ec != errc::worktree_busy) {  // folders cannot be locked here
            ec = open_claims(own, claims_are_new);
            if (!ec) ec = lock_folder(worktree_.get(), claims_folder_.get(), lock_file_);
        }
        locked_ = !ec;
        if (ec) return ec;
        at_lock_ = std::make_unique<AtLock>();
        at_lock_->names = list_names();
        if (claims_folder_) return {};
        ec = open_claims(own, claims_are_new);
        at_lock_->claims_are_new = claims_are_new;
        return ec;
    }

    void unlock() noexcept
    {
        at_lock_.reset();
        claims_folder_ = UniqueFd();
        if (!std::exchange(locked_, false)) return;
        // Outside git, the claims are in the worktree: leave no empty folder there.
        if (claims_in_tree_)
            (void)::unlinkat(worktree_.get(), control_files::claims_folder, AT_REMOVEDIR);
        unlock_folder(worktree_.get(), lock_file_);
    }

    OwnNames list_names()
    {
        if (std::exchange(was_listed_, true) && ::lseek(worktree_.get(), 0, SEEK_SET) != 0)
            return {};
        return {worktree_.get(), options().status_file_name};
    }

    error_code put(const char* name, const std::string& text, Durability durability)
    {
        return replace_control_file(worktree_.get(), name, text, options().file_mode, durability);
    }

    error_code offer(const std::string& attempt_id, Durability durability)
    {
        if (attempt_id.empty()) return {};
        const auto digest = text::hex(*digest_);
        if (holder_) holder_->offer(attempt_id, digest);
        return git_ ? git_->offers.put(attempt_id, digest, durability) : error_code();
    }

    [[nodiscard]] std::optional<std::string> offered_digest(const std::string& attempt_id) const
    {
        return git_ ? git_->offers.digest_of(attempt_id) : std::nullopt;
    }

    error_code withdraw_offers(const std::string& attempt_id)
    {
        digest_.reset();
        if (has_claims_) claims_.forget(claim_place());
        if (holder_) holder_->withdraw_all();
        return git_ ? git_->offers.remove_all(attempt_id) : error_code();
    }

    std::vector<FoundFile> statuses()
    {
        return find_statuses(worktree_.get(), options(), *owners_);
    }

    FoundFile read_command() { return read_control(control_files::command); }

    FoundFile read_control(const std::string& name)
    {
        return files::read_regular(worktree_.get(), name, protocol::command_file_limit, *owners_);
    }

    std::optional<FileStamp> stamp_of_command()
    {
        struct stat st {};
        if (::fstatat(worktree_.get(), control_files::command, &st, AT_SYMLINK_NOFOLLOW) != 0)
            return std::nullopt;
        return files::stamp_of(st);
    }

    error_code open_claims(const std::optional<OwnFolder>& own, bool& is_new)
    {
        error_code ec;
        auto folder = own ? open_own_claims(*own, ec, &is_new) : UniqueFd();
        // Agents look for claims in the worktree only if there is no other place for them.
        claims_in_tree_ = !folder && !files::is_resource_shortage(ec);
        if (claims_in_tree_)
            folder = files::make_folder(worktree_.get(), control_files::claims_folder, ec, &is_new);
        if (folder) claims_ = ClaimReader(identity());
        has_claims_ |= static_cast<bool>(folder);
        claims_folder_ = std::move(folder);
        return ec;
    }

    bool reopen_claims()
    {
        const auto place = claim_place();
        error_code ec;
        if (!claims_folder_)
            claims_folder_ = files::open_beneath(place.base, place.claims, O_RDONLY | O_DIRECTORY,
                                                 Links::none, ec);
        return static_cast<bool>(claims_folder_);
    }

    // Below the repository's directory, which one descriptor for all its worktrees keeps open.
    error_code find_git_place(const std::optional<GitTree>& tree)
    {
        git_.reset();
        if (!tree) return {};
        const auto own = tree->git_dir.string();
        const auto shared = tree->common_dir.string() + '/';
        const bool is_below = own.starts_with(shared);
        error_code ec;
        auto base = context_->git_dirs.open(is_below ? tree->common_dir : tree->git_dir, ec);
        if (!base) return files::is_resource_shortage(ec) ? ec : error_code();
        git_ = std::make_unique<InGit>();
        git_->place = {std::move(base), is_below ? own.substr(shared.size()) : "."};
        const bool is_usual =
            tree->top.native() == path_ && (is_below || tree->common_dir == tree->git_dir);
        if (!is_usual) git_->other_tree = std::make_unique<const GitTree>(*tree);
        return {};
    }

    [[nodiscard]] ClaimPlace claim_place() const
    {
        if (claims_in_tree_) return {worktree_.get(), control_files::claims_folder, {}};
        const auto& [base, below] = git_->place;
        return {base->folder(), below + '/' + claims_in_git_dir,
                base->path_beside_lock(identity().inode)};
    }

    // While it waits, it needs no more than the worktree's descriptor.
    void rest()
    {
        if (!locked_) return;
        at_lock_.reset();
        claims_folder_ = UniqueFd();
        if (git_) git_->offers.rest();
    }

    UniqueFd open_cursor_folder()
    {
        error_code ec;
        return files::open_beneath(worktree_.get(), control_files::cursor_folder,
                                   O_RDONLY | O_DIRECTORY, Links::none, ec);
    }

    // A file that cannot be removed (another user's, say) is reported by each `look`.
    void remove_status(const OwnNames& names)
    {
        (void)clear(names, options().status_file_name);
        if (!names.may_contain(control_files::cursor_folder)) return;
        if (const auto other = open_cursor_folder())
            (void)clear_name(other.get(), options().status_file_name);
    }

    error_code clear(const OwnNames& names, const std::string& name)
    {
        return names.may_contain(name) ? clear_name(worktree_.get(), name) : error_code{};
    }

    // Left by an executor or agent that was killed while it wrote. No executor is writing, because
    // this one holds the lock; an agent whose rename fails writes again.
    void remove_all_temporaries(const OwnNames& names)
    {
        names.remove_temporaries(worktree_.get());
        if (!names.may_contain(control_files::cursor_folder)) return;
        if (const auto other = open_cursor_folder())
            OwnNames(other.get(), options().status_file_name).remove_temporaries(other.get());
    }

    static std::string attempt_in(const FoundFile& command_file)
    {
        std::string problem;
        const auto command = protocol::parse_command(command_file.text, problem);
        return command ? command->attempt_id : std::string();
    }

    // True if a file here names that attempt, so that the other files belong to it, too: any
    // process may have written a running record. A claim is no proof, because folders share them.
    bool is_here(const std::string& attempt_id)
    {
        if (offered_digest(attempt_id) || attempt_in(read_command()) == attempt_id) return true;
        const auto cancel = protocol::parse_cancel(read_control(control_files::cancel).text);
        if (cancel && cancel->attempt_id == attempt_id) return true;
        for (const auto& file : statuses())
            if (protocol::parse_status(file.text).status.attempt_id == attempt_id) return true;
        const auto names = files::list_folder(worktree_.get(), max_entries);
        return std::any_of(names.begin(), names.end(), [&](const std::string& name) {
            return name.starts_with(control_files::temporary_prefix) &&
                   attempt_in(read_control(name)) == attempt_id;
        });
    }

    /// What was found when the worktree had just been locked. Without a command among the names, no
    /// agent keeps a claim that it makes later, until one is published here.
    struct AtLock {
        OwnNames names;
        bool claims_are_new = false;  ///< Their folder was made after the names were listed.
    };

    /// Of a worktree in git, as of the lock.
    struct InGit {
        GitPlace place;
        OfferFolder offers{place};
        /// Null: its top is this folder, and the repository is that of `place`.
        std::unique_ptr<const GitTree> other_tree;
    };

    [[nodiscard]] const FolderId& identity() const noexcept { return claims_.worktree(); }
    [[nodiscard]] const FileHandoffOptions& options() const noexcept { return context_->options; }

    std::shared_ptr<const Context> context_;
    std::string path_;
    UniqueFd worktree_;
    // Destroyed after the lock is released: an agent that sees the lock must also see that offers
    // are required. Null: the worktree is outside git, or its repository cannot be opened.
    std::unique_ptr<InGit> git_;
    std::unique_ptr<Offers::Holder> holder_;
    UniqueFd lock_file_;
    std::optional<text::Sha256> digest_;  // of the published command
    std::optional<FileStamp> stamp_;      // of the file when last read
    ClaimReader claims_;
    UniqueFd claims_folder_;  // until the wait begins
    const files::Owners* owners_ = nullptr;
    std::unique_ptr<const std::string> withdrawn_;  // the name of another executor's command file
    std::unique_ptr<AtLock> at_lock_;               // until files are published or removed here
    bool locked_ = false;
    bool was_listed_ = false;  // so that the position of `worktree_` is not its start
    bool claims_in_tree_ = false;
    bool has_claims_ = false;    // they were opened when it was locked
    bool nothing_left_ = false;  // of statuses, by `prepare` just now
    bool published_here_ =
        false;  // the existing control files are this executor's, or there are none
};

class FileHandoff final : public Handoff {
public:
    explicit FileHandoff(FileHandoffOptions options)
        : context_(std::make_shared<const Context>(std::move(options)))
    {}

    std::unique_ptr<Mailbox> open(const fs::path& worktree, error_code& ec,
                                  std::string& problem) override
    {
        UniqueFd folder(::open(worktree.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
        if (!folder) {
            ec = files::last_error();
            std::error_code ignored;
            auto flaw = "cannot be opened: " + ec.message();
            if (ec.value() == ENOENT || ec.value() == ENOTDIR) {
                const bool is_file = ec.value() == ENOTDIR && fs::exists(worktree, ignored);
                flaw = is_file ? "is not a directory" : "does not exist";
                ec = errc::invalid_worktree;
            }
            problem = fmt::format(
                "The worktree '{}' {}. Create it (git worktree add) or specify another one.",
                worktree.string(), flaw);
            return nullptr;
        }
        if (::faccessat(folder.get(), ".", W_OK | X_OK, AT_EACCESS) != 0) {
            const auto reason = files::last_error().message();
            ec = errc::worktree_not_writable;
            problem = fmt::format(
                "The worktree '{}' is not writable: {}. The command file is written there.",
                worktree.string(), reason);
            return nullptr;
        }
        return std::make_unique<FileMailbox>(context_, worktree, std::move(folder));
    }

private:
    std::shared_ptr<const Context> context_;
};

}  // namespace

bool is_valid_status_name(std::string_view name)
{
    const auto& taken = control_files::executor_files;
    return !name.empty() && name.size() < 200 && name != "." && name != ".." && name != ".git" &&
           name != control_files::cursor_folder && name != control_files::claims_folder &&
           name.find('/') == std::string_view::npos &&
           std::none_of(name.begin(), name.end(), is_control) &&
           !name.starts_with(control_files::temporary_prefix) &&
           std::find(taken.begin(), taken.end(), name) == taken.end();
}

StatusCheck read_status(Mailbox& mailbox)
{
    auto check = parse_statuses(mailbox.look());
    check.completed = check.status && check.status->is_final() && !mailbox.live_claim();
    return check;
}

std::optional<AgentStatus> find_status(const fs::path& worktree,
                                       const std::string& status_file_name)
{
    const UniqueFd folder(::open(worktree.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!folder) return std::nullopt;
    FileHandoffOptions options;
    options.status_file_name = status_file_name;
    return parse_statuses(find_statuses(folder.get(), options, {stat_of(folder.get()).st_uid}))
        .status;
}

std::shared_ptr<Handoff> file_handoff(FileHandoffOptions options)
{
    return std::make_shared<FileHandoff>(std::move(options));
}

}  // namespace autoexec::handoff
