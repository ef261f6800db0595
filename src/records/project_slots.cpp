#include "records/project_slots.hpp"

#include "autoexec/command.hpp"
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
constexpr std::size_t max_slot_files = 1000;
// Far above all slots. A process that waits with the priority p locks the bytes up to
// `waiting_byte + p`; one of an earlier version locks `waiting_byte` alone.
constexpr std::int64_t waiting_byte = std::int64_t{1} << 60;
constexpr std::int64_t first_waiting_byte = waiting_byte - max_priority;
constexpr std::int64_t end_of_waiting_bytes = waiting_byte + max_priority + 1;
// A running process takes a slot within its polls, every 250 ms. One that does not is suspended, or
// has a lower limit.
constexpr std::chrono::milliseconds max_reservation{2000};
constexpr std::int64_t first_parent_byte = std::int64_t{1} << 61;

std::string slots_name(const std::string& agent)
{
    const auto base = agent.empty() ? "commands" : "agent." + text::file_name_of(agent);
    return base + std::string(slots_suffix);
}

std::string unlockable_sentence(const std::filesystem::path& path, error_code ec)
{
    return fmt::format(
        "The limit of commands at once holds for each process alone, because '{}' cannot be "
        "locked: {}.",
        text::printable(path.string()), ec.message());
}

bool is_held_elsewhere(error_code ec)
{
    return ec == boost::system::errc::resource_unavailable_try_again;
}

// Locks a byte of no meaning for a moment.
error_code try_to_lock(int file)
{
    const auto ec = files::set_byte_lock(file, end_of_waiting_bytes, ByteLock::shared);
    (void)files::set_byte_lock(file, end_of_waiting_bytes, ByteLock::none);
    return is_held_elsewhere(ec) ? error_code() : ec;
}

error_code try_to_lock(int folder, const std::string& name)
{
    error_code ec;
    const auto file = files::open_beneath(folder, name, O_RDWR, files::Links::none, ec);
    if (!file) return ec;
    struct stat st {};
    if (::fstat(file.get(), &st) != 0 || !S_ISREG(st.st_mode)) return errc::unsafe_path;
    return try_to_lock(file.get());
}

}  // namespace

ProjectSlots::ProjectSlots(std::filesystem::path project_root, const std::string& agent,
                           const std::string& parent_attempt, std::shared_ptr<Clock> clock)
    : project_root_(std::move(project_root)),
      name_(slots_name(agent)),
      clock_(std::move(clock)),
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
    // Where no byte can be locked, each counts as locked by others.
    if (file_ && (ec = try_to_lock(file_.get()))) file_ = UniqueFd();
    if (!file_) fail(ec);
    return static_cast<bool>(file_);
}

void ProjectSlots::fail(error_code ec)
{
    if (std::exchange(has_failed_, true)) return;
    problem_ = unlockable_sentence(folder_of(project_root_) / name_, ec);
}

std::vector<std::string> ProjectSlots::find_problems(const std::filesystem::path& project_root)
{
    const auto path = folder_of(project_root);
    std::vector<std::string> problems;
    error_code ec;
    const auto folder = Folder{project_root, layout::slots}.open(ec);
    if (!folder && ec != boost::system::errc::no_such_file_or_directory)
        problems.push_back(unlockable_sentence(path, ec));
    if (!folder) return problems;
    for (const auto& name : files::list_folder(folder.get(), max_slot_files)) {
        if (!name.ends_with(slots_suffix)) continue;
        if ((ec = try_to_lock(folder.get(), name)))
            problems.push_back(unlockable_sentence(path / name, ec));
    }
    return problems;
}

bool ProjectSlots::lock(std::int64_t slot)
{
    const auto ec = files::set_byte_lock(file_.get(), slot, ByteLock::exclusive);
    if (ec && !is_held_elsewhere(ec)) fail(ec);
    if (!ec) held_.insert(slot);
    return !ec;
}

// From the last one on, which leaves the first ones to processes that allow themselves fewer.
bool ProjectSlots::acquire(int priority)
{
    if (std::exchange(gave_way_, false) && others_wait(priority)) return false;
    if (count_ > 0 && open()) {
        const auto may_lock = [this](std::int64_t slot) {
            return !has_failed_ && !held_.contains(slot) && lock(slot);
        };
        if (slot_of_parent_ >= 0 && may_lock(slot_of_parent_)) return true;
        if (is_reserved(priority)) return false;
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
    gave_way_ = others_wait(-max_priority);
    if (gave_way_) touch();
}

bool ProjectSlots::others_wait(int priority)
{
    const auto first = waiting_byte + priority;
    return first < end_of_waiting_bytes && file_ && !has_failed_ &&
           files::is_byte_locked(file_.get(), first, end_of_waiting_bytes - first);
}

/// True if others wait with a higher priority, unless a slot has been free for long.
bool ProjectSlots::is_reserved(int priority)
{
    const bool is_wanted = others_wait(priority + 1);
    if (const auto ec = is_wanted ? try_to_lock(file_.get()) : error_code()) {
        fail(ec);  // locks no longer work here, which looks the same
        return false;
    }
    if (!is_wanted || !has_free_slot()) {
        free_since_.reset();
        return is_wanted;
    }
    const auto now = clock_->now();
    if (!free_since_) free_since_ = now;
    return now - *free_since_ < max_reservation;
}

bool ProjectSlots::has_free_slot() const
{
    for (auto slot = static_cast<std::int64_t>(count_); slot-- > 0;)
        if (!held_.contains(slot) && !files::is_byte_locked(file_.get(), slot)) return true;
    return false;
}

void ProjectSlots::show_waiting(std::optional<int> priority)
{
    if (!priority) free_since_.reset();
    if (shown_ == priority || !open()) return;
    const auto end = priority ? waiting_byte + *priority + 1 : first_waiting_byte;
    if (priority)
        (void)files::set_byte_lock(file_.get(), first_waiting_byte, ByteLock::shared,
                                   end - first_waiting_byte);
    const auto before = std::exchange(shown_, priority);
    if (!before || (priority && *priority > *before)) return;
    (void)files::set_byte_lock(file_.get(), end, ByteLock::none, end_of_waiting_bytes - end);
    if (others_wait(-max_priority)) touch();  // what was left to this process is for them
}

// That a file is closed after it was opened for writing is a file event.
void ProjectSlots::touch() const
{
    error_code ec;
    const auto folder = Folder{project_root_, layout::slots}.open(ec);
    if (folder) (void)files::open_beneath(folder.get(), name_, O_WRONLY, files::Links::none, ec);
}

}  // namespace autoexec::records
