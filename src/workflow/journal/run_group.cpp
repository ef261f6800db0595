#include "workflow/journal/run_group.hpp"

#include "files/file_lock.hpp"
#include "protocol/layout.hpp"
#include "records/log_file.hpp"
#include "text/json.hpp"
#include "text/json_fields.hpp"
#include "text/text.hpp"

#include <unistd.h>

#include <cstddef>
#include <limits>
#include <utility>
#include <vector>

namespace autoexec::workflow {
namespace {

using files::ByteLock;

constexpr std::int64_t holder_byte = 0;
constexpr std::int64_t first_place = 1;
constexpr std::size_t holder_limit = 4096;
// Each further try follows a change by another process.
constexpr int max_group_tries = 100;

// Texts of files and parameters are no names of files.
std::string group_file_name(std::string_view group)
{
    constexpr std::size_t digits = 32;
    return text::sha256_hex(group).substr(0, digits) + ".lock";
}

bool is_locked_elsewhere(error_code ec)
{
    return ec == boost::system::errc::resource_unavailable_try_again;
}

}  // namespace

RunGroup::RunGroup(std::filesystem::path project_root, std::string_view group, std::string run_id)
    : project_root_(std::move(project_root)),
      name_(group_file_name(group)),
      run_id_(std::move(run_id))
{}

std::filesystem::path RunGroup::folder_of(const std::filesystem::path& project_root)
{
    return project_root / layout::run_groups;
}

bool RunGroup::open(error_code& ec)
{
    if (const auto folder = records::Folder{project_root_, layout::run_groups}.create(ec))
        file_ = records::Folder::open_to_append(folder.get(), name_, ec);
    return static_cast<bool>(file_);
}

// Behind all that wait. Two processes may want the same place: then one of them looks again.
bool RunGroup::take_place(error_code& ec)
{
    for (int tries = 0; tries < max_group_tries; ++tries) {
        const auto place = files::end_of_locked_bytes(file_.get(), first_place);
        ec = files::set_byte_lock(file_.get(), place, ByteLock::exclusive);
        if (!ec) place_ = place;
        if (!is_locked_elsewhere(ec)) break;
    }
    if (is_locked_elsewhere(ec)) ec = {};
    return place_ != 0;
}

bool RunGroup::comes_first() const
{
    const auto before = place_ - first_place;
    return before == 0 || !files::is_byte_locked(file_.get(), first_place, before);
}

bool RunGroup::acquire(error_code& ec)
{
    ec = {};
    for (int tries = 0; !is_holder_ && tries < max_group_tries; ++tries) {
        // The run that had the group removes its file if no other run waits.
        if (file_ && files::is_removed(file_.get())) close();
        if (!file_ && !open(ec)) return false;
        if (place_ == 0 && !take_place(ec)) return false;
        if (!comes_first()) return false;
        ec = files::set_byte_lock(file_.get(), holder_byte, ByteLock::exclusive);
        const bool is_busy = is_locked_elsewhere(ec);
        if (ec && !is_busy) return false;
        ec = {};
        if (files::is_removed(file_.get())) continue;
        if (is_busy) return false;
        is_holder_ = true;
        killed_holder_ = holder();  // others leave no name
        write_holder();
        (void)files::set_byte_lock(file_.get(), std::exchange(place_, 0), ByteLock::none);
    }
    return is_holder_;
}

// Without it, the group works; only its name is not known to others.
void RunGroup::write_holder() const
{
    const auto text = text::dump_line(boost::json::object{{"run_id", run_id_}}) + '\n';
    if (::ftruncate(file_.get(), 0) == 0) (void)files::write_all(file_.get(), text);
}

std::string RunGroup::holder() const
{
    std::string text(holder_limit, '\0');
    const auto size = file_ ? ::pread(file_.get(), text.data(), text.size(), 0) : -1;
    text.resize(size > 0 ? static_cast<std::size_t>(size) : 0);
    const auto json = text::read_json_object(text);
    if (json.kind != text::JsonReading::Kind::valid) return {};
    std::vector<std::string> ignored;
    return text::Fields(&json.object, ignored).string("run_id").value_or("");
}

// Unlocked explicitly: a child of a fork without an exec may have a copy of the descriptor.
void RunGroup::close()
{
    (void)files::set_byte_lock(file_.get(), holder_byte, ByteLock::none,
                               std::numeric_limits<std::int64_t>::max());
    file_ = files::UniqueFd();
    place_ = 0;
    is_holder_ = false;
}

RunGroup::~RunGroup()
{
    if (!file_) return;
    if (is_holder_ && !files::is_removed(file_.get())) {
        error_code ec;
        const bool others_wait =
            files::end_of_locked_bytes(file_.get(), first_place) != first_place;
        const auto folder = others_wait
                                ? files::UniqueFd()
                                : records::Folder{project_root_, layout::run_groups}.open(ec);
        if (folder)
            (void)files::remove_file(folder.get(), name_);
        else
            (void)!::ftruncate(file_.get(), 0);
    }
    close();
}

}  // namespace autoexec::workflow
