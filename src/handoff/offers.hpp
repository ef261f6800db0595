#pragma once

#include "autoexec/notifier.hpp"
#include "files/safe_files.hpp"
#include "handoff/claims.hpp"
#include "handoff/shared_git_dir.hpp"

#include <sys/stat.h>

#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

/// Offers record which command files an executor has published: an agent runs no others. Between
/// processes they are files in the git directory, which a program that can write only in its
/// worktree cannot create; within a process they are in memory.
namespace autoexec::handoff {

enum class OfferState {
    offered,
    refused,  ///< Its executor publishes offers, but did not offer this command.
    unknown,  ///< Its executor publishes no offers: version 1.1, or outside git.
};

}  // namespace autoexec::handoff

namespace autoexec::inline v1 {

class Offers : public std::enable_shared_from_this<Offers> {
public:
    /// An executor that holds a worktree or is about to. Destruction withdraws its offers.
    class Holder {
    public:
        Holder(std::shared_ptr<Offers> offers, const handoff::FolderId& worktree);
        ~Holder();
        Holder(const Holder&) = delete;
        Holder& operator=(const Holder&) = delete;

        void offer(const std::string& attempt_id, const std::string& digest);
        void withdraw_all();

        /// Hands an answer to the agent that has claimed this attempt. False if that is not one of
        /// this process.
        bool answer(const std::string& attempt_id, const std::string& text);

        /// Whether the agent that has claimed this attempt still works. Absent: it is not one of
        /// this process, or has not claimed the attempt.
        std::optional<bool> holds_claim(const std::string& attempt_id) const;

    private:
        friend class Offers;
        struct Claimed {
            bool held = true;
            std::string answer;  ///< Empty: none yet.
        };

        std::shared_ptr<Offers> offers_;
        // Of an attempt, guarded by `Offers`: a worktree has one at a time.
        std::string attempt_id_;
        std::string digest_;
        std::unique_ptr<Claimed> claimed_;
        bool short_ = false;  // an agent lacks resources to run what is offered
        std::multimap<handoff::FolderId, Holder*>::iterator position_;
    };

    /// `unknown`: no executor of this process holds the worktree.
    [[nodiscard]] handoff::OfferState state(const handoff::FolderId& worktree,
                                            const std::string& attempt_id,
                                            const std::string& digest) const;

    /// Tells the executor that offers it that an agent has claimed the attempt, before the program
    /// starts, which might remove the claim.
    void hand_over(const handoff::FolderId& worktree, const std::string& attempt_id);
    /// The same of the end of its work.
    void release(const handoff::FolderId& worktree, const std::string& attempt_id);
    /// Forgets that claim, whose agent is destroyed before the end of its work: its file decides.
    void forget_claim(const handoff::FolderId& worktree, const std::string& attempt_id);

    /// The answer for an attempt that an executor of this process offers, once; empty: none yet.
    /// Nullopt: no executor of this process offers it.
    std::optional<std::string> take_answer(const handoff::FolderId& worktree,
                                           const std::string& attempt_id);

    /// Reports that an agent lacks descriptors or memory to read an offer or write a status there.
    /// Returns true the first time after an offer or claim.
    bool report_shortage(const handoff::FolderId& worktree);
    /// True if a shortage was reported for this attempt.
    [[nodiscard]] bool is_short(const std::string& attempt_id) const;

private:
    Holder* find(const handoff::FolderId& worktree, const std::string& attempt_id) const;

    mutable std::mutex mutex_;
    std::multimap<handoff::FolderId, Holder*> holders_;
};

}  // namespace autoexec::inline v1

namespace autoexec::handoff {

/// The offers of one executor for one worktree: `<git dir>/autoexec/offers/<inode>/<attempt_id>`.
/// The inode is the worktree's: folders of one repository share its git directory. While its
/// executor holds the worktree, the folder is locked, or has a link to that executor's lock, so
/// that offers of a dead executor do not affect a later one of version 1.1.
class OfferFolder {
public:
    /// `git` outlives this.
    explicit OfferFolder(const GitPlace& git) : git_(git) {}
    ~OfferFolder() { close(); }
    OfferFolder(const OfferFolder&) = delete;
    OfferFolder& operator=(const OfferFolder&) = delete;

    /// Creates the folder and shows that it is held. `errc::worktree_busy`: by another executor.
    error_code lock(const OwnFolder& own, const FolderId& worktree);

    /// Replaces the offer of the attempt. Does nothing without a folder.
    error_code put(const std::string& attempt_id, const std::string& digest, Durability durability);
    [[nodiscard]] std::optional<std::string> digest_of(const std::string& attempt_id) const;
    /// Withdraws all offers: a worktree has at most one running attempt, and its executor calls
    /// this. `attempt_id`: of the offer, if that is known.
    error_code remove_all(const std::string& attempt_id);

    /// Keeps no descriptor, if that is possible: for an executor that will wait.
    void rest();

    /// Removes the folder if it is empty, and releases its lock.
    void close() noexcept;

private:
    [[nodiscard]] error_code reopen() const;
    bool hold_by_link();
    error_code hold();
    error_code mark();
    error_code link();

    const GitPlace& git_;
    ino_t worktree_ = 0;
    bool is_held_ = false;
    bool is_linked_ = false;
    bool is_marked_ = false;  ///< An empty file keeps the folder from being removed.
    bool may_link_ = true;
    bool has_own_ = false;     ///< The offer of an attempt.
    bool has_others_ = false;  ///< There may be further ones, of a killed executor.
    mutable files::UniqueFd folder_;
    files::UniqueFd lock_file_;
};

/// Whether the executor that holds the worktree has offered a command file with this digest.
OfferState offer_state(const std::optional<std::filesystem::path>& git_dir,
                       const struct stat& worktree, const std::string& attempt_id,
                       const std::string& digest, const files::Owners& owners);

}  // namespace autoexec::handoff
