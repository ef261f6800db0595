#include "records/project_slots.hpp"

#include "files/file_lock.hpp"
#include "protocol/layout.hpp"
#include "records/log_file.hpp"
#include "text/text.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <utility>

namespace autoexec::records {
namespace {

using files::ByteLock;
using files::UniqueFd;

constexpr std::string_view slots_suffix = ".lock";
// Far above all slots.
constexpr std::int64_t waiting_byte = std::int64_t{1} << 60;
constexpr std::int64_t first_parent_byte = std::int64_t{1} << 61;

std::string slots_name(const std::string& agent)
{
    const auto base = agent.empty() ? "commands" : "agent." + text::file_name_of(agent);
    return base + std::string(slots_suffix);
}

bool is_held_elsewhere(error_code ec)
{
    return ec == boost::system::errc::resource_unavailable_try_again;
}

}  // namespace

ProjectSlots::ProjectSlots(std::filesystem::path project_root, const std::string& agent,
                           const std::string& parent_attempt)
    : project_root_(std::move(project_root)),
      name_(slots_name(agent)),
      slot_of_parent_(parent_attempt.empty() ? -1
                                             : first_parent_byte + files::byte_of(parent_attempt))
{}

std::filesystem::path ProjectSlots::folder_of(const std::filesystem::path& project_root)
{
    return project_root / layout::slots;
}

bool ProjectSlots::open()
{
    if (file_ || has_failed_) return static_cast<bool>(file_);
    error_code ec;
    if (const auto folder = Folder{project_root_, layout::slots}.create(ec))
        file_ = Folder::open_to_append(folder.get(), name_, ec);
    if (!file_) fail(ec);
    return static_cast<bool>(file_);
}

void ProjectSlots::fail(error_code ec)
{
    if (std::exchange(has_failed_, true)) return;
    problem_ = fmt::format(
        "The limit of commands at once holds for each process alone, because '{}' cannot be "
        "locked: {}.",
        text::printable((folder_of(project_root_) / name_).string()), ec.message());
}

bool ProjectSlots::lock(std::int64_t slot)
{
    const auto ec = files::set_byte_lock(file_.get(), slot, ByteLock::exclusive);
    if (ec && !is_held_elsewhere(ec)) fail(ec);
    if (!ec) held_.insert(slot);
    return !ec;
}

// From the last one on, which leaves the first ones to processes that allow themselves fewer.
bool ProjectSlots::acquire()
{
    if (std::exchange(gave_way_, false)) return false;
    if (count_ > 0 && open()) {
        const auto may_lock = [this](std::int64_t slot) {
            return !has_failed_ && !held_.contains(slot) && lock(slot);
        };
        if (slot_of_parent_ >= 0 && may_lock(slot_of_parent_)) return true;
        for (auto slot = static_cast<std::int64_t>(count_); slot-- > 0;)
            if (may_lock(slot)) return true;
        if (!has_failed_) return false;
    }
    ++unlocked_;
    return true;
}

// The first one, and that of the parent last.
void ProjectSlots::release()
{
    if (unlocked_ > 0) {
        --unlocked_;
        return;
    }
    if (held_.empty()) return;
    const auto slot = held_.extract(held_.begin()).value();
    (void)files::set_byte_lock(file_.get(), slot, ByteLock::none);
    gave_way_ = others_wait();
    if (gave_way_) touch();
}

bool ProjectSlots::others_wait()
{
    return file_ && !has_failed_ && files::is_byte_locked(file_.get(), waiting_byte);
}

void ProjectSlots::show_waiting(bool waits)
{
    if (!file_ || has_failed_ || std::exchange(shows_waiting_, waits) == waits) return;
    (void)files::set_byte_lock(file_.get(), waiting_byte,
                               waits ? ByteLock::shared : ByteLock::none);
}

// That a file is closed after it was opened for writing is a file event.
void ProjectSlots::touch() const
{
    error_code ec;
    const auto folder = Folder{project_root_, layout::slots}.open(ec);
    if (folder) (void)files::open_beneath(folder.get(), name_, O_WRONLY, files::Links::none, ec);
}

}  // namespace autoexec::records
