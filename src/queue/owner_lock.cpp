#include "queue/owner_lock.hpp"

#include "files/file_lock.hpp"
#include "protocol/layout.hpp"
#include "records/log_file.hpp"
#include "text/text.hpp"

#include <fcntl.h>

namespace autoexec::queue {
namespace {

constexpr char owners_file[] = "owners.lock";

}  // namespace

std::optional<OwnerLock> OwnerLock::create(const std::filesystem::path& project_root,
                                           error_code& ec)
{
    const auto folder = records::Folder{project_root, layout::queue}.create(ec);
    if (!folder) return std::nullopt;
    auto file = records::Folder::open_to_append(folder.get(), owners_file, ec);
    auto id = text::new_uuid();
    if (file) ec = files::set_byte_lock(file.get(), files::byte_of(id), files::ByteLock::exclusive);
    if (ec) return std::nullopt;
    return OwnerLock(std::move(file), std::move(id));
}

bool is_owner_alive(const std::filesystem::path& project_root, const std::string& owner)
{
    error_code ec;
    const auto folder = records::Folder{project_root, layout::queue}.open(ec);
    const auto file =
        folder ? files::open_beneath(folder.get(), owners_file, O_RDONLY, files::Links::none, ec)
               : files::UniqueFd();
    return file ? files::is_byte_locked(file.get(), files::byte_of(owner))
                : files::is_resource_shortage(ec);
}

}  // namespace autoexec::queue
