#include "handoff/offers.hpp"

#include "files/file_lock.hpp"
#include "text/text.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>
#include <vector>

namespace autoexec::inline v1 {

using handoff::FolderId;
using handoff::OfferState;

std::shared_ptr<Offers> local_offers()
{
    return std::make_shared<Offers>();
}

Offers::Holder::Holder(std::shared_ptr<Offers> offers, const FolderId& worktree)
    : offers_(std::move(offers))
{
    const std::lock_guard lock(offers_->mutex_);
    position_ = offers_->holders_.emplace(worktree, this);
}

Offers::Holder::~Holder()
{
    const std::lock_guard lock(offers_->mutex_);
    offers_->holders_.erase(position_);
}

void Offers::Holder::offer(const std::string& attempt_id, const std::string& digest)
{
    const std::lock_guard lock(offers_->mutex_);
    if (attempt_id_ != attempt_id) claimed_.reset();
    attempt_id_ = attempt_id;
    digest_ = digest;
    short_ = false;
}

void Offers::Holder::withdraw_all()
{
    const std::lock_guard lock(offers_->mutex_);
    attempt_id_.clear();
    digest_.clear();
    claimed_.reset();
    short_ = false;
}

bool Offers::Holder::answer(const std::string& attempt_id, const std::string& text)
{
    const std::lock_guard lock(offers_->mutex_);
    if (!claimed_ || attempt_id_ != attempt_id) return false;
    claimed_->answer = text;
    return true;
}

std::optional<bool> Offers::Holder::holds_claim(const std::string& attempt_id) const
{
    const std::lock_guard lock(offers_->mutex_);
    if (!claimed_ || attempt_id_ != attempt_id) return std::nullopt;
    return claimed_->held;
}

// With its mutex locked. An empty id is that of no attempt.
Offers::Holder* Offers::find(const FolderId& worktree, const std::string& attempt_id) const
{
    const auto [first, last] = holders_.equal_range(worktree);
    for (auto it = first; it != last; ++it)
        if (!attempt_id.empty() && it->second->attempt_id_ == attempt_id) return it->second;
    return nullptr;
}

OfferState Offers::state(const FolderId& worktree, const std::string& attempt_id,
                         const std::string& digest) const
{
    const std::lock_guard lock(mutex_);
    if (!holders_.contains(worktree)) return OfferState::unknown;
    const auto* const holder = find(worktree, attempt_id);
    return holder && holder->digest_ == digest ? OfferState::offered : OfferState::refused;
}

void Offers::hand_over(const FolderId& worktree, const std::string& attempt_id)
{
    const std::lock_guard lock(mutex_);
    auto* const holder = find(worktree, attempt_id);
    if (!holder) return;
    holder->short_ = false;
    holder->claimed_ = std::make_unique<Holder::Claimed>();
}

void Offers::release(const FolderId& worktree, const std::string& attempt_id)
{
    const std::lock_guard lock(mutex_);
    auto* const holder = find(worktree, attempt_id);
    if (holder && holder->claimed_) holder->claimed_->held = false;
}

void Offers::forget_claim(const FolderId& worktree, const std::string& attempt_id)
{
    const std::lock_guard lock(mutex_);
    if (auto* const holder = find(worktree, attempt_id)) holder->claimed_.reset();
}

std::optional<std::string> Offers::take_answer(const FolderId& worktree,
                                               const std::string& attempt_id)
{
    const std::lock_guard lock(mutex_);
    auto* const holder = find(worktree, attempt_id);
    if (!holder || !holder->claimed_) return std::nullopt;
    return std::exchange(holder->claimed_->answer, {});
}

bool Offers::report_shortage(const FolderId& worktree)
{
    const std::lock_guard lock(mutex_);
    const auto [first, last] = holders_.equal_range(worktree);
    bool is_new = false;
    for (auto it = first; it != last; ++it)
        if (!it->second->attempt_id_.empty()) is_new |= !std::exchange(it->second->short_, true);
    return is_new;
}

bool Offers::is_short(const std::string& attempt_id) const
{
    const std::lock_guard lock(mutex_);
    return std::any_of(holders_.begin(), holders_.end(), [&](const auto& holder) {
        return holder.second->short_ && holder.second->attempt_id_ == attempt_id;
    });
}

}  // namespace autoexec::inline v1

