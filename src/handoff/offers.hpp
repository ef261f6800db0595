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
#include <set>
#include <string>

/// Offers record which command files an executor has published: an agent runs no others. Between
/// processes they are files in the git directory, which a program that can write only in its
/// worktree cannot create; within a process they are in memory.
namespace autoexec::handoff {

/// Identifies a folder independently of its path.
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

        /// The claim that an agent has handed over for this attempt. Returned once.
        std::optional<files::UniqueFd> claim_handed_over(const std::string& attempt_id);

    private:
        friend class Offers;
        std::shared_ptr<Offers> offers_;
        // By attempt id; guarded by `Offers`.
        std::map<std::string, std::string> digests_;
        std::map<std::string, files::UniqueFd> claims_;
        std::map<std::string, std::string> answers_;  // empty: none yet, but claimed here
        bool short_ = false;  // an agent lacks resources to run what is offered
        std::multimap<handoff::FolderId, Holder*>::iterator position_;
    };

    /// `unknown`: no executor of this process holds the worktree.
    [[nodiscard]] handoff::OfferState state(const handoff::FolderId& worktree,
                                            const std::string& attempt_id,
                                            const std::string& digest) const;

    /// Passes the claim of an offered attempt, opened for reading, to the executor that offers it,
    /// before the program starts, which might remove the claim. Empty: it could not be reopened.
    void hand_over(const handoff::FolderId& worktree, const std::string& attempt_id,
                   files::UniqueFd claim);

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
    mutable std::mutex mutex_;
    std::multimap<handoff::FolderId, Holder*> holders_;
};

}  // namespace autoexec::inline v1

namespace autoexec::handoff {

/// The offers of one executor for one worktree: `<git dir>/autoexec/offers/<inode>/<attempt_id>`.
/// The inode is the worktree's: folders of one repository share its git directory. The folder is
/// locked while its executor holds the worktree, so that offers of a dead executor do not affect a
/// later one of version 1.1.
class OfferFolder {
public:
    /// Creates and locks the folder. `errc::worktree_busy`: another executor has it.
    error_code lock(const OwnFolder& own, const struct stat& worktree);
    OfferFolder() = default;
    ~OfferFolder() { close(); }
    OfferFolder(const OfferFolder&) = delete;
    OfferFolder& operator=(const OfferFolder&) = delete;

    /// False if there is no writable git directory.
    explicit operator bool() const noexcept { return static_cast<bool>(folder_); }

    /// Replaces the offer of the attempt. Does nothing without a folder.
    error_code put(const std::string& attempt_id, const std::string& digest, Durability durability);
    [[nodiscard]] std::optional<std::string> digest_of(const std::string& attempt_id) const;
    /// Withdraws all offers: a worktree has at most one running attempt, and its executor calls
    /// this.
    error_code remove_all();

    /// Removes the folder if it is empty, and releases its lock.
    void close() noexcept;

private:
    std::filesystem::path path_;
    files::UniqueFd folder_;
    files::UniqueFd lock_file_;
    std::set<std::string> names_;  ///< Of the offers in it.
    bool has_others_ = false;      ///< There may be some of a killed executor.
};

/// Whether the executor that holds the worktree has offered a command file with this digest.
OfferState offer_state(const std::optional<std::filesystem::path>& git_dir,
                       const struct stat& worktree, const std::string& attempt_id,
                       const std::string& digest, const files::Owners& owners);

}  // namespace autoexec::handoff
