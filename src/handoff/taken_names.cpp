#include "handoff/taken_names.hpp"

#include "files/safe_files.hpp"
#include "protocol/control_files.hpp"
#include "text/text.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <optional>

namespace autoexec::handoff {
namespace {

constexpr int max_removed_entries = 2000;
constexpr std::size_t max_listed = 20'000;
constexpr int max_removed_depth = 64;  // one descriptor per level
// A program may recreate its folder meanwhile.
constexpr int max_removal_tries = 8;

// Do not cross mount points.
class TreeRemoval {
public:
    void remove(int folder, const std::string& name, int depth = 0)
    {
        if (::unlinkat(folder, name.c_str(), 0) == 0 || depth == max_removed_depth) return;
        error_code ec;
        if (!device_) device_ = device_of(folder);
        const auto inner =
            files::open_beneath(folder, name, O_RDONLY | O_DIRECTORY, files::Links::none, ec);
        struct stat st {};
        if (!inner || ::fstat(inner.get(), &st) != 0 || device_ != st.st_dev) return;
        (void)::fchmod(inner.get(), 0700);
        for (const auto& entry : files::list_folder(inner.get(), max_removed_entries)) {
            if (--budget_ < 0) return;
            remove(inner.get(), entry, depth + 1);
        }
        (void)::unlinkat(folder, name.c_str(), AT_REMOVEDIR);
    }

private:
    static std::optional<dev_t> device_of(int folder)
    {
        struct stat st {};
        return ::fstat(folder, &st) == 0 ? std::optional(st.st_dev) : std::nullopt;
    }

    std::optional<dev_t> device_;  ///< Of the folder of the first call.
    int budget_ = max_removed_entries;
};

bool is_taken(error_code ec)
{
    return ec.category() == boost::system::system_category() &&
           (ec.value() == EISDIR || ec.value() == ENOTEMPTY || ec.value() == EEXIST);
}

}  // namespace

error_code clear_name(int folder, const std::string& name)
{
    const auto ec = files::remove_file(folder, name);
    if (!ec || files::is_resource_shortage(ec)) return ec;
    if (::unlinkat(folder, name.c_str(), AT_REMOVEDIR) == 0) return {};
    if (!name.starts_with(control_files::own_prefix)) return ec;
    const auto aside = control_files::temporary_prefix + text::new_uuid();
    if (::renameat(folder, name.c_str(), folder, aside.c_str()) != 0)
        return errno == ENOENT ? error_code{} : ec;
    remove_temporary(folder, aside);
    return {};
}

error_code replace_control_file(int folder, const std::string& name, std::string_view text,
                                unsigned mode, Durability durability)
{
    error_code ec;
    for (int tries = 0; tries < max_removal_tries; ++tries) {
        ec = files::replace_file(folder, name, text, mode, durability);
        if (!is_taken(ec) || clear_name(folder, name)) break;
    }
    return ec;
}

void remove_temporary(int folder, const std::string& name)
{
    TreeRemoval().remove(folder, name);
}

OwnNames::OwnNames(int folder, const std::string& status_name)
{
    std::size_t seen = 0;
    const auto keep = [&](std::string_view name) {
        if (name.starts_with(control_files::own_prefix) || name == control_files::cursor_folder ||
            name == status_name)
            names_.emplace_back(name);
        return ++seen < max_listed && names_.size() < max_removed_entries;
    };
    complete_ = files::visit_names(folder, keep);
}

bool OwnNames::may_contain(std::string_view name) const
{
    return !complete_ || std::find(names_.begin(), names_.end(), name) != names_.end();
}

void OwnNames::remove_temporaries(int folder) const
{
    TreeRemoval removal;
    for (const auto& name : names_)
        if (name.starts_with(control_files::temporary_prefix)) removal.remove(folder, name);
}

}  // namespace autoexec::handoff
