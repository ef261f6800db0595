#pragma once

#include "autoexec/notifier.hpp"
#include "files/safe_files.hpp"
#include "handoff/claims.hpp"

#include <sys/stat.h>

#include <compare>
#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

/// Which command files an engine has published: an agent runs no other. Between processes by files
/// in the git directory, which a program that can write only in its worktree can't make; within a
/// process in memory.
namespace autoexec::handoff {

/// A folder, however its path is written.
struct FolderId {
    dev_t device = 0;
    ino_t inode = 0;

    auto operator<=>(const FolderId&) const = default;  // NOLINT(modernize-use-nullptr): its 0
};

inline FolderId folder_id(const struct stat& st) noexcept
{
    return {st.st_dev, st.st_ino};
}

enum class OfferState {
    offered,
    refused,  ///< Its engine publishes offers, and none of this command.
    unknown,  ///< Its engine publishes no offers: it is of version 1.1, or works outside git.
};

}  // namespace autoexec::handoff

namespace autoexec {

class Offers : public std::enable_shared_from_this<Offers> {
public:
    /// An engine that holds a worktree, or is about to; its offers end with it.
    class Holder {
    public:
        Holder(std::shared_ptr<Offers> offers, const handoff::FolderId& worktree);
        ~Holder();
        Holder(const Holder&) = delete;
        Holder& operator=(const Holder&) = delete;

        void offer(const std::string& attempt_id, const std::string& digest);
        void withdraw_all();

        /// The claim that an agent has handed over for this attempt; once.
        std::optional<files::UniqueFd> take_claim(const std::string& attempt_id);

    private:
        friend class Offers;
        std::shared_ptr<Offers> offers_;
        // By attempt; guarded by Offers.
        std::map<std::string, std::string> digests_;
        std::map<std::string, files::UniqueFd> claims_;
        bool short_ = false;  // an agent lacks resources for what is offered
        std::multimap<handoff::FolderId, Holder*>::iterator place_;
    };

    /// `unknown`: no engine of this process holds the worktree.
    [[nodiscard]] handoff::OfferState state(const handoff::FolderId& worktree,
                                            const std::string& attempt_id,
                                            const std::string& digest) const;

    /// Hands the claim of an offered attempt, opened for reading, to the engine that offers it.
    /// That engine then knows the claim before the program starts, which might remove it. Empty: it
    /// could not be opened again.
    void hand_over(const handoff::FolderId& worktree, const std::string& attempt_id,
                   files::UniqueFd claim);

    /// An agent has no descriptor or memory to look at, or to report, what is offered there. True
    /// the first time since that was offered or claimed.
    bool report_shortage(const handoff::FolderId& worktree);
    /// Whether that is so for this attempt.
    [[nodiscard]] bool is_short(const std::string& attempt_id) const;

private:
    mutable std::mutex mutex_;
    std::multimap<handoff::FolderId, Holder*> holders_;
};

}  // namespace autoexec

namespace autoexec::handoff {

/// The offers of one engine for one worktree: `<git dir>/autoexec/offers/<inode>/<attempt_id>`. The
/// inode is the worktree's: folders of one repository share its git directory. The folder is locked
/// as long as its engine holds the worktree, so that the offers of a dead engine say nothing about
/// an engine of version 1.1 that comes after it.
class OfferFolder {
public:
    /// Creates and locks the folder. `busy`: another engine has it; `failed`: `errno` says why.
    LockResult lock(const std::filesystem::path& git_dir, const struct stat& worktree);
    OfferFolder() = default;
    ~OfferFolder() { close(); }
    OfferFolder(const OfferFolder&) = delete;
    OfferFolder& operator=(const OfferFolder&) = delete;

    /// False where there is no git directory that can be written to.
    explicit operator bool() const noexcept { return static_cast<bool>(folder_); }

    /// Replaces the offer of the attempt. Nothing happens without a folder.
    error_code put(const std::string& attempt_id, const std::string& digest, Durability durability);
    [[nodiscard]] std::optional<std::string> digest_of(const std::string& attempt_id) const;
    /// Of all attempts: at most one of a worktree is in flight, and its engine calls this.
    error_code remove_all();

    /// Removes the folder if it is empty, and gives up its lock.
    void close() noexcept;

private:
    std::filesystem::path path_;
    files::UniqueFd folder_;
    files::UniqueFd lock_file_;
};

/// What the engine that holds the worktree says about a command file with this digest.
OfferState offer_state(const std::optional<std::filesystem::path>& git_dir,
                       const struct stat& worktree, const std::string& attempt_id,
                       const std::string& digest, const files::Owners& owners);

}  // namespace autoexec::handoff
