#include "handoff/offers.hpp"

#include "text/text.hpp"

#include <fcntl.h>
#include <fmt/format.h>
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

constexpr char offers_folder[] = "autoexec/offers";
constexpr std::size_t digest_limit = 256;
constexpr std::size_t max_offers = 10'000;
constexpr int max_tries = 10;

std::string folder_name(const struct stat& worktree)
{
    return fmt::format("{}", worktree.st_ino);
}

UniqueFd open_git_dir(const fs::path& git_dir)
{
    return UniqueFd(::open(git_dir.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
}

bool leads_to(const fs::path& path, int folder)
{
    struct stat named {};
    struct stat held {};
    return ::lstat(path.c_str(), &named) == 0 && ::fstat(folder, &held) == 0 &&
           folder_id(named) == folder_id(held);
}

}  // namespace

error_code OfferFolder::lock(const fs::path& git_dir, const struct stat& worktree)
{
    close();
    const auto base = open_git_dir(git_dir);
    if (!base) return files::last_error();
    const auto name = fs::path(offers_folder) / folder_name(worktree);
    path_ = git_dir / name;
    // An executor removes its folder when it ends: a folder opened before is then a deleted one.
    for (int tries = 0; tries < max_tries; ++tries) {
        error_code ec;
        UniqueFd lock_file;
        auto folder = files::make_folders(base.get(), name, ec);
        if (!folder && ec.value() == ENOENT) continue;
        if (!folder) return ec;
        ec = lock_folder(folder.get(), folder.get(), lock_file);
        if (ec) return ec;
        if (!leads_to(path_, folder.get())) continue;
        folder_ = std::move(folder);
        lock_file_ = std::move(lock_file);
        return {};
    }
    return errc::worktree_busy;
}

error_code OfferFolder::put(const std::string& attempt_id, const std::string& digest,
                            Durability durability)
{
    if (!folder_) return {};
    return files::replace_file(folder_.get(), text::file_name_of(attempt_id), digest, 0600,
                               durability);
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
    error_code first;
    for (const auto& name : files::list_folder(folder_.get(), max_offers)) {
        if (name == folder_lock_file) continue;
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
    const auto base = open_git_dir(*git_dir);
    if (!base) return OfferState::refused;
    error_code ec;
    const auto folder =
        files::open_beneath(base.get(), std::string(offers_folder) + '/' + folder_name(worktree),
                            O_RDONLY | O_DIRECTORY, files::Links::none, ec);
    // EACCES: the agent's user could not read the offers either.
    const bool none = ec.value() == ENOENT || ec.value() == EACCES;
    if (!folder) return none ? OfferState::unknown : OfferState::refused;
    if (!is_folder_locked(folder.get(), folder.get())) return OfferState::unknown;
    const auto offer =
        files::read_regular(folder.get(), text::file_name_of(attempt_id), digest_limit, owners);
    return offer.text == digest ? OfferState::offered : OfferState::refused;
}

}  // namespace autoexec::handoff