namespace autoexec::handoff {
namespace {

using files::UniqueFd;
namespace fs = std::filesystem;

constexpr char offers_name[] = "offers";
constexpr char executor_link[] = ".executor";
constexpr char held_mark[] = ".held";
constexpr std::size_t digest_limit = 256;
constexpr std::size_t max_offers = 10'000;
constexpr int max_tries = 10;

std::string folder_name(ino_t worktree)
{
    return fmt::format("{}", worktree);
}

std::string folder_path(const std::string& git_dir, ino_t worktree)
{
    return fmt::format("{}/{}/{}/{}", git_dir, own_folder, offers_name, worktree);
}

// An executor removes its folder when it ends, so it is usually made here. Then it is empty.
UniqueFd make_offers(const OwnFolder& own, const std::string& name, bool& is_new, error_code& ec)
{
    const auto offers = open_in(own, offers_name, ec);
    if (!offers) return {};
    is_new = ::mkdirat(offers.get(), name.c_str(), 0700) == 0;
    if (!is_new && errno != EEXIST) {
        ec = files::last_error();
        return {};
    }
    UniqueFd folder(
        ::openat(offers.get(), name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!folder) ec = files::last_error();
    return folder;
}

bool has_live_executor(int folder)
{
    error_code ec;
    const auto lock = files::open_beneath(folder, executor_link, O_RDONLY, files::Links::none, ec);
    if (!lock) return files::is_resource_shortage(ec);
    return !is_lock_free(lock.get());
}

}  // namespace

error_code OfferFolder::lock(const OwnFolder& own, const FolderId& worktree)
{
    close();
    if (!own.folder) return own.error;
    worktree_ = worktree.inode;
    error_code ec;
    // An executor removes its folder when it ends: a folder opened before is then a deleted one.
    for (int tries = 0; tries < max_tries; ++tries) {
        bool is_new = false;
        folder_ = make_offers(own, folder_name(worktree_), is_new, ec);
        if (folder_) ec = hold();
        if (ec.value() == ENOENT) continue;
        is_held_ = !ec;
        may_link_ = true;
        has_others_ = !is_new;
        has_own_ = false;
        if (is_held_) return ec;
        break;
    }
    folder_ = UniqueFd();
    lock_file_ = UniqueFd();
    return ec;
}

// An executor that has other worktrees in the repository. The folder was not removed before, since
// nothing can be created in a removed one, and is not removed now.
bool OfferFolder::hold_by_link()
{
    const int folder = folder_.get();
    if (!git_.base->has_lock() || git_.base->link_lock(folder, executor_link)) return false;
    // Held until `rest`. Without it, an executor that has not made its link yet has the offers.
    is_linked_ = ::flock(folder, LOCK_EX | LOCK_NB) == 0;
    if (!is_linked_) (void)files::remove_file(folder, executor_link);
    return is_linked_;
}

// ENOENT: it was removed.
error_code OfferFolder::hold()
{
    const int folder = folder_.get();
    if (hold_by_link()) return {};
    // An executor that waits holds a link instead.
    if (const auto ec = lock_folder(folder, folder, lock_file_)) return ec;
    if (!has_live_executor(folder)) return mark();
    unlock_folder(folder, lock_file_);
    return errc::worktree_busy;
}

// An executor that ends removes its link, and then the folder without a lock, if that is empty.
// ENOENT: it has.
error_code OfferFolder::mark()
{
    const UniqueFd file(::openat(folder_.get(), held_mark,
                                 O_WRONLY | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600));
    is_marked_ = static_cast<bool>(file);
    const bool is_lost = !is_marked_ && files::is_removed(folder_.get());
    return is_lost ? make_error_code(boost::system::errc::no_such_file_or_directory) : error_code();
}

// The link of a dead executor is replaced at once, so that no other executor finds its name free.
// That of a live one is removed by it when it finds the folder locked.
error_code OfferFolder::link()
{
    const int folder = folder_.get();
    const auto ec = git_.base->link_lock(folder, executor_link);
    if (ec != boost::system::errc::file_exists || has_live_executor(folder)) return ec;
    const auto name = text::new_uuid();
    if (const auto failure = git_.base->link_lock(folder, name.c_str())) return failure;
    if (::renameat(folder, name.c_str(), folder, executor_link) == 0) return {};
    const auto failure = files::last_error();
    (void)files::remove_file(folder, name);
    return failure;
}

error_code OfferFolder::reopen() const
{
    error_code ec;
    if (!folder_)
        folder_ = files::open_beneath(git_.base->folder(), folder_path(git_.below, worktree_),
                                      O_RDONLY | O_DIRECTORY, files::Links::none, ec);
    return ec;
}

error_code OfferFolder::put(const std::string& attempt_id, const std::string& digest,
                            Durability durability)
{
    if (!is_held_) return {};
    if (const auto ec = reopen()) return ec;
    const auto name = text::file_name_of(attempt_id);
    has_others_ |= std::exchange(has_own_, true);
    // In place: an agent reads it only if the command file, which follows, names the attempt.
    if (durability != Durability::power && !files::create_file(folder_.get(), name, digest, 0600))
        return {};
    return files::replace_file(folder_.get(), name, digest, 0600, durability);
}

std::optional<std::string> OfferFolder::digest_of(const std::string& attempt_id) const
{
    if (!is_held_ || reopen()) return std::nullopt;
    auto file =
        files::read_regular(folder_.get(), text::file_name_of(attempt_id), digest_limit, {});
    if (file.state != FoundFile::State::present) return std::nullopt;
    return std::move(file.text);
}

error_code OfferFolder::remove_all(const std::string& attempt_id)
{
    const bool has_own = std::exchange(has_own_, false);
    const bool is_listed = std::exchange(has_others_, false) || (has_own && attempt_id.empty());
    if (!is_held_ || (!is_listed && !has_own)) return {};
    const auto name = text::file_name_of(attempt_id);
    if (!is_listed && !folder_)
        return files::remove_file(git_.base->folder(),
                                  folder_path(git_.below, worktree_) + '/' + name);
    if (const auto ec = reopen()) return ec.value() == ENOENT ? error_code() : ec;
    std::vector<std::string> names;
    if (is_listed) {
        git_.base->sweep();
        names = files::list_folder(folder_.get(), max_offers);
    } else {
        names.push_back(name);
    }
    error_code first;
    for (const auto& entry : names) {
        const bool is_kept = entry == folder_lock_file || (entry == executor_link && is_linked_) ||
                             (entry == held_mark && is_marked_);
        if (is_kept) continue;
        const auto ec = files::remove_file(folder_.get(), entry);
        if (!first) first = ec;
    }
    return first;
}

void OfferFolder::rest()
{
    if (!folder_ || !may_link_) return;
    if (!is_linked_) {
        may_link_ = is_linked_ = !link();
        if (!is_linked_) return;
        if (std::exchange(is_marked_, false)) (void)files::remove_file(folder_.get(), held_mark);
        unlock_folder(folder_.get(), lock_file_);
        if (lock_file_) (void)files::remove_file(folder_.get(), folder_lock_file);
        lock_file_ = UniqueFd();
    }
    folder_ = UniqueFd();
}

void OfferFolder::close() noexcept
{
    if (!std::exchange(is_held_, false)) return;
    const auto base = git_.base->folder();
    const auto path_here = folder_path(git_.below, worktree_);
    const auto remove = [&](bool is_there, const char* name) {
        if (is_there) (void)::unlinkat(base, (path_here + '/' + name).c_str(), 0);
    };
    remove(is_linked_, executor_link);
    remove(is_marked_, held_mark);
    remove(static_cast<bool>(lock_file_), folder_lock_file);
    (void)::unlinkat(base, path_here.c_str(), AT_REMOVEDIR);
    if (!is_linked_) unlock_folder(folder_.get(), lock_file_);
    is_linked_ = is_marked_ = false;
    folder_ = UniqueFd();
    lock_file_ = UniqueFd();
}

OfferState offer_state(const std::optional<fs::path>& git_dir, const struct stat& worktree,
                       const std::string& attempt_id, const std::string& digest,
                       const files::Owners& owners)
{
    if (!git_dir) return OfferState::unknown;
    error_code ec;
    const auto folder = files::open_folder_without_links(
        *git_dir / own_folder / offers_name / folder_name(worktree.st_ino), ec);
    // EACCES: the agent's user could not read the offers either.
    const bool none = ec.value() == ENOENT || ec.value() == EACCES;
    if (!folder)
        return none && files::open_folder(*git_dir) ? OfferState::unknown : OfferState::refused;
    if (!has_live_executor(folder.get()) && !is_folder_locked(folder.get(), folder.get()))
        return OfferState::unknown;
    const auto offer =
        files::read_regular(folder.get(), text::file_name_of(attempt_id), digest_limit, owners);
    return offer.text == digest ? OfferState::offered : OfferState::refused;
}

}  // namespace autoexec::handoff
