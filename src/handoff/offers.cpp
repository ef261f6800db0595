#include "handoff/offers.hpp"

#include "text/text.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

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
    digests_[attempt_id] = digest;
    short_ = false;
}

void Offers::Holder::withdraw_all()
{
    const std::lock_guard lock(offers_->mutex_);
    digests_.clear();
    claims_.clear();
    answers_.clear();
    short_ = false;
}

bool Offers::Holder::answer(const std::string& attempt_id, const std::string& text)
{
    const std::lock_guard lock(offers_->mutex_);
    const auto found = answers_.find(attempt_id);
    if (found == answers_.end()) return false;
    found->second = text;
    return true;
}

std::optional<files::UniqueFd> Offers::Holder::claim_handed_over(const std::string& attempt_id)
{
    const std::lock_guard lock(offers_->mutex_);
    auto found = claims_.extract(attempt_id);
    if (found.empty()) return std::nullopt;
    return std::move(found.mapped());
}

OfferState Offers::state(const FolderId& worktree, const std::string& attempt_id,
                         const std::string& digest) const
{
    const std::lock_guard lock(mutex_);
    const auto [first, last] = holders_.equal_range(worktree);
    if (first == last) return OfferState::unknown;
    for (auto it = first; it != last; ++it) {
        const auto& digests = it->second->digests_;
        const auto found = digests.find(attempt_id);
        if (found != digests.end() && found->second == digest) return OfferState::offered;
    }
    return OfferState::refused;
}

void Offers::hand_over(const FolderId& worktree, const std::string& attempt_id,
                       files::UniqueFd claim)
{
    const std::lock_guard lock(mutex_);
    const auto [first, last] = holders_.equal_range(worktree);
    for (auto it = first; it != last; ++it) {
        if (!it->second->digests_.contains(attempt_id)) continue;
        it->second->short_ = false;
        it->second->answers_[attempt_id] = {};
        if (claim) it->second->claims_[attempt_id] = std::move(claim);
        return;
    }
}

std::optional<std::string> Offers::take_answer(const FolderId& worktree,
                                               const std::string& attempt_id)
{
    const std::lock_guard lock(mutex_);
    const auto [first, last] = holders_.equal_range(worktree);
    for (auto it = first; it != last; ++it) {
        const auto found = it->second->answers_.find(attempt_id);
        if (found != it->second->answers_.end()) return std::exchange(found->second, {});
    }
    return std::nullopt;
}

bool Offers::report_shortage(const FolderId& worktree)
{
    const std::lock_guard lock(mutex_);
    const auto [first, last] = holders_.equal_range(worktree);
    bool is_new = false;
    for (auto it = first; it != last; ++it)
        if (!it->second->digests_.empty()) is_new |= !std::exchange(it->second->short_, true);
    return is_new;
}

bool Offers::is_short(const std::string& attempt_id) const
{
    const std::lock_guard lock(mutex_);
    return std::any_of(holders_.begin(), holders_.end(), [&](const auto& holder) {
        return holder.second->short_ && holder.second->digests_.contains(attempt_id);
    });
}

}  // namespace autoexec::inline v1

namespace autoexec::handoff {
namespace {

using files::UniqueFd;
namespace fs = std::filesystem;

constexpr char offers_name[] = "offers";
constexpr std::size_t digest_limit = 256;
constexpr std::size_t max_offers = 10'000;
constexpr int max_tries = 10;

std::string folder_name(const struct stat& worktree)
{
    return fmt::format("{}", worktree.st_ino);
}

bool is_removed(int folder)
{
    struct stat held {};
    return ::fstat(folder, &held) != 0 || held.st_nlink == 0;
}

// An executor removes its folder when it ends, so it is usually made here. Then it is empty.
UniqueFd make_offers(int base, const std::string& name, bool& is_new, error_code& ec)
{
    const auto offers = files::make_folders(base, offers_name, ec);
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

}  // namespace

error_code OfferFolder::lock(const OwnFolder& own, const struct stat& worktree)
{
    close();
    if (!own.folder) return own.error;
    const auto name = folder_name(worktree);
    path_ = own.path / offers_name / name;
    // An executor removes its folder when it ends: a folder opened before is then a deleted one.
    for (int tries = 0; tries < max_tries; ++tries) {
        error_code ec;
        UniqueFd lock_file;
        bool is_new = false;
        auto folder = make_offers(own.folder.get(), name, is_new, ec);
        if (!folder && ec.value() == ENOENT) continue;
        if (!folder) return ec;
        ec = lock_folder(folder.get(), folder.get(), lock_file);
        if (ec) return ec;
        if (is_removed(folder.get())) continue;
        folder_ = std::move(folder);
        has_others_ = !is_new;
        names_.clear();
        lock_file_ = std::move(lock_file);
        return {};
    }
    return errc::worktree_busy;
}

error_code OfferFolder::put(const std::string& attempt_id, const std::string& digest,
                            Durability durability)
{
    if (!folder_) return {};
    auto name = text::file_name_of(attempt_id);
    names_.insert(name);
    // In place: an agent reads it only if the command file, which follows, names the attempt.
    if (durability != Durability::power && !files::create_file(folder_.get(), name, digest, 0600))
        return {};
    return files::replace_file(folder_.get(), name, digest, 0600, durability);
}

std::optional<std::string> OfferFolder::digest_of(const std::string& attempt_id) const
{
    if (!folder_) return std::nullopt;
    auto file =
        files::read_regular(folder_.get(), text::file_name_of(attempt_id), digest_limit, {});
    if (file.state != FoundFile::State::present) return std::nullopt;
    return std::move(file.text);
}

error_code OfferFolder::remove_all()
{
    if (!folder_) return {};
    if (std::exchange(has_others_, false))
        for (auto& name : files::list_folder(folder_.get(), max_offers))
            if (name != folder_lock_file) names_.insert(std::move(name));
    error_code first;
    for (const auto& name : std::exchange(names_, {})) {
        const auto ec = files::remove_file(folder_.get(), name);
        if (!first) first = ec;
    }
    return first;
}

void OfferFolder::close() noexcept
{
    if (!folder_) return;
    if (lock_file_) (void)::unlinkat(folder_.get(), folder_lock_file, 0);
    (void)::rmdir(path_.c_str());
    unlock_folder(folder_.get(), lock_file_);
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
        *git_dir / own_folder / offers_name / folder_name(worktree), ec);
    // EACCES: the agent's user could not read the offers either.
    const bool none = ec.value() == ENOENT || ec.value() == EACCES;
    if (!folder)
        return none && files::open_folder(*git_dir) ? OfferState::unknown : OfferState::refused;
    if (!is_folder_locked(folder.get(), folder.get())) return OfferState::unknown;
    const auto offer =
        files::read_regular(folder.get(), text::file_name_of(attempt_id), digest_limit, owners);
    return offer.text == digest ? OfferState::offered : OfferState::refused;
}

}  // namespace autoexec::handoff
