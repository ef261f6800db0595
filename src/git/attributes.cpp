#include "git/attributes.hpp"

#include "files/safe_files.hpp"
#include "text/text.hpp"

#include <system_error>
#include <utility>

namespace autoexec::git {
namespace {

namespace fs = std::filesystem;

constexpr const char* file_name = ".gitattributes";

// A bound: a repository with more attribute files loses only merge drivers.
constexpr std::size_t max_attribute_files = 200;

}  // namespace

AttributesFolder::AttributesFolder(const fs::path& common_dir)
    : common_(common_dir),
      folder_(common_dir / "autoexec" / std::string(prefix).append(text::new_uuid()))
{
    error_code ignored;  // git reports a missing commit
    (void)files::make_folders(folder_, ignored);
}

AttributesFolder::~AttributesFolder()
{
    std::error_code ignored;
    fs::remove_all(folder_, ignored);
}

asio::awaitable<void> AttributesFolder::fill(const Git& git, std::string commit)
{
    const auto listing =
        co_await git(context(), "ls-tree", "-r", "-z", "--name-only", "--full-tree", commit);
    std::size_t count = 0;
    for (const auto path : split_nul(listing.output)) {
        const fs::path file = path;
        if (file.filename() != file_name || ++count > max_attribute_files) continue;
        const auto content =
            co_await git(context(), "cat-file", "blob", commit + ":" + std::string(path));
        error_code ec;
        const auto folder = files::make_folders(folder_ / file.parent_path(), ec);
        if (content.ok() && folder)
            (void)files::replace_file(folder.get(), file_name, content.output, 0600,
                                      Durability::none);
    }
}

}  // namespace autoexec::git
