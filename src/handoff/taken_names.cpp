#include "handoff/taken_names.hpp"

#include "files/safe_files.hpp"
#include "protocol/control_files.hpp"
#include "text/text.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

namespace autoexec::handoff {
namespace {

constexpr int max_removed_entries = 2000;
constexpr int max_removed_depth = 64;  // one descriptor per level
// A program may recreate its folder meanwhile.
constexpr int max_removal_tries = 8;

// Do not cross mount points.
class TreeRemoval {
public:
    explicit TreeRemoval(int folder)
    {
        struct stat st {};
        if (::fstat(folder, &st) == 0) device_ = st.st_dev;
    }

    void remove(int folder, const std::string& name, int depth = 0)
    {
        if (::unlinkat(folder, name.c_str(), 0) == 0 || depth == max_removed_depth) return;
        error_code ec;
        const auto inner =
            files::open_beneath(folder, name, O_RDONLY | O_DIRECTORY, files::Links::none, ec);
        struct stat st {};
        if (!inner || ::fstat(inner.get(), &st) != 0 || st.st_dev != device_) return;
        (void)::fchmod(inner.get(), 0700);
        for (const auto& entry : files::list_folder(inner.get(), max_removed_entries)) {
            if (--budget_ < 0) return;
            remove(inner.get(), entry, depth + 1);
        }
        (void)::unlinkat(folder, name.c_str(), AT_REMOVEDIR);
    }

private:
    dev_t device_ = 0;
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
    TreeRemoval(folder).remove(folder, name);
}

void remove_temporaries(int folder)
{
    TreeRemoval removal(folder);
    for (const auto& name : files::list_folder(folder, max_removed_entries))
        if (name.starts_with(control_files::temporary_prefix)) removal.remove(folder, name);
}

}  // namespace autoexec::handoff
